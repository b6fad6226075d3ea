//! A service as a program: what surrounds its work, and how it ends.

use crate::{access, listen, telemetry};
use std::fmt;
use std::net::SocketAddr;
use std::process::ExitCode;

/// Why a service's program ends early, in words for who started it, and its exit code.
#[derive(Debug)]
pub struct Failed {
    /// 2 for settings, 4 for a service that cannot be reached, else 1.
    pub code: u8,
    /// What happened, and the way out.
    pub message: String,
}

impl Failed {
    /// With an exit code.
    pub fn with(code: u8, error: impl fmt::Display) -> Failed {
        Failed {
            code,
            message: error.to_string(),
        }
    }

    /// A setting that cannot work.
    pub fn setting(error: impl fmt::Display) -> Failed {
        Failed::with(2, error)
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failed {}

impl From<cloud::Error> for Failed {
    fn from(error: cloud::Error) -> Failed {
        Failed::with(error.exit_code(), error)
    }
}

impl From<access::Error> for Failed {
    fn from(error: access::Error) -> Failed {
        Failed::setting(error)
    }
}

impl From<listen::Error> for Failed {
    fn from(error: listen::Error) -> Failed {
        Failed::setting(error)
    }
}

impl From<telemetry::Error> for Failed {
    fn from(error: telemetry::Error) -> Failed {
        Failed::setting(error)
    }
}

impl From<std::io::Error> for Failed {
    fn from(error: std::io::Error) -> Failed {
        Failed::with(1, error)
    }
}

/// Runs a service that tells of itself under `name`, and prints why it ended early. `metrics`: where to serve those
/// beside its own listener.
pub async fn run(
    name: &'static str,
    metrics: Option<SocketAddr>,
    work: impl Future<Output = Result<(), Failed>>,
) -> ExitCode {
    match telemetry::around(name, metrics, work).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            eprintln!("error: {failed}");
            ExitCode::from(failed.code)
        }
    }
}
