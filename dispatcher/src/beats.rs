//! What a node says of itself while it lives: to whoever leads, through the queue, and to whoever looks, through the events.

use crate::names;
use crate::observe;
use crate::service::Node;
use ::jobs::records::Told;
use cloud::events::{Heartbeat, Sample};
use cloud::queue::{Message, QueueName};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// How often it is looked for ranks that start.
const COMING_UP: Duration = Duration::from_millis(50);
/// A node that has ended is forgotten so soon.
const GONE: Duration = Duration::from_millis(1);
/// How long it may take to say so.
const FAREWELL: Duration = Duration::from_secs(1);

/// Goes on until it is dropped.
pub(crate) async fn run(node: Arc<Node>) {
    let mut beating = JoinSet::new();
    let mut living = JoinSet::new();
    let mut beat = tokio::time::interval(node.config.heartbeat);
    let mut live = tokio::time::interval(node.config.heartbeat);
    // Whoever looks at the nodes sees ranks as soon as they are there.
    let (mut coming_up, mut is_up) = (tokio::time::interval(COMING_UP), false);
    let mut sampled: Option<Instant> = None;
    loop {
        tokio::select! {
            _ = live.tick(), if living.is_empty() => {
                living.spawn(node.clone().live());
            }
            Some(_) = living.join_next() => {}
            // Beside the work, which goes on where nobody hears it.
            _ = beat.tick(), if beating.is_empty() => {
                let due = sampled.is_none_or(|at| at.elapsed() >= node.config.sample);
                if due {
                    sampled = Some(Instant::now());
                }
                beating.spawn(node.clone().beat(due));
            }
            Some(_) = beating.join_next() => {}
            () = node.said.notified() => {
                beat.reset_immediately();
                live.reset_immediately();
            }
            _ = coming_up.tick(), if !is_up => {
                is_up = node.world.ranks_alive() > 0;
                if is_up {
                    beat.reset_immediately();
                }
            }
        }
    }
}

impl Node {
    /// Whether it takes spans.
    fn takes(&self) -> bool {
        let open = self.open.load(Ordering::Relaxed) && !self.closing.load(Ordering::Relaxed);
        open && !self.standing.is_unsound()
    }

    /// Says to the conductor that this node lives and what it has, through the queue, whoever leads.
    async fn live(self: Arc<Node>) {
        let slots = self.config.slots.max(1);
        let told = Told::Beat {
            node: self.config.node.clone(),
            slots: match self.takes() {
                true => slots as u32,
                false => 0,
            },
            load: self.config.simulate_load.unwrap_or(0.0),
            hand: self.in_hand.all(),
        };
        let message = Message::new(QueueName::Control, names::to_json(&told));
        if let Err(error) = self.jobs.queue.publish(vec![message]).await {
            tracing::warn!(%error, "a beat was not told");
        }
    }

    /// How many slots work.
    fn busy(&self) -> usize {
        let slots = self.config.slots.max(1);
        slots - self.working.available_permits().min(slots)
    }

    /// How busy it is, or says that it is.
    pub(crate) fn load(&self) -> f64 {
        let slots = self.config.slots.max(1);
        let measured = self.busy() as f64 / slots as f64;
        self.config.simulate_load.unwrap_or(measured)
    }

    async fn beat(self: Arc<Node>, sample: bool) {
        let slots = self.config.slots.max(1);
        let busy = self.busy();
        observe::world(
            &self.config.node,
            slots,
            self.world.ranks_alive(),
            self.world.restarts(),
        );
        // The first time a driver is loaded, which takes a while.
        let devices = tokio::task::spawn_blocking(devices).await.unwrap_or(&[]);
        let unsound = self.standing.unsound();
        let state = match (&unsound, self.closing.load(Ordering::Relaxed)) {
            (_, true) => "draining",
            (Some(_), false) => "quarantined",
            (None, false) => "working",
        };
        let body = serde_json::json!({
            "version": protocol::VERSION,
            "node": self.config.node,
            "program": env!("CARGO_PKG_VERSION"),
            "time": worker::batch::now(),
            "slots": slots,
            "busy": busy,
            "load": self.load(),
            "state": state,
            "reason": unsound.map(|unsound| unsound.why),
            "store": self.standing.store(),
            "in_hand": self.in_hand.all().len(),
            "leads": self.own_conductor().is_some(),
            "ranks": self.world.ranks_alive(),
            "restarts": self.world.restarts(),
            "devices": devices,
        });
        let heartbeat = Heartbeat {
            node: self.config.node.clone(),
            body: body.to_string(),
        };
        let ttl = self.config.heartbeat * 3;
        if let Err(error) = self.jobs.events.beat(&heartbeat, ttl).await {
            tracing::warn!(%error, "a heartbeat was not told");
        }
        let sample = sample.then(|| Sample {
            node: self.config.node.clone(),
            busy: busy as u32,
            slots: match self.takes() {
                true => slots as u32,
                false => busy as u32,
            },
        });
        if let Some(sample) = sample
            && let Err(error) = self.jobs.events.sample(&sample).await
        {
            tracing::debug!(%error, "a moment of the series was not told");
        }
    }

    /// Says that it has ended, so that nobody counts on it until its last beat is old.
    pub(crate) async fn farewell(&self) {
        let heartbeat = Heartbeat {
            node: self.config.node.clone(),
            body: "{}".into(),
        };
        let told = self.jobs.events.beat(&heartbeat, GONE);
        let _ = tokio::time::timeout(FAREWELL, told).await;
    }
}

/// Names of this machine's graphics devices, looked for once; none in software.
fn devices() -> &'static [String] {
    static NAMES: OnceLock<Vec<String>> = OnceLock::new();
    NAMES.get_or_init(|| {
        let found = imaging::gpu::Device::list().into_iter();
        let real = found.filter(|info| !info.software);
        real.map(|info| info.name).collect()
    })
}
