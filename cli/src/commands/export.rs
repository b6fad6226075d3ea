//! `sundog export`: everything of a user as one archive.

use crate::jobs::session;
use crate::output;
use client::exit::{Exit, Result};
use indicatif::HumanBytes;
use serde_json::json;
use std::path::PathBuf;

/// Options.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  sundog export mine.zip
  sundog export ada.zip --user ada

The archive has jobs with their receipts and outputs, uploads, dead letters, and webhooks without their secrets.")]
pub struct Args {
    /// The zip archive to write
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Another user's, for administrators
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Fetches the archive.
pub fn run(args: Args) -> Result {
    let args = &args;
    session::run(
        || "interrupted; nothing was written".to_owned(),
        |client| async move {
            let bytes = client.export(args.user.as_deref(), &args.file).await?;
            let file = args.file.display().to_string();
            match args.json {
                true => output::json(&json!({"file": file, "bytes": bytes})),
                false => output::message(&format!(
                    "{} are in {}",
                    HumanBytes(bytes),
                    output::harmless(&file)
                )),
            }
            Ok(Exit::Ok)
        },
    )
}
