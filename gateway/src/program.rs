//! The gateway as a program: its settings, and its run until it is told to end.

use crate::links::Secret;
use crate::run::{self, Config};
use dispatcher::jobs::Jobs;
use dispatcher::scale::{Command, Scale};
use ipnet::IpNet;
use notifier::Notifier;
use notifier::program::Webhooks;
use notifier::signin::SignIn;
use service::audit::Audit;
use service::program::Failed;
use service::rates::Shares;
use service::signals::Ends;
use service::{Entrance, Front, Tls, Tokens, access};
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::TcpListener;
use url::Url;

/// How a gateway is set up. All of it may also come from the environment.
#[derive(Clone, Debug, clap::Args)]
pub struct Settings {
    /// Address to listen on; one off loopback needs tokens
    #[arg(long, env = "SUNDOG_LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// File with the hashes of tokens; without one, and where nobody signs in elsewhere, a token is drawn and printed with
    /// the page's address
    #[arg(long, env = "SUNDOG_TOKENS", value_name = "FILE")]
    pub tokens: Option<PathBuf>,
    /// File with the secret that links to a local store are signed with; made if there is none
    #[arg(long, env = "SUNDOG_LINK_SECRET_FILE", value_name = "FILE")]
    pub link_secret_file: Option<PathBuf>,
    /// Where clients reach this gateway, with a slash at its end; that of --listen where not given
    #[arg(long, env = "SUNDOG_PUBLIC_URL", value_name = "URL")]
    pub public_url: Option<Url>,
    /// Folder for files until they are objects; beside the store, or else the system's
    #[arg(long, value_name = "DIR")]
    pub scratch: Option<PathBuf>,
    /// Program that starts and ends workers for `sundog scale`, with {workers} for their number, as
    /// 'kubectl scale deployment/sundog-dispatcher --replicas={workers}'; it is run without a shell
    #[arg(long, env = "SUNDOG_SCALE_COMMAND", value_name = "COMMAND")]
    pub scale_command: Option<String>,
    /// What is admitted.
    #[command(flatten)]
    pub admits: Admits,
    /// Where webhooks may lead that users make here; as those who deliver them are set.
    #[command(flatten)]
    pub webhooks: Webhooks,
}

/// What a gateway admits at once, as flags and variables of the environment.
#[derive(Clone, Debug, clap::Args)]
pub struct Admits {
    /// Connections at once; silent ones make room for others, and a user gets a share
    #[arg(
        long,
        env = "SUNDOG_CONNECTIONS",
        value_name = "N",
        default_value_t = 1024,
        value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(16..=1_000_000)
    )]
    pub connections: usize,
    /// File for a line of JSON of everything that users do; the log where not given
    #[arg(long, env = "SUNDOG_AUDIT_FILE", value_name = "FILE")]
    pub audit_file: Option<PathBuf>,
    /// Certificate in PEM, with those that lead to its root: speak TLS; read again when it changes
    #[arg(
        long,
        env = "SUNDOG_TLS_CERT",
        value_name = "FILE",
        requires = "tls_key"
    )]
    pub tls_cert: Option<PathBuf>,
    /// The certificate's key in PEM
    #[arg(
        long,
        env = "SUNDOG_TLS_KEY",
        value_name = "FILE",
        requires = "tls_cert"
    )]
    pub tls_key: Option<PathBuf>,
    /// Addresses and networks of proxies, with commas between: their X-Forwarded-For is believed
    #[arg(long, env = "SUNDOG_TRUSTED_PROXIES", value_name = "LIST", value_delimiter = ',', value_parser = network)]
    pub trusted_proxies: Vec<IpNet>,
    /// Speak plain HTTP off loopback without a proxy that is named: whoever is on the way can read tokens
    #[arg(long, env = "SUNDOG_INSECURE_HTTP", value_parser = clap::builder::BoolishValueParser::new())]
    pub insecure_http: bool,
    /// Whose users may sign in.
    #[command(flatten)]
    pub sign_in: SignIn,
}

fn network(text: &str) -> Result<IpNet, String> {
    let text = text.trim();
    let one = text.parse::<IpAddr>().map(IpNet::from);
    one.or_else(|_| text.parse())
        .map_err(|_| "expected addresses or networks such as 10.0.0.0/8".to_owned())
}

impl Admits {
    /// The way in for those who have one of these tokens.
    pub fn entrance(&self, tokens: Tokens) -> Result<Entrance, String> {
        let shares = Shares::from_env().map_err(|error| error.to_string())?;
        let entrance = Entrance::new(tokens, shares.of(self.connections));
        let entrance = entrance.with_oidc(self.sign_in.oidc()?);
        let Some(path) = &self.audit_file else {
            return Ok(entrance);
        };
        let audit = Audit::file(path).map_err(|error| {
            let path = path.display();
            format!("the audit's file {path} cannot be written: {error} (hint: SUNDOG_AUDIT_FILE)")
        });
        Ok(entrance.with_audit(audit?))
    }

