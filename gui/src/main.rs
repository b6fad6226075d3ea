//! The program `sundog-gui`.

use clap::Parser as _;
use gui::args::Args;
use std::process::ExitCode;

fn main() -> ExitCode {
    gui::app::run(Args::parse())
}
