//! The object store: a directory, S3, Google Cloud Storage, or memory.
//!
//! Names are relative paths with `/` between their parts, below the store's prefix.

mod counted;
mod exact;
mod files;
mod identity;
mod part;
mod quick;
mod staged;
mod sync;
mod unnamed;
mod walk;

pub use part::{Part, Whole};
pub use walk::Walk;

use crate::error::{Error, Result, without_queries};
use crate::links::{Access, Limits, Link, LinkKey, PATH};
use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, Method};
use object_store::aws::AwsCredentialProvider;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::signer::{SignedUrlOptions, Signer};
use object_store::{Attribute, Attributes, GetOptions, ObjectStore, ObjectStoreExt as _};
use object_store::{PutMode, PutOptions};
use percent_encoding::utf8_percent_encode;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Where Google Cloud Storage is told how many bytes an upload may have.
const GOOGLE_RANGE: HeaderName = HeaderName::from_static("x-goog-content-length-range");
/// Name of the metadata that tells writers apart when a reply was lost.
const WRITER: &str = "sundog-writer";
/// Bytes of one part of a large object.
const WRITER_CHUNK: usize = 8 << 20;
/// Tries of a conditional create; each also has the retries of its connection.
const CREATE_TRIES: u32 = 4;

/// What a conditional create did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// This call wrote the object.
    New,
    /// An object was there already and is unchanged.
    Exists,
}

/// What is known of an object without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Its name.
    pub name: String,
    /// Its bytes.
    pub size: u64,
    /// When it was written.
    pub modified: SystemTime,
    /// Its content type, where the store keeps one and was asked for it (not in lists).
    pub content_type: Option<String>,
}

/// Where links come from.
#[derive(Clone)]
enum Links {
    Signer(Arc<dyn Signer>, Limits),
    Key(Box<LinkKey>),
    None,
}

/// A store in a directory.
#[derive(Clone)]
struct Local {
    files: Arc<LocalFileSystem>,
    /// The same, for what need not survive a loss of power.
    hints: Arc<LocalFileSystem>,
    root: std::path::PathBuf,
    syncing: Arc<sync::Syncing>,
}

/// An object store. Clones share connections.
#[derive(Clone)]
pub struct Store {
    inner: Arc<dyn ObjectStore>,
    /// The same, where it is a directory.
    local: Option<Local>,
    prefix: Path,
    address: String,
    /// Whether objects carry a content type and metadata.
    attributes: bool,
    /// Whether it is Google Cloud Storage, which wants its links made otherwise than S3.
    google: bool,
    /// Who signs, where it is S3.
    s3: Option<AwsCredentialProvider>,
    links: Links,
    /// Its name, once it was asked for.
    known: Arc<std::sync::OnceLock<String>>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Store").field(&self.address).finish()
    }
}

impl Store {
    /// A store in memory.
    pub fn memory() -> Store {
        Store {
            inner: Arc::new(object_store::memory::InMemory::new()),
            local: None,
            prefix: Path::default(),
            address: "memory:".into(),
            attributes: true,
            google: false,
            s3: None,
            links: Links::None,
            known: Arc::default(),
        }
    }

    /// A directory, created if need be. What is written is durable when a call returns.
    pub fn directory(dir: &std::path::Path) -> Result<Store> {
        let failed = |error: &dyn fmt::Display| Error::Refused {
            what: format!("opening the store {}", dir.display()),
            reason: error.to_string(),
        };
        std::fs::create_dir_all(dir).map_err(|error| failed(&error))?;
        let local = LocalFileSystem::new_with_prefix(dir)
            .map_err(|error| failed(&error))?
            .with_fsync(true);
        let local = Arc::new(local);
        let hints = LocalFileSystem::new_with_prefix(dir).map_err(|error| failed(&error))?;
        Ok(Store {
            inner: local.clone(),
            local: Some(Local {
                files: local,
                hints: Arc::new(hints),
                root: dir.to_owned(),
                syncing: Arc::default(),
            }),
            prefix: Path::default(),
            address: format!("file://{}", dir.display()),
            attributes: false,
            google: false,
            s3: None,
            links: Links::None,
            known: Arc::default(),
        })
    }

