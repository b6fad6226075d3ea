//! `sundog erase`: everything of a user goes.

use crate::jobs::session;
use crate::output;
use client::exit::{Exit, Failure, Result};

/// Options.
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  sundog erase ada --yes

For administrators. Jobs of the user are ended; then they go with their outputs, and so do uploads, dead letters and
webhooks. Events go by themselves in their time, and lines of the audit stay. Tokens are taken away beside: sundog
token revoke.")]
pub struct Args {
    /// The user
    #[arg(value_name = "USER")]
    user: String,
    /// Do it; there is no way back
    #[arg(long)]
    yes: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Removes everything of a user.
pub fn run(args: Args) -> Result {
    if !args.yes {
        let user = output::harmless(&args.user).to_string();
        return Err(Failure::usage(format!(
            "all jobs, outputs and uploads of {user} would go for ever (say --yes to do it)"
        )));
    }
    let args = &args;
    let farewell = || "interrupted (the same command again removes the rest)".to_owned();
    session::run(farewell, |client| async move {
        let erased = client.erase(&args.user).await?;
        match args.json {
            true => output::json(&erased),
            false => output::message(&format!(
                "{} jobs and {} uploads of {} are gone",
                erased.jobs,
                erased.uploads,
                output::harmless(&args.user)
            )),
        }
        Ok(Exit::Ok)
    })
}
