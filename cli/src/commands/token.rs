//! `sundog token`: who may use a gateway.

use crate::output;
use client::exit::{Exit, Failure, Result};
use service::access;
use std::path::PathBuf;

/// Options.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Draw a token for a user, and add its hash to a tokens file
    #[command(after_help = "\
Example:
  sundog token add ada --file /etc/sundog/tokens.toml

Prints the token, which nobody can see again. Services read the file again when it changes; removing a
user's lines takes the token away.")]
    Add {
        /// The user: 1 to 100 letters, digits, `-`, `_` and `.` [default: your login name]
        user: Option<String>,
        /// The tokens file, made if need be
        #[arg(
            long,
            value_name = "FILE",
            env = "SUNDOG_TOKENS",
            hide_env_values = true
        )]
        file: PathBuf,
        /// Let the user see to everybody's dead letters
        #[arg(long)]
        admin: bool,
    },
}

/// Adds a token.
pub fn run(args: Args) -> Result {
    let Action::Add { user, file, admin } = args.action;
    let user = match user {
        Some(user) => user,
        None => client::user()?,
    };
    let token = access::add(&file, &user, admin).map_err(|error| match error {
        access::Error::Name(_) => Failure::usage(error.to_string()),
        error => Failure::failed(error.to_string()),
    })?;
    output::line(token);
    output::message(&format!(
        "the token of {user}; its hash is in {}",
        file.display()
    ));
    Ok(Exit::Ok)
}
