//! Links to what came out of a job: a page of them at a time, each with its end.

use client::{Output, Results};
use jiff::Timestamp;
use std::collections::BTreeSet;

/// Links that are asked for at once.
pub const PAGE: usize = 200;

/// Links to a job's outputs.
#[derive(Debug)]
pub struct Links {
    /// The job.
    pub job: String,
    /// Those of this page.
    pub outputs: Vec<Output>,
    /// The task before the page's first; none at the beginning.
    pub after: Option<u64>,
    /// The task before the next page's first, where there may be one.
    pub next: Option<u64>,
    /// Where the pages before began.
    pub before: Vec<Option<u64>>,
    /// Whether they are being renewed.
    pub renewing: bool,
    /// Outputs that are chosen, by task and page; also of other pages.
    pub chosen: Chosen,
}

/// Outputs by task and page of a file.
pub type Chosen = BTreeSet<(u64, Option<u32>)>;

/// Until when a link is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// It has no end: a file of this machine.
    Always,
    /// It is good for so many seconds.
    Left(i64),
    /// It is not good any more.
    Over,
    /// Nobody knows.
    Unknown,
}

impl Links {
    /// What was answered to a question for the page behind `after`.
    pub fn page(results: Results, after: Option<u64>) -> Links {
        let tasks = (results.results.iter().map(|o| o.task))
            .chain(results.failed.iter().map(|f| f.task))
            .collect::<BTreeSet<u64>>();
        let next = tasks.last().copied().filter(|_| tasks.len() >= PAGE);
        Links {
            job: results.job,
            outputs: results.results,
            after,
            next,
            before: Vec::new(),
            renewing: false,
            chosen: Chosen::new(),
        }
    }

    /// The first end of a link of the page, which is when all of them are best renewed.
    pub fn until(&self, now: Timestamp) -> Until {
        let ends = self.outputs.iter().map(|output| until(output, now));
        let rank = |until: &Until| match until {
            Until::Over => i64::MIN,
            Until::Left(secs) => *secs,
            Until::Unknown => i64::MAX - 1,
            Until::Always => i64::MAX,
        };
        ends.min_by_key(rank).unwrap_or(Until::Always)
    }
}

/// Until when the link to an output is good, by the end that the store signed.
pub fn until(output: &Output, now: Timestamp) -> Until {
    let Some(text) = &output.expires else {
        return Until::Always;
    };
    match text.parse::<Timestamp>() {
        Ok(end) if end > now => Until::Left(end.as_second() - now.as_second()),
        Ok(_) => Until::Over,
        Err(_) => Until::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(task: u64, expires: Option<&str>) -> Output {
        serde_json::from_value(serde_json::json!({
            "task": task, "output": "a.png", "url": "https://x/a", "expires": expires
        }))
        .unwrap()
    }

    #[test]
    fn a_link_says_how_long_it_is_good() {
        let now: Timestamp = "2026-11-28T03:00:00Z".parse().unwrap();
        let at = |text| until(&output(0, text), now);
        assert_eq!(at(None), Until::Always);
        assert_eq!(at(Some("2026-11-28T03:10:00Z")), Until::Left(600));
        assert_eq!(at(Some("2026-11-28T02:59:59Z")), Until::Over);
        assert_eq!(at(Some("2026-11-28T03:00:00Z")), Until::Over);
        assert_eq!(at(Some("soon")), Until::Unknown);
    }

    #[test]
    fn a_page_knows_where_the_next_begins_and_when_it_ends() {
        let ends = ["2026-11-28T03:10:00Z", "2026-11-28T03:05:00Z"];
        let outputs = (0..PAGE as u64).map(|task| output(task, Some(ends[task as usize % 2])));
        let results = Results {
            job: "J".into(),
            state: protocol::state::JobState::Running,
            results: outputs.collect(),
            failed: Vec::new(),
        };
        let page = Links::page(results.clone(), None);
        assert_eq!(page.next, Some(PAGE as u64 - 1));
        let now = "2026-11-28T03:00:00Z".parse().unwrap();
        assert_eq!(page.until(now), Until::Left(300));
        let few = Results {
            results: results.results[..3].to_vec(),
            ..results
        };
        assert_eq!(Links::page(few, Some(7)).next, None);
    }
}
