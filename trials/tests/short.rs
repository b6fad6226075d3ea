//! Some of the trials by fire, the quick ones, with a seed that is printed. `scripts/chaos` carries out all of them.

#![allow(clippy::unwrap_used)]

use cloud::testing::{RabbitMq, Redis, available};
use std::path::Path;
use std::sync::Arc;
use trials::cases::{CASES, Verdict, carry_out};
use trials::{Cluster, Work};

/// Those that take seconds.
const QUICK: [&str; 6] = [
    "dispatcher-killed",
    "dispatcher-ended",
    "rank-killed",
    "redis-wiped",
    "store-errors",
    "store-loses-replies",
];

#[tokio::test]
async fn nothing_is_lost_doubled_or_left_when_something_breaks() {
    let services = [
        available(RabbitMq::program(), "RabbitMQ"),
        available(Redis::program(), "Redis"),
    ];
    if services.contains(&false) {
        return;
    }
    let seed = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    println!("seed {seed}");
    let work = Work::make(seed, 20, "bilateral(radius=6)").unwrap();
    let work = Arc::new(work);
    let keep = Path::new(env!("CARGO_TARGET_TMPDIR")).join("chaos");
    let mut cluster = None;
    for name in QUICK {
        let case = CASES.iter().find(|case| case.name == name).unwrap();
        if case.needs_ranks && trials::find("sundog-worker").is_err() {
            eprintln!("SKIPPED: {name}: sundog-worker is not built");
            continue;
        }
        let services = match cluster.take() {
            Some(services) => services,
            None => Cluster::start(case.store).unwrap(),
        };
        let begun = std::time::Instant::now();
        let (verdict, services) = carry_out(case, services, &work, seed, &keep).await;
        cluster = services;
        println!("{name}: {verdict:?} after {:?}", begun.elapsed());
        assert!(
            !matches!(verdict, Verdict::Failed(_)),
            "see {}",
            keep.display()
        );
    }
}
