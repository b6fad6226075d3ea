//! The job commands at the services themselves: a real broker, a real Redis, a directory as the store.

use crate::services::{self, Cluster};
use crate::{lines, photos, picture, receipt};
use std::fs;

#[test]
fn a_job_goes_through_broker_redis_and_store() {
    if !services::there() {
        return;
    }
    let dir = photos();
    let dir = dir.path();
    fs::write(dir.join("photos/bad.ppm"), "P6 9 9 255\n").unwrap();
    let cluster = Cluster::start(dir);
    let pipeline = ["-p", "invert | gaussian(sigma=1)"];
    let submit = [
        "submit",
        "photos",
        pipeline[0],
        pipeline[1],
        "--name",
        "trip",
    ];
    let (code, out, err) = cluster.run(dir, &submit);
    assert_eq!(code, 0, "{err}");
    let job = out.trim().to_owned();
    assert!(job.bytes().all(|b| b.is_ascii_alphanumeric()), "{out}");

    let (code, out, err) = cluster.run(dir, &["watch", &job, "--json"]);
    assert_eq!(code, 3, "{err}");
    let events = lines(&out);
    let numbers = events.iter().map(|e| e["seq"].as_u64().unwrap());
    assert!(numbers.eq(1..=events.len() as u64), "{out}");
    assert_eq!(events.last().unwrap()["state"], "partial");
    let (code, _, err) = cluster.run(dir, &["watch", &job]);
    assert_eq!(code, 3);
    assert!(
        err.contains("3 of 4 images") && err.contains("bad.ppm"),
        "{err}"
    );

    let (code, _, err) = cluster.run(dir, &["results", &job, "--download", "out"]);
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("3 files fetched"), "{err}");
    let (_, _, err) = cluster.run(dir, &["results", &job, "--download", "out"]);
    assert!(err.contains("3 were there already"), "{err}");
    let (code, _, err) = cluster.run(dir, &["verify", "out"]);
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("3 of 3 outputs match"), "{err}");

    let here = ["run", "photos", "-o", "here", pipeline[0], pipeline[1]];
    assert_eq!(cluster.run(dir, &here).0, 3);
    for name in ["a.ppm", "b.ppm", "more/c.ppm"] {
        let read = |out: &str| fs::read(dir.join(out).join(name)).unwrap();
        assert!(read("out") == read("here"), "{name}");
    }
    assert_eq!(receipt(dir, "out/sundog-receipt.json")["name"], "trip");

    let (_, out, _) = cluster.run(dir, &["nodes", "--json"]);
    assert_eq!(lines(&out)[0]["node"], "n1");
    let (_, out, _) = cluster.run(dir, &["status", &job, "--json"]);
    assert_eq!(lines(&out)[0]["state"], "partial");
    let (_, out, _) = cluster.run(dir, &["doctor", "--json"]);
    for check in ["broker", "Redis", "store", "signed links"] {
        let found = lines(&out).into_iter().find(|c| c["check"] == check);
        assert_eq!(found.unwrap()["state"], "ok", "{out}");
    }

    // Somebody else sees nothing of it.
    let mut other = cluster.command(dir);
    let other = other.env("SUNDOG_USER", "eve").args(["status", &job]);
    let other = other.output().unwrap();
    assert_eq!(other.status.code(), Some(1));
    let (code, out, _) = cluster.run(dir, &["list", "--json"]);
    assert_eq!((code, lines(&out).len()), (0, 1));

    // What fails for good is a dead letter, and tried again once it is mended.
    picture(&dir.join("photos/a.ppm"), 9, 9);
    let (code, _, err) = cluster.run(dir, &["retry", &job]);
    assert_eq!(code, 0, "{err}");
    assert_eq!(cluster.run(dir, &["watch", &job]).0, 3);
}
