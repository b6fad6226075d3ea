//! The `sundog` command.

mod args;
mod commands;
mod interrupt;
mod job_flags;
mod jobs;
mod mpi;
mod output;
mod progress;
mod receipts;
mod resolve;
mod serve;
mod world;

use std::process::ExitCode;

fn main() -> ExitCode {
    match commands::run() {
        Ok(exit) => exit.into(),
        Err(failure) => {
            output::failure(&failure);
            failure.exit.into()
        }
    }
}
