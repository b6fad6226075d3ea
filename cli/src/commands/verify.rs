//! `sundog verify`: outputs against the hashes in their receipt, or a job against its own or a run on one thread.

use super::verify_job;
use crate::{output, receipts};
use client::exit::{Exit, Failure, Result};
use client::remote;
use protocol::TaskReceipt;
use protocol::state::TaskState;
use serde_json::json;
use std::path::PathBuf;
use worker::atomic;
use worker::elsewhere::is_url;

/// Options.
#[derive(clap::Args)]
pub struct Args {
    /// A receipt, the directory that holds it, or the id of a job
    #[arg(value_name = "RECEIPT|JOB")]
    receipt: PathBuf,
    /// Of a job: compute every output again from its inputs on one thread of this machine, and compare
    #[arg(long)]
    serial: bool,
    /// Print one JSON object per output
    #[arg(long)]
    json: bool,
}

/// Compares every output; exit code 1 names those that differ.
pub fn run(args: Args) -> Result {
    if let Some(job) = args
        .receipt
        .to_str()
        .filter(|text| verify_job::is_job(text))
    {
        return verify_job::run(job, args.serial, args.json);
    }
    if args.serial {
        return Err(Failure::usage(
            "--serial is for jobs of a job system (name one; hint: sundog list, or sundog reproduce RECEIPT)",
        ));
    }
    let receipt = receipts::read(&args.receipt)?;
    let (mut sound, mut wrong) = (0, 0);
    let spec = serde_json::to_vec(&receipt.spec).unwrap_or_default();
    if atomic::sha256(&spec) != receipt.spec_sha256 {
        output::message(&format!(
            "{}: the job in the receipt was changed",
            output::red("differs")
        ));
        wrong += 1;
    }
    let outputs = receipt.tasks.iter().flat_map(TaskReceipt::outputs);
    for output in outputs {
        let Some(expected) = output.sha256 else {
            continue;
        };
        let path = receipts::output_of(&receipt, &args.receipt, output.output);
        let url = path.to_str().filter(|text| is_url(text));
        let found = match url {
            Some(url) => remote::digest(url).map_err(|failure| failure.message),
            None => (atomic::digest_file(&path).map(|found| found.sha256))
                .map_err(|error| worker::jobfile::io_cause(&error)),
        };
        let reason = match found {
            Ok(found) if found == expected => None,
            Ok(_) => Some("its bytes differ from the receipt's".to_owned()),
            Err(reason) => Some(reason),
        };
        if args.json {
            output::json(
                &json!({"output": path.to_string_lossy(), "ok": reason.is_none(), "reason": reason}),
            );
        }
        match reason {
            None => sound += 1,
            Some(reason) => {
                wrong += 1;
                if !args.json {
                    output::message(&format!(
                        "{}: {}: {reason}",
                        output::red("differs"),
                        path.display()
                    ));
                }
            }
        }
    }
    let failed = receipt
        .tasks
        .iter()
        .filter(|t| t.state != TaskState::Succeeded)
        .count();
    if !args.json {
        let rest = match failed {
            0 => String::new(),
            n => format!("; {n} that did not succeed have no output"),
        };
        output::message(&format!("{sound} of {} outputs match{rest}", sound + wrong));
    }
    Ok(if wrong == 0 { Exit::Ok } else { Exit::Failed })
}
