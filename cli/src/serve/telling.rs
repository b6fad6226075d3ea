//! Services as commands tell of themselves as the programs do: logs, metrics and traces.

use crate::exit::{Failure, Result};
use crate::jobs::session;
use service::telemetry::{self, Telemetry, metrics};
use std::net::SocketAddr;
use tokio_util::sync::CancellationToken;

/// Runs a service on a runtime that ends with it. `metrics`: where to serve those beside its own listener.
pub fn block_on<T>(
    name: &'static str,
    metrics: Option<SocketAddr>,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let failed = |error: telemetry::Error| Failure::usage(error.to_string());
    session::block_on(async {
        let telemetry = Telemetry::start(name).map_err(failed)?;
        let end = CancellationToken::new();
        let worked = async {
            if let Some(addr) = metrics {
                let listening = metrics::start(addr, end.clone()).await;
                listening.map_err(failed)?;
            }
            work.await
        };
        let worked = worked.await;
        end.cancel();
        telemetry.shutdown().await;
        worked
    })
}
