//! Listening and serving: refused off loopback without tokens, bounded in time, size and number, and ended
//! gracefully.

use crate::problem::{Code, Problem};
use crate::telemetry::trace;
use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, StatusCode, header};
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
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
    /// Connections at once (1024); further ones wait.
    pub connections: usize,
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

/// Serves a router until `shutdown`; requests under way get [`Limits::grace`] to end. Endless responses, such
/// as streams of events, should end by themselves at the same signal.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    shutdown: CancellationToken,
) {
    let router = guarded(router, limits);
    let places = Arc::new(Semaphore::new(limits.connections.max(1)));
    let graceful = GracefulShutdown::new();
    let (tracker, kill) = (TaskTracker::new(), CancellationToken::new());
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accept(&listener, &places) => accepted,
        };
        let Some((stream, place)) = accepted else {
            break;
        };
        let connection = connection(stream, router.clone(), limits);
        let connection = graceful.watch(connection);
        let kill = kill.clone();
        tracker.spawn(async move {
            tokio::select! {
                ended = connection => if let Err(error) = ended {
                    tracing::debug!(%error, "a connection ended early");
                },
                () = kill.cancelled() => {}
            }
            drop(place);
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

/// The next connection and its place. None if there never will be one.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await.ok()?;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Answers are small; waiting to fill a packet only delays them.
                let _ = stream.set_nodelay(true);
                return Some((stream, place));
            }
            Err(error) => {
                // The client went away, or there are no more file descriptors: the latter passes.
                tracing::warn!(%error, "accepting a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

type Io = TokioIo<Pin<Box<TimeoutStream<TcpStream>>>>;
type Service =
    TowerToHyperService<tower::util::MapRequest<Router, fn(http::Request<Incoming>) -> Request>>;

fn connection(
    stream: TcpStream,
    router: Router,
    limits: Limits,
) -> hyper::server::conn::http1::Connection<Io, Service> {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(limits.write_stall));
    let convert: fn(http::Request<Incoming>) -> Request =
        |request| request.map(axum::body::Body::new);
    let service = TowerToHyperService::new(router.map_request(convert));
    hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(limits.head_bytes.max(8192))
        .serve_connection(TokioIo::new(Box::pin(stream)), service)
}

/// The router with what holds for all of its answers.
fn guarded(router: Router, limits: Limits) -> Router {
    let fixed =
        |name, value| SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value));
    let router = router
        .layer(axum::middleware::from_fn(count))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(DefaultBodyLimit::max(limits.body_bytes))
        .layer(fixed(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(fixed(header::REFERRER_POLICY, "no-referrer"))
        .layer(fixed(header::X_FRAME_OPTIONS, "DENY"));
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
async fn count(request: Request, next: Next) -> Response {
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
            status = Empty,
        ),
    };
    let parent = request.headers().get("traceparent");
    trace::follow(&span, parent.and_then(|parent| parent.to_str().ok()));
    let begun = Instant::now();
    let response = next.run(request).instrument(span.clone()).await;
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
