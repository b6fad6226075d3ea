//! A server of objects in memory that speaks as much of S3's and Google Cloud Storage's protocol as a store
//! uses, checks every signature, and fails on demand.

use super::multipart::Uploads;
use super::signatures::{self, Signed};
use bytes::Bytes;
use chrono::Utc;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// Whose requests are accepted.
#[derive(Clone, Debug)]
pub enum Account {
    /// S3: key and secret.
    Aws {
        /// Id of the key.
        key_id: String,
        /// The secret.
        secret: String,
    },
    /// Google Cloud: a service account.
    Google {
        /// The account's address.
        email: String,
        /// Its RSA public key, PKCS #1.
        public_key: Vec<u8>,
    },
}

/// What goes wrong with one request that writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The object is stored, then the connection breaks.
    LoseReply,
    /// The object is stored, then the server answers with an error.
    FailAfter,
    /// Nothing is stored and the server answers with an error.
    FailBefore,
}

#[derive(Clone, Debug)]
struct Object {
    bytes: Bytes,
    headers: Vec<(String, String)>,
    version: u64,
}

#[derive(Debug)]
struct State {
    account: Account,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    objects: BTreeMap<String, Object>,
    faults: VecDeque<Fault>,
    refusals: Vec<&'static str>,
    uploads: Uploads,
    version: u64,
}

/// The server. It stops when it is dropped.
#[derive(Debug)]
pub struct ObjectServer {
    address: SocketAddr,
    state: Arc<State>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl ObjectServer {
    /// Starts a server on a free port, in a thread of its own.
    pub fn start(account: Account) -> io::Result<ObjectServer> {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            account,
            inner: Mutex::default(),
        });
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let shared = state.clone();
        let thread = std::thread::Builder::new()
            .name("test-objects".into())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        _ = stopped => {}
                        _ = serve(listener, shared) => {}
                    }
                });
            })?;
        Ok(ObjectServer {
            address,
            state,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Its address, `http://127.0.0.1:…`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Lets the next requests that write fail, one each.
    pub fn fail(&self, faults: &[Fault]) {
        self.state.inner().faults.extend(faults);
    }

    /// Why requests were refused so far.
    pub fn refusals(&self) -> Vec<&'static str> {
        self.state.inner().refusals.clone()
    }

    /// Uploads in parts that were begun and neither completed nor given up.
    pub fn open_uploads(&self) -> usize {
        self.state.inner().uploads.open()
    }

    /// The content type that an object was stored with; the name includes its bucket.
    pub fn content_type(&self, name: &str) -> Option<String> {
        let inner = self.state.inner();
        let headers = &inner.objects.get(name)?.headers;
        let found = headers.iter().find(|(name, _)| name == "content-type");
        found.map(|(_, value)| value.clone())
    }
}

