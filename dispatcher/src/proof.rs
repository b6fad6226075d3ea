//! A node proves itself before it takes anything, now and then, and whenever its store fails it: that it has the store
//! which the others have, that this keeps what is written and creates only what is absent, that its clock is right. One
//! that fails is in quarantine: it takes nothing, says why, and tries again. What it had goes back as it was, so that no
//! input pays for a node.

use crate::observe;
use crate::service::Node;
use cloud::store::Created;
use serde_json::Value;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use worker::batch::new_job_id;

/// Where probes lie while they are made.
pub(crate) const PROBES: &str = "proof";
/// How far a clock may be off.
const SKEW: Duration = Duration::from_secs(2);
/// Times of stores are cut to this.
const GRAIN: Duration = Duration::from_secs(1);
/// How long the store may take for all of it.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long is waited for what others say, which may be away.
const HEARSAY: Duration = Duration::from_secs(2);
/// Bytes of a probe at most.
const SMALL: u64 = 64;
/// The longest wait, in pauses.
const LONGEST: u32 = 30;

/// What is wrong with a node, in classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// The store does not answer, perhaps nobody.
    Away,
    /// The store refuses this node.
    Refused,
    /// It has another store than the others.
    OtherStore,
    /// What it writes is not there afterwards.
    Unkept,
    /// Its store lets two create the same.
    Unconditional,
    /// Its clock is wrong.
    Clock,
}

impl Class {
    pub(crate) const ALL: [Class; 6] = [
        Class::Away,
        Class::Refused,
        Class::OtherStore,
        Class::Unkept,
        Class::Unconditional,
        Class::Clock,
    ];

    /// As a label.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Class::Away => "store_away",
            Class::Refused => "store_refuses",
            Class::OtherStore => "other_store",
            Class::Unkept => "store_loses",
            Class::Unconditional => "not_conditional",
            Class::Clock => "clock",
        }
    }
}

/// Why a node takes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unsound {
    pub(crate) class: Class,
    pub(crate) why: String,
}

impl Unsound {
    fn new(class: Class, why: impl Into<String>) -> Unsound {
        let why = why.into();
        Unsound { class, why }
    }

    fn of_store(error: &cloud::Error) -> Unsound {
        let class = match error.is_transient() {
            true => Class::Away,
            false => Class::Refused,
        };
        Unsound::new(class, error.to_string())
    }
}

/// Whose work a message is, by the store that it names.
pub(crate) enum Whose {
    /// Of this node's store.
    Ours,
    /// Of another store than this cluster's.
    Foreign,
    /// This node's store may be the wrong one: it is in quarantine now.
    Doubted,
}

/// How a node stands with its cluster.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    unsound: Mutex<Option<Unsound>>,
    /// The identity of its store, once it was proven.
    store: OnceLock<String>,
    /// When the last proof began that it passed; held while it proves itself.
    proven: tokio::sync::Mutex<Option<Instant>>,
    fell: Notify,
    /// Jobs came whose submitters have the same store.
    backed: AtomicBool,
    /// Another store that work came from, and is looked at once.
    foreign: Mutex<Option<String>>,
    /// How long it waits before the next proof, and since when it was sound.
    wait: Mutex<(Duration, Option<Instant>)>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Standing {
    /// What is wrong, while something is.
    pub(crate) fn unsound(&self) -> Option<Unsound> {
        locked(&self.unsound).clone()
    }

    /// Whether it takes nothing.
    pub(crate) fn is_unsound(&self) -> bool {
        locked(&self.unsound).is_some()
    }

    /// The store that it has proven to have.
    pub(crate) fn store(&self) -> Option<&str> {
        self.store.get().map(String::as_str)
    }

    /// A job came from the store that this node has.
    pub(crate) fn back(&self) {
        self.backed.store(true, Ordering::Relaxed);
    }

    /// Waits until the node is put into quarantine.
    pub(crate) async fn fell(&self) {
        while !self.is_unsound() {
            let fell = self.fell.notified();
            if self.is_unsound() {
                return;
            }
            fell.await;
        }
    }

    fn quarantine(&self, node: &str, unsound: Unsound) {
        let mut known = locked(&self.unsound);
        if known.as_ref() != Some(&unsound) {
            tracing::error!(node, why = %unsound.why, "this node takes nothing");
        }
        observe::quarantined(node, Some(unsound.class));
        *known = Some(unsound);
        drop(known);
        self.fell.notify_waiters();
    }

    fn release(&self, node: &str) {
        if locked(&self.unsound).take().is_some() {
            tracing::info!(node, "this node has proven itself and works again");
        }
        observe::quarantined(node, None);
        locked(&self.wait).1 = Some(Instant::now());
    }

    /// How long the next wait is: twice the one before, unless it was sound for long since.
    fn next_wait(&self, pause: Duration) -> Duration {
        let longest = pause * LONGEST;
        let mut wait = locked(&self.wait);
        if wait.1.take().is_some_and(|since| since.elapsed() > longest) {
            wait.0 = Duration::ZERO;
        }
        wait.0 = (wait.0 * 2).clamp(pause, longest);
        wait.0
    }
}

