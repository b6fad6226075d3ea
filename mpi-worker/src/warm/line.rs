//! Lines from the ranks of a machine to rank 0. MPI has no wait that sleeps: what comes by it has to be looked for
//! again and again. What comes over a line wakes who waits for it.

use super::Message;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

/// One end of a line. When it is dropped, the other end hears that, too.
pub struct Line {
    stream: UnixStream,
}

impl Line {
    /// Sends a message. Where the other end has gone, so has its rank, and the world with it.
    pub fn send(&self, message: &Message) {
        match serde_json::to_vec(message) {
            Ok(mut text) => {
                text.push(b'\n');
                let _ = (&self.stream).write_all(&text);
            }
            Err(error) => unreachable!("messages are plain data: {error}"),
        }
    }

    /// Tells `hear` of all that the other end sends, on a thread of its own; false ends that.
    fn listen(
        stream: UnixStream,
        mut hear: impl FnMut(Message) -> bool + Send + 'static,
    ) -> io::Result<()> {
        std::thread::Builder::new().spawn(move || {
            for text in BufReader::new(stream).split(b'\n') {
                let message = text.map(|text| serde_json::from_slice(&text));
                let Ok(Ok(message)) = message else { break };
                if !hear(message) {
                    break;
                }
            }
        })?;
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// Offers lines to `n` ranks, in the background; returns the name under which they reach this process, where the
/// system has such names. `come` is told of each, with what hears its messages.
#[cfg(target_os = "linux")]
pub fn offer<H>(n: usize, come: impl Fn(Line) -> H + Send + 'static) -> io::Result<Option<String>>
where
    H: FnMut(Message) -> bool + Send + 'static,
{
    let (name, listener) = bind()?;
    std::thread::Builder::new().spawn(move || {
        let mut left = n;
        for stream in listener.incoming().flatten() {
            // The name is no secret on this machine.
            if !is_own(&stream) {
                continue;
            }
            if let Ok(heard) = stream.try_clone() {
                let _ = Line::listen(heard, come(Line { stream }));
            }
            left -= 1;
            if left == 0 {
                break;
            }
        }
    })?;
    Ok(Some(name))
}

/// The line to rank 0 under the name that it told, where it is on this machine.
#[cfg(target_os = "linux")]
pub fn take(
    name: &str,
    hear: impl FnMut(Message) -> bool + Send + 'static,
) -> io::Result<Option<Line>> {
    let Some(stream) = connect(name) else {
        return Ok(None);
    };
    Line::listen(stream.try_clone()?, hear)?;
    Ok(Some(Line { stream }))
}

/// A socket with a new name, which goes with this process.
#[cfg(target_os = "linux")]
pub fn bind() -> io::Result<(String, std::os::unix::net::UnixListener)> {
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::{SocketAddr, UnixListener};

    let name = format!("sundog-world-{}", ulid::Ulid::generate());
    let listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name)?)?;
    Ok((name, listener))
}

/// A connection to the socket of that name, if a process of the same user on this machine has one.
#[cfg(target_os = "linux")]
pub fn connect(name: &str) -> Option<UnixStream> {
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::SocketAddr;

    let address = SocketAddr::from_abstract_name(name).ok()?;
    UnixStream::connect_addr(&address).ok().filter(is_own)
}

/// Whether the other end is a process of the same user.
#[cfg(target_os = "linux")]
pub fn is_own(stream: &UnixStream) -> bool {
    let other = rustix::net::sockopt::socket_peercred(stream);
    other.is_ok_and(|other| other.uid == rustix::process::geteuid())
}

/// Other systems have no names that go with their process.
#[cfg(not(target_os = "linux"))]
pub fn offer<H>(_: usize, _: impl Fn(Line) -> H) -> io::Result<Option<String>> {
    Ok(None)
}

/// Other systems have no names that go with their process.
#[cfg(not(target_os = "linux"))]
pub fn take(_: &str, _: impl FnMut(Message) -> bool) -> io::Result<Option<Line>> {
    Ok(None)
}

/// Other systems have no names that go with their process.
#[cfg(not(target_os = "linux"))]
pub fn bind() -> io::Result<(String, std::os::unix::net::UnixListener)> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Other systems have no names that go with their process.
#[cfg(not(target_os = "linux"))]
pub fn connect(_: &str) -> Option<UnixStream> {
    None
}

/// Other systems have no names that go with their process.
#[cfg(not(target_os = "linux"))]
pub fn is_own(_: &UnixStream) -> bool {
    false
}
