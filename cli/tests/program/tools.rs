//! ops, bench, info, doctor, and what is generated.

use crate::{lines, run, sundog};
use serde_json::Value;
use std::fs;
use std::path::Path;

#[test]
fn operations_are_listed_for_people_and_programs() {
    let dir = tempfile::tempdir().unwrap();
    let (code, out, _) = run(dir.path(), &["ops"]);
    assert!(
        code == 0 && out.contains("gaussian") && out.contains("Filters"),
        "{out}"
    );
    let (_, out, _) = run(dir.path(), &["ops", "gaussian"]);
    assert!(out.contains("0.1..=200, default 1"), "{out}");
    let all = lines(&run(dir.path(), &["ops", "--json"]).1);
    let names = all[0]
        .as_array()
        .unwrap()
        .iter()
        .map(|op| op["name"].as_str().unwrap());
    assert_eq!(names.count(), imaging::ops::ALL.len());
    let one = &lines(&run(dir.path(), &["ops", "gaussian", "--json"]).1)[0];
    assert_eq!(one["params"][0]["max"], 200.0);
}

#[test]
fn bench_prints_the_documented_fields() {
    let dir = tempfile::tempdir().unwrap();
    let arguments = [
        "bench",
        "-p",
        "gaussian(sigma=1)",
        "--size",
        "64x48x3",
        "--runs",
        "2",
        "--json",
    ];
    for (more, ranks, halo) in [
        (vec![], 1, 0),
        (vec!["--thread-ranks", "2"], 2, 2 * 3 * 64 * 3),
    ] {
        let (code, out, err) = run(dir.path(), &[&arguments[..], &more].concat());
        assert_eq!(code, 0, "{err}");
        let report = &lines(&out)[0];
        let mut fields: Vec<&str> = report
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        fields.sort_unstable();
        let mut wanted = [
            "pipeline",
            "size",
            "threads",
            "ranks",
            "median_ms",
            "min_ms",
            "megapixels_per_s",
            "peak_rss_mb",
            "halo_bytes",
            "halo_wait_ms",
            "device",
        ];
        wanted.sort_unstable();
        assert_eq!(fields, wanted);
        assert_eq!(
            (&report["ranks"], &report["halo_bytes"]),
            (&ranks.into(), &halo.into())
        );
        assert!(report["peak_rss_mb"].as_f64().unwrap() > 1.0);
    }
    assert_eq!(
        run(dir.path(), &["bench", "-p", "invert", "--size", "4x4x9"]).0,
        2
    );
    assert_eq!(run(dir.path(), &["bench", "-p", "invrt"]).0, 2);
}

#[test]
fn info_counts_pixels() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("x.pgm"), b"P5 3 1 255\n\x00\x07\x07").unwrap();
    let (code, out, err) = run(dir.path(), &["info", "x.pgm", "--json"]);
    assert_eq!(code, 0, "{err}");
    let info = &lines(&out)[0];
    for (key, value) in [("width", 3), ("height", 1), ("channels", 1), ("bits", 8)] {
        assert_eq!(info[key], value, "{key}");
    }
    assert_eq!(
        (&info["format"], &info["color"]),
        (&"pnm".into(), &"gray".into())
    );
    let bins = info["histogram"].as_array().unwrap();
    assert_eq!(
        (bins.len(), &bins[0], &bins[7]),
        (256, &1.into(), &2.into())
    );
    let (code, out, err) = run(dir.path(), &["info", "x.pgm", "none.pgm"]);
    assert_eq!(code, 3);
    assert!(
        out.contains("x.pgm") && err.contains("none.pgm: there is no such file"),
        "{err}"
    );
}

#[test]
fn bench_takes_deeper_samples_and_a_floor() {
    let dir = tempfile::tempdir().unwrap();
    for bits in ["8", "16", "32f"] {
        let arguments = [
            "bench",
            "-p",
            "invert",
            "--size",
            "200x100x3",
            "--runs",
            "3",
            "--bits",
            bits,
            "--floor",
            "--json",
        ];
        let (code, out, err) = run(dir.path(), &arguments);
        assert_eq!(code, 0, "{err}");
        let report = &lines(&out)[0];
        assert!(report["floor_ms"].as_f64().unwrap() > 0.0, "{report}");
    }
    let (code, _, err) = run(dir.path(), &["bench", "-p", "invert", "--bits", "12"]);
    assert!(code == 2 && err.contains("32f"), "{err}");
}

