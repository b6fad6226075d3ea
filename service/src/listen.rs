//! Listening and serving: refused off loopback without tokens, bounded in time, size and number, and ended
//! gracefully.

use crate::front::{Front, Io};
use crate::places::{Busy, Place, Places};
use crate::problem::{Code, Problem};
use crate::telemetry::request::{self, RequestId};
use crate::telemetry::trace;
use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::{Layer as _, ServiceExt as _};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::RequestBodyTimeoutLayer;
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

/// Why a service does not listen.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Whoever reaches the address could do anything.
    #[error(
        "listening on {0} without tokens would let everybody in (hint: give tokens with SUNDOG_TOKENS, or listen on 127.0.0.1)"
    )]
    Open(SocketAddr),
    /// Whoever is on the way could read tokens.
    #[error(
        "listening on {0} without TLS would let everybody on the way read tokens (hint: --tls-cert and --tls-key, or name the proxy that speaks TLS: --trusted-proxies, or say --insecure-http)"
    )]
    Plain(SocketAddr),
    /// The system says no.
    #[error("cannot listen on {addr}: {error}")]
    Bind {
        /// Where.
        addr: SocketAddr,
        /// Why not.
        error: std::io::Error,
    },
}

/// What one service admits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once (1024). When all are taken, silent ones make room; where none is silent, further ones only
    /// learn whether the service lives.
    pub connections: usize,
    /// Time for the first request of a connection (10 s).
    pub first: Duration,
    /// Time for the head of a request, and for which a connection may lie idle (30 s).
    pub head: Duration,
    /// Bytes of a request's head (64 KiB).
    pub head_bytes: usize,
    /// Time without a byte of a request's body (30 s).
    pub body_stall: Duration,
    /// Bytes of a body that is read whole, where a route sets no other limit (1 MiB).
    pub body_bytes: usize,
    /// Time in which a client takes no byte of a response (60 s); then its connection is closed.
    pub write_stall: Duration,
    /// Time for requests that are under way when the shutdown begins (10 s).
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 1024,
            first: Duration::from_secs(10),
            head: Duration::from_secs(30),
            head_bytes: 64 << 10,
            body_stall: Duration::from_secs(30),
            body_bytes: 1 << 20,
            write_stall: Duration::from_secs(60),
            grace: Duration::from_secs(10),
        }
    }
}

/// Listens on an address; off loopback only where tokens guard it.
pub async fn listen(addr: SocketAddr, has_tokens: bool) -> Result<TcpListener, Error> {
    if !addr.ip().to_canonical().is_loopback() && !has_tokens {
        return Err(Error::Open(addr));
    }
    TcpListener::bind(addr)
        .await
        .map_err(|error| Error::Bind { addr, error })
}

/// Refuses plain HTTP off loopback, where tokens could be read on their way, unless somebody said that it is meant so.
pub fn plain(addr: SocketAddr, meant: bool) -> Result<(), Error> {
    let near = addr.ip().to_canonical().is_loopback();
    match near || meant {
        true => Ok(()),
        false => Err(Error::Plain(addr)),
    }
}

/// Serves a router until `shutdown`; requests under way get [`Limits::grace`] to end. Endless responses, such
/// as streams of events, should end by themselves at the same signal.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    shutdown: CancellationToken,
) {
    serve_behind(listener, router, limits, Front::default(), shutdown).await;
}

/// The same with TLS or behind proxies.
pub async fn serve_behind(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    front: Front,
    shutdown: CancellationToken,
) {
    let front = Arc::new(front);
    let router = guarded(router, limits, front.tls.is_some());
    let places = Places::new(limits.connections);
    let graceful = GracefulShutdown::new();
    let (tracker, kill) = (TaskTracker::new(), CancellationToken::new());
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accept(&listener) => accepted,
        };
        let place = tokio::select! {
            () = shutdown.cancelled() => break,
            place = places.take() => place,
        };
        let (stream, peer) = accepted;
        let place = Arc::new(place);
        let (watcher, kill) = (graceful.watcher(), kill.clone());
        let (router, front) = (router.clone(), front.clone());
        tracker.spawn(async move {
            let talk = async {
                let Some(stream) = front.open(stream, limits.first).await else {
                    return;
                };
                let connection = connection(stream, peer, &place, router, limits, &front);
                if let Err(error) = watcher.watch(connection).await {
                    tracing::debug!(%error, "a connection ended early");
                }
            };
            tokio::select! {
                () = talk => {}
                () = place.end.cancelled() => tracing::debug!("a silent connection makes room"),
                () = silent(&place, limits.first) => tracing::debug!("a connection asks for nothing"),
                () = kill.cancelled() => {}
            }
        });
    }
    drop(listener);
    tracker.close();
    if tokio::time::timeout(limits.grace, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("connections are closed that did not end in time");
    }
    kill.cancel();
    tracker.wait().await;
}

/// Ends when a connection has sent no request in its first time.
async fn silent(place: &Place, first: Duration) {
    tokio::time::sleep(first).await;
    if place.asked() {
        std::future::pending::<()>().await;
    }
}

