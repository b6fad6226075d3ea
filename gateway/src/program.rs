//! The gateway as a program of its own: settings, signals, an orderly end.

use crate::links::{self, Secret};
use crate::run::{self, Config};
use dispatcher::jobs::{InputUrls, Jobs, Rules};
use notifier::Notifier;
use service::telemetry::{self, Telemetry};
use service::{Tokens, access, listen};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
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

/// Why the program ends early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting that cannot work.
    #[error("{0}")]
    Setting(String),
    /// A service, or a setting of one.
    #[error(transparent)]
    Cloud(#[from] cloud::Error),
    /// The rules for jobs.
    #[error(transparent)]
    Jobs(#[from] dispatcher::Error),
    /// The tokens.
    #[error(transparent)]
    Tokens(#[from] access::Error),
    /// The secret of links.
    #[error(transparent)]
    Secret(#[from] links::Error),
    /// What it tells of itself.
    #[error(transparent)]
    Telemetry(#[from] telemetry::Error),
    /// The address.
    #[error(transparent)]
    Listen(#[from] listen::Error),
    /// The gateway itself.
    #[error(transparent)]
    Run(#[from] run::Error),
    /// Signals or the standard output.
    #[error("{0}")]
    System(#[from] std::io::Error),
}

impl Error {
    /// 2 for settings, 4 for services that cannot be reached.
    pub fn exit_code(&self) -> ExitCode {
        let waits = |error: &cloud::Error| error.is_transient();
        let service = match self {
            Error::Cloud(error) | Error::Run(run::Error::Cloud(error)) => waits(error),
            _ => false,
        };
        ExitCode::from(if service { 4 } else { 2 })
    }
}

/// Serves until SIGTERM or SIGINT. Logs, metrics and traces are as the environment says.
pub async fn main(settings: &Settings) -> Result<(), Error> {
    let telemetry = Telemetry::start("sundog-gateway")?;
    let served = serve(settings).await;
    telemetry.shutdown().await;
    served
}

async fn serve(settings: &Settings) -> Result<(), Error> {
    let cloud = cloud::config::Config::from_env()?;
    if cloud.broker.is_none() || cloud.redis.is_none() || cloud.store.is_none() {
        return Err(Error::Setting(
            "a gateway of its own needs SUNDOG_BROKER, SUNDOG_REDIS and SUNDOG_STORE (hint: `sundog serve` needs none of them)".into(),
        ));
    }
    let jobs = Jobs {
        queue: cloud.queue()?,
        events: cloud.events()?,
        store: cloud.store(std::path::Path::new(""))?,
        rules: Rules {
            input_urls: InputUrls::from_env()?,
            ..Rules::default()
        },
    };
    let shutdown = CancellationToken::new();
    let (mut term, mut int) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    let asked = shutdown.clone();
    tokio::spawn(async move {
        tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
        asked.cancel();
    });
    let listener = service::listen(settings.listen, settings.tokens.is_some()).await?;
    let public = match &settings.public_url {
        Some(url) => url.clone(),
        None => Url::parse(&format!("http://{}/", listener.local_addr()?))
            .map_err(|error| Error::Setting(error.to_string()))?,
    };
    let (tokens, link) = match &settings.tokens {
        Some(file) => (Tokens::file(file)?, None),
        None => {
            let user = user()?;
            let token = access::new_token()?;
            (Tokens::single(&user, &token)?, Some(page(&public, &token)))
        }
    };
    let secret = match &settings.link_secret_file {
        Some(file) => Secret::file(file)?,
        None => Secret::random()?,
    };
    // Live events, so that clients need one address alone; webhooks are the notifier's business.
    let notifier = notifier::Config::default();
    let notifier = Notifier::new(notifier, jobs.clone(), shutdown.clone());
    let events = notifier::router(&notifier, &tokens);
    let mut config = Config::new(tokens, secret, public);
    config.scratch = settings.scratch.clone();
    if let Some(link) = link {
        writeln!(std::io::stdout(), "open {link}")?;
    }
    run::run(config, jobs, listener, events, shutdown).await?;
    Ok(())
}

/// The page's address with a token where no server and no log sees it.
pub fn page(public: &Url, token: &str) -> Url {
    let mut link = public.clone();
    link.set_fragment(Some(&format!("token={token}")));
    link
}

/// Whose jobs they are where there is one user alone.
fn user() -> Result<String, Error> {
    let names = ["SUNDOG_USER", "LOGNAME", "USER"];
    let found = names.iter().find_map(|name| std::env::var(name).ok());
    let name = found.unwrap_or_else(|| "me".into());
    Ok(access::user_name(&name)?)
}
