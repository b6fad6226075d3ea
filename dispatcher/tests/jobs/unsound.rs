//! Nodes that are not sound, beside some that are: they take nothing and say why, and nobody's job pays for them.

use crate::site::*;
use cloud::config::Config as CloudConfig;
use cloud::store::Store;
use cloud::testing::objects::{Account, ObjectServer};
use dispatcher::Config;
use dispatcher::jobs::Jobs;
use protocol::state::JobState;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};
use tokio_util::sync::CancellationToken;

/// How a node is set up here.
fn config(node: &str) -> Config {
    let mut config = Config::new(node);
    config.cancel_check = Duration::from_millis(10);
    config.slow = Duration::from_millis(50);
    config.heartbeat = Duration::from_millis(50);
    config.pause = Duration::from_millis(10);
    config.proof = Duration::from_millis(200);
    config
}

impl Site {
    /// A node of its own make on the queue and the events of the others.
    fn start_on(&mut self, config: Config, store: Store, probe: Arc<Probe>) {
        let jobs = Jobs {
            store,
            ..self.jobs.clone()
        };
        let shutdown = CancellationToken::new();
        let running = dispatcher::run(config, jobs, probe, shutdown.clone());
        tokio::spawn(running);
        self._dispatchers.push(shutdown.drop_guard());
    }

    /// What a node says of itself.
    async fn says(&self, node: &str) -> Value {
        let beats = self.jobs.events.nodes().await.unwrap();
        let beat = beats.into_iter().find(|beat| beat.node == node);
        beat.map_or(Value::Null, |beat| {
            serde_json::from_str(&beat.body).unwrap()
        })
    }

    async fn in_quarantine(&self, node: &str, why: &str) {
        soon(async || {
            let said = self.says(node).await;
            said["state"] == "quarantined"
                && said["reason"].as_str().is_some_and(|r| r.contains(why))
        })
        .await;
    }

    async fn works(&self, node: &str) {
        soon(async || self.says(node).await["state"] == "working").await;
    }

    /// Jobs of two users succeed, without a failure or a second attempt, and nothing is given up.
    async fn all_is_well(&self) {
        let mut ids = Vec::new();
        for owner in ["ada", "bob"] {
            let upload = worker::batch::new_job_id();
            for n in 0..6 {
                let name = dispatcher::names::upload(owner, &format!("{upload}/{n}.pgm"));
                let bytes = picture(n).into();
                self.jobs.store.put(&name, bytes, "image/x").await.unwrap();
            }
            ids.push((owner, self.jobs.submit(owner, job(&upload)).await.unwrap()));
        }
        for (owner, id) in ids {
            soon(async || {
                let status = self.jobs.status(owner, &id).await.unwrap();
                status.state.is_final()
            })
            .await;
            let receipt = self.jobs.receipt(owner, &id).await.unwrap().unwrap();
            let counts = receipt.counts;
            assert_eq!(
                (receipt.state, counts.succeeded, counts.tasks),
                (JobState::Succeeded, 6, 6),
                "{receipt:?}"
            );
            assert!(receipt.tasks.iter().all(|task| task.attempt == 1));
        }
        assert!(self.jobs.dead_letters(10).await.unwrap().is_empty());
    }
}

