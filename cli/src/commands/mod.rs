//! One file a command.

pub mod bench;
pub mod completions;
pub mod config;
pub mod dispatcher;
pub mod docs;
pub mod doctor;
pub mod erase;
pub mod export;
pub mod gateway;
pub mod generate;
pub mod gui;
pub mod health;
pub mod info;
pub mod man;
pub mod nodes;
pub mod notifier;
pub mod ops;
pub mod reduce;
pub mod reproduce;
pub mod results;
pub mod run;
pub mod scale;
pub mod schema;
pub mod serve;
pub mod simulate;
pub mod status;
pub mod submit;
pub mod token;
pub mod verify;
mod verify_job;
pub mod watch;
pub mod webhook;

use crate::args::{Cli, Command, WELCOME};
use crate::output;
use clap::Parser as _;
use client::exit::{Exit, Failure, Result};
use imaging::simd;

/// Reads the command line and does what it says.
pub fn run() -> Result {
    let cli = Cli::parse();
    force_simd()?;
    worker::atomic::survive_file_size_limit();
    let Some(command) = cli.command else {
        output::line(WELCOME);
        return Ok(Exit::Ok);
    };
    match command {
        Command::Run(args) => run::run(*args),
        Command::Reduce(args) => reduce::run(args),
        Command::Ops(args) => ops::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Generate(args) => generate::run(args),
        Command::Verify(args) => verify::run(args),
        Command::Reproduce(args) => reproduce::run(args),
        Command::Info(args) => info::run(args),
        Command::Serve(args) => serve::run(*args),
        Command::Gateway(args) => gateway::run(*args),
        Command::Gui(args) => gui::run(args),
        Command::Notifier(args) => notifier::run(*args),
        Command::Dispatcher(args) => dispatcher::run(args),
        Command::Token(args) => token::run(args),
        Command::Submit(args) => submit::run(*args),
        Command::Status(args) => status::status(args),
        Command::Watch(args) => watch::run(args),
        Command::Results(args) => results::run(args),
        Command::Cancel(args) => status::cancel(args),
        Command::Pause(args) => status::pause(args),
        Command::Resume(args) => status::resume(args),
        Command::Delete(args) => status::delete(args),
        Command::Erase(args) => erase::run(args),
        Command::Export(args) => export::run(args),
        Command::Retry(args) => status::retry(args),
        Command::List(args) => status::list(args),
        Command::Nodes(args) => nodes::run(args),
        Command::Scale(args) => scale::run(args),
        Command::DeadLetters(args) => nodes::letters(args),
        Command::Webhook(args) => webhook::run(args),
        Command::Simulate(args) => simulate::run(args),
        Command::Config(args) => config::run(args),
        Command::Doctor(args) => doctor::run(args),
        Command::Health(args) => health::run(&args),
        Command::Schema(args) => schema::run(args),
        Command::Completions(args) => completions::run(args),
        Command::Man => man::run(),
        Command::Docs(args) => docs::run(args),
    }
}

/// Lowers the SIMD level to `SUNDOG_SIMD`, for comparisons: pixels are the same at every level.
fn force_simd() -> Result<()> {
    match std::env::var_os("SUNDOG_SIMD").filter(|v| !v.is_empty()) {
        Some(name) => simd::force_named(&name.to_string_lossy()).map_err(Failure::usage),
        None => Ok(()),
    }
}
