//! The command line's grammar.

use crate::commands;
use clap::{Parser, Subcommand};

/// Shown by `sundog` without arguments.
pub const WELCOME: &str = "\
sundog processes batches of images, on one core or on a cluster

  sundog run photos/ -o out/ -p 'equalize | gaussian(sigma=2)'
  sundog run scan.tif -o scan.png --format 'png(compression=best)'
  sundog run photos/ -o out/ --dry-run          print the plan, write nothing
  sundog reduce mean run1.npy run2.npy -o mean.npy
  sundog ops gaussian                           what an operation does and takes
  sundog verify out/sundog-receipt.json         outputs still match their hashes

Commands: sundog --help      Options of one: sundog run --help";

/// Processes batches of images, on one core or on a cluster
#[derive(Parser)]
#[command(name = "sundog", version, max_term_width = 100)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The commands.
#[derive(Subcommand)]
pub enum Command {
    /// Process files and directories on this machine
    Run(Box<commands::run::Args>),
    /// Combine many files into one: mean, sum, min, max, std or median of every index
    Reduce(commands::reduce::Args),
    /// List operations, or one operation's parameters
    Ops(commands::ops::Args),
    /// Time a pipeline in memory, without codecs
    Bench(commands::bench::Args),
    /// Check that outputs still match the hashes in a receipt
    Verify(commands::verify::Args),
    /// Run a receipt's job again from its inputs and compare every hash
    Reproduce(commands::reproduce::Args),
    /// Print size, format, colour and histogram of images
    Info(commands::info::Args),
    /// Show where each setting comes from
    Config(commands::config::Args),
    /// Check this machine's set-up; each failure with its fix
    Doctor(commands::doctor::Args),
    /// Print the JSON Schema of a job file, receipt or event
    Schema(commands::schema::Args),
    /// Print a completion script for a shell
    Completions(commands::completions::Args),
    /// Print the manual page
    Man,
    /// Print generated pages of the documentation
    #[command(hide = true)]
    Docs(commands::docs::Args),
}
