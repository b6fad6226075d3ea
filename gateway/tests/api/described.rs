//! The description of the API is whole, sound, and can be read.

use crate::site::Site;
use reqwest::StatusCode;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// All values of a document with their keys.
fn walk<'a>(value: &'a Value, seen: &mut impl FnMut(&str, &'a Value)) {
    match value {
        Value::Object(fields) => {
            for (key, field) in fields {
                seen(key, field);
                walk(field, seen);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| walk(value, seen)),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_is_whole_and_sound() {
    let site = Site::new().await;
    let (status, document) = site.call("GET", "v1/openapi.json", "", None).await;
    assert_eq!(
        (status, &document["openapi"]),
        (StatusCode::OK, &"3.1.0".into())
    );
    walk(&document, &mut |key, value| {
        if key == "$ref" {
            let target = value.as_str().unwrap().strip_prefix('#').unwrap();
            assert!(document.pointer(target).is_some(), "{target}");
        }
    });
    let mut ids = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let what = format!("{method} {path}");
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id), "{what}: {id} is there twice");
            let none = Vec::new();
            let parameters = operation["parameters"].as_array().unwrap_or(&none);
            let in_path = parameters.iter().filter(|p| p["in"] == "path");
            assert_eq!(in_path.count(), path.matches('{').count(), "{what}");
            let answers = operation["responses"].as_object().unwrap();
            let good = answers.keys().any(|status| status.starts_with('2'));
            assert!(good && answers.contains_key("400"), "{what}");
            let open = operation["security"] == serde_json::json!([]);
            // Signing in needs no token, and may be refused.
            let refuses = !open || id == "login";
            assert_eq!(answers.contains_key("401"), refuses, "{what}");
            for (status, answer) in answers {
                let error = status.starts_with('4') || status.starts_with('5');
                let kinds = answer["content"].as_object();
                let problem = kinds.is_some_and(|k| k.contains_key("application/problem+json"));
                assert!(problem || !error || path == "/readyz", "{what}: {status}");
            }
        }
    }
    for id in [
        "submitJob",
        "listJobs",
        "getArchive",
        "getObject",
        "getMe",
        "getMetrics",
    ] {
        assert!(ids.contains(id), "{id}");
    }
    // The same type may have to hold more on its way out.
    let schemas = document["components"]["schemas"].as_object().unwrap();
    assert_ne!(schemas["Job"], schemas["JobRequest"]);
    // Whoever has no token can ask for what needs none.
    for (path, methods) in document["paths"].as_object().unwrap() {
        let Some(get) = methods.get("get").filter(|_| !path.contains('{')) else {
            continue;
        };
        let status = site.call("GET", &path[1..], "", None).await.0;
        let open = get["security"] == serde_json::json!([]);
        assert_eq!(
            status == StatusCode::UNAUTHORIZED,
            !open,
            "{path}: {status}"
        );
    }
}

/// Files of Rust below a folder.
fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => sources(&path, found),
            false => found.push(path),
        }
    }
}

#[test]
fn no_route_is_added_without_its_description() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    sources(&here.join("src"), &mut files);
    sources(&here.join("../notifier/src"), &mut files);
    let mut described = 0;
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        described += text.matches(".add(\n").count();
        // A notifier of its own says that it lives; it has no description.
        let own = match file.ends_with("server.rs") {
            true => 2,
            false => 0,
        };
        let plain = text.matches(".route(\"").count() + text.matches(".route(\n").count();
        assert_eq!(plain, own, "{}", file.display());
    }
    assert!(described > 25, "{described}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_the_description_needs_no_script() {
    use base64::Engine as _;
    let site = Site::new().await;
    let page = site.send("GET", "v1/docs", "", None).await;
    assert_eq!(page.status(), StatusCode::OK);
    let policy = page.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"));
    assert!(!policy.contains("script-src"));
    let policy = policy.to_owned();
    let text = page.text().await.unwrap();
    let style = text.split("<style>").nth(1).unwrap();
    let style = style.split("</style>").next().unwrap();
    let hash = ring::digest::digest(&ring::digest::SHA256, style.as_bytes());
    let hash = base64::engine::general_purpose::STANDARD.encode(hash);
    assert!(policy.contains(&format!("style-src 'sha256-{hash}'")));
    let (_, document) = site.call("GET", "v1/openapi.json", "", None).await;
    walk(&document, &mut |key, value| {
        if key == "operationId" {
            let id = value.as_str().unwrap();
            assert!(text.contains(&format!("<section id=\"{id}\">")), "{id}");
            assert!(text.contains(&format!("href=\"#{id}\"")), "{id}");
        }
    });
    // Each type that is named is there.
    for part in text.split("href=\"#type-").skip(1) {
        let name = part.split('"').next().unwrap();
        assert!(
            text.contains(&format!("<section id=\"type-{name}\">")),
            "{name}"
        );
    }
    assert!(!text.contains("<script") && !text.contains("src=\"http"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_have_no_effect_is_refused_by_name() {
    let site = Site::new().await;
    for (method, path, key) in [
        ("GET", "v1/jobs?limt=3", "limt"),
        ("GET", "v1/nodes?limit=3", "limit"),
        ("GET", "v1/me?x", "x"),
        ("DELETE", "v1/jobs/X?purged=true", "purged"),
        ("GET", "v1/jobs/X/results?expire=3", "expire"),
        ("GET", "healthz?deep=1", "deep"),
    ] {
        let (status, answer) = site.call(method, path, &site.ada, None).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}");
        assert_eq!(answer["key"], key, "{answer}");
    }
    let body = Some(serde_json::json!({}));
    let (status, _) = site.call("POST", "v1/jobs/X/retry", &site.ada, body).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    for path in [
        "v1/jobs?limit=0",
        "v1/jobs?limit=x",
        "v1/jobs?after=..",
        "v1/uploads?limit=-1",
        "v1/jobs/X/results?after=4294967296",
    ] {
        let (status, _) = site.call("GET", path, &site.ada, None).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}");
    }
    // Of a page that people link to, a query is none of its business.
    assert_eq!(
        site.send("GET", "?from=mail", "", None).await.status(),
        StatusCode::OK
    );
}
