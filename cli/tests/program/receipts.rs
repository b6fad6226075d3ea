//! Receipts: verify, reproduce, retry, skip.

use crate::{lines, photos, picture, receipt, run};
use std::fs;

#[test]
fn a_directory_is_processed_and_its_receipt_verified() {
    let dir = photos();
    let arguments = [
        "run",
        "photos",
        "-o",
        "out",
        "-p",
        "invert | gaussian(sigma=1)",
    ];
    let (code, out, err) = run(dir.path(), &arguments);
    assert_eq!((code, out.as_str()), (0, ""), "{err}");
    assert!(err.contains("3 of 3 images"), "{err}");
    assert!(dir.path().join("out/more/c.ppm").is_file());
    let receipt = receipt(dir.path(), "out/sundog-receipt.json");
    assert_eq!(receipt["state"], "succeeded");
    assert_eq!(receipt["tasks"].as_array().unwrap().len(), 3);

    assert_eq!(run(dir.path(), &["verify", "out/sundog-receipt.json"]).0, 0);
    assert_eq!(
        run(dir.path(), &["reproduce", "out", "--thread-ranks", "3"]).0,
        0
    );

    fs::write(dir.path().join("out/b.ppm"), "changed").unwrap();
    fs::remove_file(dir.path().join("out/a.ppm")).unwrap();
    let (code, _, err) = run(dir.path(), &["verify", "out"]);
    assert_eq!(code, 1);
    assert!(err.contains("out/b.ppm: its bytes differ"), "{err}");
    assert!(err.contains("out/a.ppm: there is no such file"), "{err}");
    assert!(!err.contains("c.ppm"), "{err}");

    picture(&dir.path().join("photos/b.ppm"), 30, 17);
    let (code, _, err) = run(dir.path(), &["reproduce", "out"]);
    assert_eq!(code, 1);
    assert!(err.contains("photos/b.ppm: the input was changed"), "{err}");
    assert!(err.contains("2 of 3 outputs"), "{err}");
}

#[test]
fn results_that_moved_with_their_receipt_are_found() {
    let dir = photos();
    assert_eq!(run(dir.path(), &["run", "photos", "-o", "out"]).0, 0);
    fs::rename(dir.path().join("out"), dir.path().join("elsewhere")).unwrap();
    assert_eq!(run(dir.path(), &["verify", "elsewhere"]).0, 0);
}

#[test]
fn what_failed_is_retried_alone_and_the_receipt_stays_whole() {
    let dir = photos();
    let bad = dir.path().join("photos/bad.ppm");
    fs::write(&bad, "P6 9 9 255\n").unwrap();
    let (code, _, err) = run(dir.path(), &["run", "photos", "-o", "out", "-p", "invert"]);
    assert_eq!(code, 3, "{err}");
    assert!(
        err.contains("photos/bad.ppm") && err.contains("--retry-failed"),
        "{err}"
    );
    picture(&bad, 9, 9);
    let retry = ["run", "--retry-failed", "out/sundog-receipt.json", "--json"];
    let (code, out, err) = run(dir.path(), &retry);
    assert_eq!(code, 0, "{err}");
    assert_eq!(
        lines(&out)
            .iter()
            .filter(|e| e["event"] == "task_finished")
            .count(),
        1
    );
    let receipt = receipt(dir.path(), "out/sundog-receipt.json");
    assert_eq!(receipt["counts"]["succeeded"], 4);
    assert_eq!(receipt["state"], "succeeded");
    let tasks = receipt["tasks"].as_array().unwrap();
    let again = tasks
        .iter()
        .find(|t| t["input"] == "photos/bad.ppm")
        .unwrap();
    assert_eq!((tasks.len(), &again["attempt"]), (4, &2.into()));
    assert!(run(dir.path(), &["verify", "out"]).2.contains("4 of 4"));
    assert!(run(dir.path(), &retry[..3]).2.contains("nothing to retry"));
}

#[test]
fn outputs_that_exist_are_left_alone_and_stay_in_the_receipt() {
    let dir = photos();
    assert_eq!(run(dir.path(), &["run", "photos/a.ppm", "-o", "out/"]).0, 0);
    let (code, _, err) = run(
        dir.path(),
        &["run", "photos", "-o", "out/", "--skip-existing"],
    );
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("1 left alone"), "{err}");
    assert!(run(dir.path(), &["verify", "out"]).2.contains("3 of 3"));
}
