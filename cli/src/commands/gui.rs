//! `sundog gui`: starts the window, a program of its own, so that the command line needs no display.

use client::exit::{Exit, Failure, Result};
use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;
use worker::mpirun::{in_path, is_executable};

/// Options.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  sundog gui photos/
  sundog gui --spec job.toml
  sundog gui --target serve photos/

Options of the window:
  --spec FILE          a job file (TOML, YAML or JSON) to begin with
  --target WHERE       where jobs run: local, serve, cluster, or the address of a gateway
  --screenshot OUT.png write a picture of the window and end; --after SECS: so much later

Starts the program sundog-gui, found beside this one or in PATH.")]
pub struct Args {
    /// Files, directories and options of the window
    #[arg(
        value_name = "FILES",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    given: Vec<OsString>,
}

/// Becomes the window.
pub fn run(args: Args) -> Result {
    let program = program().ok_or_else(|| {
        Failure::failed(
            "sundog-gui was not found beside this program nor in PATH (build it: cargo build --release -p sundog-gui; \
             or install it: cargo install --path gui)",
        )
    })?;
    let error = Command::new(&program).args(args.given).exec();
    Err(Failure {
        exit: Exit::Failed,
        message: format!("cannot start {}: {error}", program.display()),
    })
}

fn program() -> Option<PathBuf> {
    let beside = std::env::current_exe().ok()?.with_file_name("sundog-gui");
    Some(beside)
        .filter(|path| is_executable(path))
        .or_else(|| in_path("sundog-gui"))
}
