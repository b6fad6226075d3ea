//! The web page in a real browser, as `sundog serve` gives it out.

use crate::browser::Browser;
use crate::server::{Serve, ended, long_pictures, status, wait};
use crate::{lines, picture, run};
use cloud::testing::available;
use std::fs;
use std::path::Path;

/// A name that wants to be a script, and a job that does.
const HOSTILE: &str = "<img src=x onerror=window.hacked=1>.png";
const JOB: &str = "<script>window.hacked=1</script><b>trip</b>";

/// The job of the list that is at the top.
pub const TOP: &str = "document.querySelector('#jobs li')";

/// A server that tells much, and a browser with its page open.
pub fn page(dir: &Path) -> (Serve, Browser) {
    page_of(dir, &[])
}

/// The same of a server that was started so.
pub fn page_of(dir: &Path, flags: &[&str]) -> (Serve, Browser) {
    let serve = Serve::set(dir, flags, &[("SUNDOG_LOG", "debug")]);
    let mut browser = Browser::start();
    browser.open(&serve.link);
    browser.until("!document.getElementById('app').hidden");
    browser.until("document.getElementById('operation').options.length > 20");
    (serve, browser)
}

/// Adds an operation, with one parameter set.
pub fn add(browser: &mut Browser, operation: &str, parameter: &str, value: &str) {
    browser.value(&format!(
        "document.getElementById('operation').value = '{operation}'"
    ));
    browser.click("document.getElementById('add')");
    let field = format!("document.querySelector('#steps [data-param={parameter}]')");
    browser.type_into(&field, value);
}

/// Waits for a text of the job at the top.
pub fn top_says(browser: &mut Browser, text: &str) {
    browser.until(&format!("({TOP}?.innerText ?? '').includes('{text}')"));
}

/// Nothing ran that was not to, and nothing was complained about.
pub fn nothing_ran(browser: &mut Browser) {
    assert_eq!(browser.value("window.hacked ?? 'no'"), "no");
    assert_eq!(
        browser.value("document.querySelectorAll('img[src=x], #jobs script, #jobs b').length"),
        0
    );
    let thrown = browser.events("Runtime.exceptionThrown");
    assert!(thrown.is_empty(), "{thrown:?}");
    // What the policy refuses, or what cannot be loaded, is an entry, too.
    let entries = browser.events("Log.entryAdded");
    assert!(entries.is_empty(), "{entries:?}");
}

/// The page is no wider than the window.
pub fn fits(browser: &mut Browser, what: &str) {
    let widths = browser.value(
        "[document.documentElement.scrollWidth, document.documentElement.clientWidth, innerWidth]",
    );
    assert!(
        widths[0] == widths[1] && widths[1] == widths[2],
        "{what}: {widths}"
    );
}

#[test]
fn an_image_goes_through_the_page_and_its_name_stays_text() {
    if !available(Browser::program(), "Chromium") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    picture(&dir.join("in/a.ppm"), 320, 240);
    run(dir, &["run", "in/a.ppm", "-o", "a.png"]);
    fs::create_dir(dir.join("odd")).unwrap();
    fs::rename(dir.join("a.png"), dir.join("odd").join(HOSTILE)).unwrap();
    let (serve, mut browser) = page(dir);
    let token = serve.token().to_owned();

    browser.choose("#files", &[dir.join("odd").join(HOSTILE)]);
    browser.until("document.querySelectorAll('#chosen li').length === 1");
    let chosen = browser.value("document.querySelector('#chosen li').innerText");
    assert!(chosen.as_str().unwrap().starts_with(HOSTILE), "{chosen}");
    add(&mut browser, "gaussian", "sigma", "2");
    browser.type_into("document.getElementById('name')", JOB);
    browser.width(360, true);
    fits(&mut browser, "the form on a phone");
    browser.width(1200, false);
    browser.click("document.getElementById('submit')");
    top_says(&mut browser, "succeeded, 1 of 1 done");
    top_says(&mut browser, JOB);

    // Both images are there to be seen.
    let images = "[...document.querySelectorAll('#jobs .pair img')]";
    browser.until(&format!("{images}.length === 2"));
    browser.value(&format!("{images}[0].scrollIntoView({{block: 'center'}})"));
    browser.until(&format!(
        "{images}.every((i) => i.complete && i.naturalWidth === 320 && i.naturalHeight === 240)"
    ));
    let shown = browser.value(&format!("{images}.map((i) => i.alt)"));
    assert_eq!(shown[0], format!("{HOSTILE} before"));
    assert_eq!(shown[1], format!("{HOSTILE} after"));
    nothing_ran(&mut browser);
    for width in [320, 360, 768] {
        browser.width(width, true);
        fits(&mut browser, &format!("results on {width} pixels"));
    }
    browser.width(1200, false);

    // The link opens, and anybody who has it gets the bytes of a run here.
    browser.click("document.querySelector('#jobs .pair a')");
    let link = browser.value("document.querySelector('#jobs .pair a').href");
    let link = link.as_str().unwrap().to_owned();
    let opened = |browser: &mut Browser| {
        let targets = browser.ask("Target.getTargets", serde_json::json!({}));
        let targets = targets["targetInfos"].as_array().unwrap().clone();
        targets.iter().any(|target| target["url"] == *link)
    };
    wait("the link does not open", || opened(&mut browser));
    assert!(!link.contains(&token));
    let bytes = fetch(&link);
    let here = ["run", "odd", "-o", "here", "-p", "gaussian(sigma=2)"];
    assert_eq!(run(dir, &here).0, 0);
    assert!(bytes == fs::read(dir.join("here").join(HOSTILE)).unwrap());

    // Opened again without the link, it is still this user's page.
    let address = serve.address.clone();
    browser.open(&address);
    top_says(&mut browser, JOB);
    nothing_ran(&mut browser);
    nowhere(&mut browser, &serve, &token);
    let remains = browser.end();
    assert_eq!(remains.processes(), Vec::<String>::new());
    // A browser's own history has the address that was opened; nothing of ours is to have more than that.
    let kept = remains.files_with(&token);
    let ours = [
        "Cookies",
        "Local Storage",
        "IndexedDB",
        "Cache",
        "Downloads",
    ];
    let ours = kept
        .iter()
        .filter(|file| ours.iter().any(|part| file.contains(part)));
    assert_eq!(ours.count(), 0, "{kept:?}");
}

