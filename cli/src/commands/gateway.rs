//! `sundog gateway` and `sundog notifier`: the job system over HTTP, for those without credentials of its services.

use super::dispatcher::services;
use crate::client;
use crate::exit::{Exit, Failure, Result};
use crate::output;
use crate::serve::{signals, telling};
use crate::settings;
use gateway::program::Settings;
use gateway::{Config, Secret};
use notifier::Notifier;
use service::Tokens;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Options of `gateway`.
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  sundog token add ada --file tokens.toml
  sundog gateway --tokens tokens.toml --listen 0.0.0.0:8080 --public-url https://sundog.example/

Needs SUNDOG_BROKER, SUNDOG_REDIS and SUNDOG_STORE. Serves the web page, uploads, jobs, results, and the streams of
events, too, so that SUNDOG_GATEWAY needs one address. It speaks HTTP: put a proxy that speaks HTTPS before it where
others reach it.")]
pub struct Args {
    #[command(flatten)]
    settings: Settings,
}

/// Options of `notifier`.
#[derive(clap::Args)]
#[command(after_help = "\
Serves the streams of events alone, and delivers webhooks. Needs SUNDOG_BROKER, SUNDOG_REDIS and SUNDOG_STORE.")]
pub struct Streams {
    /// Address to listen on
    #[arg(long, env = "SUNDOG_NOTIFIER_LISTEN", default_value = "127.0.0.1:8081")]
    listen: SocketAddr,
    /// File with the hashes of tokens (hint: sundog token add)
    #[arg(long, env = "SUNDOG_TOKENS", value_name = "FILE")]
    tokens: PathBuf,
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::failed(error.to_string())
}

/// Serves until it is told to end.
pub fn run(args: Args) -> Result {
    let layers = settings::load()?;
    let Args { settings } = args;
    telling::block_on("sundog-gateway", None, async {
        let (jobs, _) = services(&layers)?;
        let ends = signals::ends()?;
        let has_tokens = settings.tokens.is_some();
        let listener = service::listen(settings.listen, has_tokens).await;
        let listener = listener.map_err(failed)?;
        let public = match &settings.public_url {
            Some(url) => url.clone(),
            None => super::serve::address(&listener)?,
        };
        let secret = match &settings.link_secret_file {
            Some(file) => Secret::file(file),
            None => Secret::random(),
        };
        let tokens = match &settings.tokens {
            Some(file) => Tokens::file(file).map_err(failed)?,
            None => {
                let token = service::access::new_token().map_err(failed)?;
                let tokens = Tokens::single(&client::user()?, &token).map_err(failed)?;
                let link = gateway::program::page(&public, &token);
                output::line(format!("open {link}"));
                tokens
            }
        };
        output::message(&format!("gateway at {public}"));
        let notifier = Notifier::new(
            notifier::Config::default(),
            jobs.clone(),
            ends.shutdown.clone(),
        );
        let streams = notifier::router(&notifier, &tokens);
        let mut config = Config::new(tokens, secret.map_err(failed)?, public);
        config.scratch = settings.scratch;
        let http = async {
            let _stop = ends.shutdown.clone().drop_guard();
            gateway::run(config, jobs, listener, streams, ends.shutdown.clone()).await
        };
        let webhooks = async {
            let _stop = ends.shutdown.clone().drop_guard();
            notifier.deliver().await
        };
        let (served, delivered) = tokio::join!(http, webhooks);
        served.map_err(failed)?;
        delivered.map_err(failed)?;
        Ok(Exit::Ok)
    })
}

/// Serves streams until it is told to end.
pub fn streams(args: Streams) -> Result {
    let layers = settings::load()?;
    telling::block_on("sundog-notifier", None, async {
        let (jobs, _) = services(&layers)?;
        let ends = signals::ends()?;
        let tokens = Tokens::file(&args.tokens).map_err(failed)?;
        let listener = service::listen(args.listen, true).await.map_err(failed)?;
        let address = super::serve::address(&listener)?;
        output::message(&format!("notifier at {address}"));
        let config = notifier::Config::default();
        let served = notifier::run(config, jobs, tokens, listener, ends.shutdown).await;
        served.map_err(failed)?;
        Ok(Exit::Ok)
    })
}
