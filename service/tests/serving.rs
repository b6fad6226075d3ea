//! What every service promises at its socket, on real connections.

#![allow(clippy::unwrap_used)]

use axum::Router;
use axum::extract::FromRef;
use axum::routing::{get, post};
use service::body::Json;
use service::{Limits, Tokens, User};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(20);
const JSON: &str = "Content-Type: application/json\r\n";

#[derive(Clone)]
struct State(Tokens);

impl FromRef<State> for Tokens {
    fn from_ref(state: &State) -> Tokens {
        state.0.clone()
    }
}

struct Site {
    addr: SocketAddr,
    shutdown: CancellationToken,
    served: JoinHandle<()>,
}

async fn panics() {
    panic!("a defect")
}

async fn start(limits: Limits) -> Site {
    let tokens = Tokens::single("ada", "sundog_secret").unwrap();
    let slow = || async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        "slow"
    };
    let sum = |Json(n): Json<Vec<u64>>| async move { n.iter().sum::<u64>().to_string() };
    let router = Router::new()
        .route("/me", get(|user: User| async move { user.name }))
        .route("/slow", get(slow))
        .route("/panic", get(panics))
        .route("/sum", post(sum))
        .method_not_allowed_fallback(service::listen::no_method)
        .fallback(service::listen::no_route)
        .with_state(State(tokens));
    let listener = service::listen("127.0.0.1:0".parse().unwrap(), false)
        .await
        .unwrap();
    let addr = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let served = tokio::spawn(service::serve(listener, router, limits, shutdown.clone()));
    Site {
        addr,
        shutdown,
        served,
    }
}

impl Site {
    async fn open(&self, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.addr).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }

    /// Sends bytes and reads until the service closes the connection.
    async fn send(&self, text: &str) -> String {
        read(self.open(text).await).await
    }

    async fn get(&self, path: &str, headers: &str) -> String {
        let close = "Connection: close\r\n";
        self.send(&format!(
            "GET {path} HTTP/1.1\r\nHost: x\r\n{close}{headers}\r\n"
        ))
        .await
    }

    async fn post(&self, body: &str, headers: &str) -> String {
        let n = body.len();
        let close = "Connection: close\r\n";
        self.send(&format!(
            "POST /sum HTTP/1.1\r\nHost: x\r\n{close}Content-Length: {n}\r\n{headers}\r\n{body}"
        ))
        .await
    }
}

