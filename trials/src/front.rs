//! What users of a cluster talk to: gateway and notifier, with a token.

use crate::cluster::Cluster;
use crate::program::Program;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// The user whose token it is.
const USER: &str = "trial";

/// Gateway and notifier of a cluster.
#[derive(Debug)]
pub struct Front {
    /// The gateway.
    pub gateway: Program,
    /// The notifier.
    pub notifier: Program,
    gateway_at: SocketAddr,
    notifier_at: SocketAddr,
    token: String,
}

impl Cluster {
    /// Starts gateway and notifier on free ports.
    pub fn front(&self) -> io::Result<Front> {
        let (gateway_at, notifier_at) = (free()?, free()?);
        let token = service::access::new_token().map_err(io::Error::other)?;
        let tokens = self.dir().join("tokens.toml");
        let hash = worker::atomic::sha256(token.as_bytes());
        let text = format!("[[token]]\nuser = \"{USER}\"\nsha256 = \"{hash}\"\nadmin = true\n");
        private(&tokens, &text)?;
        let set = |more: &[(&str, String)]| {
            let mut all = self.environment();
            all.push(("SUNDOG_TOKENS".into(), tokens.display().to_string()));
            all.extend(more.iter().map(|(k, v)| ((*k).to_owned(), v.clone())));
            all
        };
        let secret = self.dir().join("link-secret").display().to_string();
        let gateway = set(&[
            ("SUNDOG_LISTEN", gateway_at.to_string()),
            ("SUNDOG_LINK_SECRET_FILE", secret),
        ]);
        let notifier = set(&[("SUNDOG_NOTIFIER_LISTEN", notifier_at.to_string())]);
        Ok(Front {
            gateway: Program::start("sundog-gateway", &[], &gateway, &self.log("gateway"))?,
            notifier: Program::start("sundog-notifier", &[], &notifier, &self.log("notifier"))?,
            gateway_at,
            notifier_at,
            token,
        })
    }
}

impl Front {
    /// What the user's programs need.
    pub fn environment(&self) -> Vec<(String, String)> {
        vec![
            (
                "SUNDOG_GATEWAY".into(),
                format!("http://{}", self.gateway_at),
            ),
            ("SUNDOG_TOKEN".into(), self.token.clone()),
        ]
    }

    /// The web page's address with the token.
    pub fn page(&self) -> String {
        format!("http://{}/#token={}", self.gateway_at, self.token)
    }

    /// An address of the gateway.
    pub fn gateway_url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.gateway_at)
    }

    /// An address of the notifier.
    pub fn notifier_url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.notifier_at)
    }
}

/// Whether an address answers a GET with 200.
pub fn answers(url: &str) -> bool {
    let Some((host, path)) = url.strip_prefix("http://").and_then(|u| u.split_once('/')) else {
        return false;
    };
    let asked = || -> io::Result<bool> {
        let mut stream = TcpStream::connect(host)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(stream, "GET /{path} HTTP/1.0\r\nHost: {host}\r\n\r\n")?;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer)?;
        Ok(answer.ends_with(b" 200"))
    };
    asked().unwrap_or(false)
}

fn free() -> io::Result<SocketAddr> {
    TcpListener::bind(("127.0.0.1", 0))?.local_addr()
}

fn private(path: &std::path::Path, text: &str) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())
}
