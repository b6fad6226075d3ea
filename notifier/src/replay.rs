//! What a watcher missed: from where it stood to where its feed stood when it came, read from the history.

use crate::entry::{Entry, ends};
use crate::hub::status;
use crate::places::{Place, Places};
use crate::watch::Subject;
use cloud::events::{Cursor, Page};
use dispatcher::jobs::JobStatus;
use dispatcher::{Result, names};
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Events read at once.
const PAGE: usize = 256;
/// Jobs in a reset of everything; there may be more, which it says.
const MOST: usize = 100;
/// Jobs looked up at once.
const AT_ONCE: usize = 16;

/// Events of one job.
#[derive(Clone, Debug)]
pub struct Span {
    job: String,
    submitted: String,
    from: Cursor,
    /// Whether the watcher knew of the job's end.
    ended: bool,
    /// Where the feed stood. None: it knows no such job, which may be somebody else's.
    to: Option<Cursor>,
}

impl Span {
    /// From where a watcher stands in a job (None: at its beginning) to where a feed does.
    pub fn new(job: &str, feed: &Places, known: Option<(Cursor, bool)>) -> Span {
        let place = feed.get(job);
        let (from, ended) = known.unwrap_or_default();
        Span {
            job: job.to_owned(),
            submitted: place.map(|p| p.submitted.clone()).unwrap_or_default(),
            from,
            ended,
            to: place.map(|place| place.cursor),
        }
    }

    fn is_lost(&self, page: &Page) -> bool {
        let Cursor { seq, history } = self.from;
        history != 0 && history != page.history || seq > page.last || page.first > seq + 1
    }
}

/// What is still to be told before the feed goes on.
#[derive(Debug)]
pub struct Replay {
    /// Number in the feed that comes next.
    pub at: u64,
    /// Jobs of which the watcher has more than the feed had.
    pub ahead: BTreeMap<String, Cursor>,
    /// Where the watcher stands, for the ids of all jobs; None where it watches one.
    places: Option<Places>,
    spans: VecDeque<Span>,
    /// The watcher starts over, at this id.
    everything: Option<String>,
}

impl Replay {
    /// Spans are told in the order in which their jobs came into being.
    pub fn new(at: u64, places: Option<Places>, mut spans: Vec<Span>) -> Replay {
        spans.sort_by(|a, b| (&a.submitted, &a.job).cmp(&(&b.submitted, &b.job)));
        Replay {
            at,
            ahead: BTreeMap::new(),
            places,
            spans: spans.into(),
            everything: None,
        }
    }

    /// The watcher is told where all jobs are, instead of what happened.
    pub fn everything(at: u64, id: String) -> Replay {
        Replay {
            everything: Some(id),
            ..Replay::new(at, None, Vec::new())
        }
    }

    /// The next entries, perhaps none. None: the feed goes on. After an error the same call may succeed.
    pub async fn next(&mut self, subject: &Subject) -> Result<Option<Vec<Arc<Entry>>>> {
        if let Some(id) = &self.everything {
            let (jobs, more) = all(subject).await?;
            let entry = Entry::reset("", false, &jobs, more, id);
            self.everything = None;
            return Ok(Some(vec![Arc::new(entry)]));
        }
        let Some(span) = self.spans.front() else {
            return Ok(None);
        };
        let page = subject.jobs.events.read(&span.job, span.from.seq, PAGE);
        let page = page.await?;
        if span.is_lost(&page) {
            let status = status(&subject.jobs, &subject.owner, &span.job).await;
            return Ok(Some(self.reset(&page, status)));
        }
        Ok(Some(self.advance(&page)))
    }

    fn reset(&mut self, page: &Page, status: Option<JobStatus>) -> Vec<Arc<Entry>> {
        let Some(mut span) = self.spans.pop_front() else {
            return Vec::new();
        };
        if status.is_none() && span.to.is_none() {
            return Vec::new();
        }
        let id = match &mut self.places {
            Some(places) => {
                places.remove(&span.job);
                places.marks().to_string()
            }
            None => "0".into(),
        };
        let entry = Entry::reset(&span.job, span.ended, status.as_slice(), false, &id);
        let entry = entry.submitted(&span.submitted);
        span.from = Cursor {
            seq: page.first.saturating_sub(1),
            history: page.history,
        };
        if page.last > 0 {
            self.spans.push_front(span);
        }
        vec![Arc::new(entry)]
    }

    fn advance(&mut self, page: &Page) -> Vec<Arc<Entry>> {
        let Some(mut span) = self.spans.pop_front() else {
            return Vec::new();
        };
        // Of another history the feed tells itself.
        let Some(to) = span.to.filter(|to| to.history == page.history) else {
            return Vec::new();
        };
        if span.from.seq > to.seq {
            self.ahead.insert(span.job, span.from);
            return Vec::new();
        }
        let mut entries = Vec::new();
        for record in page.records.iter().filter(|record| record.seq <= to.seq) {
            let cursor = Cursor {
                seq: record.seq,
                history: page.history,
            };
            let id = match &mut self.places {
                Some(places) => {
                    let place = Place {
                        cursor,
                        submitted: span.submitted.clone(),
                        ended: ends(&record.event),
                    };
                    places.set(&span.job, place);
                    places.marks().to_string()
                }
                None => cursor.to_string(),
            };
            let entry = Entry::event(&span.job, cursor, record, &id);
            entries.push(Arc::new(entry.submitted(&span.submitted)));
            span.from = cursor;
        }
        if span.from.seq < to.seq && !entries.is_empty() {
            self.spans.push_front(span);
        }
        entries
    }
}

/// Where the newest jobs of a user are, and whether there are others.
async fn all(subject: &Subject) -> Result<(Vec<JobStatus>, bool)> {
    let jobs = &subject.jobs;
    let marks = jobs.store.list(&names::owner(&subject.owner)).await?;
    let more = marks.len() > MOST;
    let ids: Vec<String> = marks
        .iter()
        .rev()
        .filter_map(|mark| mark.name.rsplit('/').next())
        .take(MOST)
        .map(str::to_owned)
        .collect();
    let looks = ids.into_iter().map(|id| {
        let (jobs, owner) = (jobs.clone(), subject.owner.clone());
        async move { jobs.status(&owner, &id).await }.boxed()
    });
    let found = stream::iter(looks).buffered(AT_ONCE).try_collect().await?;
    Ok((found, more))
}
