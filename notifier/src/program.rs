//! The notifier as a program: its settings, and its run until it is told to end.

use crate::server::{self, Config};
use crate::webhooks::{self, Allow};
use dispatcher::jobs::Jobs;
use service::signals::Ends;
use service::telemetry;
use service::{Tokens, access, listen};
use std::net::SocketAddr;
use std::path::PathBuf;

/// How a notifier is set up, as flags and variables of the environment.
#[derive(Clone, Debug, clap::Args)]
pub struct Settings {
    /// Address to listen on
    #[arg(
        long,
        env = "SUNDOG_NOTIFIER_LISTEN",
        value_name = "ADDRESS:PORT",
        default_value = "127.0.0.1:8081"
    )]
    pub listen: SocketAddr,
    /// File with the hashes of tokens (hint: sundog token add)
    #[arg(long, env = "SUNDOG_TOKENS", value_name = "FILE")]
    pub tokens: PathBuf,
    /// Where webhooks may lead.
    #[command(flatten)]
    pub webhooks: Webhooks,
}

/// Where webhooks may lead.
#[derive(Clone, Debug, clap::Args)]
pub struct Webhooks {
    /// Hosts, addresses and networks that webhooks may reach although they are private, with commas between
    #[arg(long, env = "SUNDOG_WEBHOOK_ALLOW", value_name = "LIST", value_parser = allowed, default_value = "", hide_default_value = true)]
    pub webhook_allow: Allowed,
    /// Whether webhooks may use plain HTTP to public hosts, too
    #[arg(
        long,
        env = "SUNDOG_WEBHOOK_HTTP",
        value_name = "WHETHER",
        default_value = "refuse"
    )]
    pub webhook_http: Http,
}

/// Private places that webhooks may reach.
#[derive(Clone, Debug, Default)]
pub struct Allowed(Vec<Allow>);

/// Whether plain HTTP is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Http {
    /// Only to hosts that are allowed by name.
    Refuse,
    /// To all.
    Allow,
}

fn allowed(text: &str) -> Result<Allowed, String> {
    let parts = text.split(',').map(str::trim).filter(|p| !p.is_empty());
    let places: Result<_, _> = parts.map(|part| part.parse::<Allow>()).collect();
    Ok(Allowed(places?))
}

impl Webhooks {
    /// How a notifier works with these settings.
    pub fn config(&self) -> Config {
        Config {
            webhooks: webhooks::Config {
                allow: self.webhook_allow.0.clone(),
                http: self.webhook_http == Http::Allow,
                ..webhooks::Config::default()
            },
            ..Config::default()
        }
    }
}

/// Why the program ends early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A service, or a setting of one.
    #[error(transparent)]
    Cloud(#[from] cloud::Error),
    /// A setting of the job system.
    #[error(transparent)]
    Jobs(#[from] dispatcher::Error),
    /// The tokens.
    #[error(transparent)]
    Tokens(#[from] access::Error),
    /// What it tells of itself.
    #[error(transparent)]
    Telemetry(#[from] telemetry::Error),
    /// The address.
    #[error(transparent)]
    Listen(#[from] listen::Error),
    /// Webhooks.
    #[error(transparent)]
    Webhooks(#[from] webhooks::Error),
    /// Signals.
    #[error("{0}")]
    System(#[from] std::io::Error),
}

impl Error {
    /// How the program ends: 2 for settings, 4 for a service that cannot be reached, else 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Cloud(error) => error.exit_code(),
            Error::Jobs(error) => error.exit_code(),
            Error::Tokens(_) | Error::Telemetry(_) | Error::Listen(_) => 2,
            Error::Webhooks(_) | Error::System(_) => 1,
        }
    }
}

/// Serves streams and delivers webhooks until it is asked to end.
pub async fn serve(settings: &Settings, jobs: Jobs, ends: Ends) -> Result<(), Error> {
    let tokens = Tokens::file(&settings.tokens)?;
    let listener = service::listen(settings.listen, true).await?;
    tracing::info!(address = %listener.local_addr()?, "the notifier listens");
    let config = settings.webhooks.config();
    server::run(config, jobs, tokens, listener, ends.shutdown).await?;
    Ok(())
}
