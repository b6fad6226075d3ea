//! What is removed once it is kept no longer, and what stays.

use crate::site::*;
use dispatcher::{Config, Keep, names};
use protocol::state::JobState;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};
use tokio_util::sync::CancellationToken;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Dates an object back.
fn age(site: &Site, name: &str, by: Duration) {
    let file = site.jobs.store.file(name).unwrap().unwrap();
    let file = std::fs::File::options().append(true).open(file).unwrap();
    file.set_modified(SystemTime::now() - by).unwrap();
}

/// Lets a job, and its mark, have ended so long ago.
async fn age_job(site: &Site, id: &str, by: Duration) {
    let (store, name) = (&site.jobs.store, names::end(id, 1));
    let mut end: serde_json::Value = names::read(store, &name).await.unwrap().unwrap();
    let at = jiff::Timestamp::try_from(SystemTime::now() - by).unwrap();
    end["finished"] = at.to_string().into();
    let bytes = names::to_json(&end).into();
    store.put(&name, bytes, "application/json").await.unwrap();
    age(site, &names::owned("ada", id), by);
}

/// A dispatcher that leads and keeps jobs for 30 days and uploads for one.
fn keeper(site: &mut Site, probe: &std::sync::Arc<Probe>) {
    let mut config = Config::new("b");
    config.heartbeat = Duration::from_millis(50);
    config.keep = Keep {
        jobs: Some(30 * DAY),
        uploads: Some(DAY),
    };
    let shutdown = CancellationToken::new();
    let run = dispatcher::run(config, site.jobs.clone(), probe.clone(), shutdown.clone());
    tokio::spawn(run);
    site._dispatchers.push(shutdown.drop_guard());
}

/// Uploads that are there.
async fn uploads(site: &Site) -> Vec<String> {
    let uploads = site.jobs.uploads("ada", 100, None).await.unwrap();
    uploads.into_iter().map(|one| one.upload).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_stay_while_a_job_of_their_owner_is_being_submitted() {
    let mut site = Site::new();
    let store = site.jobs.store.clone();
    for (upload, owner) in [("OLD", "ada"), ("OTHER", "eve")] {
        let name = names::upload(owner, &format!("{upload}/a.pgm"));
        store
            .put(&name, picture(1).into(), "image/x-portable-graymap")
            .await
            .unwrap();
        age(&site, &name, 2 * DAY);
    }
    // What it names is not stored yet.
    let mark = names::owned("ada", "01SUBMITTING");
    store
        .put(&mark, Vec::new().into(), "text/plain")
        .await
        .unwrap();
    keeper(&mut site, &Probe::new());
    soon(async || store.list("uploads/eve").await.unwrap().is_empty()).await;
    assert_eq!(uploads(&site).await, ["OLD"]);
    // Its submitter died.
    age(&site, &mark, DAY / 12);
    site._dispatchers.clear();
    keeper(&mut site, &Probe::new());
    soon(async || uploads(&site).await.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_older_than_it_is_kept_goes_and_what_goes_on_or_is_named_stays() {
    let mut site = Site::new();
    let probe = Probe::new();
    site.start("a", probe.clone());
    let old = site.submit(2, true).await;
    let young = site.submit(1, false).await;
    let tried = site.submit(1, true).await;
    for id in [&old, &young, &tried] {
        site.ended(id).await;
        soon(async || {
            !names::exists(&site.jobs.store, &names::open(id))
                .await
                .unwrap()
        })
        .await;
    }
    assert_eq!(site.jobs.dead_letters_of("ada", 10).await.unwrap().len(), 2);
    // One goes on for longer than jobs are kept, and one that ended then is tried again.
    site._dispatchers.clear();
    probe.hold.store(true, Ordering::SeqCst);
    let long = site.submit(1, false).await;
    age(&site, &names::owned("ada", &long), 90 * DAY);
    age_job(&site, &old, 31 * DAY).await;
    age_job(&site, &young, 29 * DAY).await;
    age_job(&site, &tried, 31 * DAY).await;
    site.jobs.retry("ada", &tried).await.unwrap();
    // Uploads are as old as their youngest file; those of jobs have the jobs' names.
    for (upload, by) in [("OLD", 2 * DAY), ("MIXED", 2 * DAY), ("YOUNG", DAY / 2)] {
        site.upload(upload, "a.pgm", picture(1)).await;
        age(&site, &names::upload("ada", &format!("{upload}/a.pgm")), by);
    }
    site.upload("MIXED", "b.pgm", picture(2)).await;
    let named = [(&young, "0.pgm"), (&long, "0.pgm")];
    let of_old = ["0.pgm", "1.pgm", "broken.pgm"].map(|name| (&old, name));
    for (id, name) in named.into_iter().chain(of_old) {
        let name = names::upload("ada", &format!("{id}/{name}"));
        age(&site, &name, 40 * DAY);
    }
    // Whoever leads looks.
    keeper(&mut site, &probe);
    soon(async || {
        let there = uploads(&site).await;
        ![&old, "OLD"]
            .iter()
            .any(|gone| there.iter().any(|id| id == gone))
    })
    .await;
    let mut left = uploads(&site).await;
    left.retain(|id| id != &tried);
    let mut expected = vec![
        "MIXED".to_owned(),
        "YOUNG".into(),
        young.clone(),
        long.clone(),
    ];
    left.sort();
    expected.sort();
    assert_eq!(left, expected);
    let store = &site.jobs.store;
    soon(async || store.list(&format!("jobs/{old}")).await.unwrap().is_empty()).await;
    assert!(site.jobs.status("ada", &old).await.is_err());
    assert_eq!(site.jobs.dead_letters_of("ada", 10).await.unwrap().len(), 0);
    for id in [&young, &long, &tried] {
        assert!(site.jobs.status("ada", id).await.is_ok());
    }
    probe.hold.store(false, Ordering::SeqCst);
    assert_eq!(site.ended(&long).await.state, JobState::Succeeded);
}
