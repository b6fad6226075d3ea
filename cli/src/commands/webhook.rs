//! `sundog webhook`: addresses to which a gateway posts events.

use crate::jobs::session;
use crate::output;
use client::Webhook;
use client::exit::{Exit, Result};
use serde_json::json;

/// Options.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  sundog webhook add https://example.org/hooks/sundog
  sundog webhook add https://example.org/hooks/sundog --event task_finished --job 01JABC…
  sundog webhook test 01JDEF…

Deliveries are signed: docs/notifier.md says how to check that. A secret is printed once, when it is drawn.")]
pub struct Args {
    #[command(subcommand)]
    action: Action,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Have events posted to an address; prints its id and, this once, its secret
    Add {
        /// `https://…`
        url: String,
        /// Kinds of events [default: job_finished]
        #[arg(long = "event", value_name = "KIND")]
        events: Vec<String>,
        /// Only of these jobs
        #[arg(long = "job", value_name = "JOB")]
        jobs: Vec<String>,
    },
    /// Print your webhooks
    List,
    /// Post an event `ping` once, now, and say what came of it
    Test {
        /// The webhook
        id: String,
    },
    /// Draw another secret, and print it
    Rotate {
        /// The webhook
        id: String,
    },
    /// Post nothing more to it
    Remove {
        /// The webhook
        id: String,
    },
}

/// Does what is asked for.
pub fn run(args: Args) -> Result {
    let json = args.json;
    session::run(
        || "interrupted".to_owned(),
        |client| async move {
            let gateway = client.gateway()?;
            match args.action {
                Action::Add { url, events, jobs } => {
                    drawn(&gateway.add_webhook(&url, &events, &jobs).await?, json);
                }
                Action::Rotate { id } => drawn(&gateway.rotate_webhook(&id).await?, json),
                Action::List => {
                    let hooks = gateway.webhooks().await?;
                    for hook in &hooks {
                        match json {
                            true => output::json(hook),
                            false => output::line(row(hook)),
                        }
                    }
                    if hooks.is_empty() && !json {
                        output::message("there are no webhooks (hint: sundog webhook add URL)");
                    }
                }
                Action::Test { id } => {
                    let tested = gateway.test_webhook(&id).await?;
                    let status = tested.status.map_or(String::new(), |s| format!(" ({s})"));
                    match (json, tested.delivered) {
                        (true, _) => output::json(&tested),
                        (false, true) => output::message(&format!("accepted{status}")),
                        (false, false) => output::message(&format!(
                            "not accepted{status}: {}",
                            output::harmless(
                                tested.reason.as_deref().unwrap_or("no reason is known")
                            )
                        )),
                    }
                    if !tested.delivered {
                        return Ok(Exit::Failed);
                    }
                }
                Action::Remove { id } => {
                    gateway.remove_webhook(&id).await?;
                    match json {
                        true => output::json(&json!({"id": id, "removed": true})),
                        false => output::message(&format!("webhook {id} is removed")),
                    }
                }
            }
            Ok(Exit::Ok)
        },
    )
}

/// A webhook whose secret is told this once.
fn drawn(hook: &Webhook, json: bool) {
    if json {
        return output::json(hook);
    }
    output::line(format!("id      {}", output::harmless(&hook.id)));
    if let Some(secret) = &hook.secret {
        output::line(format!("secret  {}", output::harmless(secret)));
        output::message("keep the secret: nobody can see it again");
    }
}

fn row(hook: &Webhook) -> String {
    let jobs = match hook.jobs.len() {
        0 => "all jobs".to_owned(),
        1 => "1 job".to_owned(),
        n => format!("{n} jobs"),
    };
    let text = format!(
        "{}  {}  {jobs}  {}",
        hook.id,
        hook.events.join(","),
        hook.url
    );
    output::harmless(&text).into_owned()
}
