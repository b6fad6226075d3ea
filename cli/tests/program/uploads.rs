//! Files on their way from the page: folders, names that two of them have, uploads that are cut off.

use crate::browser::Browser;
use crate::page::{fits, nothing_ran, page, top_says};
use crate::picture;
use cloud::testing::available;
use serde_json::{Value, json};

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

#[test]
fn an_upload_that_is_cancelled_goes_on_where_it_was() {
    if !available(Browser::program(), "Chromium") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    picture(&dir.join("small.ppm"), 20, 10);
    picture(&dir.join("large.ppm"), 700, 500);
    let (_serve, mut browser) = page(dir);
    let network = |upload: i64| json!({"offline": false, "latency": 0, "downloadThroughput": -1, "uploadThroughput": upload});
    browser.choose("#files", &[dir.join("small.ppm"), dir.join("large.ppm")]);
    chosen(&mut browser, 2);
    browser.call("Network.emulateNetworkConditions", network(60_000));
    browser.click("document.getElementById('submit')");
    let cancel = "document.getElementById('sent-cancel')";
    browser.until(&format!("!{cancel}.hidden"));
    // By bytes: long before a file of two is done.
    browser.until("document.getElementById('sent').value > 0.02");
    assert_eq!(
        browser.value("document.getElementById('sent').value < 0.5"),
        true
    );
    browser.click(cancel);
    let notice = "document.getElementById('form-notice').innerText";
    browser.until(&format!("{notice}.startsWith('Cancelled.')"));
    assert_eq!(browser.value(&format!("{cancel}.hidden")), true);
    assert_eq!(
        browser.value("document.getElementById('submit').disabled"),
        false
    );
    browser.call("Network.emulateNetworkConditions", network(-1));
    browser.click("document.getElementById('submit')");
    top_says(&mut browser, "succeeded, 2 of 2 done");
    let key = |event: &Value| event["request"]["headers"]["Idempotency-Key"].clone();
    let announced: Vec<Value> = asked(&browser, "POST", "/v1/uploads")
        .iter()
        .map(key)
        .collect();
    assert_eq!(announced.len(), 2);
    assert_eq!(announced[0], announced[1]);
    assert_eq!(asked(&browser, "PUT", "small.ppm").len(), 1);
    // The browser slows down what it tells, so the server may have had all of it already; then it is not sent again.
    let large = asked(&browser, "PUT", "large.ppm").len();
    assert!((1..=2).contains(&large), "{large}");
}
