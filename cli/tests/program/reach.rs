//! The page without a mouse and without eyes: the main flow by keys alone, and what a screen reader is told.

use crate::browser::Browser;
use crate::page::{TOP, add, nothing_ran, page, top_says};
use crate::picture;
use cloud::testing::available;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Roles of what people use, which must have a name to be spoken.
const USED: [&str; 12] = [
    "button",
    "checkbox",
    "combobox",
    "image",
    "link",
    "radio",
    "searchbox",
    "slider",
    "spinbutton",
    "textbox",
    "progressbar",
    "region",
];

/// What has the focus: whether it is seen, with a frame around it, in the window. The inputs of files are seen as their labels.
const SEEN: &str = "(() => {
    const e = document.activeElement;
    if (e === document.body) return 'nothing has the focus';
    const shown = e.type === 'file' ? e.labels[0] : e;
    const r = shown.getBoundingClientRect(), style = getComputedStyle(shown);
    const name = e.id || e.textContent || e.tagName;
    if (r.width === 0 || r.height === 0) return name + ' is not to be seen';
    if (r.bottom <= 0 || r.top >= innerHeight) return name + ' is out of the window';
    if (style.outlineStyle === 'none' || parseFloat(style.outlineWidth) < 2) return name + ' has no frame';
    return 'yes';
})()";

/// Goes on by a key until an element has the focus; whatever has it on the way is seen.
fn go_to(browser: &mut Browser, key: &str, element: &str) {
    for _ in 0..120 {
        browser.key(key);
        assert_eq!(browser.value(SEEN), "yes", "on the way to {element}");
        if browser.value(&format!("document.activeElement === {element}")) == true {
            return;
        }
    }
    panic!("{element} is not reached by {key}");
}

fn by_id(id: &str) -> String {
    format!("document.getElementById('{id}')")
}

/// A button of the job at the top.
fn of_top(text: &str) -> String {
    format!(
        "[...{TOP}.querySelectorAll('button')].find((b) => b.innerText.startsWith('{text}') && !b.hidden)"
    )
}

#[test]
fn a_job_is_made_looked_at_and_removed_by_keys_alone() {
    if !available(Browser::program(), "Chromium") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    picture(&dir.join("a.ppm"), 64, 48);
    let (_serve, mut browser) = page(dir);
    let intercept = json!({"enabled": true});
    browser.call("Page.setInterceptFileChooserDialog", intercept);
    go_to(&mut browser, "Tab", &by_id("files"));
    browser.key("Enter");
    let asked = |browser: &mut Browser| {
        browser.value("1");
        browser.events("Page.fileChooserOpened").pop()
    };
    let mut chooser = None;
    crate::server::wait("no dialog opens", || {
        chooser = asked(&mut browser);
        chooser.is_some()
    });
    let files =
        json!({"backendNodeId": chooser.unwrap()["backendNodeId"], "files": [dir.join("a.ppm")]});
    browser.call("DOM.setFileInputFiles", files);
    browser.until("document.querySelectorAll('#chosen li').length === 1");

    go_to(&mut browser, "Tab", &by_id("operation"));
    for letter in ["g", "a", "u"] {
        browser.key(letter);
    }
    assert_eq!(browser.value("document.activeElement.value"), "gaussian");
    go_to(&mut browser, "Tab", &by_id("add"));
    browser.key("Enter");
    browser.until("document.querySelectorAll('#steps > li').length === 1");
    // Focus stays where it is, and what was added is a few steps back.
    assert_eq!(browser.value("document.activeElement.id"), "add");
    browser.key("Space");
    browser.until("document.querySelectorAll('#steps > li').length === 2");
    let first = "document.querySelector('#steps > li')";
    let later = format!("{first}.querySelectorAll('button')[1]");
    go_to(&mut browser, "Shift+Tab", &later);
    browser.value(&format!("(window.moved = {later}, 0)"));
    browser.key("Enter");
    browser.until(&format!(
        "document.activeElement === window.moved && {later} !== window.moved"
    ));
    let remove = "document.querySelectorAll('#steps > li')[1].querySelectorAll('button')[2]";
    go_to(&mut browser, "Tab", remove);
    browser.key("Enter");
    browser.until("document.querySelectorAll('#steps > li').length === 1");
    assert_eq!(browser.value(SEEN), "yes");
    go_to(
        &mut browser,
        "Tab",
        &format!("{first}.querySelector('input[data-param=sigma]')"),
    );
    browser.call("Input.insertText", json!({"text": "3"}));
    go_to(&mut browser, "Tab", &by_id("name"));
    browser.call("Input.insertText", json!({"text": "by keys"}));
    go_to(&mut browser, "Tab", &by_id("submit"));
    browser.key("Enter");
    top_says(&mut browser, "succeeded, 1 of 1 done");
    browser.until("document.activeElement.id === 'submit'");
    assert!(
        browser
            .value(&format!("{TOP}.innerText"))
            .as_str()
            .unwrap()
            .contains("by keys")
    );

    // Both pictures side by side, and back to where one came from.
    let compare = of_top("Compare");
    browser.until(&format!("!!{compare}"));
    go_to(&mut browser, "Tab", &compare);
    browser.key("Enter");
    browser.until("document.activeElement.tagName === 'H4'");
    browser.until("document.querySelectorAll('#jobs .large svg path').length === 8");
    let divider = "document.querySelector('#jobs .large input[type=range]')";
    go_to(&mut browser, "Tab", divider);
    let before = browser.value(&format!("{divider}.value"));
    browser.key("ArrowRight");
    assert_ne!(browser.value(&format!("{divider}.value")), before);
    let close = of_top("Close");
    go_to(&mut browser, "Shift+Tab", &close);
    browser.key("Enter");
    assert_eq!(
        browser.value(&format!("document.activeElement === {compare}")),
        true
    );

    go_to(&mut browser, "Shift+Tab", &of_top("Delete"));
    browser.key("Enter");
    browser.until("document.activeElement.innerText === 'Delete with its results?'");
    browser.key("Enter");
    browser.until("document.querySelectorAll('#jobs > li').length === 0");
    browser.until("document.activeElement.id === 'files'");
    nothing_ran(&mut browser);
}

