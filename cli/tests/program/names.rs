//! What outputs are called, what is one input, and what is none.

use super::*;
use serde_json::json;
use std::os::unix::fs::symlink;

/// A small PNG-free picture whose bytes tell that it is a PGM, under any name.
fn gray(path: &Path, value: u8) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, [&b"P5 2 2 255\n"[..], &[value; 4]].concat()).unwrap();
}

fn files(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.ends_with("receipt.json"))
        .collect();
    names.sort();
    names
}

#[test]
fn numbers_after_a_dot_belong_to_the_name() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let names = [
        "frame.000",
        "frame.001",
        "noext",
        "v1.2_final",
        "v1.3_final",
    ];
    for (value, name) in names.iter().enumerate() {
        gray(&dir.join("in").join(name), value as u8);
    }
    let (code, _, err) = run(dir, &["run", "in", "-o", "out", "--format", "tiff"]);
    assert_eq!(code, 0, "{err}");
    let expected = names.map(|name| format!("{name}.tif"));
    assert_eq!(files(&dir.join("out")), expected);
    assert!(run(dir, &["verify", "out"]).2.contains("5 of 5"));
}

#[test]
fn the_same_file_under_several_spellings_is_one_input() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    gray(&dir.join("a.pgm"), 1);
    fs::create_dir(dir.join("dir")).unwrap();
    symlink("a.pgm", dir.join("link.pgm")).unwrap();
    let (code, out, err) = run(
        dir,
        &[
            "run",
            "a.pgm",
            "dir/../a.pgm",
            "link.pgm",
            "*.pgm",
            "-o",
            "out/",
            "--json",
        ],
    );
    assert_eq!(code, 0, "{err}");
    assert_eq!(lines(&out)[0]["tasks"], 1);
    assert_eq!(files(&dir.join("out")), ["a.pgm"]);
}

#[test]
fn a_clash_is_told_before_anything_is_written_with_what_mends_it() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for (value, name) in ["in/x/a.jpg", "in/x/a.png", "in/b.pgm"].iter().enumerate() {
        gray(&dir.join(name), value as u8);
    }
    let base = ["run", "in", "-o", "out", "--format", "png"];
    for more in [&[][..], &["--dry-run"]] {
        let (code, _, err) = run(dir, &[&base[..], more].concat());
        assert_eq!(code, 2, "{err}");
        for words in [
            "in/x/a.jpg",
            "in/x/a.png",
            "--names '{stem}-{ext}.{format}'",
        ] {
            assert!(err.contains(words), "{err}");
        }
        assert!(!dir.join("out").exists());
    }
    let named = ["--names", "{stem}-{ext}.{format}"];
    assert_eq!(run(dir, &[&base[..], &named].concat()).0, 0);
    assert_eq!(files(&dir.join("out/x")), ["a-jpg.png", "a-png.png"]);
    fs::remove_dir_all(dir.join("out")).unwrap();
    let number = ["--on-clash", "number"];
    assert_eq!(run(dir, &[&base[..], &number].concat()).0, 0);
    assert_eq!(files(&dir.join("out/x")), ["a-2.png", "a.png"]);
    assert!(run(dir, &["verify", "out"]).2.contains("3 of 3"));
    assert_eq!(run(dir, &["reproduce", "out"]).0, 0);
    fs::remove_dir_all(dir.join("out")).unwrap();
    let all = [
        "--names",
        "{dir}/{index}_{width}x{height}_{hash8}_{name}.{format}",
    ];
    assert_eq!(run(dir, &[&base[..], &all].concat()).0, 0);
    let there = files(&dir.join("out/x"));
    assert!(
        there[0].starts_with("0002_2x2_") && there[0].ends_with("_a.jpg.png"),
        "{there:?}"
    );
    let (code, _, err) = run(dir, &[&base[..], &["--names", "{stm}"]].concat());
    assert_eq!(code, 2);
    assert!(
        err.contains("--names: `{stm}`: there is no key {stm} (known: {dir}"),
        "{err}"
    );
}

#[test]
fn junk_of_a_directory_is_counted_and_a_named_file_is_never_junk() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    gray(&dir.join("in/a.pgm"), 1);
    gray(&dir.join("in/f.png/in.pgm"), 2);
    gray(&dir.join("in/.hidden.pgm"), 3);
    for name in ["._a.jpg", ".DS_Store", "Thumbs.db", "notes.txt"] {
        fs::write(dir.join("in").join(name), "junk").unwrap();
    }
    let expected = json!({"hidden": 1, "junk": 3, "unknown": 1});
    let (code, out, err) = run(dir, &["run", "in", "-o", "out", "--json"]);
    assert_eq!(code, 0, "{err}");
    assert_eq!(lines(&out).last().unwrap()["skipped"], expected);
    assert_eq!(receipt(dir, "out/sundog-receipt.json")["skipped"], expected);
    for arguments in [["run", "in", "-o", "out"], ["run", "in/*", "-o", "out"]] {
        let (code, _, err) = run(dir, &arguments);
        assert_eq!(code, 0, "{err}");
        let words = "2 of 2 images";
        assert!(err.contains(words), "{err}");
        let words = "5 files skipped (1 hidden, 3 junk, 1 no image)";
        assert!(err.contains(words), "{err}");
    }
    let (code, _, err) = run(dir, &["run", "in/.hidden.pgm", "in/._a.jpg", "-o", "out"]);
    assert_eq!(code, 3, "{err}");
    assert!(dir.join("out/.hidden.pgm").is_file());
}

