//! What comes of jobs, on the page: formats with their options, pictures that browsers do not know, links that end, archives.

use crate::browser::Browser;
use crate::page::{TOP, fits, nothing_ran, page, top_says};
use crate::server::wait;
use crate::{lines, picture, run};
use cloud::testing::available;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// 64 x 48 pixels.
const HEIC: &[u8] = include_bytes!("samples/ramp.heic");

fn set(browser: &mut Browser, id: &str, property: &str, value: &str) {
    browser.value(&format!(
        "(() => {{ const e = document.getElementById('{id}'); e.{property} = {value}; e.dispatchEvent(new Event('input', {{bubbles: true}})); e.dispatchEvent(new Event('change', {{bubbles: true}})); }})()"
    ));
}

fn submit(browser: &mut Browser, files: &[&Path]) {
    let files: Vec<_> = files.iter().map(|file| file.to_path_buf()).collect();
    browser.choose("#files", &files);
    browser.until(&format!(
        "document.querySelectorAll('#chosen li').length === {}",
        files.len()
    ));
    browser.click("document.getElementById('submit')");
}

#[test]
fn results_have_any_format_with_its_options() {
    if !available(Browser::program(), "Chromium") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    picture(&dir.join("a.ppm"), 64, 48);
    let (_serve, mut browser) = page(dir);
    // All that can be written, of the program's own table.
    let (_, formats, _) = run(dir, &["run", "--help"]);
    assert!(formats.contains("--format"));
    let offered =
        browser.value("[...document.getElementById('format').options].map((o) => o.value)");
    let offered: Vec<String> = serde_json::from_value(offered).unwrap();
    for name in [
        "jpeg", "png", "tiff", "webp", "gif", "jxl", "exr", "fits", "npy", "bmp", "tga",
    ] {
        assert!(offered.contains(&name.to_owned()), "{name} of {offered:?}");
    }
    assert!(!offered.contains(&"dds".to_owned()), "it is only read");
    let accepted = browser.value("document.getElementById('files').accept");
    assert!(accepted.as_str().unwrap().contains(".dds"), "{accepted}");

    // A number by its slider, a word by its list.
    set(&mut browser, "format", "value", "'jpeg'");
    set(&mut browser, "format-quality", "value", "'31'");
    set(&mut browser, "format-subsampling", "value", "'444'");
    for width in [320, 360, 768] {
        browser.width(width, true);
        fits(
            &mut browser,
            &format!("options of a format on {width} pixels"),
        );
    }
    browser.width(1200, false);
    let compare = |text: &str| {
        let (_, list, _) = run(dir, &["list", "--json", "--limit", "1"]);
        let job = lines(&list)[0]["job"].as_str().unwrap().to_owned();
        let folder = format!("got-{}", &job);
        run(dir, &["results", &job, "--download", &folder]);
        let here = format!("here-{}", &job);
        let (code, _, err) = run(dir, &["run", "a.ppm", "-o", &here, "--format", text]);
        assert_eq!(code, 0, "{err}");
        let file = fs::read_dir(dir.join(&here)).unwrap().flatten();
        let mut files = file.filter(|file| file.file_name().to_string_lossy().starts_with("a."));
        let name = files.next().unwrap().file_name();
        let read = |folder: &str| fs::read(dir.join(folder).join(&name)).unwrap();
        assert!(read(&folder) == read(&here), "{text}");
        job
    };
    submit(&mut browser, &[&dir.join("a.ppm")]);
    top_says(&mut browser, "succeeded, 1 of 1 done");
    let first = compare("jpeg(quality=31,subsampling=444)");

    // What has no meaning beside a flag cannot be set.
    set(&mut browser, "format", "value", "'webp'");
    let quality = "document.getElementById('format-quality')";
    assert_eq!(
        browser.value(&format!("[{quality}.value, {quality}.disabled]")),
        json!(["80", false])
    );
    browser.click("document.getElementById('format-lossless')");
    assert_eq!(browser.value(&format!("{quality}.disabled")), true);
    browser.until("!document.getElementById('submit').disabled");
    submit(&mut browser, &[&dir.join("a.ppm")]);
    browser.until("document.querySelectorAll('#jobs > li').length === 2");
    top_says(&mut browser, "succeeded, 1 of 1 done");
    let second = compare("webp(lossless)");
    assert_ne!(first, second);

    // What is out of its range is said and not sent.
    set(&mut browser, "format", "value", "'jpeg'");
    set(&mut browser, "format-quality", "value", "'101'");
    submit(&mut browser, &[&dir.join("a.ppm")]);
    browser.until("document.getElementById('form-notice').innerText.startsWith('JPEG: quality')");
    // An earlier job's options are in the form again.
    let edit = "[...document.querySelectorAll('#jobs > li')[1].querySelectorAll('button')].find((b) => b.innerText === 'Edit as new')";
    browser.click(edit);
    browser.until("document.getElementById('format-quality').value === '31'");
    assert_eq!(
        browser.value("document.getElementById('format-subsampling').value"),
        "444"
    );
    nothing_ran(&mut browser);
}

