//! The page's preview, its list of jobs, its presets, and results side by side, in a real browser.

use crate::browser::Browser;
use crate::page::{TOP, add, fits, nothing_ran, page, top_says};
use crate::server::{long_pictures, submit, wait};
use crate::wasm::module;
use crate::{lines, picture, run};
use cloud::testing::available;
use serde_json::Value;
use std::fs;

#[test]
fn a_job_is_paused_and_goes_on() {
    if !available(Browser::program(), "Chromium") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let files = long_pictures(dir);
    let (_serve, mut browser) = page(dir);
    browser.choose("#files", &files);
    add(&mut browser, "median", "radius", "12");
    browser.click("document.getElementById('submit')");
    browser.until(&format!("!!{TOP}"));
    press(&mut browser, "Pause");
    top_says(&mut browser, "paused");
    browser.until(&format!(
        "[...{TOP}.querySelectorAll('button')].some((b) => b.innerText === 'Resume' && !b.hidden)"
    ));
    press(&mut browser, "Resume");
    top_says(&mut browser, "running");
    press(&mut browser, "Cancel");
    top_says(&mut browser, "cancelled");
    nothing_ran(&mut browser);
}

/// Presses a button of the job at the top.
fn press(browser: &mut Browser, text: &str) {
    let button =
        format!("[...{TOP}.querySelectorAll('button')].find((b) => b.innerText === '{text}')");
    browser.click(&button);
}

fn titles(browser: &mut Browser) -> Vec<String> {
    let found = browser.value("[...document.querySelectorAll('#jobs h3')].map((h) => h.innerText)");
    serde_json::from_value(found).unwrap()
}

fn set(browser: &mut Browser, id: &str, value: &str) {
    browser.value(&format!(
        "(() => {{ const e = document.getElementById('{id}'); e.value = '{value}'; e.dispatchEvent(new Event('input')); e.dispatchEvent(new Event('change')); }})()"
    ));
}

#[test]
fn a_preview_shows_the_programs_pixels_before_anything_is_sent() {
    if !available(Browser::program(), "Chromium")
        || !available(module(), "the module of scripts/demo-page")
    {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    picture(&dir.join("a.ppm"), 90, 70);
    picture(&dir.join("b.ppm"), 33, 44);
    let (_serve, mut browser) = page(dir);
    assert_eq!(
        browser.value("document.documentElement.dataset.preview"),
        "yes",
        "built before the module was"
    );
    assert_eq!(
        browser.value("document.getElementById('preview').hidden"),
        true
    );
    browser.choose("#files", &[dir.join("a.ppm"), dir.join("b.ppm")]);
    browser.until("document.getElementById('preview-state').innerText.includes('90 × 70')");
    add(&mut browser, "gaussian", "sigma", "3");
    assert_eq!(
        run(
            dir,
            &["run", "a.ppm", "-o", "c.ppm", "-p", "gaussian(sigma=3)"]
        )
        .0,
        0
    );
    let native = fs::read(dir.join("c.ppm")).unwrap();
    let native: Vec<String> = native[native.len() - 90 * 70 * 3..]
        .iter()
        .map(u8::to_string)
        .collect();
    let native = native.join(",");
    browser.until(&format!(
        "(() => {{ const c = document.querySelectorAll('#preview canvas')[1]; const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
           return [...d].filter((_, i) => i % 4 !== 3).join() === '{native}'; }})()"
    ));
    assert_eq!(
        browser.value("document.querySelectorAll('#preview svg path').length"),
        8
    );
    // What is wrong is said at once, and mended at once.
    browser.type_into(
        "document.querySelector('#steps [data-param=sigma]')",
        "1000",
    );
    browser.until("document.getElementById('preview-problem').innerText.includes('sigma')");
    browser.type_into("document.querySelector('#steps [data-param=sigma]')", "2");
    browser.until("document.getElementById('preview-problem').innerText === ''");
    // The other image.
    set(&mut browser, "preview-of", "1");
    browser.until("document.getElementById('preview-state').innerText.includes('33 × 44')");
    for width in [320, 360, 768] {
        browser.width(width, true);
        fits(&mut browser, &format!("the preview on {width} pixels"));
    }
    for request in browser.events("Network.requestWillBeSent") {
        assert_eq!(request["request"]["method"], "GET", "{request}");
    }
    nothing_ran(&mut browser);
}

