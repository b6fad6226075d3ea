//! `sundog results`: links to a job's outputs, or the outputs themselves.

use crate::job_flags::life;
use crate::jobs::{bytes, session};
use crate::output;
use client::Results;
use client::download;
use client::exit::{Exit, Result};
use indicatif::HumanBytes;
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;

/// Options.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  sundog results 01JABC… --expires 10m
  sundog results 01JABC… --download out/ && sundog verify out/
  sundog results 01JABC… --json | jq -r '.results[].url' | xargs -n 1 curl -O

Whoever has a link can get the file until the link expires; its life ends earlier where the credentials that
sign it do. A download checks hashes, leaves files alone that are there already, and writes the receipt
to DIR/sundog-receipt.json.")]
pub struct Args {
    /// The job
    #[arg(value_name = "JOB")]
    job: String,
    /// Fetch all outputs into this directory
    #[arg(long, value_name = "DIR")]
    download: Option<PathBuf>,
    /// Of at most so many images
    #[arg(long, value_name = "N", conflicts_with = "download", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Of images with numbers above this one; they count from 0
    #[arg(long, value_name = "NUMBER", conflicts_with = "download")]
    after: Option<u64>,
    /// How long links live, such as 90s, 10m, 2h or 7d
    #[arg(long, value_name = "TIME", value_parser = life, default_value = "1h")]
    expires: Duration,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Prints the links or fetches what they lead to.
pub fn run(args: Args) -> Result {
    let farewell = || match &args.download {
        Some(_) => "interrupted (the same command again fetches the rest)".to_owned(),
        None => "interrupted".to_owned(),
    };
    let args = &args;
    session::run(farewell, |client| async move {
        let results = match (args.limit, args.after) {
            (None, None) => client.results(&args.job, args.expires).await?,
            (limit, after) => {
                let limit = limit.map_or(usize::MAX >> 1, |n| n as usize);
                let some = client.some_results(&args.job, args.expires, limit, after);
                some.await?
            }
        };
        let Some(dir) = &args.download else {
            match args.json {
                true => output::json(&results),
                false => table(&results),
            }
            return Ok(Exit::Ok);
        };
        let outcome = {
            let bar = bytes::bar("downloading", args.json);
            download::all(&client, &results, dir, args.expires, &bar).await?
        };
        let receipt = client.receipt(&args.job).await?;
        if let Some(receipt) = &receipt {
            download::write_receipt(receipt, &results, dir)?;
        }
        report(args, &results, &outcome);
        if receipt.is_none() {
            output::warning(
                "the job has not ended; the same command again fetches what follows, and the receipt",
            );
        }
        let any = outcome.fetched + outcome.present > 0;
        Ok(match (outcome.failed.is_empty(), any) {
            (true, _) => Exit::Ok,
            (false, true) => Exit::Some,
            (false, false) => Exit::Failed,
        })
    })
}

fn table(results: &Results) {
    for result in &results.results {
        let size = match (result.width, result.height) {
            (Some(width), Some(height)) => format!("{width}x{height}"),
            _ => String::new(),
        };
        let bytes = result
            .bytes
            .map_or(String::new(), |b| HumanBytes(b).to_string());
        let until = match &result.expires {
            Some(expires) => format!("until {}", output::harmless(expires)),
            None => "on this machine".into(),
        };
        let name = result.output.strip_prefix("out/").unwrap_or(&result.output);
        output::line(format!(
            "{}  {size}  {bytes}  {until}\n  {}",
            output::harmless(name),
            output::harmless(&result.url)
        ));
    }
    for failed in &results.failed {
        output::message(&format!(
            "{}: {}: {}",
            output::red("failed"),
            output::input(&failed.input),
            output::harmless(failed.why())
        ));
    }
    if !results.state.is_final() {
        output::message(&format!("the job is {}: more may follow", results.state));
    }
}

fn report(args: &Args, results: &Results, outcome: &download::Outcome) {
    if args.json {
        let failed = outcome.failed.iter();
        let failed = failed.map(|(output, reason)| json!({"output": output, "reason": reason}));
        return output::json(&json!({
            "job": results.job,
            "state": results.state,
            "fetched": outcome.fetched,
            "present": outcome.present,
            "failed": failed.collect::<Vec<_>>(),
        }));
    }
    for (name, reason) in &outcome.failed {
        output::message(&format!("{}: {name}: {reason}", output::red("failed")));
    }
    for failed in &results.failed {
        output::message(&format!(
            "no output of {}: {}",
            output::input(&failed.input),
            output::harmless(failed.why())
        ));
    }
    let mut text = format!("{} files fetched", outcome.fetched);
    if outcome.present > 0 {
        text += &format!(", {} were there already", outcome.present);
    }
    if !outcome.failed.is_empty() {
        text += &format!(", {} could not be", outcome.failed.len());
    }
    output::message(&text);
}
