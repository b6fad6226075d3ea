//! One command's way to the job system: a runtime, a connection, and the interrupt.

use crate::output;
use client::Client;
use client::exit::{Exit, Failure, Result};
use client::settings;
use std::pin::pin;
use tokio::signal::unix::{SignalKind, signal};

/// Runs `work` on a runtime that ends with it.
pub fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("no runtime: {error}")))?;
    let result = runtime.block_on(work);
    // Reads of a file that does not answer hold nobody up.
    runtime.shutdown_background();
    result
}

/// Connects as the settings say and runs `work`; an interrupt ends it with `farewell`.
pub fn run<F>(farewell: impl Fn() -> String, work: impl FnOnce(Client) -> F) -> Result
where
    F: Future<Output = Result>,
{
    let layers = settings::load()?;
    block_on(async {
        let client = client::connect(&layers, output::warning)?;
        until_interrupted(farewell, work(client)).await
    })
}

/// Runs `work` until it ends or the user wants no more of it.
pub async fn until_interrupted(
    farewell: impl Fn() -> String,
    work: impl Future<Output = Result>,
) -> Result {
    let listen = |kind| signal(kind).map_err(|e| Failure::failed(format!("no signals: {e}")));
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut end = listen(SignalKind::terminate())?;
    let mut work = pin!(work);
    tokio::select! {
        result = &mut work => result,
        _ = async { tokio::select! { _ = interrupt.recv() => {}, _ = end.recv() => {} } } => {
            worker::atomic::discard_pending();
            Err(Failure { exit: Exit::Interrupted, message: farewell() })
        }
    }
}
