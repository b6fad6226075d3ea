//! When the job system is looked at, and what of it: what may have changed, often while something runs, else less and less.

use super::{Answer, Ask, say};
use crate::state::jobs::{Listed, NEWEST};
use crate::work::Post;
use client::exit::{Exit, Result};
use client::{Client, Status};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How often it is looked at while a job is not over, or nodes are in sight.
const EVERY: Duration = Duration::from_secs(2);
/// How often at the least.
const SELDOM: Duration = Duration::from_secs(10);
/// How often at the least while jobs are in sight: what somebody else deletes is to go soon.
const SEEN: Duration = Duration::from_secs(4);
/// How often nodes are asked for that nobody looks at.
const NODES: Duration = Duration::from_secs(10);
/// How often the newest jobs are asked for by more than one look needs: jobs that are gone are noticed by that.
const ALL: Duration = Duration::from_secs(120);
/// Jobs of the first look, and of each that goes back further.
const PAGE: usize = 500;
/// Jobs that are not over and not among those, asked for one by one in turn.
const ONES: usize = 8;

/// What the last looks told.
#[derive(Default)]
pub(super) struct Watch {
    /// Jobs that are not over, those first that were not looked at for longest.
    open: VecDeque<String>,
    /// The job before which all are known.
    top: Option<String>,
    all: Option<Instant>,
    nodes: Option<Instant>,
    seen: bool,
    queue: bool,
    part: Option<(String, usize)>,
    last: Option<Instant>,
    pause: Duration,
}

impl Watch {
    /// Another job system: what was known is of no use.
    pub(super) fn forget(&mut self) {
        let (seen, queue) = (self.seen, self.queue);
        *self = Watch {
            seen,
            queue,
            ..Watch::default()
        };
    }

    /// Whether nodes are in sight.
    pub(super) fn nodes(&mut self, seen: bool) {
        self.seen = seen;
    }

    /// Whether jobs are in sight, and which of them beyond the newest. True: they are to be looked at now.
    pub(super) fn sight(&mut self, queue: bool, part: Option<(String, usize)>) -> bool {
        let news = part.is_some() && self.part != part;
        (self.queue, self.part) = (queue, part);
        // While a list is scrolled, what comes into sight is looked at when it is time.
        news && self.last.is_none_or(|at| at.elapsed() >= EVERY)
    }

    /// Something is asked for that changes jobs, so they are looked at often for a while.
    pub(super) fn changes(&mut self, ask: &Ask) {
        self.pause = EVERY;
        // A job goes on that may have been over.
        if let Ask::Retry(job) | Ask::Resume(job) = ask
            && !self.open.contains(job)
        {
            self.open.push_back(job.clone());
        }
    }

    /// The last look came to nothing: all is asked for anew when there is an answer.
    pub(super) fn failed(&mut self) {
        self.all = None;
        self.last = Some(Instant::now());
        self.pause = EVERY;
    }

    /// Waits until it is time; soon where something is `amiss`, which may be over at any moment.
    pub(super) async fn due(&self, amiss: bool) {
        let Some(last) = self.last else { return };
        let pause = if amiss { EVERY } else { self.pause() };
        tokio::time::sleep_until((last + pause).into()).await;
    }

    fn pause(&self) -> Duration {
        match self.seen || !self.open.is_empty() {
            true => EVERY,
            false => {
                let least = if self.queue { SEEN } else { SELDOM };
                self.pause.clamp(EVERY, least)
            }
        }
    }

