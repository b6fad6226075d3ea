//! `sundog config show`: the settings in force and who set them.

use crate::output;
use client::exit::{Exit, Result};
use client::settings;
use serde_json::json;

/// Options.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Print the settings in force
    #[command(
        after_help = "Flags > environment > ./sundog.toml > user's configuration > /etc/sundog/config.toml"
    )]
    Show {
        /// Print who set each: a file and line, a variable, or the default
        #[arg(long)]
        origin: bool,
        /// Print JSON, one object a line
        #[arg(long)]
        json: bool,
    },
}

/// Prints the settings.
pub fn run(args: Args) -> Result {
    let Action::Show { origin, json } = args.action;
    for (key, setting) in settings::load()?.settings {
        let value = settings::shown(&key, &setting.value);
        if json {
            output::json(&json!({"key": key, "value": value, "origin": setting.origin}));
        } else if origin {
            output::line(format!("{key} = {value}  # {}", setting.origin));
        } else {
            output::line(format!("{key} = {value}"));
        }
    }
    Ok(Exit::Ok)
}
