//! One thing that is told: an event or a reset, as JSON and as the text of a stream of server-sent events.

use bytes::Bytes;
use cloud::events::{Cursor, Record};
use dispatcher::jobs::JobStatus;
use protocol::Event;
use serde_json::json;
use std::ops::Range;

/// The kind of what tells that history was lost.
pub const RESET: &str = "reset";

/// One thing that is told to all who watch.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Which job; empty for a reset of everything.
    pub job: String,
    /// When the job was submitted, where the feed knows it.
    pub submitted: String,
    /// Where a reader of this job stands who has it.
    pub cursor: Cursor,
    /// `job_started`, …, or [`RESET`].
    pub kind: &'static str,
    /// The writer's name for the event, the same in every history; empty for resets.
    pub key: String,
    /// The job is at its end; of a reset: it was at its end when its events were lost.
    pub ended: bool,
    /// `id: …`, `event: …`, `data: …` and an empty line.
    pub frame: Bytes,
    data: Range<usize>,
}

impl Entry {
    /// An event with the id that a client comes back with.
    pub fn event(job: &str, cursor: Cursor, record: &Record, id: &str) -> Entry {
        let data = match serde_json::to_string(&record.event) {
            Ok(json) => json,
            Err(error) => unreachable!("plain data: {error}"),
        };
        let kind = kind(&record.event);
        let (frame, data) = frame(id, kind, &data);
        Entry {
            job: job.to_owned(),
            submitted: String::new(),
            cursor,
            kind,
            key: record.key.clone(),
            ended: ends(&record.event),
            frame,
            data,
        }
    }

    /// Events were lost: what is known instead. `more`: there are other jobs, too.
    pub fn reset(job: &str, was_ended: bool, jobs: &[JobStatus], more: bool, id: &str) -> Entry {
        let mut data = json!({"version": protocol::VERSION, "event": RESET, "jobs": jobs});
        if !job.is_empty() {
            data["job"] = job.into();
        }
        if more {
            data["more"] = true.into();
        }
        let (frame, data) = frame(id, RESET, &data.to_string());
        Entry {
            job: job.to_owned(),
            submitted: String::new(),
            cursor: Cursor::default(),
            kind: RESET,
            key: String::new(),
            ended: was_ended,
            frame,
            data,
        }
    }

    /// The same with the time when the job was submitted.
    pub fn submitted(mut self, submitted: &str) -> Entry {
        submitted.clone_into(&mut self.submitted);
        self
    }

    /// The event as JSON.
    pub fn data(&self) -> Bytes {
        self.frame.slice(self.data.clone())
    }

    /// Whether it was told under this id.
    pub fn has_id(&self, id: &str) -> bool {
        let line = self.frame.strip_prefix(b"id: ");
        let rest = line.and_then(|line| line.strip_prefix(id.as_bytes()));
        rest.is_some_and(|rest| rest.first() == Some(&b'\n'))
    }

    /// The id it was told under.
    pub fn id(&self) -> &str {
        let line = self.frame.split(|byte| *byte == b'\n').next();
        let id = line.and_then(|line| line.strip_prefix(b"id: "));
        id.and_then(|id| std::str::from_utf8(id).ok())
            .unwrap_or("0")
    }
}

/// Neither part can hold a line's end: ids are checked, and JSON writes it as `\n`.
fn frame(id: &str, kind: &str, data: &str) -> (Bytes, Range<usize>) {
    let text = format!("id: {id}\nevent: {kind}\ndata: {data}\n\n");
    let end = text.len() - 2;
    (Bytes::from(text), end - data.len()..end)
}

/// The field `event` of an event.
pub fn kind(event: &Event) -> &'static str {
    match event {
        Event::TaskPlanned(_) => "task_planned",
        Event::JobPlanned(_) => "job_planned",
        Event::JobStarted(_) => "job_started",
        Event::TaskStarted(_) => "task_started",
        Event::Warning(_) => "warning",
        Event::TaskFinished(_) => "task_finished",
        Event::JobFinished(_) => "job_finished",
    }
}

/// Whether nothing more is expected of a job.
pub fn ends(event: &Event) -> bool {
    matches!(event, Event::JobFinished(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::event::TaskStarted;

    #[test]
    fn untrusted_names_cannot_end_a_line() {
        let event = Event::TaskStarted(TaskStarted {
            cost: None,
            version: 1,
            seq: Some(3),
            job: "j".into(),
            task: 1,
            input: "a\n\ndata: x\r\u{2028}<b>.jpg".into(),
            node: None,
            attempt: 1,
        });
        let record = Record {
            seq: 3,
            key: "k".into(),
            event,
        };
        let cursor = Cursor { seq: 3, history: 9 };
        let entry = Entry::event("j", cursor, &record, "3.9");
        let text = std::str::from_utf8(&entry.frame).unwrap();
        assert_eq!(text.lines().count(), 4, "{text}");
        assert!(!text.contains('\r'));
        assert!(entry.has_id("3.9") && !entry.has_id("3.") && !entry.has_id("3.9\n"));
        assert_eq!(entry.id(), "3.9");
        let back: Event = serde_json::from_slice(&entry.data()).unwrap();
        assert_eq!(back, record.event);
    }
}
