//! `sundog schema`: JSON Schemas for editors and checkers.

use crate::output;
use client::exit::{Exit, Failure, Result};
use schemars::schema_for;

/// Options.
#[derive(clap::Args)]
pub struct Args {
    /// Whose schema
    #[arg(value_enum)]
    of: Of,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Of {
    /// A job file
    Job,
    /// A job's receipt
    Receipt,
    /// One line of `--json` or of an event stream
    Event,
}

/// Prints the schema.
pub fn run(args: Args) -> Result {
    let schema = match args.of {
        Of::Job => schema_for!(protocol::Job),
        Of::Receipt => schema_for!(protocol::JobReceipt),
        Of::Event => schema_for!(protocol::Event),
    };
    let text = serde_json::to_string_pretty(&schema)
        .map_err(|e| Failure::failed(format!("cannot write the schema: {e}")))?;
    output::line(text);
    Ok(Exit::Ok)
}
