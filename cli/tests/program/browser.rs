//! A real browser without a window, driven through a pipe by the DevTools protocol.

use crate::processes;
use cloud::testing::find_program;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long an answer, or what a page is to become, may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long processes of an ended browser may still end.
const AFTERWARDS: Duration = Duration::from_secs(10);

/// The protocol's two descriptors are our pipes; what the browser prints is about this machine, not about the page.
const PIPES: &str = r#"exec "$@" 3<&0 4>&1 </dev/null >/dev/null 2>&1"#;

/// A browser with one page. Its processes and its profile go with the value; when this process dies, the pipe
/// ends and so does the browser.
pub struct Browser {
    child: Child,
    pipe: Option<ChildStdin>,
    messages: Receiver<Value>,
    page: String,
    last: u64,
    /// What the page's events told, in order.
    pub told: Vec<Value>,
    profile: TempDir,
}

impl Browser {
    pub fn program() -> Option<PathBuf> {
        find_program("chromium")
    }

    /// Starts it with an empty page.
    pub fn start() -> Browser {
        let profile = tempfile::Builder::new()
            .prefix("sundog-browser-")
            .tempdir()
            .unwrap();
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", PIPES, "browser"])
            .arg(Browser::program().unwrap())
            .arg(format!("--user-data-dir={}", profile.path().display()))
            // Tests may run as root, where there is no sandbox; the page is our own.
            .args(["--headless", "--remote-debugging-pipe", "--no-sandbox"])
            .args(["--no-first-run", "--disable-gpu", "--disable-dev-shm-usage"])
            .args(["--disable-background-networking", "--disable-sync"])
            .arg("--disable-component-update")
            .arg("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
            .arg("about:blank")
            .env("HOME", profile.path())
            .env("TMPDIR", profile.path())
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let pipe = child.stdin.take();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let (tell, messages) = channel();
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            while out.read_until(0, &mut bytes).is_ok_and(|n| n > 0) {
                bytes.pop();
                let message = serde_json::from_slice(&bytes);
                bytes.clear();
                if !message.is_ok_and(|message| tell.send(message).is_ok()) {
                    return;
                }
            }
        });
        let mut browser = Browser {
            child,
            pipe,
            messages,
            page: String::new(),
            last: 0,
            told: Vec::new(),
            profile,
        };
        let page = browser.ask("Target.createTarget", json!({"url": "about:blank"}));
        let attach = json!({"targetId": page["targetId"], "flatten": true});
        let session = browser.ask("Target.attachToTarget", attach);
        browser.page = session["sessionId"].as_str().unwrap().to_owned();
        for domain in ["Page", "Runtime", "Log", "Network", "DOM"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    /// A command to the browser.
    pub fn ask(&mut self, method: &str, parameters: Value) -> Value {
        let id = self.last + 1;
        self.send(json!({"id": id, "method": method, "params": parameters}))
    }

    /// A command to the page.
    pub fn call(&mut self, method: &str, parameters: Value) -> Value {
        let (id, page) = (self.last + 1, &self.page);
        self.send(json!({"id": id, "method": method, "params": parameters, "sessionId": page}))
    }

    fn send(&mut self, message: Value) -> Value {
        self.last += 1;
        let mut bytes = serde_json::to_vec(&message).unwrap();
        bytes.push(0);
        self.pipe.as_mut().unwrap().write_all(&bytes).unwrap();
        let end = Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let answer = self.messages.recv_timeout(left).expect("an answer");
            if answer["id"] == self.last {
                // A page that is just left has no values.
                let left = answer["error"]["message"].as_str();
                if left.is_some_and(|text| text.contains("navigated or closed")) {
                    return Value::Null;
                }
                assert!(answer["error"].is_null(), "{message}: {answer}");
                return answer["result"].clone();
            }
            self.told.push(answer);
        }
    }

    /// What an expression is, in the page.
    pub fn value(&mut self, expression: &str) -> Value {
        let parameters = json!({
            "expression": expression, "returnByValue": true, "awaitPromise": true, "userGesture": true,
        });
        let answer = self.call("Runtime.evaluate", parameters);
        let exception = &answer["exceptionDetails"];
        assert!(exception.is_null(), "{expression}: {exception}");
        answer["result"]["value"].clone()
    }

