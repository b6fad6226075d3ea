//! Files on their way from the page: folders, names that two of them have, uploads that are cut off.

use crate::browser::Browser;
use crate::page::{fits, nothing_ran, page, top_says};
use crate::server::{Serve, wait};
use crate::wire::Wire;
use crate::{lines, picture, run};
use cloud::testing::available;
use serde_json::{Value, json};
use std::path::Path;

const CHOSEN: &str = "[...document.querySelectorAll('#chosen li')].map((li) => li.firstChild.textContent.replace(/ \\(\\d+[.\\d]* \\w+\\) $/, ''))";

fn chosen(browser: &mut Browser, count: usize) -> Vec<String> {
    browser.until(&format!(
        "document.querySelectorAll('#chosen li').length === {count}"
    ));
    serde_json::from_value(browser.value(CHOSEN)).unwrap()
}

#[test]
fn folders_are_dropped_and_files_of_one_name_are_kept_apart() {
    if !available(Browser::program(), "Chromium") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for (n, name) in ["photos/a/x.ppm", "photos/b/x.ppm", "one/y.ppm", "two/y.ppm"]
        .iter()
        .enumerate()
    {
        std::fs::create_dir_all(dir.join(name).parent().unwrap()).unwrap();
        picture(&dir.join(name), 40 + n, 30);
    }
    std::fs::write(dir.join("photos/.hidden.ppm"), "P5").unwrap();
    std::fs::write(dir.join("photos/notes.txt"), "no image").unwrap();
    let (_serve, mut browser) = page(dir);
    let data = json!({"items": [], "files": [dir.join("photos")], "dragOperationsMask": 1});
    let place = browser.value(
        "(() => { const r = document.getElementById('drop').getBoundingClientRect(); \
         return [r.x + 20, r.y + 20]; })()",
    );
    for kind in ["dragEnter", "dragOver", "drop"] {
        browser.call(
            "Input.dispatchDragEvent",
            json!({"type": kind, "x": place[0], "y": place[1], "data": data}),
        );
    }
    let mut names = chosen(&mut browser, 2);
    names.sort();
    assert_eq!(names, ["photos/a/x.ppm", "photos/b/x.ppm"]);
    // Two files of one name, and one of them once more.
    let files = ["one/y.ppm", "two/y.ppm", "one/y.ppm"].map(|name| dir.join(name));
    for file in &files {
        browser.choose("#files", std::slice::from_ref(file));
    }
    let names = chosen(&mut browser, 4);
    assert_eq!(names[2..], ["y.ppm", "y (2).ppm"]);
    browser.choose("#files", &[dir.join("photos/notes.txt")]);
    chosen(&mut browser, 5);
    // Focus goes on to the next file, and back to where files are chosen after the last.
    let remove = "document.querySelectorAll('#chosen button')[3]";
    browser.value(&format!("{remove}.focus(), {remove}.click()"));
    chosen(&mut browser, 4);
    assert_eq!(
        browser.value("document.activeElement.getAttribute('aria-label')"),
        "Remove notes.txt"
    );
    browser.value("document.activeElement.click()");
    assert_eq!(chosen(&mut browser, 3)[2], "y.ppm");
    assert_eq!(
        browser.value("document.activeElement.getAttribute('aria-label')"),
        "Remove y.ppm"
    );
    browser.click("document.getElementById('submit')");
    top_says(&mut browser, "succeeded, 3 of 3 done");
    let links = "[...document.querySelectorAll('#jobs .pair > a')].map((a) => a.innerText)";
    browser.until(&format!("{links}.length === 3"));
    let mut links: Vec<String> = serde_json::from_value(browser.value(links)).unwrap();
    links.sort();
    assert_eq!(
        links,
        ["a/x.ppm", "b/x.ppm", "y.ppm"].map(|name| {
            if name.contains('/') {
                format!("photos/{name}")
            } else {
                name.to_owned()
            }
        })
    );
    browser.width(360, true);
    fits(&mut browser, "results of folders on a phone");
    nothing_ran(&mut browser);
}

/// Requests of a method to an address that contains a text.
fn asked(browser: &Browser, method: &str, text: &str) -> Vec<Value> {
    let sent = browser.events("Network.requestWillBeSent").into_iter();
    let of = |event: &Value| {
        event["request"]["method"] == method
            && event["request"]["url"].as_str().unwrap().contains(text)
    };
    sent.filter(of).collect()
}

/// Where parts of files lie.
const PARTS: &str = ".local/share/sundog/store/.scratch/arriving";

/// A page behind a wire, with a large picture and a small one chosen.
fn behind(dir: &Path) -> (Wire, Serve, Browser) {
    picture(&dir.join("small.ppm"), 20, 10);
    picture(&dir.join("large.ppm"), 700, 500);
    let wire = Wire::new();
    let public = format!("http://127.0.0.1:{}/", wire.port);
    let serve = Serve::set(dir, &[], &[("SUNDOG_PUBLIC_URL", &public)]);
    let own = url::Url::parse(&serve.address).unwrap();
    wire.leads_to(own.port().unwrap());
    assert!(serve.link.starts_with(&public), "{}", serve.link);
    let mut browser = Browser::start();
    browser.open(&serve.link);
    browser.until("!document.getElementById('app').hidden");
    (wire, serve, browser)
}

fn choose_both(dir: &Path, browser: &mut Browser) {
    browser.choose("#files", &[dir.join("small.ppm"), dir.join("large.ppm")]);
    chosen(browser, 2);
}