    /// A remote store that signs its own links: S3 with these credentials, or else Google Cloud Storage.
    pub(crate) fn remote<S: ObjectStore + Signer>(
        store: S,
        prefix: &str,
        address: String,
        s3: Option<AwsCredentialProvider>,
        limits: Limits,
    ) -> Result<Store> {
        let store = Arc::new(store);
        Ok(Store {
            inner: Arc::new(counted::Counted(store.clone())),
            local: None,
            prefix: parse(prefix)?,
            address,
            attributes: true,
            google: s3.is_none(),
            s3,
            links: Links::Signer(store, limits),
            known: Arc::default(),
        })
    }

    /// The same store with links that another client of it signs, at the address where others reach it.
    pub(crate) fn signed_by(mut self, signer: impl Signer + 'static) -> Store {
        if let Links::Signer(own, _) = &mut self.links {
            *own = Arc::new(signer);
        }
        self
    }

    /// The same store with links that a gateway serves. Stores that sign their own keep doing so.
    pub fn with_links(mut self, key: LinkKey) -> Store {
        if !matches!(self.links, Links::Signer(..)) {
            self.links = Links::Key(Box::new(key));
        }
        self
    }

    /// Where it is, without credentials.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Writes an object, in place of one that is there.
    pub async fn put(&self, name: &str, bytes: Bytes, content_type: &str) -> Result<()> {
        let options = PutOptions {
            attributes: self.attributes(content_type, None),
            ..PutMode::Overwrite.into()
        };
        let path = self.path(name)?;
        self.inner
            .put_opts(&path, bytes.into(), options)
            .await
            .map_err(|error| self.error(name, error))?;
        Ok(())
    }

    /// Writes an object if there is none of that name. Of several writers exactly one is told
    /// [`Created::New`], also when the reply to its request was lost.
    pub async fn create(&self, name: &str, bytes: Bytes, content_type: &str) -> Result<Created> {
        if self.local.is_some() {
            let created = self.create_hint(name, bytes, content_type).await?;
            return self.keep(name, created).await;
        }
        self.create_remote(name, bytes, content_type).await
    }

    async fn create_remote(&self, name: &str, bytes: Bytes, content_type: &str) -> Result<Created> {
        let path = self.path(name)?;
        let writer = crate::links::hex(&crate::random::bytes::<16>());
        let mut tries = 0;
        loop {
            tries += 1;
            let options = PutOptions {
                attributes: self.attributes(content_type, Some(&writer)),
                ..PutMode::Create.into()
            };
            let payload = bytes.clone().into();
            match self.inner.put_opts(&path, payload, options).await {
                Ok(_) => return Ok(Created::New),
                Err(object_store::Error::AlreadyExists { .. }) if !self.attributes => {
                    return Ok(Created::Exists);
                }
                // Perhaps by a request of this call that succeeded without our hearing of it.
                Err(object_store::Error::AlreadyExists { .. }) => {
                    let found = self.inner.get_opts(&path, head()).await;
                    let found = found.map_err(|error| self.error(name, error))?;
                    let key = Attribute::Metadata(WRITER.into());
                    let ours = found.attributes.get(&key).map(|v| &**v) == Some(writer.as_str());
                    return Ok(if ours { Created::New } else { Created::Exists });
                }
                Err(error) => {
                    let error = self.error(name, error);
                    if tries == CREATE_TRIES || !error.is_transient() {
                        return Err(error);
                    }
                    tracing::warn!(%error, name, "creating again");
                    tokio::time::sleep(Duration::from_millis(100 << tries)).await;
                }
            }
        }
    }

