//! A server of objects in memory that speaks as much of S3's and Google Cloud Storage's protocol as a store
//! uses, checks every signature, and fails on demand.

use super::answers::{Answer, Object, answer, describe, escape, kept_headers, list, read};
use super::multipart::Uploads;
use super::signatures::{self, Signed};
use super::weather::{self, Body, Lot, Sky, Weather};
use bytes::Bytes;
use chrono::Utc;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use ring::signature::{KeyPair as _, RsaKeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
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

impl Account {
    /// The Google account of a private key in PEM.
    pub fn google(email: &str, pem: &str) -> io::Result<Account> {
        let wrong = |error: &dyn std::fmt::Display| io::Error::other(error.to_string());
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).map_err(|e| wrong(&e))?;
        let key = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).map_err(|e| wrong(&e))?;
        Ok(Account::Google {
            email: email.into(),
            public_key: key.public_key().as_ref().to_vec(),
        })
    }
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

#[derive(Debug)]
struct State {
    account: Mutex<Account>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    objects: BTreeMap<String, Object>,
    faults: VecDeque<Fault>,
    refusals: Vec<&'static str>,
    /// Requests that came by a signed link: method and object.
    linked: Vec<String>,
    uploads: Uploads,
    version: u64,
    sky: Sky,
    /// Objects of one page of a list.
    page: usize,
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
        let inner = Inner {
            page: PAGE,
            ..Inner::default()
        };
        let state = Arc::new(State {
            account: Mutex::new(account),
            inner: Mutex::new(inner),
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

    /// Accepts this account's requests alone from now on, as after a key was rotated.
    pub fn accept(&self, account: Account) {
        let known = self.state.account.lock();
        *known.unwrap_or_else(PoisonError::into_inner) = account;
    }

    /// Its address, `http://127.0.0.1:…`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Lets the next requests that write fail, one each.
    pub fn fail(&self, faults: &[Fault]) {
        self.state.inner().faults.extend(faults);
    }

    /// Lets requests fail by chance from now on; the same seed gives the same chances.
    pub fn set_weather(&self, weather: Weather, seed: u64) {
        self.state.inner().sky = Sky::new(weather, seed);
    }

    /// How many requests failed by chance under this weather.
    pub fn spoiled(&self) -> u64 {
        self.state.inner().sky.spoiled
    }

    /// How many objects a page of a list has; otherwise 3, so that most lists need several.
    pub fn set_page(&self, objects: usize) {
        self.state.inner().page = objects.max(1);
    }

    /// Why requests were refused so far.
    pub fn refusals(&self) -> Vec<&'static str> {
        self.state.inner().refusals.clone()
    }

    /// What was done by signed links, without credentials: `PUT bucket/name`.
    pub fn linked(&self) -> Vec<String> {
        self.state.inner().linked.clone()
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

/// Objects of a page of a list where nobody says otherwise.
const PAGE: usize = 3;

impl State {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, request: Request<Incoming>) -> io::Result<Response<Body>> {
        let (parts, body) = request.into_parts();
        while self.inner().sky.weather.silent {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
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
            return Ok(answer(StatusCode::FORBIDDEN, refusal).map(weather::whole));
        }
        if signed.query.contains("Signature=") {
            let name = parts.uri.path().trim_start_matches('/');
            let done = format!("{} {name}", parts.method);
            self.inner().linked.push(done);
        }
        let lot = self.lot(&parts.method, &headers);
        let failed = |status: u16| {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
            Ok(answer(status, "on demand").map(weather::whole))
        };
        if let Lot::Fault(Fault::FailBefore, status) = lot {
            return failed(status);
        }
        let done = self.act(&parts.method, &signed);
        match lot {
            Lot::Fault(Fault::LoseReply, _) => Err(io::ErrorKind::ConnectionReset.into()),
            Lot::Fault(_, status) => failed(status),
            Lot::Cut if done.body().len() > 1 => {
                let length = done.body().len().into();
                let mut cut = done.map(|bytes| weather::half(&bytes));
                cut.headers_mut().insert("content-length", length);
                Ok(cut)
            }
            Lot::Cut | Lot::Fine => Ok(done.map(weather::whole)),
        }
    }

    /// What was ordered for this request, or else what the weather brings.
    fn lot(&self, method: &Method, headers: &BTreeMap<String, String>) -> Lot {
        let mut inner = self.inner();
        if *method == Method::PUT
            && let Some(fault) = inner.faults.pop_front()
        {
            return Lot::Fault(fault, 503);
        }
        let conditional = ["if-none-match", "x-goog-if-generation-match"];
        let conditional = conditional.iter().any(|name| headers.contains_key(*name));
        inner.sky.lot(method, conditional && *method == Method::PUT)
    }

    fn check(&self, request: &Signed<'_>) -> Result<(), signatures::Refusal> {
        let account = self.account.lock().unwrap_or_else(PoisonError::into_inner);
        match &*account {
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
            Method::GET if query.contains_key("list-type") => {
                list(&inner.objects, inner.page, &name, &query)
            }
            Method::GET | Method::HEAD => match inner.objects.get(&name) {
                Some(object) if *method == Method::GET => {
                    read(object, request.headers.get("range").map(String::as_str))
                }
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