/// Starts, and waits until some of the large picture has gone and most has not.
fn begin(wire: &Wire, browser: &mut Browser) {
    wire.slow(true);
    browser.click("document.getElementById('submit')");
    browser.until("document.getElementById('sent').value > 0.1");
}

/// The offsets that were sent with the bytes of a file.
fn offsets(browser: &Browser, name: &str) -> Vec<u64> {
    let sent = asked(browser, "PATCH", name).into_iter();
    let of = |event: Value| {
        let offset = event["request"]["headers"]["Upload-Offset"].clone();
        offset.as_str().unwrap().parse().unwrap()
    };
    sent.map(of).collect()
}

/// The job has what a run here makes of the same files.
fn the_same(dir: &Path, browser: &mut Browser) {
    top_says(browser, "succeeded, 2 of 2 done");
    let job = lines(&run(dir, &["list", "--json"]).1)[0]["job"].clone();
    run(
        dir,
        &["results", job.as_str().unwrap(), "--download", "got"],
    );
    run(dir, &["run", "small.ppm", "large.ppm", "-o", "here"]);
    for name in ["small.ppm", "large.ppm"] {
        let read = |folder: &str| std::fs::read(dir.join(folder).join(name)).unwrap();
        assert!(read("got") == read("here"), "{name}");
    }
    assert_eq!(
        browser.value("document.getElementById('cut-off').hidden"),
        true
    );
}

#[test]
fn an_upload_that_is_cancelled_goes_on_in_the_middle_of_a_file() {
    if !available(Browser::program(), "Chromium") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let (wire, _serve, mut browser) = behind(dir);
    choose_both(dir, &mut browser);
    begin(&wire, &mut browser);
    let cancel = "document.getElementById('sent-cancel')";
    browser.click(cancel);
    let notice = "document.getElementById('form-notice').innerText";
    browser.until(&format!("{notice}.startsWith('Cancelled.')"));
    assert_eq!(browser.value(&format!("{cancel}.hidden")), true);
    browser.until("document.getElementById('cut-off').innerText.includes('Start goes on')");
    wire.slow(false);
    browser.click("document.getElementById('submit')");
    the_same(dir, &mut browser);
    let key = |event: &Value| event["request"]["headers"]["Idempotency-Key"].clone();
    let announced = asked(&browser, "POST", "/v1/uploads");
    let keys: Vec<Value> = announced.iter().map(key).collect();
    assert!(keys.len() == 2 && keys[0] == keys[1], "{keys:?}");
    assert_eq!(offsets(&browser, "small.ppm"), [0]);
    let large = offsets(&browser, "large.ppm");
    assert!(
        large.len() == 2 && large[0] == 0 && large[1] > 0,
        "{large:?}"
    );
}

#[test]
fn a_network_that_breaks_is_waited_for_and_the_file_goes_on() {
    if !available(Browser::program(), "Chromium") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let (wire, _serve, mut browser) = behind(dir);
    choose_both(dir, &mut browser);
    begin(&wire, &mut browser);
    wire.tear();
    let notice = "document.getElementById('form-notice').innerText";
    browser.until(&format!("{notice}.includes('Trying again')"));
    wire.slow(false);
    wire.mend();
    // Nobody presses anything.
    the_same(dir, &mut browser);
    let large = offsets(&browser, "large.ppm");
    assert_eq!(large[0], 0);
    assert!(large.last().unwrap() > &0, "{large:?}");
    assert_eq!(asked(&browser, "POST", "/v1/uploads").len(), 1);
}

#[test]
fn a_page_that_is_loaded_again_in_the_middle_goes_on_with_the_same_files() {
    if !available(Browser::program(), "Chromium") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let (wire, _serve, mut browser) = behind(dir);
    choose_both(dir, &mut browser);
    begin(&wire, &mut browser);
    browser.call("Page.reload", json!({}));
    browser.until("document.readyState === 'complete' && !document.getElementById('app').hidden");
    browser.until("document.getElementById('cut-off').innerText.includes('An upload of 2 files')");
    // What is kept of it in the browser has no names.
    let kept =
        browser.value("JSON.stringify({...sessionStorage}) + JSON.stringify({...localStorage})");
    assert!(!kept.as_str().unwrap().contains(".ppm"), "{kept}");
    wire.slow(false);
    choose_both(dir, &mut browser);
    browser.click("document.getElementById('submit')");
    the_same(dir, &mut browser);
    let large = offsets(&browser, "large.ppm");
    assert!(large[0] == 0 && *large.last().unwrap() > 0, "{large:?}");
    assert_eq!(
        browser.value("sessionStorage.getItem('sundog-sending')"),
        Value::Null
    );

    // One that nobody wants any more is gone, here and there.
    browser.choose("#files", &[dir.join("large.ppm")]);
    begin(&wire, &mut browser);
    browser.click("document.getElementById('sent-cancel')");
    browser.until("!document.getElementById('cut-off').hidden");
    browser.click("document.getElementById('cut-off-forget')");
    browser.until("document.getElementById('cut-off').hidden");
    wait("what has come of it is not removed", || {
        asked(&browser, "DELETE", "/v1/uploads/").len() == 1
            && browser.value("1") == 1
            && std::fs::read_dir(dir.join(PARTS)).is_err()
    });
    nothing_ran(&mut browser);
}
