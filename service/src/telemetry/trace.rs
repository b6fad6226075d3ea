//! Traces: spans to an OTLP collector, and the thread that leads from one service to the next.
//!
//! Spans are those of `tracing` in Sundog's own crates. Nothing is collected unless the environment names a
//! collector; then the calls below do nothing.

use super::export::Sender;
use super::{Error, is_own, variable};
use opentelemetry::Context;
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState, TracerProvider as _,
};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracerProvider, Tracer};
use std::sync::atomic::{AtomicBool, Ordering};
use tracing::{Level, Span, Subscriber};
use tracing_opentelemetry::{OpenTelemetryLayer, OpenTelemetrySpanExt as _};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

/// Events of this target become events of the span around them, whatever is logged.
pub const STAGE: &str = "sundog_stage";

static ACTIVE: AtomicBool = AtomicBool::new(false);

/// Where spans go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Traces {
    /// Nowhere.
    Off,
    /// To the collector that the variables of OpenTelemetry name.
    Environment,
    /// To this address of a collector, as `http://127.0.0.1:4318/v1/traces`.
    To(String),
}

impl Traces {
    /// On when `OTEL_EXPORTER_OTLP_ENDPOINT` (or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`) is set, unless
    /// `OTEL_SDK_DISABLED` is `true` or `OTEL_TRACES_EXPORTER` is `none`.
    pub fn from_env() -> Traces {
        let endpoints = [
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        ];
        let off = variable("OTEL_SDK_DISABLED").is_some_and(|v| v.eq_ignore_ascii_case("true"))
            || variable("OTEL_TRACES_EXPORTER").is_some_and(|v| v == "none");
        match !off && endpoints.into_iter().any(|name| variable(name).is_some()) {
            true => Traces::Environment,
            false => Traces::Off,
        }
    }
}

pub(super) fn provider(
    service: &'static str,
    traces: Traces,
) -> Result<Option<SdkTracerProvider>, Error> {
    let failed = |reason: String| Error::Setting {
        name: "OTEL_EXPORTER_OTLP_ENDPOINT",
        reason,
    };
    let builder = SpanExporter::builder().with_http();
    let builder = match traces {
        Traces::Off => return Ok(None),
        Traces::Environment => builder,
        Traces::To(endpoint) => builder.with_endpoint(endpoint),
    };
    let exporter = builder
        .with_protocol(Protocol::HttpBinary)
        .with_http_client(Sender::new().map_err(failed)?)
        .build()
        .map_err(|error| failed(format!("{error} (hint: http://127.0.0.1:4318)")))?;
    let mut resource = Resource::builder();
    // Otherwise the resource has it from there.
    if variable("OTEL_SERVICE_NAME").is_none() {
        resource = resource.with_service_name(service);
    }
    let version = opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource.with_attribute(version).build());
    Ok(Some(provider.build()))
}

pub(super) fn layer<S>(provider: &SdkTracerProvider) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let layer: OpenTelemetryLayer<S, Tracer> = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("sundog"))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_level(false)
        .with_tracked_inactivity(false)
        .with_error_events_to_exceptions(false);
    layer.with_filter(filter_fn(|meta| match meta.is_span() {
        true => is_own(meta.target()) && *meta.level() <= Level::DEBUG,
        false => meta.target() == STAGE || is_own(meta.target()) && *meta.level() <= Level::WARN,
    }))
}

pub(super) fn activate() {
    ACTIVE.store(true, Ordering::Release);
}

/// Whether spans are collected.
pub fn is_active() -> bool {
    ACTIVE.load(Ordering::Acquire)
}

/// The span that the caller is in, as a W3C `traceparent`, to go along with what is sent.
pub fn current() -> Option<String> {
    if !is_active() {
        return None;
    }
    let context = Span::current().context();
    let span = context.span();
    let span = span.span_context();
    span.is_valid().then(|| {
        let flags = span.trace_flags() & TraceFlags::SAMPLED;
        let (trace, id) = (span.trace_id(), span.span_id());
        format!("00-{trace:032x}-{id:016x}-{flags:02x}")
    })
}

/// Makes the span a child of one in another service, if `parent` is a `traceparent`. Call it before the span is
/// entered.
pub fn follow(span: &Span, parent: Option<&str>) {
    if is_active()
        && let Some(parent) = parent.and_then(parse)
    {
        // An error means that the span is not collected.
        let _ = span.set_parent(Context::new().with_remote_span_context(parent));
    }
}

fn parse(text: &str) -> Option<SpanContext> {
    let parts: Vec<&str> = text.splitn(5, '-').collect();
    let &["00", trace, span, flags] = &parts[..] else {
        return None;
    };
    let fits =
        |part: &str, digits| part.len() == digits && part.bytes().all(|b| b.is_ascii_hexdigit());
    if !fits(trace, 32) || !fits(span, 16) || !fits(flags, 2) {
        return None;
    }
    let flags = u8::from_str_radix(flags, 16).ok()?;
    let context = SpanContext::new(
        TraceId::from_hex(trace).ok()?,
        SpanId::from_hex(span).ok()?,
        TraceFlags::new(flags) & TraceFlags::SAMPLED,
        true,
        TraceState::default(),
    );
    context.is_valid().then_some(context)
}

/// The trace that the caller is in, for logs.
pub(super) fn current_id() -> Option<String> {
    if !is_active() {
        return None;
    }
    let context = Context::current();
    let span = context.span();
    let span = span.span_context();
    span.is_valid().then(|| span.trace_id().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_traceparent_is_followed() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let context = parse(good).unwrap();
        assert!(context.is_sampled() && context.is_remote());
        let bad = [
            "",
            "00",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ];
        for text in bad {
            assert!(parse(text).is_none(), "{text}");
        }
        // Without a collector nothing goes along.
        assert_eq!(current(), None);
    }
}
