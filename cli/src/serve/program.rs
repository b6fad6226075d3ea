//! Services as commands: the same as the programs of their own, with the layered settings and words for a terminal.

use crate::jobs::session;
use crate::output;
use client::exit::{Failure, Result};
use service::signals::{self, Asked, Ends};
use service::telemetry;
use std::net::SocketAddr;

/// Runs a service on a runtime that ends with it. `metrics`: where to serve those beside its own listener.
pub fn block_on<T>(
    name: &'static str,
    metrics: Option<SocketAddr>,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    session::block_on(telemetry::around(name, metrics, work))
}

/// Follows SIGTERM and Ctrl-C and says what they do. Needs a Tokio runtime.
pub fn ends() -> Result<Ends> {
    let ends = signals::ends(|asked| match asked {
        Asked::Finish => output::message("finishing what is in hand (once more: handing it back)"),
        Asked::HandBack => {
            output::message("handing back what is in hand (once more: ending at once)");
        }
        Asked::Stop => worker::atomic::discard_pending(),
    });
    ends.map_err(|error| Failure::failed(format!("no signals: {error}")))
}