/// The next connection.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Answers are small; waiting to fill a packet only delays them.
                let _ = stream.set_nodelay(true);
                return (stream, peer);
            }
            Err(error) => {
                // The client went away, or there are no more file descriptors: the latter passes.
                tracing::warn!(%error, "accepting a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

type Spoken = TokioIo<Pin<Box<TimeoutStream<Box<dyn Io>>>>>;

/// One connection's requests.
#[derive(Debug)]
struct Answering {
    router: Router,
    place: Arc<Place>,
    peer: SocketAddr,
    front: Arc<Front>,
}

/// For whom a request is.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

impl hyper::service::Service<http::Request<Incoming>> for Answering {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn call(&self, request: http::Request<Incoming>) -> Self::Future {
        let busy = self.place.busy();
        if self.place.reserved && !QUIET.contains(&request.uri().path()) {
            let full = Problem::new(
                Code::Unavailable,
                "all connections are at work (try again soon)",
            );
            let mut full = full.into_response();
            let close = HeaderValue::from_static("close");
            full.headers_mut().insert(header::CONNECTION, close);
            return Box::pin(std::future::ready(Ok(full)));
        }
        let mut request = request.map(Body::new);
        let client = self.front.client(self.peer.ip(), request.headers());
        request.extensions_mut().insert(Peer(client));
        let answer = self.router.clone().oneshot(request);
        Box::pin(async move {
            let response = answer.await?;
            Ok(response.map(|body| Body::new(Held { body, _busy: busy })))
        })
    }
}

/// A body under way: its connection is at work until its end.
struct Held {
    body: Body,
    _busy: Busy,
}

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

fn connection(
    stream: Box<dyn Io>,
    peer: SocketAddr,
    place: &Arc<Place>,
    router: Router,
    limits: Limits,
    front: &Arc<Front>,
) -> hyper::server::conn::http1::Connection<Spoken, Answering> {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(limits.write_stall));
    let answering = Answering {
        router,
        place: place.clone(),
        peer,
        front: front.clone(),
    };
    hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(limits.head_bytes.max(8192))
        .serve_connection(TokioIo::new(Box::pin(stream)), answering)
}

/// The router with what holds for all of its answers.
fn guarded(router: Router, limits: Limits, encrypted: bool) -> Router {
    let fixed =
        |name, value| SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value));
    let router = router
        .layer(axum::middleware::from_fn(count))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(DefaultBodyLimit::max(limits.body_bytes))
        .layer(fixed(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(fixed(header::REFERRER_POLICY, "no-referrer"))
        .layer(fixed(header::X_FRAME_OPTIONS, "DENY"));
    // Whoever came by TLS once comes by no other way for a year.
    let router = match encrypted {
        true => router.layer(fixed(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000")),
        false => router,
    };
    // Of the whole service, so that it holds for bodies that routes read themselves.
    let timed = RequestBodyTimeoutLayer::new(limits.body_stall).layer(router);
    Router::new().fallback_service(timed)
}

fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    Problem::internal(&"a handler panicked").into_response()
}

/// Routes that machines ask every few seconds: counted, but no spans of a trace.
const QUIET: [&str; 3] = ["/healthz", "/metrics", "/readyz"];

/// Counts requests by route; never by path, which is the client's. A client's trace goes on here.
async fn count(mut request: Request, next: Next) -> Response {
    let id = RequestId::of(request.headers());
    request.extensions_mut().insert(id.clone());
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or_else(|| "other".to_owned(), |route| route.as_str().to_owned());
    let method = match request.method().as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "DELETE") => known.to_owned(),
        _ => "other".to_owned(),
    };
    let span = match QUIET.contains(&route.as_str()) {
        true => Span::none(),
        false => tracing::info_span!(
            "request",
            otel.name = format!("{method} {route}"),
            otel.kind = "server",
            otel.status_code = Empty,
            method,
            route,
            request = id.as_str(),
            status = Empty,
        ),
    };
    let parent = request.headers().get("traceparent");
    trace::follow(&span, parent.and_then(|parent| parent.to_str().ok()));
    let begun = Instant::now();
    let mut response = next.run(request).instrument(span.clone()).await;
    if let Some(value) = id.value() {
        response.headers_mut().insert(request::HEADER, value);
    }
    let status = response.status().as_u16().to_string();
    span.record("status", response.status().as_u16());
    if response.status().is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    let labels = [("method", method), ("route", route), ("status", status)];
    metrics::counter!("sundog_http_requests_total", &labels).increment(1);
    metrics::histogram!("sundog_http_request_seconds", &labels[..2])
        .record(begun.elapsed().as_secs_f64());
    response
}

/// For a router's fallback: there is no such address.
pub async fn no_route() -> Problem {
    Problem::new(Code::NotFound, "there is nothing at this address")
}

/// For a router's fallback of methods: the address is right, the method is not.
pub async fn no_method() -> Problem {
    Problem::new(Code::Invalid, "this address has no such method")
        .with_status(StatusCode::METHOD_NOT_ALLOWED)
}
