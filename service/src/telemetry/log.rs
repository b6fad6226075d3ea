//! Logs: one line an event, as JSON or as text for people, with the fields of the spans around it.
//!
//! Names of files and jobs and texts of errors come from strangers. What could move a cursor, begin another line or
//! turn text around is written as an escape.

use super::{Error, is_own, variable};
use serde_json::{Map, Value};
use std::fmt;
use std::io::IsTerminal as _;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{EnvFilter, FilterExt as _, filter_fn};
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// Characters of one value that are shown.
const MAX_VALUE: usize = 4096;

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line: `time`, `level`, `target`, `message`, and fields.
    Json,
    /// For people.
    Text {
        /// With the level in colour.
        colour: bool,
    },
}

impl Format {
    /// `SUNDOG_LOG_FORMAT`, else text on a terminal and JSON elsewhere.
    pub fn from_env() -> Result<Format, Error> {
        let terminal = std::io::stderr().is_terminal();
        let text = Format::Text {
            colour: terminal && variable("NO_COLOR").is_none(),
        };
        match variable("SUNDOG_LOG_FORMAT").as_deref() {
            Some("json") => Ok(Format::Json),
            Some("text") => Ok(text),
            None if terminal => Ok(text),
            None => Ok(Format::Json),
            Some(_) => Err(Error::Setting {
                name: "SUNDOG_LOG_FORMAT",
                reason: "expected json or text".into(),
            }),
        }
    }
}

/// The layer that writes logs.
pub fn layer<S>(filter: &str, format: Format, writer: BoxMakeWriter) -> Result<impl Layer<S>, Error>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let wanted = EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .parse(filter)
        .map_err(|error| Error::Setting {
            name: "SUNDOG_LOG",
            reason: format!("{error} (hint: info, or dispatcher=debug,warn)"),
        })?;
    // A warning is told with its job even where only warnings are.
    let spans =
        filter_fn(|meta| meta.is_span() && is_own(meta.target()) && *meta.level() <= Level::INFO)
            .with_max_level_hint(LevelFilter::INFO);
    let safe = filter_fn(|meta| is_own(meta.target()) || *meta.level() <= Level::INFO);
    Ok(tracing_subscriber::fmt::layer()
        .fmt_fields(JsonFields::new())
        .event_format(Lines(format))
        .with_writer(writer)
        .with_filter(wanted.or(spans).and(safe)))
}

struct Lines(Format);

impl<S> FormatEvent<S, JsonFields> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        for span in context
            .event_scope()
            .into_iter()
            .flat_map(|s| s.from_root())
        {
            let extensions = span.extensions();
            let formatted = extensions.get::<FormattedFields<JsonFields>>();
            let known: Option<Map<String, Value>> =
                formatted.and_then(|f| serde_json::from_str(&f.fields).ok());
            for (name, value) in known.into_iter().flatten() {
                fields.add(&name, value);
            }
        }
        event.record(&mut fields);
        if let Some(trace) = super::trace::current_id() {
            fields.add("trace", trace.into());
        }
        let message = fields.0.remove("message").unwrap_or(Value::Null);
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let meta = event.metadata();
        match self.0 {
            Format::Json => {
                let mut line = Map::new();
                line.insert("time".into(), time.into());
                line.insert("level".into(), meta.level().as_str().into());
                line.insert("target".into(), meta.target().into());
                line.insert("message".into(), message);
                line.extend(fields.0);
                let line = serde_json::to_string(&line).map_err(|_| fmt::Error)?;
                for c in line.chars() {
                    match c {
                        // Only within strings, where this is their escape.
                        c if is_harmful(c) => write!(writer, "\\u{:04x}", c as u32)?,
                        c => writer.write_char(c)?,
                    }
                }
            }
            Format::Text { colour } => {
                let level = meta.level();
                match colour {
                    true => write!(writer, "{time} \x1b[{}m{level:>5}\x1b[0m ", paint(level))?,
                    false => write!(writer, "{time} {level:>5} ")?,
                }
                let crate_name = meta.target().split("::").next().unwrap_or_default();
                write!(writer, "{crate_name}: ")?;
                escaped(&mut writer, message.as_str().unwrap_or_default())?;
                for (name, value) in &fields.0 {
                    write!(writer, " {name}=")?;
                    match value {
                        Value::String(text) if is_plain(text) => escaped(&mut writer, text)?,
                        value => escaped(&mut writer, &value.to_string())?,
                    }
                }
            }
        }
        writeln!(writer)
    }
}

