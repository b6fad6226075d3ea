//! `sundog scale`: how many workers there are.

use crate::jobs::session;
use crate::output;
use client::exit::{Exit, Result};
use serde_json::json;

/// Options.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  sundog scale 4
  SUNDOG_SCALE_COMMAND='kubectl scale deployment/sundog-dispatcher --replicas={workers}' sundog scale 12

A running sundog serve has its workers in itself. They share its cores and its memory, each with the ranks that it was given (and
the threads, where --threads was): so those of another number finish what they have, and new ones come in their places. On a cluster the program is run that the gateway, or here SUNDOG_SCALE_COMMAND or
scale_command of your own configuration, names. One worker at least is left: sundog pause holds jobs back. Needs an
administrator's token.")]
pub struct Args {
    /// How many
    #[arg(value_name = "N")]
    workers: usize,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Asks for workers.
pub fn run(args: Args) -> Result {
    let workers = args.workers;
    session::run(farewell, |client| async move {
        let before = client.scale(workers).await?;
        if args.json {
            output::json(&json!({"workers": workers, "before": before}));
            return Ok(Exit::Ok);
        }
        let s = if workers == 1 { "" } else { "s" };
        let before = before.map_or(String::new(), |n| format!(" ({n} before)"));
        output::message(&format!("{workers} worker{s}{before} (hint: sundog nodes)"));
        Ok(Exit::Ok)
    })
}

fn farewell() -> String {
    "interrupted".to_owned()
}