    /// The bytes of an object, refused if there are more than `max_bytes`.
    pub async fn get(&self, name: &str, max_bytes: u64) -> Result<Bytes> {
        if let Some(bytes) = self.small_file(name)? {
            return match bytes.len() as u64 > max_bytes {
                true => Err(too_large(name, bytes.len() as u64, max_bytes)),
                false => Ok(bytes),
            };
        }
        let path = self.path(name)?;
        let found = self.inner.get(&path).await;
        let found = found.map_err(|error| self.error(name, error))?;
        if found.meta.size > max_bytes {
            return Err(too_large(name, found.meta.size, max_bytes));
        }
        found.bytes().await.map_err(|error| self.error(name, error))
    }

    /// The size of an object and its bytes as they come.
    pub async fn get_stream(&self, name: &str) -> Result<(u64, BoxStream<'static, Result<Bytes>>)> {
        let path = self.path(name)?;
        let found = self.inner.get(&path).await;
        let found = found.map_err(|error| self.error(name, error))?;
        let (size, store, name) = (found.meta.size, self.clone(), name.to_owned());
        let stream = found.into_stream();
        let stream = stream.map_err(move |error| store.error(&name, error));
        Ok((size, stream.boxed()))
    }

    /// What is known of an object.
    pub async fn head(&self, name: &str) -> Result<Meta> {
        if let Some(meta) = self.quick_head(name)? {
            return Ok(meta);
        }
        let path = self.path(name)?;
        let found = self.inner.get_opts(&path, head()).await;
        let found = found.map_err(|error| self.error(name, error))?;
        let content_type = found.attributes.get(&Attribute::ContentType);
        Ok(Meta {
            name: name.to_owned(),
            size: found.meta.size,
            modified: found.meta.last_modified.into(),
            content_type: content_type.map(|value| value.to_string()),
        })
    }

    /// All objects whose names begin with the parts of `prefix` (empty: all), in order of their names.
    pub async fn list(&self, prefix: &str) -> Result<Vec<Meta>> {
        if self.lacks(prefix) {
            return Ok(Vec::new());
        }
        let path = self.path(prefix)?;
        let found: Vec<object_store::ObjectMeta> = self
            .inner
            .list(Some(&path))
            .try_collect()
            .await
            .map_err(|error| self.error(prefix, error))?;
        let found = found.into_iter().filter_map(|meta| self.meta(&meta));
        let mut list: Vec<Meta> = found.collect();
        list.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(list)
    }

