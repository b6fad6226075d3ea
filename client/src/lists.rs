//! A gateway's lists, which come a page at a time.

use super::check_id;
use super::http::Gateway;
use super::types::{Inputs, Results, Status};
use crate::exit::Result;
use protocol::JobState;
use reqwest::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// Entries that are asked for at once.
const PAGE: usize = 1000;

#[derive(Deserialize)]
struct Listed {
    jobs: Vec<Status>,
    #[serde(default)]
    next: Option<String>,
}

#[derive(Deserialize)]
struct Part {
    #[serde(flatten)]
    results: Results,
    #[serde(default)]
    next: Option<u64>,
}

impl Gateway {
    /// All jobs, the newest first.
    pub(super) async fn list(&self) -> Result<Vec<Status>> {
        self.some(usize::MAX, None, None).await
    }

    pub(super) async fn some(
        &self,
        limit: usize,
        state: Option<JobState>,
        after: Option<&str>,
    ) -> Result<Vec<Status>> {
        let (mut jobs, mut after) = (Vec::new(), after.map(str::to_owned));
        loop {
            let mut path = format!("v1/jobs?limit={}", PAGE.min(limit - jobs.len()));
            if let Some(state) = state {
                path += &format!("&state={state}");
            }
            if let Some(after) = &after {
                check_id(after)?;
                path += &format!("&after={after}");
            }
            let listed: Listed = self.ask(Method::GET, &path, None).await?;
            jobs.extend(listed.jobs);
            after = listed.next;
            if after.is_none() || jobs.len() >= limit {
                return Ok(jobs);
            }
        }
    }

    pub(super) async fn results(&self, job: &str, life: Duration) -> Result<Results> {
        self.some_results(job, life, usize::MAX, None).await
    }

    /// Of at most `limit` tasks.
    pub(super) async fn some_results(
        &self,
        job: &str,
        life: Duration,
        limit: usize,
        after: Option<u64>,
    ) -> Result<Results> {
        let mut left = limit;
        let first = PAGE.min(left);
        let Part {
            results: mut all,
            mut next,
        } = self.linked("results", job, life, first, after).await?;
        left -= first;
        while let Some(after) = next
            && left > 0
        {
            let most = PAGE.min(left);
            let more: Part = self.linked("results", job, life, most, Some(after)).await?;
            all.state = more.results.state;
            all.results.extend(more.results.results);
            all.failed.extend(more.results.failed);
            next = more.next;
            left -= most;
        }
        Ok(all)
    }

    pub(super) async fn inputs(
        &self,
        job: &str,
        life: Duration,
        limit: usize,
        after: Option<u64>,
    ) -> Result<Inputs> {
        self.linked("inputs", job, life, limit, after).await
    }

    /// A part of one of a job's lists that hold links.
    async fn linked<T: DeserializeOwned>(
        &self,
        list: &str,
        job: &str,
        life: Duration,
        limit: usize,
        after: Option<u64>,
    ) -> Result<T> {
        check_id(job)?;
        let secs = life.as_secs().max(1);
        let mut path = format!("v1/jobs/{job}/{list}?expires={secs}&limit={limit}");
        if let Some(after) = after {
            path += &format!("&after={after}");
        }
        self.ask(Method::GET, &path, None).await
    }
}