#[test]
fn a_heic_that_the_browser_does_not_know_is_seen_before_and_after() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let file = dir.join("ramp.heic");
    fs::write(&file, HEIC).unwrap();
    let read = (run(dir, &["info", "ramp.heic"]).0 == 0).then(|| file.clone());
    if !available(Browser::program(), "Chromium") || !available(read, "libheif") {
        return;
    }
    let (_serve, mut browser) = page(dir);
    set(&mut browser, "format", "value", "'tiff'");
    submit(&mut browser, &[&file]);
    top_says(&mut browser, "succeeded, 1 of 1 done");
    let images = "[...document.querySelectorAll('#jobs .pair img')]";
    browser.until(&format!("{images}.length === 2"));
    browser.value(&format!("{images}[0].scrollIntoView({{block: 'center'}})"));
    // Neither of both is a format that it shows; both are small pictures made for it.
    browser.until(&format!(
        "{images}.length === 2 && {images}.every((i) => i.src.startsWith('blob:') && i.complete && i.naturalWidth === 64 && i.naturalHeight === 48)"
    ));
    // The colours are there: it goes from blue to yellow, from one corner to the other.
    let corners = browser.value(&format!(
        "{images}.map((i) => {{ const c = document.createElement('canvas'); c.width = 64; c.height = 48; const d = c.getContext('2d'); d.drawImage(i, 0, 0);
           const at = (x, y) => [...d.getImageData(x, y, 1, 1).data].slice(0, 2); return [at(2, 2), at(61, 45)]; }})"
    ));
    for picture in corners.as_array().unwrap() {
        let at = |corner: usize, channel: usize| picture[corner][channel].as_i64().unwrap();
        assert!(at(0, 0) < 60 && at(0, 1) < 60, "{corners}");
        assert!(at(1, 0) > 190 && at(1, 1) > 170, "{corners}");
    }
}

#[test]
fn links_end_when_the_page_says_and_are_renewed_before() {
    if !available(Browser::program(), "Chromium") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    picture(&dir.join("a.ppm"), 64, 48);
    let (serve, mut browser) = page(dir);
    // Links as the service signs them, for five seconds instead of an hour.
    let short = json!({"source": "
        const whole = window.fetch;
        window.fetch = (url, options) => whole(/\\/results$/.test(url) ? `${url}?expires=5` : url, options);
    "});
    browser.call("Page.addScriptToEvaluateOnNewDocument", short);
    browser.open("about:blank");
    browser.open(&serve.link);
    browser.until("!document.getElementById('app').hidden");
    submit(&mut browser, &[&dir.join("a.ppm")]);
    top_says(&mut browser, "succeeded, 1 of 1 done");
    let link = format!("{TOP}.querySelector('a[data-output]')");
    browser.until(&format!("!!{link}"));
    // What is shown is when the link itself says that it ends.
    let told = "document.querySelector('#jobs .until').innerText";
    let ends = format!(
        "new Date(Number(new URL({link}.href).searchParams.get('expires')) * 1000).toLocaleString()"
    );
    browser.until(&format!("{told}.includes({ends})"));
    let first = browser.value(&format!("{link}.href"));
    let zip = format!("{TOP}.querySelector('a.button').href");
    let archive = browser.value(&zip);
    let status = |browser: &mut Browser, url: &Value| {
        browser.value(&format!(
            "fetch({url}, {{cache: 'no-store'}}).then((answer) => answer.status)"
        ))
    };
    assert_eq!(status(&mut browser, &first), 200);
    wait("the first link does not end", || {
        status(&mut browser, &first) == 403
    });
    // By now there is another, which is good, and so on.
    let second = browser.value(&format!("{link}.href"));
    assert_ne!(second, first);
    assert_eq!(status(&mut browser, &second), 200);
    assert_ne!(browser.value(&zip), archive);
    browser.until(&format!("{told}.includes({ends})"));
    browser.until(&format!("{link}.href !== {second}"));
    // Nobody who looks at it notices: nothing of it was made anew.
    browser.value(&format!("(window.seen = {link}, 0)"));
    let third = browser.value(&format!("{link}.href"));
    browser.until(&format!(
        "{link}.href !== {third} && {link} === window.seen"
    ));
}

#[test]
fn all_results_are_one_archive() {
    if !available(Browser::program(), "Chromium") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    picture(&dir.join("a.ppm"), 64, 48);
    picture(&dir.join("b.ppm"), 30, 20);
    fs::write(dir.join("c.ppm"), "P6 9 9 255\n").unwrap();
    let (_serve, mut browser) = page(dir);
    let folder = dir.join("downloads");
    let allow = json!({"behavior": "allow", "downloadPath": folder});
    browser.ask("Browser.setDownloadBehavior", allow);
    submit(
        &mut browser,
        &[&dir.join("a.ppm"), &dir.join("b.ppm"), &dir.join("c.ppm")],
    );
    top_says(&mut browser, "partial, 2 of 3 done, 1 failed");
    // Failures first, with their reasons.
    let failed = "document.querySelector('#jobs [aria-label=\"Images that failed\"]')?.innerText";
    browser.until(&format!("{failed}?.startsWith('c.ppm: ')"));
    browser.click(&format!("{TOP}.querySelector('a.button')"));
    let mut zip = None;
    wait("no archive arrives", || {
        browser.value("1");
        let files = fs::read_dir(&folder).into_iter().flatten().flatten();
        let mut files = files.map(|file| file.path());
        zip = files.find(|file| file.extension().is_some_and(|ending| ending == "zip"));
        zip.is_some()
    });
    let bytes = fs::read(zip.unwrap()).unwrap();
    assert!(bytes.starts_with(b"PK\x03\x04"));
    // Its end counts its files; they are stored as they are.
    let end = bytes
        .windows(4)
        .rposition(|four| four == b"PK\x05\x06")
        .unwrap();
    assert_eq!(bytes[end + 10..end + 12], 3u16.to_le_bytes());
    run(dir, &["run", "a.ppm", "b.ppm", "-o", "here"]);
    for name in ["a.ppm", "b.ppm"] {
        let own = fs::read(dir.join("here").join(name)).unwrap();
        assert!(bytes.windows(own.len()).any(|part| part == own), "{name}");
    }
    for text in ["failed.txt", "c.ppm"] {
        assert!(
            bytes
                .windows(text.len())
                .any(|part| part == text.as_bytes()),
            "{text}"
        );
    }
}
