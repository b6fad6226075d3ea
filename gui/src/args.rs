//! The command line of `sundog-gui`.

use clap::Parser;
use std::path::PathBuf;

/// The window of Sundog: files, a pipeline, a preview, runs and jobs
#[derive(Clone, Debug, Default, Parser)]
#[command(name = "sundog-gui", version, max_term_width = 100)]
pub struct Args {
    /// Files and directories to begin with
    #[arg(value_name = "FILES")]
    pub files: Vec<PathBuf>,
    /// A job file (TOML, YAML or JSON) to begin with
    #[arg(long, value_name = "FILE")]
    pub spec: Option<PathBuf>,
    /// Where jobs run: local, serve, cluster, or the address of a gateway
    #[arg(long, value_name = "WHERE")]
    pub target: Option<String>,
    /// Write a picture of the window and end
    #[arg(long, value_name = "OUT.png")]
    pub screenshot: Option<PathBuf>,
    /// Seconds before that picture; without, as soon as nothing is being computed
    #[arg(long, value_name = "SECS", requires = "screenshot")]
    pub after: Option<f64>,
}
