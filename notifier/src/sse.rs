//! Server-sent events: `GET /v1/jobs/{id}/events` and `GET /v1/events`.

use crate::places::Marks;
use crate::problem::problem;
use crate::seats::Seat;
use crate::server::App;
use crate::watch::{After, Watch};
use crate::{Config, Notifier};
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use bytes::{BufMut as _, Bytes, BytesMut};
use cloud::events::Cursor;
use futures_util::{Stream, stream};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use service::{Api, Operation, Problem, User};
use std::convert::Infallible;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const LAST: HeaderName = HeaderName::from_static("last-event-id");
/// Tells proxies that wait for a whole answer not to.
const UNBUFFERED: HeaderName = HeaderName::from_static("x-accel-buffering");

/// The two addresses.
pub fn add(api: Api<App>) -> Api<App> {
    let stream = |operation: Operation| {
        let id = serde_json::json!({"type": "string"});
        operation
            .tag("events")
            .header(
                "Last-Event-ID",
                "The id of the last event that was seen, to go on behind it.",
                id,
            )
            .answer_as(
                200,
                "events as they happen, with comments in between so that it is known to live",
                "text/event-stream",
            )
            .endless()
    };
    api.add(
        stream(Operation::get("/v1/jobs/{id}/events", "followJob", "Follows the events of a job"))
            .about("Begins with what has happened; numbers of events have no gaps.")
            .id("Id of a job."),
        job,
    )
    .add(
        stream(Operation::get("/v1/events", "followAll", "Follows the events of all your jobs"))
            .about("Begins with what happens next, or behind Last-Event-ID; with 0, with all that is kept."),
        all,
    )
}

async fn job(
    State(notifier): State<Notifier>,
    user: User,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let after = match last(&headers)? {
        Some(text) => text
            .parse::<Cursor>()
            .map_err(|error| Problem::invalid("Last-Event-ID", error.to_string()))?,
        None => Cursor::default(),
    };
    let after = match after.seq {
        0 => Cursor::default(),
        _ => after,
    };
    let seat = notifier.seats().take(&user.name)?;
    let load = notifier.jobs().load(&user.name, &id);
    load.await.map_err(problem)?;
    let watch = notifier.hub().job(&user.name, &id, after);
    Ok(respond(&notifier, watch, seat))
}

async fn all(
    State(notifier): State<Notifier>,
    user: User,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let after = match last(&headers)? {
        None => After::Now,
        Some("0") => After::Start,
        Some(text) => {
            let marks = text.parse::<Marks>().map_err(|_| {
                Problem::invalid(
                    "Last-Event-ID",
                    "expected the id of an event of this stream, or 0 for all that are kept",
                )
            })?;
            After::Marks(Box::new(marks))
        }
    };
    let seat = notifier.seats().take(&user.name)?;
    let watch = notifier.hub().user(&user.name, after).await?;
    Ok(respond(&notifier, watch, seat))
}

/// The id that a client comes back with.
fn last(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(value) = headers.get(&LAST) else {
        return Ok(None);
    };
    let text = value.to_str().map(str::trim).unwrap_or("?");
    Ok((!text.is_empty()).then_some(text))
}

fn respond(notifier: &Notifier, watch: Watch, seat: Seat) -> Response {
    let told = Told::new(watch, seat, notifier.config(), notifier.shutdown());
    let mut response = Response::new(Body::from_stream(told.stream()));
    let headers = response.headers_mut();
    let fixed = HeaderValue::from_static;
    headers.insert(header::CONTENT_TYPE, fixed("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, fixed("no-store"));
    headers.insert(UNBUFFERED, fixed("no"));
    response
}

/// The body of one client's answer.
struct Told {
    watch: Watch,
    first: Option<Bytes>,
    heartbeat: Duration,
    end: Instant,
    shutdown: CancellationToken,
    _seat: Seat,
}

impl Told {
    fn new(watch: Watch, seat: Seat, config: &Config, shutdown: CancellationToken) -> Told {
        // The first bytes come at once, so that the client knows that it is heard. An id without data only
        // becomes the client's last id.
        let mut first = String::from(": watching\n\n");
        if let Some((_, id)) = watch.begin() {
            first.push_str(&format!("id: {id}\n\n"));
        }
        Told {
            watch,
            first: Some(first.into()),
            heartbeat: config.heartbeat,
            // Not all clients that came together leave together.
            end: Instant::now() + config.life.mul_f64(1.0 - 0.2 * crate::random::fraction()),
            shutdown,
            _seat: seat,
        }
    }

    fn stream(self) -> impl Stream<Item = Result<Bytes, Infallible>> {
        stream::unfold(self, |mut told| async move {
            let chunk = told.next().await?;
            Some((Ok(chunk), told))
        })
    }

    /// The next piece of text; None at the end.
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        tokio::select! {
            () = self.shutdown.cancelled() => None,
            () = tokio::time::sleep_until(self.end) => None,
            entries = self.watch.next() => {
                let entries = entries?;
                let len = entries.iter().map(|entry| entry.frame.len()).sum();
                let mut text = BytesMut::with_capacity(len);
                for entry in entries {
                    text.put_slice(&entry.frame);
                }
                Some(text.freeze())
            }
            () = tokio::time::sleep(self.heartbeat) => Some(Bytes::from_static(b": alive\n\n")),
        }
    }
}
