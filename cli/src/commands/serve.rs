//! `sundog serve`: the whole job system in one process of the user's.

use crate::output;
use crate::serve::home::Home;
use crate::serve::program;
use client::exit::{Exit, Failure, Result};
use client::serving::{Announcement, Serving};
use client::settings::{self, Layers};
use dispatcher::jobs::{Jobs, Rules};
use dispatcher::scale::Pool;
use dispatcher::settings::Settings as Node;
use gateway::program::Admits;
use notifier::program::Webhooks;
use service::Tokens;
use service::signals::Ends;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use url::Url;

/// Options.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  sundog serve
  sundog serve --ranks 4 --listen 127.0.0.1:9000 --dir /data/sundog

Then, in another terminal: sundog submit photos/ -p invert --watch

Prints a link with its token for the browser; other commands of the same user find the token by themselves. Jobs that
have not ended go on after a restart. SUNDOG_BROKER, SUNDOG_REDIS and SUNDOG_STORE take the place of the queue
and the events in memory and of the directory, each on its own. Ctrl-C or SIGTERM finish what is in hand; once more
ends it at once.")]
pub struct Args {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:7878")]
    listen: SocketAddr,
    /// Where browsers and other clients reach it, with a slash at its end, as behind a proxy; its own address where not given
    #[arg(long, env = "SUNDOG_PUBLIC_URL", value_name = "URL")]
    public_url: Option<Url>,
    /// Directory for jobs, outputs, token and keys [default: ~/.local/share/sundog]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Workers to begin with, which share the cores and the memory; sundog scale changes how many
    #[arg(long, value_name = "N", default_value_t = 1)]
    workers: usize,
    #[command(flatten)]
    node: Node,
    #[command(flatten)]
    webhooks: Webhooks,
    #[command(flatten)]
    admits: Admits,
    /// Print one JSON object with address, link, directory and process
    #[arg(long)]
    json: bool,
}

/// Serves until it is told to end.
pub fn run(args: Args) -> Result {
    let layers = settings::load()?;
    let home = Home::open(args.dir.clone())?;
    let metrics = args.node.metrics_listen;
    program::block_on("sundog-serve", metrics, serve(&args, &layers, &home))
}

async fn serve(args: &Args, layers: &Layers, home: &Home) -> Result {
    let user = client::user()?;
    let token = home.secret("token", || {
        service::access::new_token().map_err(|error| Failure::failed(error.to_string()))
    })?;
    let tokens = Tokens::single(&user, &token).map_err(|e| Failure::usage(e.to_string()))?;
    let front = args.admits.front(args.listen).map_err(Failure::usage)?;
    let listener = listen(args.listen).await?;
    let address = gateway::program::address(&listener, args.admits.tls_cert.is_some())?;
    let public = args.public_url.clone().unwrap_or_else(|| address.clone());
    let secret = gateway::Secret::file(&home.dir().join("link-secret"));
    let secret = secret.map_err(|error| Failure::failed(error.to_string()))?;
    let config = client::services(layers)?;
    let jobs = Jobs::with_directory(&config, &home.store(), Rules::from_env()?)?;
    let Ends { shutdown, hurry } = program::ends()?;
    let (settings, cloud, store) = (args.node.clone(), config.clone(), jobs.store.clone());
    let pool = Pool::new(jobs.clone(), shutdown.clone(), move |number, of| {
        let settings = settings.shared(of);
        let mut node = settings.config(cloud.clone(), &store);
        if number > 1 {
            node.node = format!("{}-{number}", node.node);
        }
        node.hurry = hurry.clone();
        Ok((node, settings.world(None)?))
    });
    let resumed = match config.broker {
        // A broker keeps its messages.
        Some(_) => 0,
        None => jobs.unfinished().await.map_err(client::from_jobs)?,
    };
    let notifier = args.webhooks.config().beside(args.admits.connections);
    let notifier = notifier::Notifier::new(notifier, jobs.clone(), shutdown.clone());
    let guard = args.admits.entrance(tokens);
    let guard = guard.map_err(Failure::usage)?;
    let streams = notifier::api(&notifier, &guard);
    let mut entrance = gateway::Config::new(guard, secret, public.clone());
    entrance.service = args.admits.limits();
    entrance.scale = Some(Arc::new(pool.clone()));
    pool.set(args.workers).map_err(client::from_jobs)?;
    entrance.front = front;
    let serving = Serving {
        version: 1,
        address: address.to_string(),
        token,
        pid: std::process::id(),
    };
    let announcement = Announcement::new(&serving);
    tell(
        args,
        home,
        &serving,
        &gateway::program::page(&public, &serving.token),
        &format!("{user} on {}", args.node.on()),
        resumed,
    );
    let announcement = announcement.map_err(|error| {
        output::warning(&format!(
            "other commands will not find this serve by themselves: {error} (set SUNDOG_GATEWAY and SUNDOG_TOKEN)"
        ));
    });
    // When one of them ends, all do.
    let stop = |shutdown: &CancellationToken| shutdown.clone().drop_guard();
    let http = async {
        let _stop = stop(&shutdown);
        gateway::run(entrance, jobs.clone(), listener, streams, shutdown.clone()).await
    };
    let dispatcher = async {
        let _stop = stop(&shutdown);
        pool.ended().await
    };
    let webhooks = async {
        let _stop = stop(&shutdown);
        notifier.deliver().await
    };
    let (served, worked, delivered) = tokio::join!(http, dispatcher, webhooks);
    drop(announcement);
    served.map_err(|error| Failure::failed(error.to_string()))?;
    worked.map_err(client::from_jobs)?;
    delivered.map_err(|error| Failure::failed(error.to_string()))?;
    Ok(Exit::Ok)
}

/// Listens; a token guards every address.
async fn listen(addr: SocketAddr) -> Result<TcpListener> {
    let listener = service::listen(addr, true).await;
    listener.map_err(|error| {
        let hint = "another sundog serve may be there; give another address: --listen 127.0.0.1:0";
        Failure::failed(format!("{error} ({hint})"))
    })
}

/// Whether standard output is systemd's journal, which `JOURNAL_STREAM` names by device and inode.
fn into_journal() -> bool {
    use std::os::fd::AsFd as _;
    let stream = std::env::var("JOURNAL_STREAM").unwrap_or_default();
    let Ok(own) = nix::sys::stat::fstat(std::io::stdout().as_fd()) else {
        return false;
    };
    stream == format!("{}:{}", own.st_dev, own.st_ino)
}

fn tell(args: &Args, home: &Home, serving: &Serving, link: &Url, who: &str, resumed: usize) {
    let address = &serving.address;
    let dir = home.dir().display().to_string();
    if args.json {
        return output::json(&serde_json::json!({
            "address": address, "link": link.as_str(), "dir": dir, "pid": serving.pid, "resumed": resumed,
        }));
    }
    output::line(format!(
        "sundog serve at {address} for {who}, in {}",
        output::harmless(&dir)
    ));
    match into_journal() {
        // Many may read that, and for long.
        true => output::line(format!(
            "open {address} (its token is not written into the journal: sundog serve keeps it in {}/token)",
            output::harmless(&dir)
        )),
        false => output::line(format!("open {link}")),
    }
    if resumed > 0 {
        let (s, go) = if resumed == 1 {
            ("", "goes")
        } else {
            ("s", "go")
        };
        output::message(&format!("{resumed} job{s} that had not ended {go} on"));
    }
}