impl Drop for ObjectServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(listener: std::net::TcpListener, state: Arc<State>) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        let state = state.clone();
        tokio::spawn(async move {
            let service = hyper::service::service_fn(move |request| {
                let state = state.clone();
                async move { state.answer(request).await }
            });
            // A connection that breaks is its client's affair.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

type Answer = Response<Full<Bytes>>;

fn answer(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer
}

impl State {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, request: Request<Incoming>) -> io::Result<Answer> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        let headers: BTreeMap<String, String> = parts
            .headers
            .iter()
            .map(|(name, value)| {
                (
                    name.to_string(),
                    String::from_utf8_lossy(value.as_bytes()).into_owned(),
                )
            })
            .collect();
        let signed = Signed {
            method: parts.method.as_str(),
            path: parts.uri.path(),
            query: parts.uri.query().unwrap_or_default(),
            headers: &headers,
            body: &body,
        };
        if let Err(refusal) = self.check(&signed) {
            self.inner().refusals.push(refusal);
            return Ok(answer(StatusCode::FORBIDDEN, refusal));
        }
        let fault = match parts.method {
            Method::PUT => self.inner().faults.pop_front(),
            _ => None,
        };
        if fault == Some(Fault::FailBefore) {
            return Ok(answer(StatusCode::SERVICE_UNAVAILABLE, "on demand"));
        }
        let done = self.act(&parts.method, &signed);
        match fault {
            Some(Fault::LoseReply) => Err(io::ErrorKind::ConnectionReset.into()),
            Some(_) => Ok(answer(StatusCode::SERVICE_UNAVAILABLE, "on demand")),
            None => Ok(done),
        }
    }

    fn check(&self, request: &Signed<'_>) -> Result<(), signatures::Refusal> {
        match &self.account {
            Account::Aws { key_id, secret } => {
                signatures::verify_aws(request, key_id, secret, Utc::now())
            }
            Account::Google { email, public_key } => match request.headers.get("authorization") {
                Some(header) => bearer(header, public_key),
                None => signatures::verify_google(request, email, public_key, Utc::now()),
            },
        }
    }

    fn act(&self, method: &Method, request: &Signed<'_>) -> Answer {
        let path = percent_decode_str(request.path).decode_utf8_lossy();
        let name = path.trim_start_matches('/').to_owned();
        let query: BTreeMap<String, String> =
            signatures::pairs(request.query).into_iter().collect();
        let mut inner = self.inner();
        let upload = query.get("uploadId").map(String::as_str);
        match *method {
            Method::POST if query.contains_key("uploads") => {
                let begun = inner.uploads.begin(&name, kept_headers(request));
                answer(StatusCode::OK, begun)
            }
            Method::PUT if upload.is_some() => {
                let number = query.get("partNumber").map_or("", String::as_str);
                let bytes = Bytes::copy_from_slice(request.body);
                match inner
                    .uploads
                    .part(upload.unwrap_or_default(), number, bytes)
                {
                    true => {
                        let mut answer = answer(StatusCode::OK, "");
                        let tag = http::HeaderValue::from_static("\"part\"");
                        answer.headers_mut().insert("etag", tag);
                        answer
                    }
                    false => answer(StatusCode::NOT_FOUND, "no such upload"),
                }
            }
            Method::POST if upload.is_some() => {
                let Some((name, headers, bytes)) =
                    inner.uploads.complete(upload.unwrap_or_default())
                else {
                    return answer(StatusCode::NOT_FOUND, "no such upload");
                };
                let version = inner.put(name, bytes, headers);
                answer(
                    StatusCode::OK,
                    format!(
                        "<CompleteMultipartUploadResult><ETag>\"{version}\"</ETag></CompleteMultipartUploadResult>"
                    ),
                )
            }
            Method::DELETE if upload.is_some() => {
                inner.uploads.abort(upload.unwrap_or_default());
                answer(StatusCode::NO_CONTENT, "")
            }
            Method::PUT => {
                let header = |name: &str| request.headers.get(name).map(String::as_str);
                let only_new = header("if-none-match") == Some("*")
                    || header("x-goog-if-generation-match") == Some("0");
                if only_new && inner.objects.contains_key(&name) {
                    return answer(StatusCode::PRECONDITION_FAILED, "");
                }
                let bytes = Bytes::copy_from_slice(request.body);
                inner.put(name.clone(), bytes, kept_headers(request));
                match inner.objects.get(&name) {
                    Some(object) => describe(object, Bytes::new()),
                    None => answer(StatusCode::INTERNAL_SERVER_ERROR, ""),
                }
            }
            Method::GET if query.contains_key("list-type") => list(&inner, &name, &query),
            Method::GET | Method::HEAD => match inner.objects.get(&name) {
                Some(object) if *method == Method::GET => describe(object, object.bytes.clone()),
                Some(object) => {
                    let mut answer = describe(object, Bytes::new());
                    answer
                        .headers_mut()
                        .insert("content-length", object.bytes.len().into());
                    answer
                }
                None => answer(StatusCode::NOT_FOUND, ""),
            },
            Method::DELETE => match inner.objects.remove(&name) {
                Some(_) => answer(StatusCode::NO_CONTENT, ""),
                None => answer(StatusCode::NOT_FOUND, ""),
            },
            Method::POST if query.contains_key("delete") => {
                let body = String::from_utf8_lossy(request.body);
                let keys = body
                    .split("<Key>")
                    .skip(1)
                    .filter_map(|rest| rest.split("</Key>").next());
                let mut done = String::from("<DeleteResult>");
                for key in keys {
                    let key = key
                        .replace("&apos;", "'")
                        .replace("&quot;", "\"")
                        .replace("&lt;", "<")
                        .replace("&gt;", ">")
                        .replace("&amp;", "&");
                    inner
                        .objects
                        .remove(&format!("{}/{key}", name.trim_end_matches('/')));
                    done.push_str(&format!("<Deleted><Key>{}</Key></Deleted>", escape(&key)));
                }
                done.push_str("</DeleteResult>");
                answer(StatusCode::OK, done)
            }
            _ => answer(StatusCode::METHOD_NOT_ALLOWED, ""),
        }
    }
}