#[test]
fn jobs_have_the_same_rules_and_no_two_outputs_share_an_object() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for (value, name) in ["frame.000", "frame.001", "noext", "._x.png"]
        .iter()
        .enumerate()
    {
        gray(&dir.join("in").join(name), value as u8);
    }
    let _serve = crate::server::Serve::start(dir);
    let submit = |arguments: &[&str]| {
        let (code, out, err) = run(dir, &[&["submit", "--json", "--watch"], arguments].concat());
        let first = lines(&out).first().map(|line| line["job"].clone());
        (
            code,
            first
                .unwrap_or_default()
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            err,
        )
    };
    let (code, job, err) = submit(&["in/*"]);
    assert_eq!(code, 0, "{err}");
    assert_eq!(run(dir, &["results", &job, "--download", "got"]).0, 0);
    assert_eq!(
        files(&dir.join("got")),
        ["frame.000.pnm", "frame.001.pnm", "noext.pnm"]
    );
    assert!(run(dir, &["verify", "got"]).2.contains("3 of 3"));
    let objects: Vec<_> = receipt(dir, "got/sundog-receipt.json")["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|task| task["object"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        objects,
        [
            "out/0-frame.000.pnm",
            "out/1-frame.001.pnm",
            "out/2-noext.pnm"
        ]
    );

    gray(&dir.join("twins/a.jpg"), 1);
    gray(&dir.join("twins/a.png"), 2);
    let (code, _, err) = submit(&["twins"]);
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("nothing was submitted"), "{err}");
    let (code, job, err) = submit(&["twins", "--on-clash", "number"]);
    assert_eq!(code, 0, "{err}");
    assert_eq!(run(dir, &["results", &job, "--download", "both"]).0, 0);
    assert_eq!(files(&dir.join("both")), ["a-2.pnm", "a.pnm"]);
    let ends = |name: &str, value| fs::read(dir.join(name)).unwrap().ends_with(&[value; 4]);
    assert!(ends("both/a.pnm", 1) && ends("both/a-2.pnm", 2));
}

/// A JPEG with bytes between its markers, which cost no pixel.
fn odd_jpeg(dir: &Path) {
    picture(&dir.join("a.ppm"), 40, 30);
    assert_eq!(run(dir, &["run", "a.ppm", "-o", "in/a.jpg"]).0, 0);
    let bytes = fs::read(dir.join("in/a.jpg")).unwrap();
    let odd = [&bytes[..2], &[0xff, 0xff, 0, 0], &bytes[2..]].concat();
    fs::write(dir.join("in/a.jpg"), odd).unwrap();
    fs::remove_file(dir.join("in/a.jpg.sundog-receipt.json")).unwrap();
}

#[test]
fn a_warning_is_an_event_a_line_and_an_entry_and_strict_makes_it_a_failure() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    odd_jpeg(dir);
    for more in [&[][..], &["--thread-ranks", "3", "--mode", "rows"]] {
        let base = ["run", "in", "-o", "out", "--format", "png"];
        let (code, out, err) = run(dir, &[&base[..], &["--json"], more].concat());
        assert_eq!(code, 0, "{err}");
        let events = lines(&out);
        let warning = events.iter().find(|e| e["event"] == "warning").unwrap();
        assert_eq!(warning["kind"], "damaged");
        assert_eq!(
            (&warning["task"], &warning["input"]),
            (&json!(0), &json!("in/a.jpg"))
        );
        assert_eq!(events.last().unwrap()["warnings"], 1);
        let receipt = receipt(dir, "out/sundog-receipt.json");
        let told = &receipt["tasks"][0]["warnings"][0];
        assert_eq!(
            (&told["kind"], &told["text"]),
            (&warning["kind"], &warning["text"])
        );
        let (_, _, err) = run(dir, &[&base[..], more].concat());
        assert!(err.contains("warning: in/a.jpg: "), "{err}");
        assert!(err.contains(", 1 warning"), "{err}");
        fs::remove_dir_all(dir.join("out")).unwrap();
        let (code, _, err) = run(dir, &[&base[..], &["--strict"], more].concat());
        assert_eq!(code, 1, "{err}");
        assert!(err.contains("--strict"), "{err}");
        assert!(!dir.join("out/a.png").exists());
        fs::remove_dir_all(dir.join("out")).unwrap();
    }
}

#[test]
fn jobs_tell_warnings_and_count_them() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    odd_jpeg(dir);
    let _serve = crate::server::Serve::start(dir);
    let (code, out, err) = run(dir, &["submit", "in", "--watch", "--json", "-p", "invert"]);
    assert_eq!(code, 0, "{err}");
    let events = lines(&out);
    let job = events[0]["job"].as_str().unwrap();
    let warnings = events.iter().filter(|e| e["event"] == "warning");
    assert_eq!(warnings.count(), 1, "{out}");
    let (_, status, _) = run(dir, &["status", job, "--json"]);
    assert_eq!(lines(&status)[0]["warnings"], 1);
    let strict = ["submit", "in", "--watch", "--strict", "--max-attempts", "1"];
    let (code, _, err) = run(dir, &strict);
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("--strict"), "{err}");
}
