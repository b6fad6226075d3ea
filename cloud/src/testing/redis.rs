//! A Redis server with its own directory.

use super::{Service, find_program, free_ports, wait_closed, wait_until};
use std::io;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// A server that keeps an append-only file, so that its data survive [`Redis::restart`].
#[derive(Debug)]
pub struct Redis {
    dir: TempDir,
    port: u16,
    password: String,
    server: Option<Service>,
}

impl Redis {
    /// The server's program, if it is installed.
    pub fn program() -> Option<PathBuf> {
        find_program("redis-server")
    }

    /// Starts a server with a password and waits until it answers.
    pub fn start() -> io::Result<Redis> {
        let [port] = free_ports()?;
        let mut server = Redis {
            dir: tempfile::Builder::new().prefix("sundog-redis-").tempdir()?,
            port,
            password: format!("test-{port}"),
            server: None,
        };
        server.resume()?;
        Ok(server)
    }

    /// Address for clients.
    pub fn url(&self) -> String {
        format!("redis://:{}@127.0.0.1:{}/0", self.password, self.port)
    }

    /// Kills the server.
    pub fn kill(&mut self) {
        self.server = None;
        wait_closed(self.port);
    }

    /// Stops the server's processes where they are, as a machine that hangs would.
    pub fn pause(&self) -> io::Result<()> {
        match &self.server {
            Some(service) => service.pause(),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Lets a paused server go on.
    pub fn unpause(&self) -> io::Result<()> {
        match &self.server {
            Some(service) => service.unpause(),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Starts a killed server again with its data.
    pub fn resume(&mut self) -> io::Result<()> {
        let program = Self::program().ok_or(io::ErrorKind::NotFound)?;
        let log = self.dir.path().join("log.txt");
        let mut command = Command::new(program);
        // What was answered survives the death of the process, which needs no waiting for the disk.
        command
            .args(["--bind", "127.0.0.1", "--port"])
            .arg(self.port.to_string())
            .args([
                "--appendonly",
                "yes",
                "--appendfsync",
                "everysec",
                "--save",
                "",
            ])
            .args(["--requirepass", &self.password, "--dir"])
            .arg(self.dir.path());
        self.server = Some(Service::start(&command, &log)?);
        let answer = || {
            self.command(&["PING"])
                .is_ok_and(|answer| answer.starts_with("+PONG"))
        };
        wait_until("Redis", &log, Duration::from_secs(20), answer)
    }

    /// Kills the server and starts it again.
    pub fn restart(&mut self) -> io::Result<()> {
        self.kill();
        self.resume()
    }

    /// Sends a command and returns the beginning of the answer as the protocol writes it.
    pub fn command(&self, words: &[&str]) -> io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let mut request = encode(&["AUTH", &self.password]);
        request.push_str(&encode(words));
        stream.write_all(request.as_bytes())?;
        // One line for AUTH, then the answer.
        let mut answer = Vec::new();
        let mut buffer = [0; 4096];
        while answer.iter().filter(|&&byte| byte == b'\n').count() < 2 {
            let count = stream.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            answer.extend_from_slice(&buffer[..count]);
        }
        let answer = String::from_utf8_lossy(&answer).into_owned();
        Ok(answer
            .split_once("\r\n")
            .map(|(_, rest)| rest.to_owned())
            .unwrap_or_default())
    }
}

fn encode(words: &[&str]) -> String {
    let mut text = format!("*{}\r\n", words.len());
    for word in words {
        text.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    text
}

impl Drop for Redis {
    fn drop(&mut self) {
        // Before the directory goes.
        self.kill();
    }
}