impl Inner {
    /// Stores an object; returns its version.
    fn put(&mut self, name: String, bytes: Bytes, headers: Vec<(String, String)>) -> u64 {
        self.version += 1;
        let version = self.version;
        let object = Object {
            bytes,
            headers,
            version,
        };
        self.objects.insert(name, object);
        version
    }
}

/// The headers that stay with an object.
fn kept_headers(request: &Signed<'_>) -> Vec<(String, String)> {
    let kept = |name: &str| {
        name == "content-type"
            || name.starts_with("x-amz-meta-")
            || name.starts_with("x-goog-meta-")
    };
    let headers = request.headers.iter().filter(|(n, _)| kept(n));
    headers.map(|(n, v)| (n.clone(), v.clone())).collect()
}

fn describe(object: &Object, body: Bytes) -> Answer {
    let mut answer = answer(StatusCode::OK, body);
    let fixed = [
        ("etag".to_owned(), format!("\"{}\"", object.version)),
        ("x-goog-generation".to_owned(), object.version.to_string()),
        (
            "last-modified".to_owned(),
            Utc::now().format("%a, %d %b %Y %H:%M:%S GMT").to_string(),
        ),
    ];
    for (name, value) in fixed.iter().chain(&object.headers) {
        if let (Ok(name), Ok(value)) = (
            http::HeaderName::try_from(name),
            http::HeaderValue::try_from(value),
        ) {
            answer.headers_mut().insert(name, value);
        }
    }
    answer
}

/// A page of at most three objects, so that every list with more needs several.
fn list(inner: &Inner, bucket: &str, query: &BTreeMap<String, String>) -> Answer {
    let text = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
    let start = format!("{}/", bucket.trim_end_matches('/'));
    let (prefix, token) = (text("prefix"), text("continuation-token"));
    let mut found = inner.objects.iter().filter_map(|(name, object)| {
        let key = name.strip_prefix(&start)?;
        (key.starts_with(prefix) && key > token).then_some((key, object))
    });
    let mut body = String::from("<ListBucketResult>");
    let mut last = "";
    for (key, object) in found.by_ref().take(3) {
        last = key;
        let modified = Utc::now().to_rfc3339();
        body.push_str(&format!(
            "<Contents><Key>{}</Key><LastModified>{modified}</LastModified><ETag>\"{}\"</ETag><Size>{}</Size></Contents>",
            escape(key),
            object.version,
            object.bytes.len()
        ));
    }
    if found.next().is_some() {
        let token = escape(last);
        body.push_str(&format!(
            "<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>"
        ));
    }
    body.push_str("</ListBucketResult>");
    answer(StatusCode::OK, body)
}

pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// Checks a token that a service account signed for itself.
fn bearer(header: &str, public_key: &[u8]) -> Result<(), signatures::Refusal> {
    use base64::Engine as _;
    let token = header.strip_prefix("Bearer ").ok_or("no bearer token")?;
    let (text, given) = token.rsplit_once('.').ok_or("the token cannot be read")?;
    let given = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(given)
        .map_err(|_| "the token cannot be read")?;
    signatures::verify_rsa(public_key, text.as_bytes(), &given)
}