    /// Looks.
    pub(super) async fn look(
        &mut self,
        client: &Client,
        followed: Option<&str>,
        post: &Post,
    ) -> Result<()> {
        self.last = Some(Instant::now());
        let due = |at: Option<Instant>, every| at.is_none_or(|at| at.elapsed() >= every);
        let mut all = due(self.all, ALL);
        let mut list = client
            .some(if all { PAGE } else { NEWEST }, None, None)
            .await?;
        // So many new ones that some may have been missed.
        if !all && list.len() == NEWEST && !self.top.as_ref().is_some_and(|t| has(&list, t)) {
            all = true;
            list = client.some(PAGE, None, None).await?;
        }
        if all {
            self.all = Some(Instant::now());
        }
        self.top = list.first().map(|status| status.job.clone());
        let part = self.part(client, all, post).await?;
        if let Some(job) = followed
            && !has(&list, job)
            && !has(&part, job)
            && !self.open.iter().any(|open| open == job)
        {
            // It may have been deleted by somebody else.
            self.open.push_front(job.to_owned());
        }
        self.one_by_one(client, &list, post).await?;
        let before = self.open.len();
        let listed = list.iter().filter(|status| !status.state.is_final());
        for status in listed.rev() {
            if !self.open.contains(&status.job) {
                self.open.push_back(status.job.clone());
            }
        }
        let over = |job: &String| list.iter().any(|s| s.job == *job && s.state.is_final());
        self.open.retain(|job| !over(job));
        self.pause = match self.open.len() == before && before == 0 {
            true => (self.pause * 3 / 2).clamp(EVERY, SELDOM),
            false => EVERY,
        };
        let others = list.len() == if all { PAGE } else { NEWEST };
        say(post, Answer::List(Listed::Newest(list, others)));
        if self.seen || due(self.nodes, NODES) {
            self.nodes = Some(Instant::now());
            // Some users may not see nodes; jobs are told all the same.
            if let Ok(nodes) = client.nodes().await {
                say(post, Answer::Nodes(nodes));
            }
        }
        Ok(())
    }

    /// Jobs in sight that are too old to be among the newest.
    async fn part(&mut self, client: &Client, all: bool, post: &Post) -> Result<Vec<Status>> {
        let Some((before, count)) = self.part.clone().filter(|_| !all) else {
            return Ok(Vec::new());
        };
        match client.some(count, None, Some(&before)).await {
            Ok(part) => {
                let others = part.len() == count;
                say(
                    post,
                    Answer::List(Listed::Part(before, part.clone(), others)),
                );
                Ok(part)
            }
            Err(failure) if failure.exit == Exit::Unreachable => Err(failure),
            // The one before them is gone: the whole list is to be asked for.
            Err(_) => {
                self.all = None;
                Ok(Vec::new())
            }
        }
    }

    /// Jobs that are not over and too old to be among the newest.
    async fn one_by_one(&mut self, client: &Client, list: &[Status], post: &Post) -> Result<()> {
        let mut turns = self.open.len();
        let (mut some, mut gone) = (Vec::new(), Vec::new());
        while turns > 0 && some.len() + gone.len() < ONES {
            turns -= 1;
            let Some(job) = self.open.front().cloned() else {
                break;
            };
            if has(list, &job) {
                self.open.rotate_left(1);
                continue;
            }
            // It stays in its place until there is an answer: a look may be given up.
            match client.status(&job).await {
                Ok(status) => {
                    match status.state.is_final() {
                        true => drop(self.open.pop_front()),
                        false => self.open.rotate_left(1),
                    }
                    some.push(status);
                }
                Err(failure) if failure.exit == Exit::Unreachable => return Err(failure),
                Err(_) => gone.extend(self.open.pop_front()),
            }
        }
        if !some.is_empty() || !gone.is_empty() {
            say(post, Answer::List(Listed::Some(some, gone)));
        }
        Ok(())
    }
}

fn has(list: &[Status], job: &str) -> bool {
    list.iter().any(|status| status.job == job)
}

/// Tells the jobs behind one.
pub(super) async fn older(client: &Client, job: &str, post: &Post) -> Result<()> {
    let list = client.some(PAGE, None, Some(job)).await?;
    let others = list.len() == PAGE;
    say(post, Answer::List(Listed::Older(list, others)));
    Ok(())
}