    /// TLS, and proxies that are trusted, for an address. Plain HTTP off loopback is refused unless it is said to be meant.
    pub fn front(&self, addr: SocketAddr) -> Result<Front, String> {
        let tls = match (&self.tls_cert, &self.tls_key) {
            (Some(cert), Some(key)) => Some(Tls::open(cert, key).map_err(|e| e.to_string())?),
            _ => None,
        };
        let guarded = tls.is_some() || !self.trusted_proxies.is_empty();
        service::listen::plain(addr, guarded || self.insecure_http).map_err(|e| e.to_string())?;
        Ok(Front {
            tls,
            proxies: self.trusted_proxies.clone(),
        })
    }

    /// What the service admits.
    pub fn limits(&self) -> service::Limits {
        service::Limits {
            connections: self.connections,
            ..service::Limits::default()
        }
    }
}

/// Serves until it is asked to end.
pub async fn serve(settings: &Settings, jobs: Jobs, ends: Ends) -> Result<(), Failed> {
    let scale = settings.scale_command.as_deref().map(Command::parse);
    let scale = scale.transpose().map_err(Failed::setting)?;
    let front = settings.admits.front(settings.listen);
    let front = front.map_err(Failed::setting)?;
    let signs_in = settings.admits.sign_in.oidc_issuer.is_some();
    let guarded = settings.tokens.is_some() || signs_in;
    let listener = service::listen(settings.listen, guarded).await?;
    let public = match &settings.public_url {
        Some(url) => url.clone(),
        None => address(&listener, settings.admits.tls_cert.is_some())?,
    };
    let secret = match &settings.link_secret_file {
        Some(file) => Secret::file(file),
        None => Secret::random(),
    };
    let secret = secret.map_err(Failed::setting)?;
    let tokens = match &settings.tokens {
        Some(file) => Tokens::file(file)?,
        None if signs_in => Tokens::none(),
        None => {
            let token = access::new_token()?;
            let tokens = Tokens::single(&access::own_name()?, &token)?;
            writeln!(std::io::stdout(), "open {}", page(&public, &token))?;
            tokens
        }
    };
    tracing::info!(%public, "the gateway listens");
    // Live events, so that clients need one address alone; that webhooks are delivered is the notifier's business.
    let connections = settings.admits.connections;
    let config = settings.webhooks.config().beside(connections);
    let notifier = Notifier::new(config, jobs.clone(), ends.shutdown.clone());
    let entrance = settings.admits.entrance(tokens);
    let entrance = entrance.map_err(Failed::setting)?;
    let events = notifier::api(&notifier, &entrance);
    let mut config = Config::new(entrance, secret, public);
    config.service = settings.admits.limits();
    config.front = front;
    config.scratch = settings.scratch.clone();
    config.scale = scale.map(|command| Arc::new(command) as Arc<dyn Scale>);
    let served = run::run(config, jobs, listener, events, ends.shutdown).await;
    served.map_err(|error| match error {
        run::Error::Cloud(error) => error.into(),
        other => Failed::with(1, other),
    })
}

/// The address that a listener has, for links.
pub fn address(listener: &TcpListener, tls: bool) -> Result<Url, Failed> {
    let mut addr = listener.local_addr()?;
    if addr.ip().is_unspecified() {
        tracing::warn!(
            %addr,
            "links lead to this machine alone, since that is every address (give the one that others use: --public-url)"
        );
        addr.set_ip(match addr {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    let scheme = if tls { "https" } else { "http" };
    let url = Url::parse(&format!("{scheme}://{addr}/"));
    url.map_err(Failed::setting)
}

/// The page's address with a token where no server and no log sees it.
pub fn page(public: &Url, token: &str) -> Url {
    let mut link = public.clone();
    link.set_fragment(Some(&format!("token={token}")));
    link
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    #[derive(clap::Parser)]
    struct Program {
        #[command(flatten)]
        settings: Settings,
    }

    #[test]
    fn webhooks_may_lead_where_those_who_deliver_them_may_go() {
        let config = |more: &[&str]| {
            let all = ["gateway"].iter().chain(more);
            Program::try_parse_from(all).map(|program| program.settings.webhooks.config())
        };
        let allowed = config(&["--webhook-allow", "10.0.0.0/8", "--webhook-http", "allow"]);
        let allowed = allowed.unwrap_or_else(|error| panic!("{error}")).webhooks;
        assert!(allowed.http && allowed.allow.len() == 1);
        assert!(config(&["--connections", "3"]).is_err());
    }

    #[test]
    fn plain_http_off_loopback_is_refused_unless_said() {
        let front = |listen: &str, more: &[&str]| {
            let all = ["gateway"].iter().chain(more);
            let program = Program::try_parse_from(all).unwrap_or_else(|error| panic!("{error}"));
            program.settings.admits.front(listen.parse().unwrap())
        };
        for near in ["127.0.0.1:80", "[::1]:80", "[::ffff:127.0.0.1]:80"] {
            assert!(front(near, &[]).is_ok(), "{near}");
        }
        for far in ["0.0.0.0:80", "[::]:80", "192.0.2.1:80"] {
            let refused = front(far, &[]).unwrap_err();
            assert!(refused.contains("--insecure-http"), "{refused}");
            assert!(front(far, &["--insecure-http"]).is_ok());
            assert!(front(far, &["--trusted-proxies", "10.0.0.0/8"]).is_ok());
        }
    }
}
