//! `sundog watch`: jobs as they go on, to their ends.

use crate::jobs::{session, watch};
use client::exit::Result;

/// Options.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  sundog watch 01JABC…
  sundog watch 01JABC… --json | jq .event

Goes on when the connection is lost or the gateway starts again. An interrupt leaves the jobs running.
Exit codes: 0 all succeeded, 1 a job failed or was cancelled, 3 some images failed, 4 the job system cannot be
reached, 130 interrupted")]
pub struct Args {
    /// Jobs
    #[arg(value_name = "JOB", required = true)]
    jobs: Vec<String>,
    /// Print events, one JSON object a line
    #[arg(long)]
    json: bool,
}

/// Follows the jobs.
pub fn run(args: Args) -> Result {
    let (jobs, show) = (&args.jobs, watch::show(args.json));
    session::run(
        || watch::farewell(jobs),
        |client| async move { watch::follow(&client, jobs, show).await },
    )
}
