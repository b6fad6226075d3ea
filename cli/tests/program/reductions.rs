//! Reductions as jobs, by the programs: the bytes of `sundog reduce`, whoever dies, and nothing left.

use crate::browser::Browser;
use crate::page::{fits, nothing_ran, page, page_of, top_says};
use crate::server::{Serve, status, submit, wait};
use crate::services::{self, Cluster, SLOW};
use crate::{lines, run};
use cloud::testing::available;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;

/// Files of numbers in `nums`, and images in `pics`.
fn generate(dir: &Path, count: &str) {
    for arguments in [
        ["numbers", "-o", "nums", "--files", "24", "--count", count],
        [
            "images", "-o", "pics", "--files", "17", "--count", "300x200",
        ],
    ] {
        let all = [&["generate"][..], &arguments, &["--seed", "7"]].concat();
        let (code, _, err) = run(dir, &all);
        assert_eq!(code, 0, "{err}");
    }
}

/// Paths of the files of a folder, in order.
fn files(dir: &Path, folder: &str) -> Vec<String> {
    let entries = fs::read_dir(dir.join(folder)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.map(|name| format!("{folder}/{name}")).collect();
    names.sort();
    names
}

/// Files below the partial results of a store in a directory.
fn partials(store: &Path, job: &str) -> usize {
    let below = store.join("jobs").join(job).join("r1/partials");
    fs::read_dir(below).map_or(0, |entries| entries.count())
}

struct Ended(Vec<Child>);

impl Drop for Ended {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[test]
fn jobs_have_the_bytes_of_reductions_on_any_number_of_dispatchers_of_which_one_is_killed() {
    if !services::there() {
        return;
    }
    for dispatchers in [1, 2, 4] {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        generate(dir, "60000");
        let mut cluster = Cluster::slow(dir);
        let another = |n| cluster.dispatcher(dir, &format!("n{n}"), SLOW);
        let others = (2..=dispatchers).map(another);
        let mut others = Ended(others.collect());
        let mut jobs = Vec::new();
        for (folder, op, output) in [
            ("nums", "std", "std.txt"),
            ("pics", "mean", "mean.png"),
            ("nums", "median", "median.txt"),
        ] {
            let inputs = files(dir, folder);
            let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
            let here = [
                &["reduce", op][..],
                &inputs,
                &["-o", output, "--fan-in", "3"],
            ]
            .concat();
            let (code, _, err) = run(dir, &here);
            assert_eq!(code, 0, "{err}");
            let there = ["submit", "--reduce", op, "--fan-in", "3"];
            let format = output.rsplit('.').next().unwrap();
            let there = [&there[..], &["--format", format], &inputs].concat();
            let (code, out, err) = cluster.run(dir, &there);
            assert_eq!(code, 0, "{err}");
            jobs.push((out.trim().to_owned(), output));
        }
        wait("the first node", || {
            let (_, out, _) = cluster.run(dir, &["status", &jobs[0].0, "--json"]);
            let status = lines(&out).remove(0);
            assert_ne!(status["state"], "succeeded", "its node dies in the middle");
            status["counts"]["succeeded"].as_u64().unwrap() > 0
        });
        cluster.kill();
        if dispatchers == 1 {
            others.0.push(cluster.dispatcher(dir, "again", SLOW));
        }
        for (job, output) in &jobs {
            let (code, _, err) = cluster.run(dir, &["watch", job]);
            assert_eq!(code, 0, "{err}");
            let folder = format!("of-{output}");
            let fetched = ["results", job, "--download", &folder];
            let (code, _, err) = cluster.run(dir, &fetched);
            assert_eq!(code, 0, "{err}");
            let read = |path: &Path| fs::read(path).unwrap();
            let fetched = read(&dir.join(&folder).join(output));
            assert!(fetched == read(&dir.join(output)), "{dispatchers} {output}");
            assert_eq!(partials(&dir.join("store"), job), 0, "{output}");
        }
    }
}

#[test]
fn a_store_of_objects_gives_the_same_bytes_and_no_copy_is_left() {
    if !services::there() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    generate(dir, "3000");
    let server = services::objects();
    let scratch = dir.join("scratch");
    let mut cluster = Cluster::on(dir, services::store(&server));
    cluster.kill();
    let place = ["--scratch", scratch.to_str().unwrap()];
    let _dispatcher = Ended(vec![cluster.dispatcher(dir, "n2", &place)]);
    // A node takes more files than may be open.
    for (folder, op, output) in [
        ("nums", "mean", "mean.npy"),
        ("pics", "std", "std.tif"),
        ("nums", "median", "median.csv"),
    ] {
        let inputs = files(dir, folder);
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let here = ["-o", output, "--fan-in", "12"];
        let here = [&["reduce", op][..], &inputs, &here].concat();
        assert_eq!(run(dir, &here).0, 0);
        let format = output.rsplit('.').next().unwrap().replace("tif", "tiff");
        let there = ["submit", "--reduce", op, "--fan-in", "12"];
        let there = [&there[..], &["--format", &format], &inputs].concat();
        let (code, out, err) = cluster.run(dir, &there);
        assert_eq!(code, 0, "{err}");
        let job = out.trim();
        let (code, _, err) = cluster.run(dir, &["watch", job]);
        assert_eq!(code, 0, "{err}");
        let (code, _, err) = cluster.run(dir, &["results", job, "--download", "out"]);
        assert_eq!(code, 0, "{err}");
        let read = |name: &str| fs::read(dir.join(name)).unwrap();
        assert!(read(&format!("out/{output}")) == read(output), "{output}");
        let (code, _, err) = cluster.run(dir, &["verify", job, "--serial"]);
        assert_eq!(code, 0, "{err}");
    }
    let left = fs::read_dir(&scratch).unwrap().flatten();
    let left = left.filter(|entry| entry.path().is_dir());
    let left = left.flat_map(|folder| fs::read_dir(folder.path()).unwrap().flatten());
    let left = left.map(|entry| entry.file_name().into_string().unwrap());
    let left: Vec<String> = left.filter(|name| name != "lock").collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_tree_is_shown_before_it_is_submitted_and_its_result_is_fetched() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    generate(dir, "40");
    let (code, out, err) = run(dir, &["submit", "--reduce", "mean", "nums", "--dry-run"]);
    assert_eq!(code, 0, "{err}");
    assert!(
        out.contains("level 1: 5 nodes, 5 files each at most"),
        "{out}"
    );
    assert!(
        out.contains("level 2: 1 node, 5 results each at most"),
        "{out}"
    );
    assert!(
        err.contains("24 files") && err.contains("nothing was submitted"),
        "{err}"
    );
    let shape = [
        "submit",
        "--reduce",
        "mean",
        "nums",
        "--fan-in",
        "4",
        "--dry-run",
        "--json",
    ];
    let (code, out, _) = run(dir, &shape);
    let shape = lines(&out).remove(0)["reduce"].clone();
    assert_eq!(
        (code, &shape["files"], &shape["nodes"]),
        (0, &24.into(), &9.into())
    );
    assert_eq!(shape["levels"], serde_json::json!([6, 2, 1]));

    let _serve = Serve::start(dir);
    // In an order that is not that of their names.
    let mut named = files(dir, "nums");
    named.reverse();
    let named: Vec<&str> = named.iter().map(String::as_str).collect();
    let job = submit(dir, &[&["--reduce", "sum"][..], &named].concat());
    let (code, _, err) = run(dir, &["watch", &job]);
    assert_eq!(code, 0, "{err}");
    assert_eq!(status(dir, &job)["counts"]["tasks"], 6);
    let (code, _, err) = run(dir, &["results", &job, "--download", "out"]);
    assert_eq!(code, 0, "{err}");
    let here = [&["reduce", "sum"][..], &named, &["-o", "here.txt"]].concat();
    assert_eq!(run(dir, &here).0, 0);
    let read = |name: &str| fs::read(dir.join(name)).unwrap();
    assert!(read("out/sum.txt") == read("here.txt"));

    // What would be left out in silence is refused by name.
    fs::write(dir.join("job.toml"), "inputs = [\"pics\"]\nranks = 2\n").unwrap();
    let (code, _, err) = run(dir, &["submit", "--spec", "job.toml"]);
    assert_eq!(code, 2, "{err}");
    assert!(
        err.contains("job.toml:2: `ranks`") && err.contains("leave it out"),
        "{err}"
    );
}

#[test]
fn what_a_job_made_is_made_again_on_one_thread_and_compared() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    generate(dir, "40");
    fs::write(dir.join("pics/bad.png"), b"\x89PNG\r\n\x1a\nnothing").unwrap();
    let _serve = Serve::start(dir);
    let sum = submit(dir, &["--reduce", "sum", "nums", "--fan-in", "3"]);
    let pictures = submit(dir, &["pics", "-p", "gaussian(sigma=2) | invert"]);
    assert_eq!(run(dir, &["watch", &sum]).0, 0);
    assert_eq!(run(dir, &["watch", &pictures]).0, 3);
    for (job, outputs) in [(&sum, 1), (&pictures, 17)] {
        for more in [&["--serial"][..], &[]] {
            let (code, _, err) = run(dir, &[&["verify", job][..], more].concat());
            assert_eq!(code, 0, "{err}");
            let expected = format!("{outputs} of {outputs} outputs");
            assert!(err.contains(&expected), "{err}");
        }
    }
    // Of one whose bytes were changed since, that is told.
    for (job, name) in [(&sum, "sum.txt"), (&pictures, "image-0003.png")] {
        let receipt = format!("jobs/{job}/receipt.json");
        let store = find(dir, &receipt);
        let text = fs::read_to_string(&store).unwrap();
        let spec: serde_json::Value = serde_json::from_str(&text).unwrap();
        let tasks = spec["tasks"].as_array().unwrap();
        let output = format!("out/{name}");
        let task = tasks.iter().find(|task| task["output"] == *output).unwrap();
        let hash = task["output_sha256"].as_str().unwrap();
        fs::write(&store, text.replace(hash, &"0".repeat(64))).unwrap();
        for more in [&["--serial"][..], &[]] {
            let (code, _, err) = run(dir, &[&["verify", job][..], more].concat());
            assert_eq!(code, 1, "{err}");
            assert!(err.contains(name) && err.contains("differ"), "{err}");
        }
    }
    let (code, _, err) = run(dir, &["verify", "nums", "--serial"]);
    assert_eq!(code, 2, "{err}");
}

/// The file of that name somewhere below.
fn find(dir: &Path, name: &str) -> PathBuf {
    let mut open = vec![dir.to_owned()];
    while let Some(folder) = open.pop() {
        let path = folder.join(name);
        if path.is_file() {
            return path;
        }
        let entries = fs::read_dir(folder).unwrap();
        let folders = entries.map(|entry| entry.unwrap().path());
        open.extend(folders.filter(|path| path.is_dir() && !path.is_symlink()));
    }
    panic!("there is no {name}");
}

#[test]
fn a_reduction_is_made_on_the_page() {
    if !available(Browser::program(), "Chromium") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    generate(dir, "40");
    let (_serve, mut browser) = page(dir);
    browser.click("document.getElementById('kind-reduce')");
    let numbers: Vec<PathBuf> = files(dir, "nums")
        .iter()
        .map(|file| dir.join(file))
        .collect();
    browser.choose("#files", &numbers);
    browser.until("document.querySelectorAll('#chosen li').length === 24");
    browser.value("document.getElementById('reduce-op').value = 'sum'");
    browser.type_into("document.getElementById('reduce-fan-in')", "4");
    browser.until(
        "document.getElementById('reduce-tree').innerText.includes('9 nodes for 24 files: 6 + 2 + 1')",
    );
    browser.width(360, true);
    fits(&mut browser, "the form of a reduction on a phone");
    browser.width(1200, false);
    browser.click("document.getElementById('submit')");
    top_says(&mut browser, "succeeded, 9 of 9 done");
    browser.until("document.querySelector('#jobs .pair a')?.innerText === 'sum.txt'");
    nothing_ran(&mut browser);
}

#[test]
fn numbers_are_made_on_the_page_and_their_tree_is_followed_to_its_result() {
    if !available(Browser::program(), "Chromium") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    // Slow enough that something is seen of it.
    let slow = ["--simulate-load", "1", "--simulate-delay", "60ms"];
    let (_serve, mut browser) = page_of(dir, &slow);
    browser.click("document.getElementById('kind-reduce')");
    browser.click("document.querySelector('#reduction summary')");
    browser.type_into("document.getElementById('make-files')", "128");
    browser.type_into("document.getElementById('make-count')", "20001");
    browser.click("document.getElementById('make')");
    browser.until("document.getElementById('make-state').innerText.includes('sundog generate')");
    browser.type_into("document.getElementById('make-count')", "700");
    browser.type_into("document.getElementById('make-seed')", "7");
    browser.click("document.getElementById('make')");
    browser.until("document.querySelectorAll('#chosen li').length === 128");
    browser.value("document.getElementById('reduce-op').value = 'sum'");
    browser.type_into("document.getElementById('reduce-fan-in')", "2");
    browser.until(
        "document.getElementById('reduce-tree').innerText.includes('127 nodes for 128 files')",
    );
    browser.width(360, true);
    fits(&mut browser, "the form that makes numbers on a phone");
    browser.width(1200, false);
    browser.value(
        "(window.seen = [], new MutationObserver(() => window.seen.push(document.querySelector('#jobs progress')?.value ?? 0))
           .observe(document.getElementById('jobs'), {subtree: true, attributes: true, childList: true, characterData: true}))",
    );
    browser.click("document.getElementById('submit')");
    top_says(&mut browser, "succeeded, 127 of 127 done");
    let seen: Vec<f64> = serde_json::from_value(browser.value("window.seen")).unwrap();
    assert!(
        seen.iter().any(|share| (0.01..1.0).contains(share)),
        "{seen:?}"
    );
    // The same files as the program makes, and the same sum.
    let made = [
        "generate", "numbers", "-o", "nums", "--files", "128", "--count", "700", "--seed", "7",
    ];
    assert_eq!(run(dir, &made).0, 0);
    let inputs = files(dir, "nums");
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let here = [
        &["reduce", "sum"][..],
        &inputs,
        &["-o", "here.txt", "--fan-in", "2"],
    ]
    .concat();
    assert_eq!(run(dir, &here).0, 0);
    let (_, list, _) = run(dir, &["list", "--json"]);
    let job = lines(&list)[0]["job"].as_str().unwrap().to_owned();
    assert_eq!(run(dir, &["results", &job, "--download", "out"]).0, 0);
    let own = fs::read_to_string(dir.join("here.txt")).unwrap();
    assert_eq!(fs::read_to_string(dir.join("out/sum.txt")).unwrap(), own);
    // The first of them are shown.
    let first: Vec<&str> = own.split_whitespace().take(5).collect();
    browser.until(&format!(
        "document.querySelector('#jobs .numbers')?.innerText.split(/\\s+/).slice(0, 5).join() === '{}'",
        first.join(",")
    ));
    nothing_ran(&mut browser);
}
