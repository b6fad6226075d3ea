//! The notifier as a program: its settings, and its run until it is told to end.

use crate::server::{self, Config};
use crate::signin::SignIn;
use crate::webhooks::{self, Allow};
use dispatcher::jobs::Jobs;
use service::program::Failed;
use service::signals::Ends;
use service::{Entrance, Tokens};
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
    /// Speak plain HTTP off loopback, as to a proxy before it: whoever is on the way can read tokens
    #[arg(long, env = "SUNDOG_INSECURE_HTTP", value_parser = clap::builder::BoolishValueParser::new())]
    pub insecure_http: bool,
    /// Whose users may sign in.
    #[command(flatten)]
    pub sign_in: SignIn,
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

/// Serves streams and delivers webhooks until it is asked to end.
pub async fn serve(settings: &Settings, jobs: Jobs, ends: Ends) -> Result<(), Failed> {
    let tokens = Tokens::file(&settings.tokens)?;
    let oidc = settings.sign_in.oidc().map_err(Failed::setting)?;
    let entrance = Entrance::from(tokens).with_oidc(oidc);
    service::listen::plain(settings.listen, settings.insecure_http)?;
    let listener = service::listen(settings.listen, true).await?;
    tracing::info!(address = %listener.local_addr()?, "the notifier listens");
    let config = settings.webhooks.config();
    let served = server::run(config, jobs, entrance, listener, ends.shutdown).await;
    served.map_err(|error| Failed::with(1, error))
}