    /// Waits until an expression holds.
    pub fn until(&mut self, expression: &str) {
        let end = Instant::now() + PATIENCE;
        while self.value(expression) != true {
            if Instant::now() > end {
                let page = self.value("document.body.innerText");
                panic!("{expression} does not become true of:\n{page}");
            }
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// Opens an address.
    pub fn open(&mut self, url: &str) {
        self.call("Page.navigate", json!({"url": url}));
        self.until("document.readyState === 'complete'");
    }

    /// Presses the mouse on what an expression names; nothing may lie above it.
    pub fn click(&mut self, element: &str) {
        let look = format!(
            "(() => {{ const e = {element}; e.scrollIntoView({{block: 'center', behavior: 'instant'}});
               e.onclickTold ??= e.addEventListener('click', () => {{ window.told = true; }}, {{capture: true}}) ?? true;
               window.told = false;
               const r = e.getBoundingClientRect(), x = r.x + r.width / 2, y = r.y + r.height / 2;
               return [x, y, e.contains(document.elementFromPoint(x, y))]; }})()"
        );
        // What is loaded or computed meanwhile moves the page below the pointer.
        for _ in 0..10 {
            let mut place = self.value(&look);
            for _ in 0..20 {
                std::thread::sleep(Duration::from_millis(20));
                let now = self.value(&look);
                if std::mem::replace(&mut place, now) == place {
                    break;
                }
            }
            assert_eq!(place[2], true, "{element} cannot be reached at {place}");
            for kind in ["mousePressed", "mouseReleased"] {
                let mouse = json!({
                    "type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1,
                });
                self.call("Input.dispatchMouseEvent", mouse);
            }
            // Nothing is known of it where the click led elsewhere.
            if self.value("window.told") != false {
                return;
            }
        }
        panic!("{element} does not feel a click");
    }

    /// Clicks on a field and types.
    pub fn type_into(&mut self, element: &str, text: &str) {
        // A picture that is just done may move the page below the pointer.
        for _ in 0..5 {
            self.click(element);
            self.value(&format!("{element}.select()"));
            self.call("Input.insertText", json!({"text": text}));
            if self.value(&format!("{element}.value")) == text {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Presses a key, with Shift where its name says so: `Tab`, `Shift+Tab`, `Enter`, `Space`, or a letter.
    pub fn key(&mut self, name: &str) {
        let (shift, key) = match name.strip_prefix("Shift+") {
            Some(key) => (8, key),
            None => (0, name),
        };
        let (code, number, text) = match key {
            "Tab" => ("Tab", 9, ""),
            "Enter" => ("Enter", 13, "\r"),
            "Space" => ("Space", 32, " "),
            "ArrowRight" => ("ArrowRight", 39, ""),
            letter => ("", 0, letter),
        };
        let key = if key == "Space" { " " } else { key };
        for kind in ["keyDown", "keyUp"] {
            let mut event = json!({
                "type": kind, "key": key, "code": code, "modifiers": shift,
                "windowsVirtualKeyCode": number, "nativeVirtualKeyCode": number,
            });
            if kind == "keyDown" && !text.is_empty() {
                event["text"] = text.into();
            }
            self.call("Input.dispatchKeyEvent", event);
        }
    }

    /// Chooses files as the file dialog would.
    pub fn choose(&mut self, selector: &str, files: &[PathBuf]) {
        let root = self.call("DOM.getDocument", json!({}))["root"]["nodeId"].clone();
        let query = json!({"nodeId": root, "selector": selector});
        let node = self.call("DOM.querySelector", query)["nodeId"].clone();
        self.call(
            "DOM.setFileInputFiles",
            json!({"nodeId": node, "files": files}),
        );
    }

    /// Makes the page as wide as a phone, or as anything else.
    pub fn width(&mut self, width: u32, mobile: bool) {
        let size = json!({
            "width": width, "height": 800, "deviceScaleFactor": 1, "mobile": mobile,
        });
        self.call("Emulation.setDeviceMetricsOverride", size);
    }

    /// The parameters of the events of one kind so far.
    pub fn events(&self, method: &str) -> Vec<Value> {
        let found = self.told.iter().filter(|event| event["method"] == method);
        found.map(|event| event["params"].clone()).collect()
    }

    /// Ends it in order, so that what it remembers is written; returns its profile.
    pub fn end(mut self) -> Remains {
        self.ask("Browser.close", json!({}));
        let profile = std::mem::replace(&mut self.profile, tempfile::tempdir().unwrap());
        let end = Instant::now() + PATIENCE;
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < end, "the browser does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
        Remains { profile }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        drop(self.pipe.take());
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            let group = format!("-{}", self.child.id());
            let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
            let _ = self.child.wait();
        }
    }
}

/// What an ended browser leaves.
pub struct Remains {
    profile: TempDir,
}

impl Remains {
    /// Processes that are still at work on the profile after a while: its crash handler notices the end of the
    /// browser's process only a moment later.
    pub fn processes(&self) -> Vec<String> {
        let profile = self.profile.path().display().to_string();
        let end = Instant::now() + AFTERWARDS;
        loop {
            let left = processes::with(&profile);
            if left.is_empty() || Instant::now() > end {
                return left;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Files of the profile that hold a text.
    pub fn files_with(&self, text: &str) -> Vec<String> {
        let mut open = vec![self.profile.path().to_owned()];
        let mut found = Vec::new();
        while let Some(dir) = open.pop() {
            for entry in std::fs::read_dir(dir).unwrap().flatten() {
                if entry.file_type().unwrap().is_dir() {
                    open.push(entry.path());
                    continue;
                }
                let bytes = std::fs::read(entry.path()).unwrap_or_default();
                if bytes.windows(text.len()).any(|w| w == text.as_bytes()) {
                    found.push(entry.path().display().to_string());
                }
            }
        }
        found
    }
}
