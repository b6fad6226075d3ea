//! `sundog completions`: a script for the shell.

use crate::args::Cli;
use crate::output;
use clap::CommandFactory as _;
use clap_complete::Shell;
use client::exit::{Exit, Result};

/// Options.
#[derive(clap::Args)]
#[command(
    after_help = "For bash: sundog completions bash > ~/.local/share/bash-completion/completions/sundog"
)]
pub struct Args {
    /// The shell
    shell: Shell,
}

/// Prints the script.
pub fn run(args: Args) -> Result {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "sundog", &mut script);
    output::bytes(&script);
    Ok(Exit::Ok)
}
