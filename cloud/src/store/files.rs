//! Objects from and to files of this machine, so that large ones never lie in memory as a whole.

use super::{Created, Store, WRITER_CHUNK, unnamed, without_queries};
use crate::error::{Error, Result};
use futures_util::TryStreamExt as _;
use object_store::{ObjectStoreExt as _, PutMultipartOptions, WriteMultipart};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Files up to this size are sent in one request.
const WHOLE: u64 = 8 << 20;
/// Parts of a larger file that are under way at once.
const PARTS: usize = 4;

impl Store {
    /// The file behind an object, where the store is a directory. Read it only: others may hold it, too.
    pub fn file(&self, name: &str) -> Result<Option<PathBuf>> {
        let path = self.path(name)?;
        match &self.local {
            Some(local) => local
                .files
                .path_to_filesystem(&path)
                .map(Some)
                .map_err(|error| self.error(name, error)),
            None => Ok(None),
        }
    }

    /// Where the store is a directory: a folder on the same disk for what is not an object yet.
    pub fn scratch(&self) -> Option<PathBuf> {
        let local = self.local.as_ref()?;
        Some(local.root.join(".scratch"))
    }

    /// Creates an object in a directory without a temporary file; None where that cannot be.
    pub(super) async fn create_unnamed(
        &self,
        name: &str,
        bytes: &bytes::Bytes,
    ) -> Result<Option<Created>> {
        let Some(target) = self.file(name)? else {
            return Ok(None);
        };
        let bytes = bytes.clone();
        let created = move || unnamed::create(&target, &bytes);
        let created = tokio::task::spawn_blocking(created).await;
        let created = created.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        created.map_err(|error| self.failed(name, &error))
    }

    /// Makes what a create left safe from a loss of power; where that fails, an object that was made now goes again.
    pub(super) async fn keep(&self, name: &str, created: Created) -> Result<Created> {
        match self.sync(&[name]).await {
            Ok(()) => Ok(created),
            Err(error) => {
                if created == Created::New {
                    self.delete(name).await?;
                }
                Err(error)
            }
        }
    }

    /// Writes an object to a new file, refused if it has more than `max_bytes`. The file is not synced to disk.
    pub async fn get_file(&self, name: &str, to: &Path, max_bytes: u64) -> Result<u64> {
        let path = self.path(name)?;
        let found = self.inner.get(&path).await;
        let found = found.map_err(|error| self.error(name, error))?;
        let size = found.meta.size;
        if size > max_bytes {
            return Err(Error::Refused {
                what: format!("reading `{name}`"),
                reason: format!("{size} bytes are more than the limit of {max_bytes}"),
            });
        }
        let mut file = tokio::fs::File::create_new(to)
            .await
            .map_err(|e| local(to, &e))?;
        let mut stream = found.into_stream();
        let mut written = 0;
        loop {
            let part = stream.try_next().await;
            let Some(part) = part.map_err(|error| self.error(name, error))? else {
                break;
            };
            file.write_all(&part).await.map_err(|e| local(to, &e))?;
            written += part.len() as u64;
        }
        file.flush().await.map_err(|e| local(to, &e))?;
        match written == size {
            true => Ok(size),
            false => Err(Error::Unreachable {
                service: "the store",
                reason: format!("`{name}` ended after {written} of {size} bytes"),
            }),
        }
    }

    /// Makes a file an object if there is none of that name. In a directory the file itself becomes the
    /// object where both are on one disk, so it must not be changed afterwards.
    ///
    /// A remote store takes files above 8 MiB in parts and cannot refuse them for an object of that name;
    /// such an object is replaced. In a directory the object may be lost when the machine loses its power before a
    /// [`Store::sync`].
    pub async fn create_file_hint(
        &self,
        name: &str,
        from: &Path,
        content_type: &str,
    ) -> Result<Created> {
        if let Some(target) = self.file(name)? {
            // Nothing of it waits for the disk, but where a file is copied.
            let linked = match link(from, &target) {
                Err(error) if error.kind() == ErrorKind::CrossesDevices => {
                    let source = from.to_owned();
                    let copied = tokio::task::spawn_blocking(move || copy(&source, &target));
                    copied
                        .await
                        .unwrap_or_else(|error| Err(std::io::Error::other(error)))
                }
                other => other,
            };
            return linked.map_err(|error| self.failed(name, &error));
        }
        let size = tokio::fs::metadata(from)
            .await
            .map_err(|e| local(from, &e))?
            .len();
        if size <= WHOLE {
            let bytes = tokio::fs::read(from).await.map_err(|e| local(from, &e))?;
            return self.create(name, bytes.into(), content_type).await;
        }
        self.put_parts(name, from, content_type).await?;
        Ok(Created::New)
    }

