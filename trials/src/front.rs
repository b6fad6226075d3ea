//! What users of a cluster talk to: gateway and notifier, with a token.

use crate::cluster::Cluster;
use crate::program::Program;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
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
    tokens: PathBuf,
    link_secret: PathBuf,
    /// Environment and log of the gateway, then of the notifier.
    started_with: [Vec<(String, String)>; 2],
    logs: [PathBuf; 2],
}

impl Cluster {
    /// Starts gateway and notifier on free ports.
    pub fn front(&self) -> io::Result<Front> {
        self.front_at(self.dir(), &self.environment())
    }

    /// The same with this environment and with their files in `dir`.
    pub(crate) fn front_at(
        &self,
        dir: &Path,
        environment: &[(String, String)],
    ) -> io::Result<Front> {
        let (gateway_at, notifier_at) = (free()?, free()?);
        let token = service::access::new_token().map_err(io::Error::other)?;
        let tokens = dir.join("tokens.toml");
        let hash = worker::atomic::sha256(token.as_bytes());
        let text = format!("[[token]]\nuser = \"{USER}\"\nsha256 = \"{hash}\"\nadmin = true\n");
        private(&tokens, &text)?;
        let set = |more: &[(&str, String)]| {
            let mut all = environment.to_vec();
            all.push(("SUNDOG_TOKENS".into(), tokens.display().to_string()));
            all.extend(more.iter().map(|(k, v)| ((*k).to_owned(), v.clone())));
            all
        };
        let link_secret = dir.join("link-secret");
        let gateway = set(&[
            ("SUNDOG_LISTEN", gateway_at.to_string()),
            ("SUNDOG_LINK_SECRET_FILE", link_secret.display().to_string()),
        ]);
        let notifier = set(&[("SUNDOG_NOTIFIER_LISTEN", notifier_at.to_string())]);
        let log = |name: &str| dir.join(format!("{name}.log"));
        Ok(Front {
            gateway: Program::start("sundog-gateway", &[], &gateway, &log("gateway"))?,
            notifier: Program::start("sundog-notifier", &[], &notifier, &log("notifier"))?,
            started_with: [gateway, notifier],
            logs: [log("gateway"), log("notifier")],
            gateway_at,
            notifier_at,
            token,
            tokens,
            link_secret,
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

    /// The file with the hash of the user's token.
    pub fn tokens(&self) -> &Path {
        &self.tokens
    }

    /// The web page's address with the token.
    pub fn page(&self) -> String {
        format!("http://{}/#token={}", self.gateway_at, self.token)
    }

    /// The user's token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Both programs with their names.
    pub fn programs(&mut self) -> [(&'static str, &mut Program); 2] {
        [
            ("the gateway", &mut self.gateway),
            ("the notifier", &mut self.notifier),
        ]
    }

    /// Kills the gateway and starts it again at the same address.
    pub fn replace_gateway(&mut self) -> io::Result<()> {
        self.gateway.kill()?;
        self.gateway = Program::start("sundog-gateway", &[], &self.started_with[0], &self.logs[0])?;
        Ok(())
    }

    /// Kills the notifier and starts it again at the same address.
    pub fn replace_notifier(&mut self) -> io::Result<()> {
        self.notifier.kill()?;
        self.notifier =
            Program::start("sundog-notifier", &[], &self.started_with[1], &self.logs[1])?;
        Ok(())
    }

    /// What nobody may print, by its name.
    pub fn secrets(&self) -> Vec<(String, String)> {
        let key = std::fs::read_to_string(&self.link_secret).unwrap_or_default();
        vec![
            ("the user's token".into(), self.token.clone()),
            ("the secret of links".into(), key.trim().to_owned()),
        ]
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
