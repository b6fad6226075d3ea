//! `sundog serve` on a real mpirun.

use crate::server::{Serve, submit, wait};
use crate::{lines, photos, picture, processes, receipt, run};
use cloud::testing::{available, find_program};
use serde_json::Value;

/// Outputs and their hashes, in order.
fn hashes(receipt: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let tasks = receipt["tasks"].as_array().unwrap().iter();
    let mut all: Vec<_> = tasks
        .map(|task| (text(&task["output"]), text(&task["output_sha256"])))
        .map(|(name, hash)| (name.rsplit('/').next().unwrap().to_owned(), hash))
        .collect();
    all.sort();
    all
}

#[test]
fn a_serve_on_ranks_gives_the_hashes_of_a_run_and_leaves_no_process() {
    if find_program("mpirun").is_none() {
        eprintln!("SKIPPED: Open MPI is not installed");
        return;
    }
    let worker = assert_cmd::cargo::cargo_bin!("sundog").with_file_name("sundog-worker");
    if !available(
        worker.is_file().then_some(worker),
        "sundog-worker with Open MPI",
    ) {
        return;
    }
    let dir = photos();
    let dir = dir.path();
    // One that is worth all ranks.
    picture(&dir.join("photos/large.ppm"), 2400, 1800);
    let pipeline = "equalize | gaussian(sigma=2)";
    let mut serve = Serve::with(dir, &["--ranks", "2"]);
    let job = submit(dir, &["photos", "-p", pipeline]);
    let (code, _, err) = run(dir, &["watch", &job]);
    assert_eq!(code, 0, "{err}");
    wait("no two ranks", || {
        let (_, nodes, _) = run(dir, &["nodes", "--json"]);
        lines(&nodes)[0]["ranks"] == 2
    });
    assert_eq!(run(dir, &["results", &job, "--download", "out"]).0, 0);
    assert!(run(dir, &["verify", "out"]).2.contains("4 of 4"));
    assert_eq!(
        run(dir, &["run", "photos", "-o", "here", "-p", pipeline]).0,
        0
    );
    let [out, here] =
        ["out", "here"].map(|out| receipt(dir, &format!("{out}/sundog-receipt.json")));
    assert_eq!(hashes(&out), hashes(&here));

    let name = dir.display().to_string();
    let ranks = |found: &[String]| {
        found
            .iter()
            .filter(|c| c.contains("sundog-worker serve"))
            .count()
    };
    let found = processes::with(&name);
    // Two ranks, and the mpirun that has them in its command line, too.
    assert!(ranks(&found) >= 3, "{found:#?}");
    serve.signal("-TERM");
    assert_eq!(serve.child.wait().unwrap().code(), Some(0));
    let found = processes::with(&name);
    assert_eq!(ranks(&found), 0, "{found:#?}");
    wait("processes are left", || processes::with(&name).is_empty());
}
