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

  sundog gui photos/                            the same in a window, with a preview

  sundog serve                                  the job system, on this machine
  sundog submit photos/ -p invert --watch       a batch for it, here or on a cluster
  sundog results JOB --download out/            what came out of it

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
    /// Make number files or images from a seed, for trials and benchmarks
    Generate(commands::generate::Args),
    /// Check that outputs still match the hashes in a receipt
    Verify(commands::verify::Args),
    /// Run a receipt's job again from its inputs and compare every hash
    Reproduce(commands::reproduce::Args),
    /// Print size, format, colour and histogram of images
    Info(commands::info::Args),
    /// Submit a batch to the job system
    Submit(Box<commands::submit::Args>),
    /// Print where a job is
    Status(commands::status::One),
    /// Follow jobs to their ends
    Watch(commands::watch::Args),
    /// Print links to a job's outputs, or download them
    Results(commands::results::Args),
    /// End jobs
    Cancel(commands::status::Many),
    /// Begin nothing more of jobs until they are resumed
    Pause(commands::status::Many),
    /// Go on with jobs that were paused
    Resume(commands::status::Many),
    /// Run what did not succeed of jobs again
    Retry(commands::status::Many),
    /// Remove everything of jobs now: receipts and outputs; work on them ends
    Delete(commands::status::Many),
    /// Remove everything of a user; for administrators
    Erase(commands::erase::Args),
    /// Save everything of yours as one archive: jobs, outputs, uploads
    Export(commands::export::Args),
    /// Print your jobs, the newest first
    List(commands::status::All),
    /// Print the nodes that work
    Nodes(commands::nodes::Args),
    /// Set how many workers there are
    Scale(commands::scale::Args),
    /// Look at tasks that ran out of attempts, and try them again
    DeadLetters(commands::nodes::Letters),
    /// Open the window: files, a pipeline with its preview, runs and jobs
    Gui(commands::gui::Args),
    /// Run the whole job system in this process
    Serve(Box<commands::serve::Args>),
    /// Serve the cluster's jobs over HTTP, with the web page
    Gateway(Box<commands::gateway::Args>),
    /// Serve the cluster's events over HTTP, and deliver webhooks
    Notifier(Box<commands::notifier::Args>),
    /// Run tasks of the cluster on this machine
    Dispatcher(commands::dispatcher::Args),
    /// Predict how long a job takes on a cluster
    Simulate(commands::simulate::Args),
    /// Let users into a gateway
    Token(commands::token::Args),
    /// Have events posted to an address, and see to such webhooks
    Webhook(commands::webhook::Args),
    /// Show where each setting comes from
    Config(commands::config::Args),
    /// Check this machine's set-up; each failure with its fix
    Doctor(commands::doctor::Args),
    /// Ask a service of this machine whether it is ready
    Health(commands::health::Args),
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
