//! Who is at the page: shown, signed out, changed only where one says so; and what one hands to others.

use crate::browser::Browser;
use crate::page::{TOP, add, nothing_ran, page, top_says};
use crate::picture;
use crate::server::Serve;
use cloud::testing::available;

/// Empty while the page begins anew.
const NOTICE: &str = "(document.getElementById('notice')?.innerText ?? '')";

fn press(browser: &mut Browser, text: &str) {
    let button = format!(
        "[...document.querySelectorAll('button')].find((b) => b.innerText === '{text}' && b.offsetParent)"
    );
    browser.until(&format!("!!{button}"));
    browser.click(&button);
}

#[test]
fn whoever_signs_out_leaves_nothing_on_the_page() {
    if !available(Browser::program(), "Chromium") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    picture(&dir.join("secret-name.ppm"), 64, 48);
    let (serve, mut browser) = page(dir);
    browser.until("document.getElementById('who').innerText !== ''");
    browser.choose("#files", &[dir.join("secret-name.ppm")]);
    add(&mut browser, "gaussian", "sigma", "2");
    browser.type_into("document.getElementById('name')", "secret-job");
    browser.click("document.getElementById('submit')");
    top_says(&mut browser, "succeeded, 1 of 1 done");
    // Results of a job, as one archive.
    browser.until(&format!("!!{TOP}.querySelector('a[href*=archives]')"));
    browser.choose("#files", &[dir.join("secret-name.ppm")]);
    browser.until("document.querySelectorAll('#chosen li').length === 1");

    press(&mut browser, "Sign out");
    browser.until("document.getElementById('login')?.hidden === false");
    assert_eq!(browser.value("document.getElementById('app').hidden"), true);
    assert_eq!(
        browser.value("document.getElementById('session').hidden"),
        true
    );
    let whole = browser.value("document.documentElement.outerHTML");
    assert!(!whole.as_str().unwrap().contains("secret-"), "{whole}");
    assert_eq!(browser.value("document.getElementById('name').value"), "");
    assert_eq!(
        browser.value("sessionStorage.getItem('sundog-token')"),
        serde_json::Value::Null
    );
    assert_eq!(browser.value(NOTICE), "You are signed out.");
    // And no request goes on.
    let asked = browser.events("Network.requestWillBeSent").len();
    std::thread::sleep(std::time::Duration::from_millis(1500));
    browser.value("1");
    assert_eq!(browser.events("Network.requestWillBeSent").len(), asked);

    browser.type_into("document.getElementById('token')", "sundog_wrong");
    press(&mut browser, "Open");
    browser.until(&format!("{NOTICE}.includes('not known')"));
    let token = serve.token().to_owned();
    browser.type_into("document.getElementById('token')", &token);
    press(&mut browser, "Open");
    top_says(&mut browser, "secret-job");
}

#[test]
fn a_link_with_another_token_asks_before_it_replaces_the_session() {
    if !available(Browser::program(), "Chromium") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let serve = Serve::start(dir.path());
    let mut browser = Browser::start();
    browser.open(&serve.link);
    browser.until("!document.getElementById('app').hidden");
    let who = browser.value("document.getElementById('who').innerText");
    let other = format!("{}#token=sundog_other", serve.address);
    browser.value(&format!("location.href = '{other}'"));
    browser.until("!document.getElementById('question').hidden");
    let asked = browser.value("document.getElementById('question').innerText");
    assert!(
        asked.as_str().unwrap().contains(who.as_str().unwrap()),
        "{asked}"
    );
    assert_eq!(browser.value("location.hash"), "");
    press(&mut browser, "Go on here");
    let held = browser.value("sessionStorage.getItem('sundog-token')");
    assert_eq!(held, serve.token());
    assert_eq!(
        browser.value("document.getElementById('app').hidden"),
        false
    );
    // Opened as a page of its own, it asks as well.
    browser.open("about:blank");
    browser.open(&other);
    press(&mut browser, "Begin the other one");
    browser.until(&format!("{NOTICE}.includes('not known')"));
    assert_eq!(browser.value("document.getElementById('app').hidden"), true);
    // The own link again asks nothing.
    browser.open("about:blank");
    browser.open(&serve.link);
    browser.until("!document.getElementById('app').hidden");
    assert_eq!(
        browser.value("document.getElementById('question').hidden"),
        true
    );
}

#[test]
fn operations_are_shared_by_a_link() {
    if !available(Browser::program(), "Chromium") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (serve, mut browser) = page(dir.path());
    add(&mut browser, "gaussian", "sigma", "2.5");
    browser.value("document.getElementById('operation').value = 'invert'");
    browser.click("document.getElementById('add')");
    press(&mut browser, "Share as link");
    browser.until("document.getElementById('share-link').value.includes('#pipeline=')");
    let link = browser.value("document.getElementById('share-link').value");
    let link = link.as_str().unwrap().to_owned();
    assert!(!link.contains(serve.token()));
    let steps = "[...document.querySelectorAll('#steps li')].map((i) => i.dataset.op).join()";
    browser.open("about:blank");
    browser.open(&link);
    browser.until(&format!("{steps} === 'gaussian,invert'"));
    let sigma = browser.value("document.querySelector('#steps [data-param=sigma]').value");
    assert_eq!(sigma, "2.5");
    // With others in the form, it asks.
    browser.value(&format!("location.href = '{link}'"));
    press(&mut browser, "Leave the form");
    for (text, said) in [
        ("eyJ4IjoxfQ", "cannot be read"),
        ("!!", "cannot be read"),
        ("W3sib3AiOiI8Yj4ifV0", "no operation <b>"),
    ] {
        browser.open("about:blank");
        browser.open(&format!("{}#pipeline={text}", serve.address));
        browser.until(&format!("{NOTICE}.includes('{said}')"));
    }
    nothing_ran(&mut browser);
}