impl Node {
    /// Whether this node is sound now: asked before an input pays for what its store did. False also where that cannot be
    /// told, since the store is away.
    pub(crate) async fn is_sound(&self) -> bool {
        if self.standing.is_unsound() {
            return false;
        }
        let asked = Instant::now();
        let mut proven = self.standing.proven.lock().await;
        if self.standing.is_unsound() {
            return false;
        }
        // Who asks meanwhile shares one proof.
        if proven.is_some_and(|begun| begun >= asked) {
            return true;
        }
        let begun = Instant::now();
        match self.prove().await {
            Ok(()) => {
                *proven = Some(begun);
                true
            }
            Err(unsound) => {
                // What nobody reaches is no fault of this node.
                if unsound.class != Class::Away {
                    self.standing.quarantine(&self.config.node, unsound);
                }
                false
            }
        }
    }

    /// Proves itself until that succeeds; false where it is to end instead. In quarantine it waits first.
    pub(crate) async fn until_sound(&self, shutdown: &CancellationToken) -> bool {
        loop {
            if self.standing.is_unsound() {
                let wait = self.standing.next_wait(self.config.pause);
                let wait = wait.mul_f64(0.75 + 0.5 * self.chance());
                tokio::select! {
                    () = shutdown.cancelled() => return false,
                    () = tokio::time::sleep(wait) => {}
                }
            }
            let proof = tokio::select! {
                () = shutdown.cancelled() => return false,
                proof = self.prove() => proof,
            };
            match proof {
                Ok(()) => {
                    self.standing.release(&self.config.node);
                    return true;
                }
                Err(unsound) => self.standing.quarantine(&self.config.node, unsound),
            }
        }
    }

    /// Whose work it is that comes from that store.
    pub(crate) async fn whose(&self, theirs: Option<&str>) -> Whose {
        let (Some(theirs), Some(own)) = (theirs, self.standing.store()) else {
            return Whose::Ours;
        };
        if theirs == own {
            return Whose::Ours;
        }
        let backed = self.standing.backed.load(Ordering::Relaxed);
        if backed || self.stores_of_others().await.iter().any(|s| s == own) {
            return Whose::Foreign;
        }
        *locked(&self.standing.foreign) = Some(theirs.to_owned());
        self.standing
            .quarantine(&self.config.node, self.other_work());
        Whose::Doubted
    }

    /// Whether a store in a directory is still the one that it was: what another folder is mounted over takes writes, too.
    pub(crate) async fn has_its_store(&self) -> bool {
        let store = &self.jobs.store;
        if !store.is_directory() {
            return true;
        }
        match store.read_identity().await {
            Ok(found) => found.as_deref() == self.standing.store(),
            Err(_) => false,
        }
    }

    fn other_work(&self) -> Unsound {
        let address = self.jobs.store.address();
        Unsound::new(
            Class::OtherStore,
            format!(
                "work comes from another store than its own, {address} (hint: compare SUNDOG_STORE here and at the gateway)"
            ),
        )
    }

    async fn prove(&self) -> Result<(), Unsound> {
        let checks = async {
            self.prove_store().await?;
            let stored = self.prove_writes().await?;
            self.prove_clock(stored).await
        };
        match tokio::time::timeout(PATIENCE, checks).await {
            Ok(proof) => proof,
            Err(_) => Err(Unsound::new(
                Class::Away,
                format!(
                    "its store {} does not answer within {} s",
                    self.jobs.store.address(),
                    PATIENCE.as_secs()
                ),
            )),
        }
    }