#[test]
fn jobs_are_found_and_sorted_run_again_and_edited_as_new() {
    if !available(Browser::program(), "Chromium") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    picture(&dir.join("in/a.ppm"), 60, 50);
    let (_serve, mut browser) = page(dir);
    let mut ids = Vec::new();
    for name in ["pear", "apple", "fig"] {
        let pipeline = "gaussian(sigma=2) | posterize(levels=5)";
        ids.push(submit(
            dir,
            &["in", "-p", pipeline, "--name", name, "--format", "tiff"],
        ));
        assert_eq!(run(dir, &["watch", ids.last().unwrap()]).0, 0);
    }
    browser.until("document.querySelectorAll('#jobs li').length === 3");
    assert_eq!(titles(&mut browser), ["fig", "apple", "pear"]);
    set(&mut browser, "jobs-order", "name");
    assert_eq!(titles(&mut browser), ["apple", "fig", "pear"]);
    // Longer than what ids have by chance.
    set(&mut browser, "jobs-find", "PEAR");
    assert_eq!(titles(&mut browser), ["pear"]);
    set(&mut browser, "jobs-state", "failed");
    browser.until("!document.getElementById('none-found').hidden");
    set(&mut browser, "jobs-state", "");

    // A TIFF, which this browser does not know, is seen all the same, and compared.
    top_says(&mut browser, "succeeded");
    press(&mut browser, "Results");
    let images = "[...document.querySelectorAll('#jobs .pair img')]";
    browser.until(&format!("{images}.length === 2"));
    browser.value(&format!("{images}[0].scrollIntoView({{block: 'center'}})"));
    browser.until(&format!(
        "{images}.length === 2 && {images}.every((i) => i.complete && i.naturalWidth === 60)"
    ));
    press(&mut browser, "Compare");
    browser.until("document.querySelectorAll('#jobs .large svg path').length === 8");
    browser.until("[...document.querySelectorAll('#jobs .large canvas')].every((c) => c.width === 60 && c.height === 50)");
    browser.width(360, true);
    fits(&mut browser, "results side by side");
    browser.width(1200, false);

    set(&mut browser, "jobs-find", "");
    press(&mut browser, "Run again");
    browser.until("document.querySelectorAll('#jobs li').length === 4");
    assert_eq!(titles(&mut browser)[..2], ["apple", "apple"]);
    // As new: its operations and its format are in the form, and its images are there already.
    // The newer of the two, which is offered once it has ended.
    top_says(&mut browser, "succeeded");
    press(&mut browser, "Edit as new");
    browser.until("document.querySelectorAll('#steps > li').length === 2");
    assert_eq!(
        browser.value("document.querySelector('#steps [data-param=sigma]').value"),
        "2"
    );
    assert_eq!(
        browser.value("document.querySelector('#steps [data-param=levels]').value"),
        "5"
    );
    let format = browser.value("document.getElementById('format').value");
    assert!(format.as_str().unwrap().starts_with("tiff"), "{format}");
    browser.type_into("document.querySelector('#steps [data-param=levels]')", "3");
    browser.type_into("document.getElementById('name')", "zebra");
    browser.click("document.getElementById('submit')");
    set(&mut browser, "jobs-order", "newest");
    top_says(&mut browser, "zebra");
    top_says(&mut browser, "succeeded, 1 of 1 done");
    let (_, list, _) = run(dir, &["list", "--json"]);
    let jobs: Vec<Value> = lines(&list);
    let job = jobs.iter().find(|job| job["name"] == "zebra").unwrap();
    run(
        dir,
        &["results", job["job"].as_str().unwrap(), "--download", "out"],
    );
    let again = [
        "run",
        "in",
        "-o",
        "here",
        "-p",
        "gaussian(sigma=2) | posterize(levels=3)",
        "--format",
        "tiff",
    ];
    assert_eq!(run(dir, &again).0, 0);
    assert_eq!(
        fs::read(dir.join("out/a.tif")).unwrap(),
        fs::read(dir.join("here/a.tif")).unwrap()
    );

    // Deleted with its results, after a second press.
    press(&mut browser, "Delete");
    browser.until(&format!(
        "{TOP}.innerText.includes('Delete with its results?')"
    ));
    press(&mut browser, "Delete with its results?");
    browser.until("!document.getElementById('jobs').innerText.includes('zebra')");
    let (_, list, _) = run(dir, &["list", "--json"]);
    assert!(!list.contains("zebra"), "{list}");
    nothing_ran(&mut browser);
}

#[test]
fn presets_are_kept_in_the_browser_and_many_jobs_have_pages() {
    if !available(Browser::program(), "Chromium") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    picture(&dir.join("in/a.ppm"), 8, 8);
    let (serve, mut browser) = page(dir);
    browser.click("document.getElementById('preset-save')");
    browser.until("document.getElementById('form-notice').innerText.includes('name')");
    add(&mut browser, "median", "radius", "4");
    browser.type_into("document.getElementById('preset-name')", "calm");
    browser.click("document.getElementById('preset-save')");
    browser.until("document.getElementById('presets').value === 'calm'");
    browser.open("about:blank");
    browser.open(&serve.link);
    browser.until("document.getElementById('operation').options.length > 20");
    set(&mut browser, "presets", "calm");
    browser.click("document.getElementById('preset-use')");
    browser.until("document.querySelector('#steps [data-param=radius]')?.value === '4'");
    browser.click("document.getElementById('preset-remove')");
    browser.until("document.getElementById('presets').value !== 'calm'");

    for _ in 0..21 {
        submit(dir, &["in", "-p", "invert"]);
    }
    wait("the jobs are not told", || {
        browser.value("document.getElementById('jobs-page').innerText") == "1 of 2 (21 jobs)"
    });
    assert_eq!(
        browser.value("document.querySelectorAll('#jobs li').length"),
        20
    );
    browser.click("document.getElementById('jobs-after')");
    browser.until("document.querySelectorAll('#jobs li').length === 1");
    nothing_ran(&mut browser);
}
