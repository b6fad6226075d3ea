//! Somebody who watches a job over HTTP, and comes back whenever the connection breaks.

use crate::Failure;
use protocol::Event;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// How long a server may be silent.
const SILENCE: Duration = Duration::from_secs(20);

/// A watcher in a thread of its own, which ends with this or with the job.
#[derive(Debug)]
pub struct Watcher {
    events: Receiver<Result<Event, String>>,
}

impl Watcher {
    /// Watches the events at an address of server-sent events.
    pub fn start(url: &str, token: &str) -> Watcher {
        let (tell, events) = channel();
        let (url, token) = (url.to_owned(), token.to_owned());
        std::thread::spawn(move || {
            let mut last = String::new();
            // Broken off: again from where it was.
            while let Ok(true) | Err(_) = follow(&url, &token, &mut last, &tell) {
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        Watcher { events }
    }

    /// All events up to the job's end, in the order in which they came.
    pub fn until_the_end(self, limit: Duration) -> Result<Vec<Event>, Failure> {
        let begun = Instant::now();
        let mut seen = Vec::new();
        loop {
            let left = limit.saturating_sub(begun.elapsed());
            match self.events.recv_timeout(left) {
                Ok(event) => {
                    let event = event?;
                    let end = matches!(event, Event::JobFinished(_));
                    seen.push(event);
                    if end {
                        return Ok(seen);
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    let n = seen.len();
                    return Err(format!("the watcher saw {n} events and no end").into());
                }
            }
        }
    }
}

/// Reads one connection to its end; false when nothing more is wanted.
fn follow(
    url: &str,
    token: &str,
    last: &mut String,
    tell: &Sender<Result<Event, String>>,
) -> io::Result<bool> {
    let (host, path) = url
        .strip_prefix("http://")
        .and_then(|rest| rest.split_once('/'))
        .ok_or(io::ErrorKind::InvalidInput)?;
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(SILENCE))?;
    // Of version 1.0, so that the body comes as it is.
    write!(
        stream,
        "GET /{path} HTTP/1.0\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"
    )?;
    if !last.is_empty() {
        write!(stream, "Last-Event-ID: {last}\r\n")?;
    }
    write!(stream, "Accept: text/event-stream\r\n\r\n")?;
    let mut lines = BufReader::new(stream).lines();
    let answer = lines.next().transpose()?.unwrap_or_default();
    if !answer.contains(" 200 ") {
        return Ok(tell.send(Err(format!("the server says {answer}"))).is_ok());
    }
    let (mut id, mut data, mut kind) = (String::new(), String::new(), String::new());
    for line in lines {
        let line = line?;
        match line.split_once(':') {
            Some(("id", value)) => id = value.trim().to_owned(),
            Some(("event", value)) => kind = value.trim().to_owned(),
            Some(("data", value)) => data.push_str(value.trim_start()),
            None if line.is_empty() && !data.is_empty() => {
                let event = match kind.as_str() {
                    "reset" => Err("the server has lost the history".to_owned()),
                    _ => serde_json::from_str(&data).map_err(|error| format!("{error}: {data}")),
                };
                let end = matches!(event, Ok(Event::JobFinished(_)) | Err(_));
                if tell.send(event).is_err() || end {
                    return Ok(false);
                }
                // Only now it has been seen.
                last.clone_from(&id);
                data.clear();
                kind.clear();
            }
            _ => {}
        }
    }
    Ok(true)
}
