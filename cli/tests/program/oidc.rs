//! Signing in at a real provider of OpenID Connect, in a real browser.

use crate::browser::Browser;
use crate::server::{Serve, wait};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cloud::testing::{available, find_program};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const SECRET: &str = "secret:with%+and/more=";

/// Empty while the page begins anew, or is another's.
const NOTICE: &str = "(document.getElementById('notice')?.innerText ?? '')";
const WHO: &str = "(document.getElementById('who')?.innerText ?? '')";
const BUTTON: &str = "document.getElementById('sign-in')";

/// A provider, as `npm ci` in its folder installed it.
struct Provider(Child);

impl Provider {
    fn folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oidc")
    }

    fn installed() -> Option<PathBuf> {
        find_program("node").filter(|_| Provider::folder().join("node_modules").exists())
    }

    fn start(port: u16, redirect: &str) -> Provider {
        let mut command = Command::new(Provider::installed().unwrap());
        command
            .current_dir(Provider::folder())
            .args(["provider.mjs", &port.to_string(), redirect, SECRET])
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap() == "listening"));
        Provider(child)
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(dir: &Path) -> (Provider, Serve, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    std::fs::write(dir.join("client-secret"), format!("{SECRET}\n")).unwrap();
    let issuer = format!("http://127.0.0.1:{port}");
    let settings = ["--oidc-issuer", &issuer, "--oidc-client", "sundog"];
    let more = ["--oidc-client-secret-file", "client-secret"];
    let who = [
        "--oidc-scopes",
        "groups",
        "--oidc-submitters",
        "staff,ops",
        "--oidc-admins",
        "ops",
    ];
    let serve = Serve::with(dir, &[&settings[..], &more[..], &who[..]].concat());
    // Asked for only when somebody signs in.
    let provider = Provider::start(port, &serve.address);
    (provider, serve, issuer)
}

/// Goes to the provider from the page, and signs in there.
fn sign_in(browser: &mut Browser, name: &str) {
    browser.until(&format!("!!{BUTTON} && !{BUTTON}.hidden"));
    browser.click(BUTTON);
    let login = "document.querySelector('input[name=login]')";
    browser.until(&format!("!!{login}"));
    browser.type_into(login, name);
    browser.type_into("document.querySelector('input[name=password]')", "x");
    browser.click("document.querySelector('button[type=submit]')");
    browser.until("document.body?.innerText.includes('Authorize') === true");
    browser.click("document.querySelector('button[type=submit]')");
    browser.until("!!document.getElementById('login')");
}

fn me(serve: &Serve, token: &str) -> (u16, Value) {
    let answer = Command::new("curl")
        .args(["--silent", "--write-out", "\n%{http_code}"])
        .args(["--header", &format!("Authorization: Bearer {token}")])
        .arg(format!("{}v1/me", serve.address))
        .output()
        .unwrap();
    let text = String::from_utf8(answer.stdout).unwrap();
    let (body, status) = text.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), serde_json::from_str(body).unwrap())
}

fn address(browser: &mut Browser) -> String {
    browser.value("location.href").as_str().unwrap().to_owned()
}

