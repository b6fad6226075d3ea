//! What watchers are promised, on events in memory and on Redis.

#![allow(clippy::unwrap_used)]

mod site;

use dispatcher::world::Threads;
use notifier::Config;
use protocol::Job;
use site::{Ground, LIMIT, Site, Stream, request};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;

/// Runs every case on both.
async fn everywhere(case: impl AsyncFn(&Ground)) {
    case(&Ground::memory()).await;
    if let Some(ground) = Ground::redis() {
        case(&ground).await;
    }
}

fn events(site: &Site, job: &str) -> String {
    format!("{}/v1/jobs/{job}/events", site.url)
}

fn all(site: &Site) -> String {
    format!("{}/v1/events", site.url)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_watchers_get_the_same_gap_free_events() {
    everywhere(async |ground| {
        let site = ground.start(Config::default()).await;
        let job = ground.job("ada").await;
        ground.add(&job, 0..100).await;
        let mut readers = Vec::new();
        for n in 0..200_u64 {
            // Some from the beginning, some from a place before they came, some from one that is yet to come.
            let after = [0, 0, 50, 100, 150][n as usize % 5];
            let (url, token, id) = (events(&site, &job), ground.ada.clone(), job.clone());
            readers.push(tokio::spawn(async move {
                let last = after.to_string();
                let last = (after > 0 && after <= 100).then_some(last.as_str());
                let first = last.map_or(0, |_| after) + 1;
                let mut stream = Stream::open(&url, &token, last).await;
                stream.take(&id, first..=600).await;
                stream
            }));
            if n == 100 {
                ground.add(&job, 100..300).await;
            }
        }
        ground.add(&job, 300..600).await;
        for reader in readers {
            reader.await.unwrap();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_jobs_at_once_are_told_each_to_its_watcher() {
    everywhere(async |ground| {
        let site = ground.start(Config::default()).await;
        let mut readers = Vec::new();
        let mut jobs = Vec::new();
        for _ in 0..40 {
            let job = ground.job("ada").await;
            let mut stream = Stream::open(&events(&site, &job), &ground.ada, None).await;
            jobs.push(job.clone());
            readers.push(tokio::spawn(async move { stream.take(&job, 1..=20).await }));
        }
        for n in 0..20 {
            for job in &jobs {
                ground.add(job, n..n + 1).await;
            }
        }
        for reader in readers {
            reader.await.unwrap();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_with_the_last_id_misses_nothing() {
    everywhere(async |ground| {
        let first = ground.start(Config::default()).await;
        let job = ground.job("ada").await;
        ground.add(&job, 0..20).await;
        let mut stream = Stream::open(&events(&first, &job), &ground.ada, None).await;
        stream.take(&job, 1..=7).await;
        let last = stream.last.clone();
        drop(stream);
        ground.add(&job, 20..5000).await;
        // To the same notifier, whose log has moved on, and to another one.
        let second = ground.start(Config::default()).await;
        for site in [&first, &second] {
            let url = events(site, &job);
            let mut stream = Stream::open(&url, &ground.ada, Some(&last)).await;
            stream.take(&job, 8..=5000).await;
            let mut stream = Stream::open(&url, &ground.ada, Some("4999")).await;
            stream.take(&job, 5000..=5000).await;
            stream.nothing().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_of_all_jobs_tells_own_ones_alone_and_goes_on_where_it_was() {
    everywhere(async |ground| {
        let first = ground.start(Config::default()).await;
        let (old, foreign) = (ground.job("ada").await, ground.job("bob").await);
        ground.add(&old, 0..3).await;
        ground.add(&foreign, 0..3).await;
        let mut stream = Stream::open(&all(&first), &ground.ada, None).await;
        // Only what is new.
        stream.nothing().await;
        assert!(!stream.last.is_empty());
        let quiet = stream.last.clone();
        ground.add(&old, 3..6).await;
        ground.add(&foreign, 3..6).await;
        stream.take(&old, 4..=6).await;
        let last = stream.last.clone();
        drop(stream);
        let new = ground.job("ada").await;
        ground.add(&new, 0..4).await;
        ground.add(&old, 6..8).await;
        ground.add(&foreign, 6..8).await;
        ground.finish(&old).await;
        let second = ground.start(Config::default()).await;
        for site in [&first, &second] {
            for (id, from) in [(&last, 7), (&quiet, 4)] {
                let mut stream = Stream::open(&all(site), &ground.ada, Some(id)).await;
                let mut seen = [from - 1, 0];
                for _ in 0..(9 - from + 1) + 4 {
                    let told = stream.next().await.unwrap();
                    let n = usize::from(told.job() == new);
                    assert!(n == 1 || told.job() == old, "{told:?}");
                    seen[n] += 1;
                    assert_eq!(told.seq(), seen[n], "{told:?}");
                }
                assert_eq!(seen, [9, 4]);
                // Its last id is good, too.
                let end = stream.last.clone();
                drop(stream);
                let mut stream = Stream::open(&all(site), &ground.ada, Some(&end)).await;
                stream.nothing().await;
            }
            let mut stream = Stream::open(&all(site), &ground.ada, Some("0")).await;
            stream.take(&old, 1..=9).await;
            stream.take(&new, 1..=4).await;
            stream.nothing().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_be_told_what_happened_is_told_where_everything_is() {
    everywhere(async |ground| {
        let first = ground.start(Config::default()).await;
        let (one, two) = (ground.job("ada").await, ground.job("ada").await);
        ground.add(&one, 0..3).await;
        ground.finish(&one).await;
        ground.add(&two, 0..3).await;
        let mut stream = Stream::open(&all(&first), &ground.ada, Some("0")).await;
        stream.take(&one, 1..=4).await;
        stream.take(&two, 1..=3).await;
        let last = stream.last.clone();
        drop((stream, first));
        // A job that had ended goes on, which the id cannot tell.
        ground.add(&one, 3..5).await;
        let second = ground.start(Config::default()).await;
        let mut stream = Stream::open(&all(&second), &ground.ada, Some(&last)).await;
        let told = stream.next().await.unwrap();
        assert_eq!(told.event, "reset");
        let jobs: Vec<_> = told.data["jobs"].as_array().unwrap().to_vec();
        assert_eq!(jobs.len(), 2);
        assert_eq!(jobs[0]["job"], two.as_str());
        ground.add(&two, 3..4).await;
        stream.take(&two, 4..=4).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_events_are_a_reset_with_the_state_of_the_receipts() {
    everywhere(async |ground| {
        let site = ground.start(Config::default()).await;
        // A job for real, so that there are receipts.
        let id = ulid::Ulid::generate().to_string();
        for n in 0..3 {
            let mut picture = b"P5 4 4 255\n".to_vec();
            picture.extend([n * 9; 16]);
            let name = format!("uploads/ada/{id}/{n}.pgm");
            let store = &ground.jobs.store;
            store.put(&name, picture.into(), "image/x").await.unwrap();
        }
        let job = Job {
            inputs: vec![format!("uploads/{id}/")],
            pipeline: "invert".into(),
            ..Job::default()
        };
        ground.jobs.submit_as("ada", &id, job).await.unwrap();
        let stop = CancellationToken::new();
        let world = Arc::new(Threads::start(1));
        let config = dispatcher::Config::new("n1");
        let work = dispatcher::run(config, ground.jobs.clone(), world, stop.clone());
        let work = tokio::spawn(work);
        let mut one = Stream::open(&events(&site, &id), &ground.ada, None).await;
        let mut everything = Stream::open(&all(&site), &ground.ada, Some("0")).await;
        for stream in [&mut one, &mut everything] {
            loop {
                let told = stream.next().await.unwrap();
                assert_eq!(told.job(), id);
                if told.event == "job_finished" {
                    break;
                }
            }
        }
        stop.cancel();
        work.await.unwrap().unwrap();
        let last = [one.last.clone(), everything.last.clone()];
        ground.flush();
        let mut back = [
            Stream::open(&events(&site, &id), &ground.ada, Some(&last[0])).await,
            Stream::open(&all(&site), &ground.ada, Some(&last[1])).await,
        ];
        let [back_one, back_all] = &mut back;
        for stream in [&mut one, &mut everything, back_one, back_all] {
            let told = stream.next().await.unwrap();
            assert_eq!(told.event, "reset", "{told:?}");
            let status = &told.data["jobs"][0];
            assert_eq!(status["job"], id.as_str());
            assert_eq!(status["state"], "succeeded");
            assert_eq!(status["counts"]["succeeded"], 3);
            assert_eq!(status["counts"]["tasks"], 3);
        }
        // What happens afterwards begins another history.
        ground.add(&id, 0..3).await;
        for stream in [&mut one, &mut everything, back_one, back_all] {
            stream.take(&id, 1..=3).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_nothing_is_cut_off_and_may_come_back() {
    let ground = Ground::memory();
    let config = Config {
        watchers: 1,
        keep_bytes: 0,
        write_stall: Duration::from_millis(500),
        ..Config::default()
    };
    let site = ground.start(config).await;
    let job = ground.job("ada").await;
    let address = site.url.strip_prefix("http://").unwrap();
    let mut stalled = tokio::net::TcpStream::connect(address).await.unwrap();
    let (path, token) = (format!("/v1/jobs/{job}/events"), &ground.ada);
    let ask = format!("GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n");
    stalled.write_all(ask.as_bytes()).await.unwrap();
    let mut begin = [0; 12];
    stalled.read_exact(&mut begin).await.unwrap();
    assert_eq!(&begin, b"HTTP/1.1 200");
    let busy = request(&events(&site, &job), token, None).await;
    assert_eq!(busy.status(), 503);
    assert!(busy.headers().contains_key("retry-after"));
    // More than the sockets hold.
    ground.add(&job, 0..30_000).await;
    let free = async {
        while request(&events(&site, &job), token, None).await.status() != 200 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(LIMIT, free).await.expect("cut off");
    // What it did get has no gaps, and it ends somewhere.
    let mut bytes = Vec::new();
    let _ = stalled.read_to_end(&mut bytes).await;
    let text = String::from_utf8_lossy(&bytes);
    let ids: Vec<u64> = text
        .lines()
        .filter_map(|line| line.strip_prefix("id: ")?.split('.').next()?.parse().ok())
        .collect();
    assert!(ids.len() < 30_000, "{}", ids.len());
    assert!(ids.windows(2).all(|pair| pair[1] == pair[0] + 1));
    let last = ids[ids.len() - 2];
    let mut back = loop {
        let response = request(&events(&site, &job), token, Some(&last.to_string())).await;
        if response.status() == 200 {
            drop(response);
            tokio::time::sleep(Duration::from_millis(100)).await;
            let url = events(&site, &job);
            break Stream::open(&url, token, Some(&last.to_string())).await;
        }
    };
    back.take(&job, last + 1..=30_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_see_nothing() {
    everywhere(async |ground| {
        let config = Config {
            watchers_per_user: 2,
            ..Config::default()
        };
        let site = ground.start(config).await;
        let job = ground.job("ada").await;
        ground.add(&job, 0..3).await;
        let status = async |url: &str, token: &str, last| request(url, token, last).await.status();
        assert_eq!(status(&events(&site, &job), &ground.bob, None).await, 404);
        assert_eq!(
            status(&events(&site, "nothing"), &ground.ada, None).await,
            404
        );
        assert_eq!(
            status(&events(&site, &job), "sundog_wrong", None).await,
            401
        );
        assert_eq!(status(&all(&site), "", None).await, 401);
        for wrong in ["x", "1.zz", "-1"] {
            let answer = status(&events(&site, &job), &ground.ada, Some(wrong)).await;
            assert_eq!(answer, 400, "{wrong}");
            assert_eq!(status(&all(&site), &ground.ada, Some(wrong)).await, 400);
        }
        // An id that claims to know somebody else's job.
        let mut own = Stream::open(&all(&site), &ground.bob, None).await;
        own.nothing().await;
        let forged = format!("{}~{job}=1", own.last);
        let mut forger = Stream::open(&all(&site), &ground.bob, Some(&forged)).await;
        ground.add(&job, 3..6).await;
        forger.nothing().await;
        let third = request(&all(&site), &ground.bob, None).await;
        assert_eq!(third.status(), 429);
        assert!(third.headers().contains_key("retry-after"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_is_filled_and_streams_end_with_the_service() {
    let ground = Ground::memory();
    let config = Config {
        heartbeat: Duration::from_millis(50),
        ..Config::default()
    };
    let site = ground.start(config).await;
    let job = ground.job("ada").await;
    let mut response = request(&events(&site, &job), &ground.ada, None).await;
    let mut text = String::new();
    while !text.contains(": alive\n\n: alive\n\n") {
        let chunk = response.chunk().await.unwrap().unwrap();
        text.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    site.stop.cancel();
    while response.chunk().await.unwrap().is_some() {}
}
