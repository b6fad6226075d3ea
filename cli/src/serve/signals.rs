//! The end of a service: the first signal asks it to finish its work, the second to hand it back, the third
//! ends it at once.

use crate::exit::{Failure, Result};
use crate::output;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// What signals ask for.
#[derive(Clone, Debug, Default)]
pub struct Ends {
    /// Take nothing more, finish what is in hand.
    pub shutdown: CancellationToken,
    /// Hand back what is in hand.
    pub hurry: CancellationToken,
}

/// Follows SIGTERM and Ctrl-C. Needs a Tokio runtime.
pub fn ends() -> Result<Ends> {
    let listen = |kind| signal(kind).map_err(|e| Failure::failed(format!("no signals: {e}")));
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut end = listen(SignalKind::terminate())?;
    let ends = Ends::default();
    let asked = ends.clone();
    tokio::spawn(async move {
        for (token, text) in [
            (
                asked.shutdown,
                "finishing what is in hand (once more: handing it back)",
            ),
            (
                asked.hurry,
                "handing back what is in hand (once more: ending at once)",
            ),
        ] {
            tokio::select! { _ = interrupt.recv() => {}, _ = end.recv() => {} }
            output::message(text);
            token.cancel();
        }
        tokio::select! { _ = interrupt.recv() => {}, _ = end.recv() => {} }
        worker::atomic::discard_pending();
        std::process::exit(130);
    });
    Ok(ends)
}