    /// Removes an object; one that is not there is as good.
    pub async fn delete(&self, name: &str) -> Result<()> {
        if let Some(file) = self.file(name)? {
            return match std::fs::remove_file(file) {
                Err(error) if !quick::missing(error.kind()) => Err(self.failed(name, &error)),
                _ => Ok(()),
            };
        }
        let path = self.path(name)?;
        match self.inner.delete(&path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.error(name, error)),
        }
    }

    /// A link to get an object.
    pub async fn link_get(&self, name: &str, life: Duration) -> Result<Link> {
        self.link(Access::Get, name, None, life).await
    }

    /// A link to put an object of so many bytes: S3 takes exactly as many, a gateway and Google Cloud no more. S3 is
    /// told by `content-length`, which clients send by themselves (browsers let nobody else set it), so that it
    /// is not among the link's headers; a body of unknown length is refused. A remote store insists on the
    /// content type.
    pub async fn link_put(
        &self,
        name: &str,
        content_type: Option<&str>,
        bytes: u64,
        life: Duration,
    ) -> Result<Link> {
        let access = Access::Put { max_bytes: bytes };
        self.link(access, name, content_type, life).await
    }

    async fn link(
        &self,
        access: Access,
        name: &str,
        content_type: Option<&str>,
        life: Duration,
    ) -> Result<Link> {
        let path = self.path(name)?;
        let now = SystemTime::now();
        match &self.links {
            Links::Key(key) => key.sign(access, name, life, now),
            Links::Signer(signer, limits) => {
                let life = limits.life(life, now)?;
                let mut options = SignedUrlOptions::new();
                let mut headers = Vec::new();
                if let Some(value) = content_type {
                    let header = HeaderValue::from_str(value)
                        .map_err(|_| Error::invalid("the content type", "not fit for a header"))?;
                    options = options.with_signed_header(CONTENT_TYPE, header);
                    headers.push(("content-type".to_owned(), value.to_owned()));
                }
                let method = match access {
                    Access::Get => Method::GET,
                    Access::Put { max_bytes } if self.google => {
                        let range = format!("0,{max_bytes}");
                        let header = HeaderValue::from_str(&range)
                            .map_err(|_| Error::invalid("a range", "not fit for a header"))?;
                        options = options.with_signed_header(GOOGLE_RANGE, header);
                        headers.push((GOOGLE_RANGE.as_str().to_owned(), range));
                        Method::PUT
                    }
                    Access::Put { .. } => Method::PUT,
                };
                // Its signer puts names into addresses as they are.
                let path = match self.google {
                    true => parse(&utf8_percent_encode(path.as_ref(), PATH).to_string())?,
                    false => path,
                };
                let url = signer
                    .signed_url_opts(method.clone(), &path, life, &options)
                    .await
                    .map_err(|error| self.error(name, error))?;
                let url = match (access, &self.s3) {
                    (Access::Put { max_bytes }, Some(credentials)) => {
                        let credential = credentials.get_credential().await;
                        let credential = credential.map_err(|error| self.error(name, error))?;
                        exact::sign(&url, &headers, max_bytes, &credential)?
                    }
                    _ => url,
                };
                Ok(Link {
                    method,
                    url,
                    headers,
                    expires: now + life,
                })
            }
            Links::None => Err(Error::Refused {
                what: format!("a link to `{name}`"),
                reason:
                    "links to this store need a gateway that serves them (hint: sundog gateway)"
                        .into(),
            }),
        }
    }

    /// The path of an object below the prefix.
    fn path(&self, name: &str) -> Result<Path> {
        let path = parse(name)?;
        Ok(self.prefix.parts().chain(path.parts()).collect())
    }

    fn attributes(&self, content_type: &str, writer: Option<&str>) -> Attributes {
        let mut attributes = Attributes::new();
        if self.attributes {
            attributes.insert(Attribute::ContentType, content_type.to_owned().into());
            if let Some(writer) = writer {
                attributes.insert(Attribute::Metadata(WRITER.into()), writer.to_owned().into());
            }
        }
        attributes
    }

    fn error(&self, name: &str, error: object_store::Error) -> Error {
        use object_store::Error as E;
        let what = format!("`{name}` in {}", self.address);
        match error {
            E::NotFound { .. } => Error::NotFound(name.to_owned()),
            E::PermissionDenied { .. } | E::Unauthenticated { .. } => Error::Refused {
                what,
                reason: "the store refuses it (hint: check its credentials and their permissions)"
                    .into(),
            },
            E::NotImplemented { .. } | E::NotSupported { .. } | E::InvalidPath { .. } => {
                Error::Refused {
                    what,
                    reason: without_queries(&error.to_string()),
                }
            }
            other => Error::Unreachable {
                service: "the store",
                reason: format!("{what}: {}", without_queries(&other.to_string())),
            },
        }
    }
}

fn too_large(name: &str, size: u64, max_bytes: u64) -> Error {
    Error::Refused {
        what: format!("reading `{name}`"),
        reason: format!("{size} bytes are more than the limit of {max_bytes}"),
    }
}

fn head() -> GetOptions {
    GetOptions {
        head: true,
        ..GetOptions::default()
    }
}

fn parse(name: &str) -> Result<Path> {
    let invalid =
        |reason: String| Error::invalid(format!("the name `{}`", name.escape_debug()), reason);
    if name.starts_with('/') || name.ends_with('/') && !name.is_empty() {
        return Err(invalid("begins or ends with `/`".into()));
    }
    Path::parse(name).map_err(|error| invalid(error.to_string()))
}
