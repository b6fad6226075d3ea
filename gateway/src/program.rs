//! The gateway as a program: its settings, and its run until it is told to end.

use crate::links::Secret;
use crate::run::{self, Config};
use dispatcher::jobs::Jobs;
use notifier::Notifier;
use service::program::Failed;
use service::signals::Ends;
use service::{Tokens, access};
use std::io::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use tokio::net::TcpListener;
use url::Url;

/// How a gateway is set up. All of it may also come from the environment.
#[derive(Clone, Debug, clap::Args)]
pub struct Settings {
    /// Address to listen on; one off loopback needs tokens
    #[arg(long, env = "SUNDOG_LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// File with the hashes of tokens; without one, a token is drawn and printed with the page's address
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
}

/// Serves until it is asked to end.
pub async fn serve(settings: &Settings, jobs: Jobs, ends: Ends) -> Result<(), Failed> {
    let listener = service::listen(settings.listen, settings.tokens.is_some()).await?;
    let public = match &settings.public_url {
        Some(url) => url.clone(),
        None => address(&listener)?,
    };
    let secret = match &settings.link_secret_file {
        Some(file) => Secret::file(file),
        None => Secret::random(),
    };
    let secret = secret.map_err(Failed::setting)?;
    let tokens = match &settings.tokens {
        Some(file) => Tokens::file(file)?,
        None => {
            let token = access::new_token()?;
            let tokens = Tokens::single(&access::own_name()?, &token)?;
            writeln!(std::io::stdout(), "open {}", page(&public, &token))?;
            tokens
        }
    };
    tracing::info!(%public, "the gateway listens");
    // Live events, so that clients need one address alone; webhooks are the notifier's business.
    let config = notifier::Config::default();
    let notifier = Notifier::new(config, jobs.clone(), ends.shutdown.clone());
    let events = notifier::router(&notifier, &tokens);
    let mut config = Config::new(tokens, secret, public);
    config.scratch = settings.scratch.clone();
    let served = run::run(config, jobs, listener, events, ends.shutdown).await;
    served.map_err(|error| match error {
        run::Error::Cloud(error) => error.into(),
        other => Failed::with(1, other),
    })
}

/// The address that a listener has, for links.
pub fn address(listener: &TcpListener) -> Result<Url, Failed> {
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
    let url = Url::parse(&format!("http://{addr}/"));
    url.map_err(Failed::setting)
}

/// The page's address with a token where no server and no log sees it.
pub fn page(public: &Url, token: &str) -> Url {
    let mut link = public.clone();
    link.set_fragment(Some(&format!("token={token}")));
    link
}