    /// It is the store of the others, and the one that it was.
    async fn prove_store(&self) -> Result<(), Unsound> {
        let (store, standing) = (&self.jobs.store, &self.standing);
        let address = store.address();
        let other = |why: String| Err(Unsound::new(Class::OtherStore, why));
        let found = store.read_identity().await;
        let found = found.map_err(|error| Unsound::of_store(&error))?;
        let others = self.stores_of_others().await;
        let found = match (found, standing.store()) {
            (Some(found), Some(known)) if found != known => {
                return other(format!(
                    "its store {address} is another than it was (hint: is it mounted?)"
                ));
            }
            (None, Some(_)) => {
                return other(format!(
                    "its store {address} has become empty, or another (hint: is it mounted?)"
                ));
            }
            (None, None) if !others.is_empty() => {
                return other(format!(
                    "its store {address} is empty, and not that of the other dispatchers (hint: is it mounted? compare SUNDOG_STORE)"
                ));
            }
            (Some(found), _) => found,
            (None, None) => {
                let drawn = store.identity().await;
                drawn.map_err(|error| Unsound::of_store(&error))?
            }
        };
        let alike = others.contains(&found);
        let backed = alike || standing.backed.load(Ordering::Relaxed);
        if !backed && !others.is_empty() {
            return other(format!(
                "its store {address} is not that of the other dispatchers (hint: compare SUNDOG_STORE)"
            ));
        }
        let foreign = locked(&standing.foreign).take();
        if !backed && foreign.is_some_and(|theirs| theirs != found) {
            return Err(self.other_work());
        }
        standing.store.get_or_init(|| found);
        Ok(())
    }

    /// What the other nodes that are sound have as their store; nothing where that cannot be asked.
    async fn stores_of_others(&self) -> Vec<String> {
        let beats = tokio::time::timeout(HEARSAY, self.jobs.events.nodes()).await;
        let beats = beats.ok().and_then(|beats| beats.ok()).unwrap_or_default();
        let store = |body: &str| {
            let body: Value = serde_json::from_str(body).ok()?;
            let sound = body["state"] != "quarantined";
            sound.then(|| body["store"].as_str().map(str::to_owned))?
        };
        let others = beats.iter().filter(|beat| beat.node != self.config.node);
        others.filter_map(|beat| store(&beat.body)).collect()
    }

    /// What is written is there, and is not written twice. Returns when the store says that it was, between two times here.
    async fn prove_writes(&self) -> Result<[SystemTime; 3], Unsound> {
        let store = &self.jobs.store;
        let name = format!("{PROBES}/{}.{}", self.config.node, new_job_id());
        let before = (self.config.clock)();
        let written = self.probe(&name).await;
        let after = (self.config.clock)();
        // One that cannot be removed is removed after a day.
        let removed = store.delete(&name).await;
        let written = written?;
        removed.map_err(|error| Unsound::of_store(&error))?;
        Ok([before, written, after])
    }

    async fn probe(&self, name: &str) -> Result<SystemTime, Unsound> {
        let store = &self.jobs.store;
        let address = store.address();
        let of_store = |error: cloud::Error| match error {
            cloud::Error::NotFound(_) => Unsound::new(
                Class::Unkept,
                format!("its store {address} does not keep what is written"),
            ),
            other => Unsound::of_store(&other),
        };
        for (body, expected) in [("first", Created::New), ("second", Created::Exists)] {
            let created = store.create(name, body.into(), "text/plain").await;
            if created.map_err(of_store)? != expected {
                return Err(Unsound::new(
                    Class::Unconditional,
                    format!(
                        "its store {address} does not keep to `create only if absent`, on which commits rely (hint: sundog doctor)"
                    ),
                ));
            }
        }
        let read = store.get(name, SMALL).await;
        if read.map_err(of_store)? != "first".as_bytes() {
            return Err(Unsound::new(
                Class::Unkept,
                format!("its store {address} gives back other bytes than were written"),
            ));
        }
        let meta = store.head(name).await.map_err(of_store)?;
        Ok(meta.modified)
    }

    /// Its clock is that of the events, or else that of the store, which wrote something just now.
    async fn prove_clock(&self, stored: [SystemTime; 3]) -> Result<(), Unsound> {
        let own = self.config.clock;
        let before = own();
        let asked = tokio::time::timeout(HEARSAY, self.jobs.events.clock()).await;
        let ([before, theirs, after], grain) = match asked {
            Ok(Ok(theirs)) => ([before, theirs, own()], Duration::ZERO),
            _ => (stored, GRAIN),
        };
        let off = match (
            before.duration_since(theirs + grain),
            theirs.duration_since(after),
        ) {
            (Ok(ahead), _) if ahead > SKEW => Some((ahead, "ahead of")),
            (_, Ok(behind)) if behind > SKEW => Some((behind, "behind")),
            _ => None,
        };
        match off {
            None => Ok(()),
            Some((off, way)) => Err(Unsound::new(
                Class::Clock,
                format!(
                    "its clock is {:.1} s {way} the others' (hint: timedatectl set-ntp true)",
                    off.as_secs_f64()
                ),
            )),
        }
    }
}
