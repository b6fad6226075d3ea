//! Clients that hold what they do not use: a real `sundog serve` with few places goes on serving the others.

use crate::server::Serve;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

fn connect(serve: &Serve) -> TcpStream {
    let address = serve.address.trim_start_matches("http://");
    let stream = TcpStream::connect(address.trim_end_matches('/')).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends a request; returns the connection with the status of its answer.
fn begin(serve: &Serve, method: &str, path: &str, more: &str) -> (BufReader<TcpStream>, u16) {
    let mut stream = connect(serve);
    let token = serve.token();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n");
    stream
        .write_all(format!("{head}{more}").as_bytes())
        .unwrap();
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
    (reader, status.unwrap_or(0))
}

fn status(serve: &Serve, path: &str) -> u16 {
    begin(serve, "GET", path, "Connection: close\r\n\r\n").1
}

fn call(serve: &Serve, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let body = body.to_string();
    let length = body.len();
    let more = format!(
        "Connection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    let (mut reader, status) = begin(serve, method, path, &more);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    let body = text.split_once("\r\n\r\n").unwrap().1;
    (status, serde_json::from_str(body).unwrap_or_default())
}

#[test]
fn silent_connections_and_streams_leave_room_for_others() {
    let dir = tempfile::tempdir().unwrap();
    let serve = Serve::with(dir.path(), &["--connections", "32"]);
    // Silent ones, without a token, and some that dawdle over their first line.
    let mut silent: Vec<TcpStream> = (0..200).map(|_| connect(&serve)).collect();
    for stream in silent.iter_mut().step_by(2) {
        // The service may have made room already.
        let _ = stream.write_all(b"GET /v1/jobs HT");
    }
    let begun = Instant::now();
    assert_eq!(status(&serve, "/healthz"), 200);
    assert_eq!(status(&serve, "/v1/me"), 200);
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );

    // One user's streams: a share of the places, and no more.
    let mut streams = Vec::new();
    let mut refused = 0;
    for _ in 0..100 {
        match begin(&serve, "GET", "/v1/events", "\r\n") {
            (stream, 200) => streams.push(stream),
            (_, 429) => refused += 1,
            (_, status) => panic!("{status}"),
        }
    }
    assert_eq!((streams.len(), refused), (4, 96));
    assert_eq!(status(&serve, "/healthz"), 200);
    assert_eq!(status(&serve, "/v1/me"), 200);
    drop(silent);
    // Streams were not taken for silent ones: none has ended.
    for stream in &mut streams {
        stream.get_ref().set_nonblocking(true).unwrap();
        let mut rest = Vec::new();
        let end = stream.read_to_end(&mut rest).unwrap_err();
        assert_eq!(end.kind(), ErrorKind::WouldBlock);
        assert!(String::from_utf8(rest).unwrap().contains(": watching"));
    }
}

#[test]
fn uploads_that_trickle_are_cut_and_others_come_through() {
    let dir = tempfile::tempdir().unwrap();
    let serve = Serve::start(dir.path());
    let files: Vec<Value> = (0..33)
        .map(|n| json!({"name": format!("{n}.pgm"), "bytes": 100_000}))
        .collect();
    let (status_of, places) = call(&serve, "POST", "/v1/uploads", &json!({"files": files}));
    assert_eq!(status_of, 201, "{places}");
    let path = |n: usize| {
        let url = places["files"][n]["url"].as_str().unwrap();
        url.trim_start_matches(serve.address.trim_end_matches('/'))
            .to_owned()
    };
    let head = |n: usize, length: usize| {
        format!(
            "PUT {} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n",
            path(n)
        )
    };
    let mut slow: Vec<TcpStream> = Vec::new();
    for n in 0..32 {
        let mut stream = connect(&serve);
        stream.write_all(head(n, 100_000).as_bytes()).unwrap();
        slow.push(stream);
    }
    // A byte now and then, from another thread, until the service ends it.
    let mut readers: Vec<TcpStream> = slow.iter().map(|s| s.try_clone().unwrap()).collect();
    let trickle = std::thread::spawn(move || {
        let end = Instant::now() + Duration::from_secs(60);
        while Instant::now() < end {
            slow.retain_mut(|stream| stream.write_all(b"x").is_ok());
            if slow.len() < 20 {
                return;
            }
            std::thread::sleep(Duration::from_millis(500));
        }
        panic!("those that trickle are not cut");
    });
    let begun = Instant::now();
    let mut quick = connect(&serve);
    quick
        .set_read_timeout(Some(Duration::from_secs(90)))
        .unwrap();
    quick.write_all(head(32, 5).as_bytes()).unwrap();
    quick.write_all(b"P5 1 ").unwrap();
    assert_eq!(status(&serve, "/healthz"), 200);
    let mut answer = [0; 12];
    quick.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 204", "after {:?}", begun.elapsed());
    let mut first = [0; 12];
    readers[0].set_read_timeout(Some(PATIENCE)).unwrap();
    readers[0].read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 408");
    trickle.join().unwrap();
}
