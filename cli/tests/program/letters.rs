//! Dead letters of a real `sundog serve`: seen, tried again in vain, mended, and gone.

use crate::server::{Serve, status, submit, wait};
use crate::{lines, photos, picture, run};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// The dead letters, once there are as many as that.
fn letters(dir: &Path, expected: usize) -> Vec<Value> {
    let mut found = Vec::new();
    wait("the dead letters are not as many", || {
        let (code, out, err) = run(dir, &["dead-letters", "list", "--json"]);
        assert_eq!(code, 0, "{err}");
        found = lines(&out);
        found.len() == expected
    });
    found
}

fn find(dir: &Path, name: &str) -> Option<PathBuf> {
    fs::read_dir(dir).unwrap().flatten().find_map(|entry| {
        match entry.file_type().unwrap().is_dir() {
            true => find(&entry.path(), name),
            false => (entry.file_name() == name).then(|| entry.path()),
        }
    })
}

#[test]
fn a_dead_letter_is_replayed_until_its_image_is_mended() {
    let dir = photos();
    let dir = dir.path();
    let _serve = Serve::start(dir);
    fs::write(dir.join("photos/bad.ppm"), "P6 9 9 255\n").unwrap();
    let job = submit(dir, &["photos", "-p", "invert", "--max-attempts", "2"]);
    assert_eq!(run(dir, &["watch", &job]).0, 3);
    let letter = letters(dir, 1).remove(0);
    assert_eq!(letter["job"], *job);
    let reason = letter["reason"].as_str().unwrap().to_owned();
    assert!(!reason.is_empty() && letter["task"].is_u64(), "{letter}");
    let (code, text, _) = run(dir, &["dead-letters", "list"]);
    assert_eq!(code, 0);
    assert!(text.contains(&job) && text.contains(&reason), "{text}");

    // Nothing was mended: it fails as before, and is one letter as before.
    let (code, out, err) = run(dir, &["dead-letters", "replay", "--json"]);
    assert_eq!((code, &lines(&out)[0]["replayed"]), (0, &1.into()), "{err}");
    let (code, _, err) = run(dir, &["watch", &job]);
    assert_eq!(code, 3, "{err}");
    assert_eq!(letters(dir, 1)[0]["reason"], *reason);

    // The upload is mended, by somebody who may.
    picture(&dir.join("photos/bad.ppm"), 9, 9);
    let uploads = dir.join(".local/share/sundog/store/uploads");
    let upload = find(&uploads, "bad.ppm").unwrap();
    fs::copy(dir.join("photos/bad.ppm"), upload).unwrap();
    let (code, _, err) = run(dir, &["dead-letters", "replay"]);
    assert_eq!(code, 0);
    assert!(err.contains("1 dead letter"), "{err}");
    let (code, _, err) = run(dir, &["watch", &job]);
    assert_eq!(code, 0, "{err}");
    let found = status(dir, &job);
    assert_eq!(found["state"], "succeeded", "{found}");
    assert_eq!(letters(dir, 0), Vec::<Value>::new());
    let (_, out, _) = run(dir, &["dead-letters", "replay", "--json"]);
    assert_eq!(lines(&out)[0]["replayed"], 0);

    assert_eq!(run(dir, &["results", &job, "--download", "out"]).0, 0);
    assert!(run(dir, &["verify", "out"]).2.contains("4 of 4"));
    let here = ["run", "photos", "-o", "here", "-p", "invert"];
    assert_eq!(run(dir, &here).0, 0);
    for name in ["a.ppm", "bad.ppm", "more/c.ppm"] {
        let read = |out: &str| fs::read(dir.join(out).join(name)).unwrap();
        assert!(read("out") == read("here"), "{name}");
    }
}
