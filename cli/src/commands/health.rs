//! `sundog health`: whether a service is ready, for those who start services and keep them running.

use crate::output;
use client::exit::{Exit, Failure, Result};
use std::io::{Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::{Duration, Instant};
use url::Url;

/// How long a service may take; it asks the services behind it for three seconds at most.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest answer that is read.
const MAX_ANSWER: u64 = 64 << 10;

/// Options.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  sundog health                               the gateway or sundog serve at SUNDOG_LISTEN
  sundog health http://127.0.0.1:8081/        a notifier
  sundog health http://127.0.0.1:9464/        a dispatcher with --metrics-listen 127.0.0.1:9464
  sundog health http://127.0.0.1:8080/healthz only whether it lives
  sundog health --wait 60                     until it is ready, for a minute at most

Exit code 0: ready. 4: not, with what is missing. Needs no token; made for health checks of containers and units.")]
pub struct Args {
    /// Where the service listens; without a path: /readyz
    #[arg(value_name = "URL", default_value_t = default_url())]
    url: Url,
    /// Ask again for so many seconds until it is ready
    #[arg(long, value_name = "SECS", default_value_t = 0)]
    wait: u64,
}

/// Asks until it is ready, or the time is over.
pub fn run(args: &Args) -> Result {
    let end = Instant::now() + Duration::from_secs(args.wait);
    loop {
        match once(args) {
            Err(failure) if failure.exit == Exit::Unreachable && Instant::now() < end => {
                std::thread::sleep(Duration::from_millis(250));
            }
            said => return said,
        }
    }
}

fn once(args: &Args) -> Result {
    let mut url = args.url.clone();
    if url.path() == "/" {
        url.set_path("/readyz");
    }
    let (status, body) = ask(&url).map_err(|why| away(&url, &why))?;
    let body = output::harmless(body.trim());
    if status != 200 {
        return Err(away(&url, &format!("it answers {status}: {body}")));
    }
    output::line(body);
    Ok(Exit::Ok)
}

fn away(url: &Url, why: &str) -> Failure {
    Failure {
        exit: Exit::Unreachable,
        message: format!("the service at {url} is not ready: {why}"),
    }
}

/// One request by hand: this runs every few seconds in each container and shall cost nothing.
fn ask(url: &Url) -> std::result::Result<(u16, String), String> {
    let (Some(host), "http") = (url.host_str(), url.scheme()) else {
        return Err(
            "only http://HOST:PORT is asked (services speak HTTP; TLS is their proxy's)".into(),
        );
    };
    let port = url.port_or_known_default().unwrap_or(80);
    let address = host.trim_matches(['[', ']']);
    let mut addresses = (address, port)
        .to_socket_addrs()
        .map_err(|e| e.to_string())?;
    let address = addresses.next().ok_or("its name has no address")?;
    let talk = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let path = url.path();
        // In one write: a service that reads once shall see a whole request.
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let mut bytes = Vec::new();
        stream.take(MAX_ANSWER).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let answer = talk().map_err(|error| error.to_string())?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.ok_or("what it answers is not HTTP")?;
    Ok((status, body.to_owned()))
}

/// The gateway's own variable says where it listens; every address is also on loopback.
fn default_url() -> Url {
    let listen = std::env::var("SUNDOG_LISTEN").ok();
    let listen = listen.and_then(|text| text.parse::<std::net::SocketAddr>().ok());
    let mut listen = listen.unwrap_or_else(|| ([127, 0, 0, 1], 7878).into());
    if listen.ip().is_unspecified() {
        listen.set_ip(match listen {
            std::net::SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            std::net::SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    #[expect(clippy::unwrap_used, reason = "an address with a port makes a URL")]
    Url::parse(&format!("http://{listen}/")).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn answering(answer: &'static str) -> Url {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut part = [0; 1024];
                let n = stream.read(&mut part).unwrap();
                assert!(n > 0, "the request ends before its head");
                request.extend_from_slice(&part[..n]);
            }
            assert!(request.starts_with(b"GET /readyz HTTP/1.1\r\n"));
            stream.write_all(answer.as_bytes()).unwrap();
        });
        url.parse().unwrap()
    }

    #[test]
    fn what_comes_up_late_is_waited_for() {
        let place = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let late = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(400));
            let listener = TcpListener::bind(place).unwrap();
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 1024]).unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nok").unwrap();
        });
        let url = Url::parse(&format!("http://{place}/")).unwrap();
        assert!(
            run(&Args {
                url: url.clone(),
                wait: 0
            })
            .is_err()
        );
        assert!(run(&Args { url, wait: 20 }).is_ok());
        late.join().unwrap();
    }

    #[test]
    fn a_service_is_ready_or_says_what_is_missing() {
        let url = answering("HTTP/1.1 200 OK\r\n\r\n{\"ready\":true}");
        assert!(run(&Args { url, wait: 0 }).is_ok());
        let url = answering("HTTP/1.1 503 Service Unavailable\r\n\r\nno broker");
        let failure = run(&Args { url, wait: 0 }).err().unwrap();
        assert_eq!(failure.exit, Exit::Unreachable);
        assert!(failure.message.ends_with("it answers 503: no broker"));
        let url = answering("hello");
        let failure = run(&Args { url, wait: 0 }).err().unwrap();
        assert!(
            failure.message.ends_with("is not HTTP"),
            "{}",
            failure.message
        );
    }
}