fn other_store(site: &Site, name: &str) -> Store {
    Store::directory(&site._dir.path().join(name)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_an_empty_store_takes_nothing() {
    let mut site = Site::new();
    site.start("good", Probe::new());
    site.works("good").await;
    let (bad, store) = (Probe::new(), other_store(&site, "empty"));
    site.start_on(config("bad"), store.clone(), bad.clone());
    site.in_quarantine("bad", "is empty, and not that of the other dispatchers")
        .await;
    site.all_is_well().await;
    assert_eq!(bad.runs.load(Ordering::SeqCst), 0);
    // It did not make that store one of this cluster's.
    assert_eq!(store.read_identity().await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_another_store_that_came_first_is_found_out_by_the_first_job() {
    let mut site = Site::new();
    let (bad, store) = (Probe::new(), other_store(&site, "other"));
    store.identity().await.unwrap();
    site.start_on(config("bad"), store.clone(), bad.clone());
    site.works("bad").await;
    // It is these that seem to be wrong, until a job comes.
    let own = site.jobs.store.clone();
    own.identity().await.unwrap();
    site.start_on(config("good"), own, Probe::new());
    site.all_is_well().await;
    assert_eq!(bad.runs.load(Ordering::SeqCst), 0);
    site.in_quarantine("bad", "store").await;
    site.works("good").await;
    assert!(store.list("jobs").await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_another_store_harms_nobody() {
    let mut site = Site::new();
    site.start("good", Probe::new());
    site.all_is_well().await;
    let elsewhere = Jobs {
        store: other_store(&site, "elsewhere"),
        ..site.jobs.clone()
    };
    elsewhere.submit("eve", job("U")).await.unwrap();
    // It is put aside with its reason.
    soon(async || !site.jobs.dead_letters(10).await.unwrap().is_empty()).await;
    let letters = site.jobs.dead_letters(10).await.unwrap();
    assert!(letters[0].reason.contains("another store"), "{letters:?}");
    assert_eq!(site.says("good").await["state"], "working");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_a_wrong_clock_takes_nothing() {
    let mut site = Site::new();
    let clocks: [(fn() -> SystemTime, &str); 2] = [
        (|| SystemTime::now() + Duration::from_secs(5), "ahead of"),
        (|| SystemTime::now() - Duration::from_secs(900), "behind"),
    ];
    site.start("good", Probe::new());
    let bad = Probe::new();
    for (clock, way) in clocks {
        let config = Config {
            clock,
            ..config(&way.replace(' ', "-"))
        };
        site.start_on(config, site.jobs.store.clone(), bad.clone());
    }
    site.in_quarantine("ahead-of", "its clock is 5.0 s ahead of the others'")
        .await;
    site.in_quarantine("behind", "its clock is 900.0 s behind the others'")
        .await;
    site.all_is_well().await;
    assert_eq!(bad.runs.load(Ordering::SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_key_was_rotated_gives_back_what_it_has_and_returns_when_it_may() {
    let account = |secret: &str| Account::Aws {
        key_id: "node".into(),
        secret: secret.into(),
    };
    let server = ObjectServer::start(account("old")).unwrap();
    let store = |secret: &str| {
        let vars = [
            ("SUNDOG_STORE", "s3://bucket/sundog"),
            ("SUNDOG_S3_ENDPOINT", &server.url()),
            ("AWS_ACCESS_KEY_ID", "node"),
            ("AWS_SECRET_ACCESS_KEY", secret),
            ("AWS_REGION", "us-east-1"),
        ];
        let vars = vars.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let config = CloudConfig::from_vars(vars).unwrap();
        config.store(std::path::Path::new("")).unwrap()
    };
    let mut site = Site::new();
    site.jobs.store = store("old");
    let old = Probe::new();
    site.start_on(config("old"), store("old"), old.clone());
    site.works("old").await;
    old.hold.store(true, Ordering::SeqCst);
    let id = site.submit(6, false).await;
    soon(async || old.runs.load(Ordering::SeqCst) > 0).await;
    // In the middle of its work.
    server.accept(account("new"));
    old.hold.store(false, Ordering::SeqCst);
    site.in_quarantine("old", "the store refuses it").await;
    site.jobs.store = store("new");
    site.start_on(config("new"), store("new"), Probe::new());
    let status = site.ended(&id).await;
    assert_eq!(
        (status.state, status.counts.succeeded),
        (JobState::Succeeded, 6)
    );
    let receipt = site.receipt(&id).await;
    let new = |task: &protocol::TaskReceipt| (task.node.as_str(), task.attempt) == ("new", 1);
    assert!(receipt.tasks.iter().all(new), "{receipt:?}");
    site.all_is_well().await;
    // Its key is accepted again.
    server.accept(account("old"));
    site.works("old").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_vanishes_costs_no_input_anything() {
    let mut site = Site::new();
    let probe = Probe::new();
    probe.hold.store(true, Ordering::SeqCst);
    let store = site.jobs.store.clone();
    site.start_on(config("alone"), store, probe.clone());
    let id = site.submit(4, false).await;
    soon(async || probe.runs.load(Ordering::SeqCst) > 0).await;
    // Its disk is unmounted: an empty folder is there.
    let (place, apart) = (
        site._dir.path().join("store"),
        site._dir.path().join("away"),
    );
    std::fs::rename(&place, &apart).unwrap();
    std::fs::create_dir(&place).unwrap();
    probe.hold.store(false, Ordering::SeqCst);
    site.in_quarantine("alone", "has become empty, or another")
        .await;
    assert!(!place.join("store.json").exists());
    std::fs::remove_dir_all(&place).unwrap();
    std::fs::rename(&apart, &place).unwrap();
    let status = site.ended(&id).await;
    assert_eq!(
        (status.state, status.counts.succeeded),
        (JobState::Succeeded, 4)
    );
    let receipt = site.receipt(&id).await;
    assert!(receipt.tasks.iter().all(|task| task.attempt == 1));
    site.works("alone").await;
}