async fn read(mut stream: TcpStream) -> String {
    let mut text = Vec::new();
    // A reset after the answer is an end as well.
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut text))
        .await
        .unwrap();
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn off_loopback_nothing_listens_without_tokens() {
    for addr in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "[::ffff:192.0.2.1]:0"] {
        let error = service::listen(addr.parse().unwrap(), false)
            .await
            .unwrap_err();
        assert!(matches!(error, service::listen::Error::Open(_)), "{error}");
        assert!(error.to_string().contains("SUNDOG_TOKENS"));
    }
    let taken = service::listen("127.0.0.1:0".parse().unwrap(), false)
        .await
        .unwrap();
    let error = service::listen(taken.local_addr().unwrap(), false)
        .await
        .unwrap_err();
    assert!(
        matches!(error, service::listen::Error::Bind { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn users_are_those_who_show_a_token() {
    let site = start(Limits::default()).await;
    let known = site
        .get("/me", "Authorization: Bearer sundog_secret\r\n")
        .await;
    assert!(
        known.starts_with("HTTP/1.1 200") && known.ends_with("ada"),
        "{known}"
    );
    for headers in [
        "",
        "Authorization: Bearer sundog_other\r\n",
        "Authorization: Basic sundog_secret\r\n",
        "Authorization: sundog_secret\r\n",
        "Authorization: Bearer\r\n",
        "Authorization: Bearer x\r\nAuthorization: Bearer sundog_secret\r\n",
    ] {
        let text = site.get("/me", headers).await;
        assert!(text.starts_with("HTTP/1.1 401"), "{text}");
        assert!(text.contains("www-authenticate: Bearer"), "{text}");
        assert!(text.contains(r#""code":"unauthorized""#), "{text}");
    }
}

#[tokio::test]
async fn answers_are_marked_and_defects_stay_inside() {
    let site = start(Limits::default()).await;
    let sum = site.post("[1,2]", JSON).await;
    assert!(
        sum.starts_with("HTTP/1.1 200") && sum.ends_with('3'),
        "{sum}"
    );
    assert!(sum.contains("x-content-type-options: nosniff"));
    assert!(site.post("[1,2]", "").await.starts_with("HTTP/1.1 415"));
    assert!(site.post("[1,", JSON).await.starts_with("HTTP/1.1 400"));
    let panic = site.get("/panic", "").await;
    assert!(
        panic.starts_with("HTTP/1.1 500") && !panic.contains("a defect"),
        "{panic}"
    );
    let nothing = site.get("/nothing", "").await;
    assert!(nothing.contains(r#""code":"not_found""#), "{nothing}");
    assert!(site.get("/sum", "").await.starts_with("HTTP/1.1 405"));
}

#[tokio::test]
async fn sizes_are_bounded() {
    let limits = Limits {
        body_bytes: 100,
        head_bytes: 8192,
        ..Limits::default()
    };
    let site = start(limits).await;
    let long = format!("[{}1]", "1,".repeat(100));
    let text = site.post(&long, JSON).await;
    assert!(
        text.starts_with("HTTP/1.1 413") && text.contains("too_large"),
        "{text}"
    );
    // And without a length in advance.
    let chunk = format!("{:x}\r\n{long}\r\n0\r\n\r\n", long.len());
    let head = "POST /sum HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
    let text = site
        .send(&format!(
            "{head}{JSON}Transfer-Encoding: chunked\r\n\r\n{chunk}"
        ))
        .await;
    assert!(text.starts_with("HTTP/1.1 413"), "{text}");
    let long = format!("X-Long: {}\r\n", "x".repeat(20_000));
    let text = site.get("/me", &long).await;
    assert!(text.starts_with("HTTP/1.1 431"), "{text}");
}

#[tokio::test]
async fn clients_that_dawdle_are_let_go() {
    let limits = Limits {
        head: Duration::from_millis(200),
        body_stall: Duration::from_millis(200),
        ..Limits::default()
    };
    let site = start(limits).await;
    let begun = Instant::now();
    site.send("GET /me HTTP/1.1\r\nHost:").await;
    site.send("").await;
    let idle = site.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(idle.starts_with("HTTP/1.1 200"), "{idle}");
    let text = site
        .send(&format!(
            "POST /sum HTTP/1.1\r\nHost: x\r\n{JSON}Content-Length: 9\r\n\r\n[1"
        ))
        .await;
    assert!(!text.starts_with("HTTP/1.1 200"), "{text}");
    assert!(begun.elapsed() < PATIENCE);
}

#[tokio::test]
async fn further_connections_wait_for_a_place() {
    let limits = Limits {
        connections: 1,
        head: Duration::from_millis(300),
        ..Limits::default()
    };
    let site = start(limits).await;
    let _idle = site.open("").await;
    let text = site.get("/me", "").await;
    assert!(text.starts_with("HTTP/1.1 401"), "{text}");
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_let_go() {
    let limits = Limits {
        write_stall: Duration::from_millis(200),
        grace: Duration::from_secs(60),
        ..Limits::default()
    };
    let listener = service::listen("127.0.0.1:0".parse().unwrap(), false)
        .await
        .unwrap();
    let addr = listener.local_addr().unwrap();
    let router = Router::new().route("/", get(|| async { vec![0u8; 64 << 20] }));
    let shutdown = CancellationToken::new();
    let served = tokio::spawn(service::serve(listener, router, limits, shutdown.clone()));
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    let mut first = [0; 12];
    stream.read_exact(&mut first).await.unwrap();
    shutdown.cancel();
    // It would be waited for, were it not let go.
    tokio::time::timeout(PATIENCE, served)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn the_shutdown_lets_requests_end_and_takes_no_more() {
    let site = start(Limits::default()).await;
    let slow = site.open("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let mut idle = site.open("GET /me HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let mut first = [0; 12];
    // The slow one came before this answer.
    idle.read_exact(&mut first).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    site.shutdown.cancel();
    assert!(read(slow).await.ends_with("slow"));
    tokio::time::timeout(PATIENCE, site.served)
        .await
        .unwrap()
        .unwrap();
    assert!(TcpStream::connect(site.addr).await.is_err());
}

#[tokio::test]
async fn a_request_that_does_not_end_in_time_is_cut() {
    let limits = Limits {
        grace: Duration::from_millis(50),
        ..Limits::default()
    };
    let site = start(limits).await;
    let slow = site.open("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    site.shutdown.cancel();
    tokio::time::timeout(PATIENCE, site.served)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(read(slow).await, "");
}
