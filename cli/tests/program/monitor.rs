//! The page's workers: what each does, what all did, and how many there are to be.

use crate::browser::Browser;
use crate::page::{fits, nothing_ran, page};
use cloud::testing::available;

#[test]
fn the_page_shows_workers_and_has_more_of_them() {
    if !available(Browser::program(), "Chromium") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (_serve, mut browser) = page(dir.path());
    let rows = "document.querySelectorAll('#nodes tr').length";
    browser.until(&format!("{rows} === 1"));
    let row = browser.value("document.querySelector('#nodes tr').innerText");
    assert!(row.as_str().unwrap().contains("working"), "{row}");
    // One place of the series for each look, below the line of all places.
    let points = |id: &str| {
        format!("document.getElementById('{id}').getAttribute('points').split(' ').length")
    };
    browser.until(&format!("{} > 3", points("nodes-slots")));
    let label = "document.getElementById('nodes-chart').getAttribute('aria-label')";
    browser.until(&format!("{label}.includes('0 of 4 places busy')"));
    browser
        .until("document.getElementById('nodes-queue').innerText.startsWith('0 images of 0 jobs')");

    browser.until("document.getElementById('workers').value === '1'");
    browser.type_into("document.getElementById('workers')", "3");
    browser.click("document.getElementById('workers-set')");
    browser.until(
        "document.getElementById('workers-notice').innerText.startsWith('3 workers asked for')",
    );
    browser.until(&format!("{rows} === 3"));
    browser.until(&format!("{label}.includes('of 12 places')"));
    // The first one may have been among them until its successor was there.
    browser.until("Number(document.getElementById('nodes-most').innerText) >= 12");
    browser.until("document.getElementById('workers').value === '3'");
    for width in [320, 360, 768] {
        browser.width(width, true);
        fits(&mut browser, &format!("workers on {width} pixels"));
    }
    browser.width(1200, false);
    browser.type_into("document.getElementById('workers')", "1");
    browser.click("document.getElementById('workers-set')");
    browser.until(&format!("{rows} === 1"));
    nothing_ran(&mut browser);
}