/// Roles and names of what is on the page, as assistive technology has them.
fn told(browser: &mut Browser) -> Vec<(String, String)> {
    let tree = browser.call("Accessibility.getFullAXTree", json!({}));
    let nodes = tree["nodes"].as_array().unwrap().iter();
    let nodes = nodes.filter(|node| node["ignored"] != true);
    let text = |value: &Value| value["value"].as_str().unwrap_or_default().to_owned();
    nodes
        .map(|node| (text(&node["role"]), text(&node["name"])))
        .collect()
}

/// Everything that is used has a name; returns how many of each role there are.
fn named(browser: &mut Browser) -> BTreeSet<String> {
    let all = told(browser);
    let used = all
        .into_iter()
        .filter(|(role, _)| USED.contains(&role.as_str()));
    let mut roles = BTreeSet::new();
    for (role, name) in used {
        assert!(!name.trim().is_empty(), "a {role} has no name");
        roles.insert(role);
    }
    roles
}

#[test]
fn everything_has_a_name_and_what_happens_is_said() {
    if !available(Browser::program(), "Chromium") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    picture(&dir.join("a.ppm"), 64, 48);
    let (_serve, mut browser) = page(dir);
    browser.call("Accessibility.enable", json!({}));
    let roles = named(&mut browser);
    for role in ["button", "combobox", "radio", "textbox", "image"] {
        assert!(roles.contains(role), "{roles:?}");
    }
    browser.click("document.getElementById('kind-reduce')");
    named(&mut browser);
    browser.click("document.getElementById('kind-each')");
    browser.choose("#files", &[dir.join("a.ppm")]);
    add(&mut browser, "gaussian", "sigma", "2");
    browser.value("(() => { const f = document.getElementById('format'); f.value = 'webp'; f.dispatchEvent(new Event('change')); })()");
    browser.type_into("document.getElementById('name')", "trip");
    let roles = named(&mut browser);
    for role in ["slider", "spinbutton", "checkbox"] {
        assert!(roles.contains(role), "{roles:?}");
    }
    // Controls say what they do beside what they are called.
    let help = browser.value("document.getElementById(document.getElementById('format-quality').getAttribute('aria-describedby')).innerText");
    assert!(help.as_str().unwrap().contains("0 to 100"), "{help}");
    browser.click("document.getElementById('submit')");
    top_says(&mut browser, "succeeded, 1 of 1 done");
    // What ends is said, by a part of the page that assistive technology listens to.
    browser.until(
        "document.getElementById('heard').innerText.includes('trip: succeeded, 1 of 1 done')",
    );
    let heard = told(&mut browser).into_iter();
    let mut heard = heard.filter(|(role, _)| role == "log");
    assert_eq!(heard.next().unwrap().1, "Jobs that ended");
    browser.click(&of_top("Compare"));
    browser.until("document.querySelectorAll('#jobs .large svg path').length === 8");
    named(&mut browser);
    // What a button acts on is in its name, where there are several of it.
    let all = told(&mut browser);
    for name in [
        "Delete",
        "Run again: trip",
        "Compare a.ppm before and after",
    ] {
        let mut named = all.iter().filter(|(role, _)| role == "button");
        assert!(named.any(|(_, is)| is.starts_with(name)), "{name}");
    }
    // A question that takes the place of the page has its own words.
    browser.value("location.hash = '#pipeline=W3sib3AiOiJpbnZlcnQifV0'");
    browser.until("!document.getElementById('question').hidden");
    let mut asked = told(&mut browser).into_iter();
    let asked = asked.find(|(role, _)| role == "alertdialog").unwrap();
    assert!(
        asked.1.contains("in place of those in the form"),
        "{asked:?}"
    );
    named(&mut browser);
    nothing_ran(&mut browser);
}
