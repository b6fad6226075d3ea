//! The end of a service: the first signal asks it to finish its work, the second to hand it back, the third
//! ends it at once.

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

/// What the last signal asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// To finish.
    Finish,
    /// To hand back what is in hand.
    HandBack,
    /// To end at once. The process ends when whoever is told this returns.
    Stop,
}

/// Follows SIGTERM and Ctrl-C; `told` hears of each. Needs a Tokio runtime.
pub fn ends(told: impl Fn(Asked) + Send + 'static) -> std::io::Result<Ends> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut end = signal(SignalKind::terminate())?;
    let ends = Ends::default();
    let asked = ends.clone();
    tokio::spawn(async move {
        let steps = [
            (Asked::Finish, Some(asked.shutdown)),
            (Asked::HandBack, Some(asked.hurry)),
            (Asked::Stop, None),
        ];
        for (what, token) in steps {
            tokio::select! { _ = interrupt.recv() => {}, _ = end.recv() => {} }
            told(what);
            match token {
                Some(token) => token.cancel(),
                None => std::process::exit(130),
            }
        }
    });
    Ok(ends)
}