#[test]
fn the_simd_level_can_be_lowered_and_seen() {
    let dir = tempfile::tempdir().unwrap();
    let doctor = |level: &str| {
        let mut command = sundog(dir.path());
        command
            .args(["doctor", "--json", "--mpirun", "/nonexistent"])
            .env("SUNDOG_SIMD", level);
        command.output().unwrap()
    };
    let output = doctor("base");
    let checks = lines(&String::from_utf8(output.stdout).unwrap());
    let check = |name: &str| checks.iter().find(|c| c["check"] == name).unwrap().clone();
    assert!(check("simd")["found"].as_str().unwrap().starts_with("base"));
    assert_eq!(check("mpirun")["state"], "broken");
    assert!(
        check("mpirun")["fix"]
            .as_str()
            .unwrap()
            .contains("--thread-ranks")
    );
    let output = doctor("avx9");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("avx9"));
}

#[test]
fn scripts_pages_and_schemas_are_printed() {
    let dir = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        assert!(
            run(dir.path(), &["completions", shell])
                .1
                .contains("sundog")
        );
    }
    let (code, page, _) = run(dir.path(), &["man"]);
    assert!(
        code == 0 && page.contains(".SH \"SUNDOG RUN\"") && page.contains("retry"),
        "{page}"
    );
    for (of, key) in [("job", "pipeline"), ("receipt", "spec_sha256")] {
        let schema: Value = serde_json::from_str(&run(dir.path(), &["schema", of]).1).unwrap();
        assert!(schema["properties"][key].is_object(), "{of}");
    }
    assert!(
        run(dir.path(), &["schema", "event"])
            .1
            .contains("job_finished")
    );
}

#[test]
fn the_reference_page_is_up_to_date() {
    let dir = tempfile::tempdir().unwrap();
    let page = run(dir.path(), &["docs", "operations"]).1;
    let kept =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operations.md"));
    assert!(
        kept.unwrap() == page,
        "run: sundog docs operations > docs/operations.md"
    );
}

#[test]
fn made_inputs_depend_on_the_seed_alone() {
    let dir = tempfile::tempdir().unwrap();
    let make = |to: &str, what: &str, count: &str, seed: &str| {
        let arguments = [
            "generate", what, "-o", to, "--files", "3", "--count", count, "--seed", seed,
        ];
        run(dir.path(), &arguments)
    };
    for to in ["a", "b", "a"] {
        let (code, _, err) = make(to, "numbers", "1000", "5");
        assert_eq!(code, 0, "{err}");
    }
    let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
    for n in 1..=3 {
        let text = read(&format!("a/numbers-000{n}.txt"));
        assert_eq!(text.lines().count(), 1000);
        assert_eq!(text, read(&format!("b/numbers-000{n}.txt")));
    }
    // Nothing that is there is replaced by something else.
    let (code, _, err) = make("a", "numbers", "1000", "6");
    assert!(code == 2 && err.contains("other content"), "{code} {err}");
    let (code, _, err) = run(dir.path(), &["reduce", "mean", "a", "-o", "mean.txt"]);
    assert_eq!(code, 0, "{err}");
    let first = |name: &str| -> f64 { read(name).lines().next().unwrap().parse().unwrap() };
    let sum: f64 = (1..=3)
        .map(|n| first(&format!("a/numbers-000{n}.txt")))
        .sum();
    assert!((first("mean.txt") - sum / 3.0).abs() < 1e-9);

    let (code, _, err) = make("pictures", "images", "40x30", "5");
    assert_eq!(code, 0, "{err}");
    let (_, out, _) = run(dir.path(), &["info", "--json", "pictures/image-0002.png"]);
    assert_eq!(lines(&out)[0]["width"], 40);
    for wrong in ["0x5", "40x30x4", "many"] {
        let (code, _, err) = make("wrong", "images", wrong, "5");
        assert!(code == 2 && err.contains("--count"), "{code} {err}");
    }
}
