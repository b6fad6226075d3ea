//! Webhooks: events posted to addresses that users name.

mod api;
mod client;
mod delivery;
mod guard;
mod manager;
mod position;
mod sign;
mod worker;

pub(crate) use api::add;
pub use client::Error;
pub use guard::{Allow, Names, SystemNames};
pub use manager::run;

use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// The kinds that a webhook may ask for.
pub const KINDS: [&str; 4] = [
    "job_started",
    "task_started",
    "task_finished",
    "job_finished",
];
/// What all webhooks lie below in the store.
const PREFIX: &str = "webhooks";

/// How webhooks are delivered.
#[derive(Clone, Debug)]
pub struct Config {
    /// Private hosts and networks that webhooks may reach.
    pub allow: Vec<Allow>,
    /// Whether plain http is accepted everywhere, and not only for allowed hosts.
    pub http: bool,
    /// Webhooks of one user (20).
    pub per_user: usize,
    /// Attempts of one delivery (8).
    pub attempts: u32,
    /// Wait after the first attempt (1 s); three times as long after each further one.
    pub backoff: Duration,
    /// Longest wait (5 min).
    pub backoff_most: Duration,
    /// Time for one attempt (15 s).
    pub timeout: Duration,
    /// Deliveries under way at once in this process (64).
    pub at_once: usize,
    /// How often positions are stored while something happens (1 s): what a crash may double.
    pub save: Duration,
    /// How often webhooks are looked for that others made or dropped (5 s).
    pub scan: Duration,
    /// After how long another notifier takes over from one that died (30 s).
    pub lease: Duration,
    /// How names become addresses.
    pub names: Arc<dyn Names>,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            allow: Vec::new(),
            http: false,
            per_user: 20,
            attempts: 8,
            backoff: Duration::from_secs(1),
            backoff_most: Duration::from_secs(300),
            timeout: Duration::from_secs(15),
            at_once: 64,
            save: Duration::from_secs(1),
            scan: Duration::from_secs(5),
            lease: Duration::from_secs(30),
            names: Arc::new(SystemNames),
        }
    }
}

/// A webhook as stored: `webhooks/<owner>/<id>.json`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hook {
    version: u32,
    id: String,
    owner: String,
    url: String,
    events: Vec<String>,
    /// Only these jobs; empty: all.
    #[serde(default)]
    jobs: Vec<String>,
    created: String,
    /// What deliveries are signed with.
    secret: String,
}

impl Hook {
    /// Whether it asks for this kind of events of this job.
    fn wants(&self, kind: &str, job: &str) -> bool {
        let jobs = self.jobs.is_empty() || self.jobs.iter().any(|wanted| wanted == job);
        jobs && self.events.iter().any(|wanted| wanted == kind)
    }
}

impl std::fmt::Debug for Hook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Neither its secret nor its address, which may hold another.
        f.debug_struct("Hook")
            .field("id", &self.id)
            .field("owner", &self.owner)
            .finish_non_exhaustive()
    }
}

/// Where requests about webhooks meet their delivery in this process.
#[derive(Debug, Default)]
pub struct Desk {
    /// Webhooks were made or dropped.
    changed: Notify,
}

fn hooks(owner: &str) -> String {
    format!("{PREFIX}/{owner}")
}

fn hook(owner: &str, id: &str) -> String {
    format!("{PREFIX}/{owner}/{id}.json")
}

/// Where a webhook stands, and its last results.
fn state(owner: &str, id: &str) -> String {
    format!("webhook-states/{owner}/{id}.json")
}

/// Whether a text can be a webhook's id.
fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// Now, as RFC 3339 in UTC.
fn now() -> String {
    let now = jiff::Timestamp::now();
    now.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}
