//! An image that kills the whole server: programs that are built for tests have one.

use crate::server::{Serve, status, submit};
use crate::{picture, run};
use std::time::{Duration, Instant};

/// Names it.
const KILLER: &str = "SUNDOG_TEST_ABORT_ON";

#[test]
fn an_image_that_kills_the_server_fails_alone_and_the_server_lives_on() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for n in 0..9 {
        picture(&dir.join(format!("many/{n}.ppm")), 40, 30);
    }
    picture(&dir.join("many/killer.ppm"), 40, 30);
    let start = || Serve::set(dir, &[], &[(KILLER, "killer.ppm")]);
    let mut serve = start();
    let arguments = ["many", "-p", "invert", "--max-attempts", "1"];
    let job = submit(dir, &arguments);
    let (begun, mut deaths) = (Instant::now(), 0);
    loop {
        if serve.child.try_wait().unwrap().is_some() {
            deaths += 1;
            assert!(deaths <= 2, "it dies again and again:\n{}", serve.log());
            serve = start();
        }
        let (code, out, _) = run(dir, &["status", &job, "--json"]);
        if code == 0 && !out.contains("queued") && !out.contains("running") {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(90), "{out}");
        std::thread::sleep(Duration::from_millis(50));
    }
    let found = status(dir, &job);
    if deaths == 0 {
        assert!(
            std::env::var_os("SUNDOG_TEST_SERVICES").is_none(),
            "{found}"
        );
        eprintln!("left out: this program is built without the feature sundog-worker/testing");
        return;
    }
    // Once beside others, once alone.
    assert_eq!((deaths, &found["state"]), (2, &"partial".into()));
    assert_eq!(
        (&found["counts"]["succeeded"], &found["counts"]["failed"]),
        (&9.into(), &1.into())
    );
    let (_, out, _) = run(dir, &["results", &job, "--json"]);
    assert!(
        out.contains("its node died over it while it did nothing else"),
        "{out}"
    );
    // And it works.
    let job = submit(dir, &["many/1.ppm", "-p", "invert", "--watch"]);
    assert_eq!(status(dir, &job)["state"], "succeeded");
}
