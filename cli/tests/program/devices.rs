//! `--device`: the same bytes wherever they are computed, and receipts and plans that say where.
//!
//! These hold in builds with and without the feature `gpu`, on machines with a device (in software, too) and without.

use crate::{photos, receipt, run};
use std::fs;

#[test]
fn a_device_or_the_processor_make_the_same_files_and_receipts_tell() {
    let dir = photos();
    let pipeline = "equalize | gaussian(sigma=2) | sharpen";
    for device in ["cpu", "gpu"] {
        let arguments = [
            "run", "photos", "-o", device, "-p", pipeline, "--device", device,
        ];
        let (code, _, err) = run(dir.path(), &arguments);
        assert_eq!(code, 0, "{err}");
    }
    for name in ["a.ppm", "b.ppm", "more/c.ppm"] {
        let read = |folder: &str| fs::read(dir.path().join(folder).join(name)).unwrap();
        assert!(read("cpu") == read("gpu"), "{name} differs");
    }
    let asked = receipt(dir.path(), "gpu/sundog-receipt.json");
    assert_eq!(asked["spec"]["schedule"]["device"], "gpu");
    for task in asked["tasks"].as_array().unwrap() {
        let (device, reason) = (&task["device"], task["device_reason"].as_str().unwrap());
        assert!(!reason.is_empty());
        let warned = task["warnings"].as_array().is_some_and(|all| {
            all.iter()
                .any(|w| w["kind"] == "device" && w["text"].as_str().unwrap().contains(reason))
        });
        // Whoever asked for a device and did not get one is told.
        assert_eq!(device == "cpu", warned, "{task}");
        assert!(device == "gpu" || device == "cpu", "{task}");
    }
    let plain = receipt(dir.path(), "cpu/sundog-receipt.json");
    assert_eq!(plain["tasks"][0]["device"], "cpu");
}

#[test]
fn a_plan_says_where_images_would_be_computed() {
    let dir = photos();
    let arguments = [
        "run",
        "photos",
        "-o",
        "out",
        "-p",
        "median",
        "--device",
        "gpu",
        "--dry-run",
    ];
    let (code, out, err) = run(dir.path(), &arguments);
    assert_eq!(code, 0, "{err}");
    assert!(
        out.contains("on the gpu (") || out.contains("on the cpu ("),
        "{out}"
    );
    // What is small is not worth looking for a device.
    let arguments = ["run", "photos", "-o", "out", "-p", "median", "--dry-run"];
    let (code, out, err) = run(dir.path(), &arguments);
    assert_eq!(code, 0, "{err}");
    assert!(!out.contains("on the gpu ("), "{out}");
}

#[test]
fn a_job_file_asks_for_a_device_under_schedule() {
    let dir = photos();
    let job = "inputs = [\"photos\"]\noutput = \"out\"\npipeline = \"invert\"\n[schedule]\ndevice = \"cpu\"\n";
    fs::write(dir.path().join("job.toml"), job).unwrap();
    let (code, _, err) = run(dir.path(), &["run", "--spec", "job.toml"]);
    assert_eq!(code, 0, "{err}");
    let told = receipt(dir.path(), "out/sundog-receipt.json");
    assert_eq!(told["tasks"][0]["device"], "cpu");
    fs::write(
        dir.path().join("job.toml"),
        job.replace("\"cpu\"", "\"tpu\""),
    )
    .unwrap();
    let (code, _, err) = run(dir.path(), &["run", "--spec", "job.toml"]);
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("tpu"), "{err}");
}
