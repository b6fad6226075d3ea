//! How a dispatcher works.

use crate::keep::Keep;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};
use tokio_util::sync::CancellationToken;

/// How a dispatcher works.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its name, for receipts and heartbeats.
    pub node: String,
    /// Where the buckets of input URLs are opened with credentials from.
    pub cloud: cloud::config::Config,
    /// Directory for temporary files; every rank must see it. On the disk of a store in a directory, outputs
    /// need not be copied.
    pub scratch: PathBuf,
    /// When it began.
    pub born: Instant,
    /// How often a running image looks whether anybody still waits for it (1 s).
    pub cancel_check: Duration,
    /// How long a task runs before a copy of it may go to another node (1 s).
    pub slow: Duration,
    /// How often the node says that it lives (2 s); it is forgotten after three times that.
    pub heartbeat: Duration,
    /// How long work in hand may go on after the shutdown began (60 s); then it is handed back.
    pub drain: Duration,
    /// How often it proves that it is sound (60 s), besides at its start and whenever its store fails it.
    pub proof: Duration,
    /// How often what it does goes into the series (5 s).
    pub sample: Duration,
    /// What tells it the time.
    pub clock: fn() -> SystemTime,
    /// Cuts that time short.
    pub hurry: CancellationToken,
    /// Tasks being fetched and computed at once: enough that fetching of some hides behind the computing of others.
    /// As many, and sixteen at most, may wait for the store besides.
    pub slots: usize,
    /// How long a message is held while a service that it needs is away (10 min).
    pub patience: Duration,
    /// What this node says that its load is, from 0 to 1, in place of what is measured, and with which probability a task
    /// is delayed; for trying out policies.
    pub simulate_load: Option<f64>,
    /// How long such a task is delayed.
    pub simulate_delay: Duration,
    /// How long a broker is waited for that does not answer when the node opens its queues (120 s).
    pub wait: Duration,
    /// How long jobs and uploads are kept, where this node leads.
    pub keep: Keep,
    /// Wait after a service failed, before the message comes again (1 s).
    pub pause: Duration,
}

impl Config {
    /// The defaults for a node of that name.
    pub fn new(node: &str) -> Config {
        Config {
            node: node.to_owned(),
            cloud: cloud::config::Config::default(),
            scratch: std::env::temp_dir(),
            born: Instant::now(),
            cancel_check: Duration::from_secs(1),
            slow: Duration::from_secs(1),
            heartbeat: Duration::from_secs(2),
            drain: Duration::from_secs(60),
            proof: Duration::from_secs(60),
            sample: Duration::from_secs(5),
            clock: SystemTime::now,
            hurry: CancellationToken::new(),
            slots: 4,
            patience: Duration::from_secs(600),
            simulate_load: None,
            simulate_delay: Duration::ZERO,
            wait: Duration::from_secs(120),
            keep: Keep::default(),
            pause: Duration::from_secs(1),
        }
    }
}
