//! What a service tells of itself: logs, metrics and traces.
//!
//! A program's work runs within [`around`] and mounts [`metrics::router`] where it listens.
//! Libraries use the macros of `tracing` and `metrics` and, where work leaves the process, [`trace`].

mod export;
pub mod log;
pub mod metrics;
pub mod request;
#[cfg(feature = "testing")]
pub mod testing;
pub mod trace;

use opentelemetry_sdk::trace::SdkTracerProvider;
use std::net::SocketAddr;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// How long sending the last spans may take.
const FLUSH: Duration = Duration::from_secs(3);
/// How often the recorder of metrics tidies its histograms.
const UPKEEP: Duration = Duration::from_secs(5);

/// Why a service cannot tell of itself.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A variable of the environment cannot work.
    #[error("{name}: {reason}")]
    Setting {
        /// Which.
        name: &'static str,
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// It was started before in this process.
    #[error("logs, metrics and traces were started already in this process")]
    Twice,
}

/// How a service tells of itself.
#[derive(Debug)]
pub struct Settings {
    /// What is logged, in the syntax of tracing's filters (`SUNDOG_LOG`, `info`).
    pub filter: String,
    /// How (`SUNDOG_LOG_FORMAT`; text on a terminal, else JSON).
    pub format: log::Format,
    /// Where to (standard error).
    pub writer: BoxMakeWriter,
    /// Where spans go.
    pub traces: trace::Traces,
}

impl Settings {
    /// What the environment says.
    pub fn from_env() -> Result<Settings, Error> {
        Ok(Settings {
            filter: variable("SUNDOG_LOG").unwrap_or_else(|| "info".into()),
            format: log::Format::from_env()?,
            writer: BoxMakeWriter::new(std::io::stderr),
            traces: trace::Traces::from_env(),
        })
    }
}

/// A service that tells of itself, until this is dropped or shut down.
#[derive(Debug)]
#[must_use = "dropped, spans are lost"]
pub struct Telemetry {
    provider: Option<SdkTracerProvider>,
    _upkeep: AbortOnDropHandle<()>,
}

impl Telemetry {
    /// Starts logs, metrics and traces as the environment says. Call it once, within a Tokio runtime.
    pub fn start(service: &'static str) -> Result<Telemetry, Error> {
        Telemetry::with(service, Settings::from_env()?)
    }

    /// The same with given settings.
    pub fn with(service: &'static str, settings: Settings) -> Result<Telemetry, Error> {
        let logs = log::layer(&settings.filter, settings.format, settings.writer)?;
        let provider = trace::provider(service, settings.traces)?;
        let spans = provider.as_ref().map(trace::layer);
        tracing_subscriber::registry()
            .with(logs)
            .with(spans)
            .try_init()
            .map_err(|_| Error::Twice)?;
        if provider.is_some() {
            trace::activate();
        }
        let handle = metrics::install(service)?;
        let upkeep = tokio::spawn(async move {
            let mut tick = tokio::time::interval(UPKEEP);
            loop {
                tick.tick().await;
                handle.run_upkeep();
            }
        });
        Ok(Telemetry {
            provider,
            _upkeep: AbortOnDropHandle::new(upkeep),
        })
    }

    /// Sends the spans that are left, for at most three seconds.
    pub async fn shutdown(self) {
        let Some(provider) = self.provider else {
            return;
        };
        // Blocks a thread, and needs this runtime's others to send.
        let flush = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(FLUSH));
        match tokio::time::timeout(FLUSH * 2, flush).await {
            Ok(Ok(Ok(()))) => {}
            _ => tracing::warn!("the last spans were not all sent"),
        }
    }
}

/// Runs a service that tells of itself as the environment says, from its first moment to its last. `listen`: where
/// to serve metrics to those who have no other address of it.
pub async fn around<T, E: From<Error>>(
    service: &'static str,
    listen: Option<SocketAddr>,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let telemetry = Telemetry::start(service)?;
    let end = CancellationToken::new();
    let worked = async {
        if let Some(addr) = listen {
            metrics::start(addr, end.clone()).await?;
        }
        work.await
    };
    let worked = worked.await;
    end.cancel();
    telemetry.shutdown().await;
    worked
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Whether code of Sundog's own speaks. Crates below it may write what they send to services, credentials
/// included, at their finer levels.
fn is_own(target: &str) -> bool {
    let crate_name = target.split("::").next().unwrap_or_default();
    matches!(
        crate_name,
        "cloud" | "dispatcher" | "gateway" | "imaging" | "notifier" | "protocol" | "service"
    ) || matches!(crate_name, "worker" | "sundog")
        || crate_name.starts_with("sundog_")
}
