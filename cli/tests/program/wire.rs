//! What lies between a browser and a server: a wire that is slow where it is told to be, and that breaks.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Bytes that go at once where it is slow, twenty times a second.
const DROPS: usize = 4096;

/// Connections to a port are passed on to a server.
pub struct Wire {
    pub port: u16,
    line: Arc<Line>,
}

#[derive(Default)]
struct Line {
    server: AtomicU64,
    slow: AtomicBool,
    broken: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

impl Wire {
    /// A wire that leads nowhere yet.
    pub fn new() -> Wire {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let line = Arc::new(Line::default());
        let of = line.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if !of.broken.load(Ordering::SeqCst) {
                    of.pass(client);
                }
            }
        });
        Wire { port, line }
    }

    /// Where it leads.
    pub fn leads_to(&self, port: u16) {
        self.line.server.store(port.into(), Ordering::SeqCst);
    }

    /// What goes to the server drops by drop.
    pub fn slow(&self, slow: bool) {
        self.line.slow.store(slow, Ordering::SeqCst);
    }

    /// All connections end, and none begins.
    pub fn tear(&self) {
        self.line.broken.store(true, Ordering::SeqCst);
        for end in self.line.open.lock().unwrap().drain(..) {
            let _ = end.shutdown(Shutdown::Both);
        }
    }

    pub fn mend(&self) {
        self.line.broken.store(false, Ordering::SeqCst);
    }
}

impl Line {
    fn pass(self: &Arc<Self>, client: TcpStream) {
        let port = self.server.load(Ordering::SeqCst) as u16;
        let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else {
            return;
        };
        let copy = |stream: &TcpStream| stream.try_clone().unwrap();
        let mut open = self.open.lock().unwrap();
        open.extend([copy(&client), copy(&server)]);
        for (from, to, up) in [
            (copy(&client), copy(&server), true),
            (server, client, false),
        ] {
            let line = self.clone();
            std::thread::spawn(move || line.copy(from, to, up));
        }
    }

    fn copy(&self, mut from: TcpStream, mut to: TcpStream, up: bool) {
        let mut buffer = vec![0; DROPS];
        while let Ok(n @ 1..) = from.read(&mut buffer) {
            if up && self.slow.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(50));
            }
            if to.write_all(&buffer[..n]).is_err() {
                break;
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }
}