#[test]
fn people_sign_in_at_a_provider_and_their_groups_say_what_they_may() {
    if !available(Browser::program(), "Chromium")
        || !available(Provider::installed(), "oidc-provider (npm)")
    {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (_provider, serve, issuer) = start(dir.path());
    let mut browser = Browser::start();
    browser.open(&serve.address);
    sign_in(&mut browser, "ada@staff");
    browser.until(&format!("{WHO} === 'ada_40staff'"));
    browser.until("!document.getElementById('app').hidden");
    // Neither code nor token stays in the address.
    assert_eq!(address(&mut browser), serve.address);
    let token = browser.value("sessionStorage.getItem('sundog-token')");
    let token = token.as_str().unwrap().to_owned();
    let complaints = browser.events("Log.entryAdded");
    let own = |entry: &&Value| {
        let url = entry["entry"]["url"].as_str().unwrap_or(&serve.address);
        url.starts_with(&serve.address)
    };
    let own: Vec<&Value> = complaints.iter().filter(own).collect();
    assert!(own.is_empty(), "{own:?}");

    // A program may show the same token.
    let (status, told) = me(&serve, &token);
    assert_eq!(
        (status, &told["user"]),
        (200, &json!("ada_40staff")),
        "{told}"
    );
    assert_eq!(told["scopes"], json!(["read", "submit"]));
    assert!(told["expires"].is_string());
    let (head, rest) = token.split_once('.').unwrap();
    let (body, mac) = rest.split_once('.').unwrap();
    let mut claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(body).unwrap()).unwrap();
    assert_eq!(claims["iss"], issuer);
    claims["groups"] = json!(["ops"]);
    let evil = URL_SAFE_NO_PAD.encode(claims.to_string());
    let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
    for forged in [format!("{head}.{evil}.{mac}"), format!("{none}.{evil}.")] {
        assert_eq!(me(&serve, &forged).0, 401);
    }
    // The service's own token is good as before.
    assert_eq!(me(&serve, serve.token()).0, 200);

    // What the provider sent is good once, in the tab that began, and nowhere else.
    let sent = browser.events("Network.requestWillBeSent");
    let back = sent
        .iter()
        .filter_map(|event| event["request"]["url"].as_str());
    let mut back = back.filter(|url| url.starts_with(&format!("{}?", serve.address)));
    let back = back.next_back().unwrap().to_owned();
    assert!(back.contains("code=") && back.contains("iss="), "{back}");
    let posts = |browser: &Browser| {
        let sent = browser.events("Network.requestWillBeSent");
        let login = |event: &&Value| {
            event["request"]["method"] == "POST"
                && event["request"]["url"]
                    .as_str()
                    .unwrap()
                    .ends_with("/v1/login")
        };
        sent.iter().filter(login).count()
    };
    assert_eq!(posts(&browser), 1);
    browser.value("sessionStorage.removeItem('sundog-token')");
    browser.open(&back);
    browser.until(&format!("{NOTICE}.includes('was not begun here')"));
    assert_eq!(address(&mut browser), serve.address);
    assert_eq!(posts(&browser), 1);
    assert_eq!(
        browser.value("sessionStorage.getItem('sundog-token')"),
        Value::Null
    );

    // An attacker's own code, while somebody is on the way.
    browser.until(&format!("!{BUTTON}.hidden"));
    browser.value(
        "sessionStorage.setItem('sundog-sign-in', JSON.stringify({state: 'S'.repeat(32), nonce: 'N'.repeat(32), \
         verifier: 'V'.repeat(64), issuer: 'x', told: true, at: Date.now(), fragment: []}))",
    );
    let other = format!("{}?code=evil&state={}", serve.address, "S".repeat(32));
    browser.open(&other);
    browser.until(&format!("{NOTICE}.includes('Another provider')"));
    assert_eq!(posts(&browser), 1);
}

#[test]
fn whoever_is_of_no_group_that_may_comes_no_further() {
    if !available(Browser::program(), "Chromium")
        || !available(Provider::installed(), "oidc-provider (npm)")
    {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (provider, serve, _) = start(dir.path());
    let mut browser = Browser::start();
    browser.open(&serve.address);
    sign_in(&mut browser, "eve@else");
    browser.until(&format!("{NOTICE}.includes('none of your groups')"));
    assert_eq!(browser.value("document.getElementById('app').hidden"), true);
    // Another one may, and sees to everything.
    browser.call("Network.clearBrowserCookies", json!({}));
    browser.open(&serve.address);
    sign_in(&mut browser, "root@ops");
    browser.until(&format!("{WHO} === 'root_40ops'"));
    let token = browser.value("sessionStorage.getItem('sundog-token')");
    let (_, told) = me(&serve, token.as_str().unwrap());
    assert_eq!(told["scopes"], json!(["read", "submit", "admin"]));
    // While the provider is away, who came in stays in.
    drop(provider);
    assert_eq!(me(&serve, token.as_str().unwrap()).0, 200);
    wait("the log does not tell who signed in", || {
        serve.log().contains("root_40ops")
    });
    assert!(!serve.log().contains(token.as_str().unwrap()));
}