    /// What is wrong with the directory that the store is: a full disk passes, others do not.
    pub(super) fn failed(&self, name: &str, error: &std::io::Error) -> Error {
        let what = format!("`{name}` in {}", self.address);
        match error.kind() {
            ErrorKind::NotFound | ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                Error::Refused {
                    what,
                    reason: error.to_string(),
                }
            }
            _ => Error::Unreachable {
                service: "the store",
                reason: format!("{what}: {error}"),
            },
        }
    }

    /// Makes a file an object, in place of one that is there. In a directory the file itself becomes the
    /// object where both are on one disk; so it is gone afterwards, or must not be changed.
    pub async fn put_file(&self, name: &str, from: &Path, content_type: &str) -> Result<()> {
        if let Some(target) = self.file(name)? {
            let source = from.to_owned();
            let moved = tokio::task::spawn_blocking(move || replace(&source, &target));
            let moved = moved
                .await
                .unwrap_or_else(|error| Err(std::io::Error::other(error)));
            return moved.map_err(|error| self.failed(name, &error));
        }
        let size = tokio::fs::metadata(from).await;
        if size.map_err(|e| local(from, &e))?.len() <= WHOLE {
            let bytes = tokio::fs::read(from).await.map_err(|e| local(from, &e))?;
            return self.put(name, bytes.into(), content_type).await;
        }
        self.put_parts(name, from, content_type).await
    }

    async fn put_parts(&self, name: &str, from: &Path, content_type: &str) -> Result<()> {
        let path = self.path(name)?;
        let options = PutMultipartOptions {
            attributes: self.attributes(content_type, None),
            ..PutMultipartOptions::default()
        };
        let upload = self.inner.put_multipart_opts(&path, options).await;
        let upload = upload.map_err(|error| self.error(name, error))?;
        let mut writer = WriteMultipart::new_with_chunk_size(upload, WRITER_CHUNK);
        let sent = async {
            let mut file = tokio::fs::File::open(from)
                .await
                .map_err(|e| local(from, &e))?;
            let mut buffer = vec![0; WRITER_CHUNK];
            loop {
                let n = file.read(&mut buffer).await.map_err(|e| local(from, &e))?;
                if n == 0 {
                    return Ok(());
                }
                let ready = writer.wait_for_capacity(PARTS).await;
                ready.map_err(|error| self.error(name, error))?;
                writer.write(&buffer[..n]);
            }
        };
        let sent: Result<()> = sent.await;
        match sent {
            Ok(()) => writer
                .finish()
                .await
                .map(|_| ())
                .map_err(|error| self.error(name, error)),
            Err(error) => {
                if let Err(left) = writer.abort().await {
                    let left = without_queries(&left.to_string());
                    tracing::warn!(name, "parts of an upload may be left: {left}");
                }
                Err(error)
            }
        }
    }
}

/// Links a file to where there must be none.
fn link(from: &Path, to: &Path) -> std::io::Result<Created> {
    std::fs::create_dir_all(to.parent().unwrap_or(Path::new("/")))?;
    match std::fs::hard_link(from, to) {
        Ok(()) => Ok(Created::New),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(Created::Exists),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(error),
        // Another disk, or one without links.
        Err(_) => Err(ErrorKind::CrossesDevices.into()),
    }
}

/// A name beside `to` such as the store's own temporary files have, which it never lists.
fn staged(to: &Path) -> PathBuf {
    let mut staged = to.as_os_str().to_owned();
    let number = u64::from_ne_bytes(crate::random::bytes::<8>());
    staged.push(format!("#{number}"));
    staged.into()
}

/// Copies a file to where there must be none.
fn copy(from: &Path, to: &Path) -> std::io::Result<Created> {
    if to.exists() {
        return Ok(Created::Exists);
    }
    let staged = staged(to);
    let copied = std::fs::copy(from, &staged)
        .and_then(|_| std::fs::File::open(&staged)?.sync_all())
        .and_then(|()| {
            std::fs::hard_link(&staged, to).or_else(|error| match error.kind() {
                ErrorKind::AlreadyExists => Err(error),
                _ => std::fs::rename(&staged, to),
            })
        });
    // Gone already where it was renamed.
    let _ = std::fs::remove_file(&staged);
    match copied {
        Ok(()) => Ok(Created::New),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(Created::Exists),
        Err(error) => Err(error),
    }
}

/// Moves a file to where there may be another, durably.
fn replace(from: &Path, to: &Path) -> std::io::Result<()> {
    let folder = to.parent().unwrap_or(Path::new("/"));
    let new = !folder.exists();
    std::fs::create_dir_all(folder)?;
    std::fs::File::open(from)?.sync_all()?;
    match std::fs::rename(from, to) {
        Err(error) if error.kind() == ErrorKind::CrossesDevices => {
            let staged = staged(to);
            let copied = std::fs::copy(from, &staged)
                .and_then(|_| std::fs::File::open(&staged)?.sync_all())
                .and_then(|()| std::fs::rename(&staged, to));
            if copied.is_err() {
                let _ = std::fs::remove_file(&staged);
            }
            copied?;
        }
        other => other?,
    }
    // Also the folders that were made for it.
    let synced = if new { 4 } else { 1 };
    for folder in folder.ancestors().take(synced) {
        std::fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// What is wrong with a file of this machine: a full disk passes, others do not.
fn local(path: &Path, error: &std::io::Error) -> Error {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Error::Unreachable {
            service: "the disk",
            reason: format!("the file {}: {error}", path.display()),
        },
        _ => Error::Refused {
            what: format!("the file {}", path.display()),
            reason: error.to_string(),
        },
    }
}
