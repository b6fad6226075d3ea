//! The page for any static host, in a real browser.

use crate::browser::Browser;
use crate::wasm::module;
use crate::{picture, run};
use cloud::testing::available;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

/// A host of files, which knows nothing else; and what it was asked for.
fn host(dir: PathBuf) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = asked.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let Some(Ok(first)) = lines.next() else {
                continue;
            };
            // Browsers close a connection that was answered before its request was read.
            while lines
                .next()
                .is_some_and(|line| line.is_ok_and(|line| !line.is_empty()))
            {}
            log.lock().unwrap().push(first.clone());
            let path = first
                .split(' ')
                .nth(1)
                .unwrap_or("/")
                .trim_start_matches('/');
            let path = if path.is_empty() { "index.html" } else { path };
            let kind = match path.rsplit('.').next() {
                Some("html") => "text/html",
                Some("js") => "text/javascript",
                Some("css") => "text/css",
                Some("wasm") => "application/wasm",
                _ => "application/octet-stream",
            };
            let (state, bytes) = match fs::read(dir.join(path)) {
                Ok(bytes) => ("200 OK", bytes),
                Err(_) => ("404 Not Found", Vec::new()),
            };
            let head = format!(
                "HTTP/1.1 {state}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                bytes.len()
            );
            let _ = stream.write_all(&[head.as_bytes(), &bytes].concat());
        }
    });
    (url, asked)
}

/// The page, put together without building anything.
fn page(dir: &Path) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let out = dir.join("page");
    let script = root.join("scripts/demo-page");
    let said = Command::new(script).arg("--no-build").arg(&out).output();
    let said = said.unwrap();
    assert!(
        said.status.success(),
        "{}",
        String::from_utf8_lossy(&said.stderr)
    );
    out
}

/// Chooses an operation from the list.
fn operation(browser: &mut Browser, name: &str) {
    browser.value(&format!(
        "(() => {{ const o = document.getElementById('operation'); o.value = '{name}'; o.dispatchEvent(new Event('change')); }})()"
    ));
    browser.until(&format!(
        "document.getElementById('status').innerText.includes('{name} took')"
    ));
}

fn text(browser: &mut Browser, id: &str) -> String {
    let found = browser.value(&format!("document.getElementById('{id}').innerText"));
    found.as_str().unwrap().to_owned()
}

#[test]
fn an_image_is_worked_on_without_leaving_the_browser() {
    if !available(Browser::program(), "Chromium")
        || !available(module(), "the module of scripts/demo-page")
    {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let (url, asked) = host(page(dir));
    picture(&dir.join("a.ppm"), 120, 90);
    let mut browser = Browser::start();
    browser.open(&url);
    browser.until("document.getElementById('operation').options.length > 40");
    assert_eq!(
        browser.value("document.getElementById('operation').value"),
        "equalize"
    );
    assert!(text(&mut browser, "empty").contains("Choose an image"));
    browser.choose("#file", &[dir.join("a.ppm")]);
    browser.until("document.getElementById('status').innerText.includes('equalize took')");
    assert!(text(&mut browser, "opened").contains("120 × 90, rgb, 8-bit"));
    // Both histograms count every pixel, in brightness and in each channel.
    let curves = "document.querySelectorAll('.histogram svg path').length";
    assert_eq!(browser.value(curves), 8);
    let mut label = |side: &str| {
        let svg = format!("document.querySelector('#histogram-{side} svg')");
        let label = browser.value(&format!("{svg}.getAttribute('aria-label')"));
        let words = label.as_str().unwrap().split_once(": ").unwrap().1;
        assert!(words.starts_with("brightness "), "{words}");
        words.to_owned()
    };
    assert_ne!(label("before"), label("after"));

    // A parameter by its slider, and by its number; what is wrong is said in words.
    operation(&mut browser, "gaussian");
    browser.value(
        "(() => { const s = document.querySelector('#params input[type=range]'); s.value = 600; s.dispatchEvent(new Event('input', {bubbles: true})); })()",
    );
    browser.until("!document.getElementById('command').innerText.includes('sigma=2)')");
    let field = "document.querySelector('#params [data-param=sigma]')";
    browser.type_into(field, "900");
    browser.until("document.getElementById('problem').innerText.includes('sigma')");
    assert_eq!(
        browser.value("document.getElementById('download').disabled"),
        true
    );
    browser.type_into(field, "3");
    browser.until("document.getElementById('problem').innerText === ''");
    browser.until("document.getElementById('command').innerText.includes('gaussian(sigma=3)')");
    browser.until("document.getElementById('status').innerText.includes('gaussian took')");

    // What is shown is what the program makes of the same file.
    assert_eq!(
        run(
            dir,
            &["run", "a.ppm", "-o", "b.ppm", "-p", "gaussian(sigma=3)"]
        )
        .0,
        0
    );
    let native = fs::read(dir.join("b.ppm")).unwrap();
    let native = &native[native.len() - 120 * 90 * 3..];
    let same = format!(
        "(() => {{ const c = document.querySelectorAll('.compare canvas')[1]; const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
           return c.width === 120 && c.height === 90 && [...d].filter((_, i) => i % 4 !== 3).join() === '{}'; }})()",
        native.iter().map(u8::to_string).collect::<Vec<_>>().join(",")
    );
    browser.until(&same);

    // The divider by the keyboard, and zoom.
    browser.value("document.querySelector('.compare input').focus()");
    for kind in ["keyDown", "keyUp"] {
        let key = serde_json::json!({"type": kind, "key": "ArrowLeft", "code": "ArrowLeft", "windowsVirtualKeyCode": 37});
        browser.call("Input.dispatchKeyEvent", key);
    }
    browser.until("document.querySelector('.compare input').value === '49.5'");
    browser.click("document.querySelector('.compare [aria-label=\"One pixel each\"]')");
    browser.until("document.querySelector('.compare output').innerText === '100 %'");

    // A file that is none.
    fs::write(dir.join("no.png"), "no picture").unwrap();
    browser.choose("#file", &[dir.join("no.png")]);
    browser.until("document.getElementById('problem').innerText.includes('no.png')");
    assert!(text(&mut browser, "status").contains("a.ppm is still shown"));
    for width in [320, 375, 768] {
        browser.width(width, true);
        let wide = browser.value("document.documentElement.scrollWidth > innerWidth");
        assert_eq!(wide, false, "{width}");
    }
    // Its own files, and nothing was sent.
    for line in asked.lock().unwrap().iter() {
        assert!(line.starts_with("GET /"), "{line}");
    }
    let thrown = browser.events("Runtime.exceptionThrown");
    assert!(thrown.is_empty(), "{thrown:?}");
    let entries = browser.events("Log.entryAdded");
    assert!(entries.is_empty(), "{entries:?}");
}