fn paint(level: &Level) -> u8 {
    match *level {
        Level::ERROR => 31,
        Level::WARN => 33,
        Level::INFO => 32,
        _ => 2,
    }
}

fn is_plain(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || "\"=\\".contains(c))
}

/// Characters that act on what shows them.
fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        || c == '\u{feff}'
}

fn escaped(writer: &mut Writer<'_>, text: &str) -> fmt::Result {
    for c in text.chars() {
        match c {
            c if is_harmful(c) => write!(writer, "{}", c.escape_default())?,
            c => writer.write_char(c)?,
        }
    }
    Ok(())
}

/// Fields of an event and of the spans around it; the innermost wins.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn add(&mut self, name: &str, mut value: Value) {
        // Those are for the exporter of spans.
        if name.starts_with("otel.") {
            return;
        }
        if let Value::String(text) = &mut value
            && let Some((end, _)) = text.char_indices().nth(MAX_VALUE)
        {
            text.truncate(end);
            text.push('…');
        }
        let name = match name {
            taken @ ("time" | "level" | "target") => &format!("field.{taken}"),
            name => name.strip_prefix("r#").unwrap_or(name),
        };
        self.0.insert(name.to_owned(), value);
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field.name(), format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field.name(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field.name(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field.name(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field.name(), value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field.name(), value.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::{Arc, Mutex};
    use tracing_subscriber::layer::SubscriberExt as _;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(filter: &str, format: Format, work: impl FnOnce()) -> String {
        let sink = Sink::default();
        let writer = sink.clone();
        let layer = layer(filter, format, BoxMakeWriter::new(move || writer.clone())).unwrap();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), work);
        String::from_utf8(sink.0.lock().unwrap().clone()).unwrap()
    }

    const TEXT: Format = Format::Text { colour: false };
    const NASTY: &str = "a\u{1b}[2Jb\nINFO forged\r\u{9b}c\u{202e}d\u{7f}";

    #[test]
    fn lines_hold_the_fields_of_the_spans_around_them() {
        let work = || {
            let job = tracing::info_span!("job", job = "01J", node = "a", otel.kind = "consumer");
            let _job = job.enter();
            let _task = tracing::info_span!("task", task = 3_u64).entered();
            tracing::info!(reason = "odd", "an attempt failed");
            tracing::debug!("not wanted");
        };
        let line = logged("info", Format::Json, work);
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["message"], "an attempt failed");
        assert_eq!((&line["job"], &line["task"]), (&"01J".into(), &3.into()));
        assert_eq!(
            (&line["node"], &line["level"]),
            (&"a".into(), &"INFO".into())
        );
        assert!(line.get("otel.kind").is_none());
        let text = logged("info", TEXT, work);
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(
            text.contains("service: an attempt failed job=01J node=a"),
            "{text}"
        );
        assert!(text.contains("reason=odd task=3"), "{text}");
    }

    #[test]
    fn what_strangers_wrote_stays_text_on_one_line() {
        for format in [TEXT, Format::Json] {
            let text = logged("info", format, || {
                let _span = tracing::info_span!("job", name = NASTY).entered();
                tracing::warn!(error = %NASTY, "about {NASTY}");
            });
            assert_eq!(text.lines().count(), 1, "{text:?}");
            assert!(!text.trim_end().contains(is_harmful), "{text:?}");
            if format == Format::Json {
                let line: Value = serde_json::from_str(&text).unwrap();
                assert_eq!(
                    (&line["error"], &line["name"]),
                    (&NASTY.into(), &NASTY.into())
                );
            }
        }
        let long = "x".repeat(10 * MAX_VALUE);
        assert!(logged("info", TEXT, || tracing::info!(long, "m")).len() < 2 * MAX_VALUE);
    }

    #[test]
    fn warnings_keep_their_job_and_foreign_crates_never_tell_details() {
        let work = || {
            let _span = tracing::info_span!("job", job = "01J").entered();
            let _fine = tracing::debug_span!("fetch", fine = 1).entered();
            tracing::info!("not wanted");
            tracing::warn!("wanted");
            tracing::trace!(target: "lapin::frames", "credentials");
        };
        let text = logged("warn,lapin=trace", Format::Json, work);
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains("01J"), "{text}");
        let error =
            layer::<tracing_subscriber::Registry>("a=b=c", TEXT, BoxMakeWriter::new(std::io::sink));
        assert!(error.err().unwrap().to_string().contains("SUNDOG_LOG"));
    }
}
