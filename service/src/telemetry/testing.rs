//! For tests: a collector of spans within the process, logs in memory, and a reader of Prometheus' text form.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use prost::Message as _;
use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

/// A span that arrived.
#[derive(Clone, Debug)]
pub struct Received {
    /// `service.name`.
    pub service: String,
    /// Its name.
    pub name: String,
    /// Its trace, in hexadecimal digits.
    pub trace: String,
    /// Its id.
    pub id: String,
    /// The id of its parent, empty for a root.
    pub parent: String,
    /// Attributes as text.
    pub attributes: BTreeMap<String, String>,
    /// Attribute values of its events, joined.
    pub events: Vec<String>,
}

/// A collector that takes OTLP over HTTP.
#[derive(Debug)]
pub struct Collector {
    addr: SocketAddr,
    spans: Arc<Mutex<Vec<Received>>>,
    _served: AbortOnDropHandle<()>,
}

impl Collector {
    /// Listens on a free port of the loopback interface.
    pub async fn start() -> std::io::Result<Collector> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let addr = listener.local_addr()?;
        let spans = Arc::<Mutex<Vec<Received>>>::default();
        let router = Router::new()
            .route("/v1/traces", post(take))
            .with_state(spans.clone());
        let served = tokio::spawn(crate::serve(
            listener,
            router,
            crate::Limits::default(),
            Default::default(),
        ));
        Ok(Collector {
            addr,
            spans,
            _served: AbortOnDropHandle::new(served),
        })
    }

    /// For `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// What arrived so far.
    pub fn spans(&self) -> Vec<Received> {
        lock(&self.spans).clone()
    }
}

async fn take(State(spans): State<Arc<Mutex<Vec<Received>>>>, body: Bytes) -> Vec<u8> {
    let Ok(request) = ExportTraceServiceRequest::decode(body) else {
        return Vec::new();
    };
    for resource in request.resource_spans {
        let attributes = resource.resource.map(|r| r.attributes);
        let about = texts(attributes.unwrap_or_default());
        let service = about.get("service.name").cloned().unwrap_or_default();
        for span in resource.scope_spans.into_iter().flat_map(|s| s.spans) {
            let event = |attributes| {
                let values: Vec<String> = texts(attributes).into_values().collect();
                values.join(" ")
            };
            lock(&spans).push(Received {
                service: service.clone(),
                name: span.name,
                trace: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
                attributes: texts(span.attributes),
                events: span
                    .events
                    .into_iter()
                    .map(|e| event(e.attributes))
                    .collect(),
            });
        }
    }
    Vec::new()
}

fn texts(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |attribute: KeyValue| {
        let value = attribute.value.and_then(|value| value.value);
        let text = match value {
            Some(any_value::Value::StringValue(text)) => text,
            Some(any_value::Value::IntValue(n)) => n.to_string(),
            Some(any_value::Value::DoubleValue(n)) => n.to_string(),
            other => format!("{other:?}"),
        };
        (attribute.key, text)
    };
    attributes.into_iter().map(text).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Logs in memory.
#[derive(Clone, Debug, Default)]
pub struct Logs(Arc<Mutex<Vec<u8>>>);

impl Logs {
    /// For [`super::Settings`].
    pub fn writer(&self) -> BoxMakeWriter {
        let logs = self.clone();
        BoxMakeWriter::new(move || logs.clone())
    }

    /// What was written so far.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&lock(&self.0)).into_owned()
    }
}

impl Write for Logs {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        lock(&self.0).extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Reads Prometheus' text form: values by name with labels, as `name{a="b"}`, labels sorted.
///
/// # Errors
/// The line that is none, has no `TYPE` before it, or no `HELP`.
pub fn read_metrics(text: &str) -> Result<BTreeMap<String, f64>, String> {
    let (mut helped, mut typed) = (Vec::new(), BTreeMap::new());
    let mut values = BTreeMap::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            helped.push(rest.split(' ').next().unwrap_or_default());
            continue;
        }
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|r| r.split_once(' ')) {
            if typed.insert(name, kind).is_some() || !helped.contains(&name) {
                return Err(format!("{line}: twice, or without help"));
            }
            continue;
        }
        let wrong = || format!("`{line}` is no sample");
        let (series, value) = line.rsplit_once(' ').ok_or_else(wrong)?;
        let (name, labels) = match series.split_once('{') {
            Some((name, labels)) => (name, labels.strip_suffix('}').ok_or_else(wrong)?),
            None => (series, ""),
        };
        let is_series = |kind: &str| match kind {
            "histogram" => ["_bucket", "_sum", "_count"].iter().any(|end| {
                name.strip_suffix(end)
                    .is_some_and(|n| typed.contains_key(n))
            }),
            _ => typed.contains_key(name),
        };
        if !typed
            .get(name)
            .copied()
            .map_or_else(|| is_series("histogram"), is_series)
        {
            return Err(format!("`{line}` has no TYPE before it"));
        }
        let mut labels: Vec<&str> = labels.split_terminator(',').collect();
        labels.sort_unstable();
        let series = match labels.is_empty() {
            true => name.to_owned(),
            false => format!("{name}{{{}}}", labels.join(",")),
        };
        let value = value.parse().map_err(|_| wrong())?;
        if values.insert(series, value).is_some() {
            return Err(format!("`{line}` is there twice"));
        }
    }
    Ok(values)
}