fn fetch(link: &str) -> Vec<u8> {
    // For the client below; an error means that another test did.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let answer = reqwest::get(link)
            .await
            .unwrap()
            .error_for_status()
            .unwrap();
        answer.bytes().await.unwrap().to_vec()
    })
}

/// The token stays out of the address, the way back, addresses that were asked for, and the server's log.
fn nowhere(browser: &mut Browser, serve: &Serve, token: &str) {
    let address = browser.value("location.href");
    assert_eq!(address, serve.address);
    let history = browser.call("Page.getNavigationHistory", serde_json::json!({}));
    assert!(!history["entries"].to_string().contains(token), "{history}");
    let asked = browser.events("Network.requestWillBeSent");
    let asked: Vec<_> = asked
        .iter()
        .map(|event| event["request"]["url"].to_string())
        .collect();
    assert!(
        asked.iter().any(|url| url.contains("/v1/jobs")),
        "{asked:?}"
    );
    assert!(!asked.concat().contains(token), "{asked:?}");
    let log = serve.log();
    assert!(log.contains("a job has ended"), "{log}");
    assert!(!log.contains(token), "the log holds the token");
}

#[test]
fn progress_is_live_and_a_cancel_ends_the_job() {
    if !available(Browser::program(), "Chromium") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let files = long_pictures(dir);
    let (serve, mut browser) = page(dir);
    browser.choose("#files", &files);
    add(&mut browser, "median", "radius", "12");
    browser.click("document.getElementById('submit')");
    browser.until(&format!("!!{TOP}"));
    // Each change of the bar is seen; nobody opens the page again.
    browser.value(&format!(
        "window.seen = []; new MutationObserver(() => window.seen.push({TOP}.querySelector('progress').value))
           .observe({TOP}, {{subtree: true, attributes: true, childList: true, characterData: true}})"
    ));
    browser.until("new Set(window.seen.filter((v) => v > 0 && v < 1)).size >= 3");
    let seen = browser.value("window.seen");
    let seen: Vec<f64> = serde_json::from_value(seen).unwrap();
    assert!(seen.is_sorted(), "{seen:?}");
    browser.click(&format!(
        "[...{TOP}.querySelectorAll('button')].find((b) => b.innerText === 'Cancel')"
    ));
    top_says(&mut browser, "cancelled, ");
    browser.until(&format!("{TOP}.querySelector('progress').hidden"));
    let (_, list, _) = run(dir, &["list", "--json"]);
    let job = lines(&list)[0]["job"].as_str().unwrap().to_owned();
    let found = status(dir, &job);
    assert_eq!((&found["state"], ended(&found)), (&"cancelled".into(), 40));
    nothing_ran(&mut browser);
    drop(serve);
    // What the page says when its server is gone.
    browser.until("document.getElementById('notice').innerText.startsWith('No connection')");
    assert_eq!(browser.end().processes(), Vec::<String>::new());
}
