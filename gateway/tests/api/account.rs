//! Who one is, what one may have and uses, one's uploads, and what goes when it is deleted.

use crate::site::{Site, picture};
use dispatcher::jobs::{Rules, Weights};
use reqwest::StatusCode;
use serde_json::{Value, json};
use service::rates::Shares;
use service::{Entrance, access};

#[tokio::test(flavor = "multi_thread")]
async fn users_see_their_uploads_and_what_they_use() {
    let mut site = Site::new().await;
    let get = async |site: &Site, path: &str| site.call("GET", path, &site.ada, None).await.1;
    let none = json!({"jobs": 0, "open_jobs": 0, "uploads": 0, "upload_bytes": 0, "job_bytes": 0});
    assert_eq!(get(&site, "v1/usage").await, none);
    let first = site
        .upload(&site.ada, &[("a.pgm", picture(1)), ("b/c.pgm", picture(2))])
        .await;
    let second = site.upload(&site.ada, &[("a.pgm", picture(3))]).await;
    site.upload(&site.eve, &[("a.pgm", picture(4))]).await;
    let id = |inputs: &Value| {
        let text = inputs[0].as_str().unwrap().trim_start_matches("uploads/");
        text.trim_end_matches('/').to_owned()
    };
    let (first_id, second_id) = (id(&first), id(&second));
    let list = get(&site, "v1/uploads").await;
    assert_eq!(list["uploads"].as_array().unwrap().len(), 2);
    assert_eq!(
        (
            &list["uploads"][0]["upload"],
            &list["uploads"][0]["files"],
            &list["uploads"][0]["bytes"]
        ),
        (&json!(first_id), &json!(2), &json!(2 * picture(1).len()))
    );
    let page = get(&site, "v1/uploads?limit=1").await;
    assert_eq!(
        (&page["next"], page["uploads"].as_array().unwrap().len()),
        (&json!(first_id), 1)
    );
    let page = get(&site, &format!("v1/uploads?after={first_id}")).await;
    assert_eq!(page["uploads"][0]["upload"], second_id);
    let arrived = get(&site, &format!("v1/uploads/{first_id}")).await;
    assert_eq!(arrived["files"][1]["name"], "b/c.pgm");
    assert_eq!(
        arrived["files"][1]["input"],
        format!("uploads/{first_id}/b/c.pgm")
    );

    // A job that has not ended keeps its upload.
    let job = site.submit(&site.ada, &first).await;
    let path = format!("v1/uploads/{first_id}");
    let delete = async |token: &str, path: &str| site.call("DELETE", path, token, None).await;
    let (status, answer) = delete(&site.ada, &path).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(
        answer["detail"].as_str().unwrap().contains(&job),
        "{answer}"
    );
    assert_eq!(delete(&site.eve, &path).await.0, StatusCode::NOT_FOUND);
    assert_eq!(get(&site, "v1/usage").await["open_jobs"], 1);
    site.start_dispatcher();
    site.ended(&site.ada, &job).await;
    assert_eq!(
        site.call("DELETE", &path, &site.ada, None).await.0,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        site.call("DELETE", &path, &site.ada, None).await.0,
        StatusCode::NOT_FOUND
    );
    let usage = get(&site, "v1/usage").await;
    let outputs = site.jobs.store.list(&format!("jobs/{job}")).await.unwrap();
    let outputs: u64 = outputs.iter().map(|meta| meta.size).sum();
    assert_eq!(
        (
            &usage["jobs"],
            &usage["open_jobs"],
            &usage["uploads"],
            &usage["job_bytes"]
        ),
        (&json!(1), &json!(0), &json!(1), &json!(outputs)),
        "{usage}"
    );
    let me = get(&site, "v1/me").await;
    assert_eq!((&me["user"], &me["admin"]), (&json!("ada"), &json!(false)));
    assert_eq!(me["scopes"], json!(["read", "submit"]));
    assert_eq!(
        (&me["usage"], &me["limits"]["upload_files"]),
        (&usage, &json!(5))
    );
    assert!(me["limits"].get("requests_a_minute").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_announcement_again_is_the_same_upload() {
    let site = Site::new().await;
    let announce = async |key: &str, name: &str| {
        let files = json!({"files": [{"name": name, "bytes": 3}]});
        let request = site.client.post(site.url.join("v1/uploads").unwrap());
        let request = request
            .bearer_auth(&site.ada)
            .header("Idempotency-Key", key);
        let answer = request.json(&files).send().await.unwrap();
        let status = answer.status();
        (status, answer.json::<Value>().await.unwrap())
    };
    let (status, first) = announce("k", "a.pgm").await;
    assert_eq!(status, StatusCode::CREATED);
    let again = announce("k", "a.pgm").await.1;
    assert_eq!(first["upload"], again["upload"]);
    assert_eq!(announce("k", "b.pgm").await.0, StatusCode::CONFLICT);
    assert_ne!(
        announce("other", "a.pgm").await.1["upload"],
        first["upload"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_bounds_what_one_user_may_have() {
    let rules = Rules {
        open_jobs: Some(1),
        stored_bytes: Some(4000),
        ..Rules::default()
    };
    let few = |config: &mut gateway::Config| {
        let shares = Shares {
            requests_a_minute: Some(50),
            ..Shares::default()
        };
        config.entrance = Entrance::new(config.entrance.tokens().clone(), shares);
    };
    let site = Site::with(few, rules).await;
    let inputs = site.upload(&site.ada, &[("a.pgm", picture(1))]).await;
    site.submit(&site.ada, &inputs).await;
    let job = json!({"inputs": inputs});
    let answer = site
        .send("POST", "v1/jobs", &site.ada, Some(job.clone()))
        .await;
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(answer.headers()["retry-after"], "10");
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(answer["code"], "busy");
    // Another user's jobs are another's.
    let (status, answer) = site.call("POST", "v1/jobs", &site.eve, Some(job)).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    let large = json!({"files": [{"name": "b.pgm", "bytes": 3900}]});
    let (status, answer) = site
        .call("POST", "v1/uploads", &site.ada, Some(large.clone()))
        .await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE, "{answer}");
    let (status, _) = site
        .call("POST", "v1/uploads", &site.root, Some(large))
        .await;
    assert_eq!(status, StatusCode::CREATED);
    let (_, me) = site.call("GET", "v1/me", &site.ada, None).await;
    assert_eq!(
        (
            &me["limits"]["open_jobs"],
            &me["limits"]["stored_bytes"],
            &me["limits"]["requests_a_minute"]
        ),
        (&json!(1), &json!(4000), &json!(50))
    );
    assert!(me["requests_left"].as_u64().unwrap() < 50, "{me}");
    let mut refused = None;
    for _ in 0..60 {
        let answer = site.send("GET", "v1/ops", &site.ada, None).await;
        assert!(answer.headers().contains_key("ratelimit"));
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.unwrap();
    assert_eq!(
        refused.headers()["ratelimit-policy"],
        "\"requests\";q=50;w=60"
    );
    assert_eq!(
        refused.headers()["content-type"],
        "application/problem+json"
    );
    assert!(refused.headers().contains_key("retry-after"));
    let (status, _) = site.call("GET", "v1/ops", &site.eve, None).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_good_for_what_they_were_granted() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tokens.toml");
    let grant = |read: bool, submit: bool| {
        let grant = access::Grant {
            read,
            submit,
            ..access::Grant::default()
        };
        access::grant(&file, "ada", grant).unwrap()
    };
    let (reader, robot) = (grant(true, false), grant(false, true));
    let tokens = service::Tokens::file(&file).unwrap();
    let site = Site::with(|config| config.entrance = tokens.into(), Rules::default()).await;
    let call = async |method: &str, path: &str, token: &str| {
        let body = (method == "POST").then(|| json!({"inputs": ["uploads/U1/"]}));
        site.call(method, path, token, body).await.0.as_u16()
    };
    assert_eq!(call("GET", "v1/jobs", &reader).await, 200);
    assert_eq!(call("POST", "v1/jobs", &reader).await, 403);
    assert_eq!(call("DELETE", "v1/jobs/X", &reader).await, 403);
    assert_eq!(call("POST", "v1/jobs", &robot).await, 202);
    assert_eq!(call("GET", "v1/jobs", &robot).await, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_of_a_user_goes_at_once() {
    let mut site = Site::new().await;
    site.start_dispatcher();
    let files = [("a.pgm", picture(1)), ("b.pgm", b"P5 9 9 255\n".to_vec())];
    for token in [&site.ada, &site.eve] {
        let inputs = site.upload(token, &files).await;
        let job = site.submit(token, &inputs).await;
        site.ended(token, &job).await;
    }
    assert_eq!(site.jobs.erase("ada").await.unwrap(), (1, 1));
    let usage = site.jobs.usage("ada", &Weights::default()).await.unwrap();
    assert_eq!(usage, dispatcher::jobs::Usage::default());
    let left = site.jobs.store.list("").await.unwrap();
    let names: Vec<&str> = left.iter().map(|meta| meta.name.as_str()).collect();
    assert!(
        !names
            .iter()
            .any(|name| name.split('/').any(|part| part == "ada")),
        "{names:?}"
    );
    let other = site.jobs.usage("eve", &Weights::default()).await.unwrap();
    assert_eq!((other.jobs, other.uploads), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_erases_a_user_over_http_and_that_is_noted() {
    let notes = tempfile::tempdir().unwrap();
    let file = notes.path().join("audit.jsonl");
    let audit = service::audit::Audit::file(&file).unwrap();
    let change = |config: &mut gateway::Config| {
        config.entrance = config.entrance.clone().with_audit(audit);
    };
    let mut site = Site::with(change, Rules::default()).await;
    site.start_dispatcher();
    let files = [("a.pgm", picture(1)), ("b.pgm", b"P5 9 9 255\n".to_vec())];
    let mut jobs = Vec::new();
    for token in [&site.ada, &site.eve] {
        let inputs = site.upload(token, &files).await;
        let job = site.submit(token, &inputs).await;
        site.ended(token, &job).await;
        jobs.push(job);
    }
    // One that is under way goes, too.
    site.stop_dispatcher();
    let inputs = site.upload(&site.ada, &files).await;
    jobs.push(site.submit(&site.ada, &inputs).await);
    let erase = async |token: &str, name: &str| {
        site.call("DELETE", &format!("v1/users/{name}"), token, None)
            .await
    };
    for token in [&site.ada, &site.eve] {
        assert_eq!(erase(token, "ada").await.0, StatusCode::FORBIDDEN);
    }
    assert_eq!(erase("", "ada").await.0, StatusCode::UNAUTHORIZED);
    let (status, told) = erase(&site.root, "ada").await;
    assert_eq!(
        (status, &told),
        (StatusCode::OK, &json!({"jobs": 2, "uploads": 2}))
    );
    // Nothing of hers is anywhere.
    for path in ["v1/jobs", "v1/uploads", "v1/dead-letters"] {
        let (status, list) = site.call("GET", path, &site.ada, None).await;
        let key = path.rsplit('/').next().unwrap().replace("dead-", "");
        assert_eq!(
            (status, &list[&key]),
            (StatusCode::OK, &json!([])),
            "{path}"
        );
    }
    for job in [&jobs[0], &jobs[2]] {
        for path in [format!("v1/jobs/{job}"), format!("v1/jobs/{job}/results")] {
            let (status, _) = site.call("GET", &path, &site.ada, None).await;
            assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        }
    }
    let mut open = vec![site.store.clone()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            let name = path.display().to_string();
            // A folder without a file is nothing in a store.
            match path.is_dir() {
                true => open.push(path),
                false => assert!(
                    !name.contains("/ada/") && !name.contains(&jobs[0]),
                    "{name}"
                ),
            }
        }
    }
    // All of the other's is.
    let path = format!("v1/jobs/{}/results", jobs[1]);
    let (_, results) = site.call("GET", &path, &site.eve, None).await;
    let link = results["results"][0]["url"].as_str().unwrap();
    assert_eq!(
        site.client.get(link).send().await.unwrap().status(),
        StatusCode::OK
    );
    let (_, usage) = site.call("GET", "v1/usage", &site.eve, None).await;
    assert_eq!((&usage["jobs"], &usage["uploads"]), (&json!(1), &json!(1)));
    // Who did it, to whom, and who tried.
    let text = std::fs::read_to_string(&file).unwrap();
    let acts = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let acts: Vec<Value> = acts.filter(|act| act["operation"] == "eraseUser").collect();
    let who: Vec<_> = acts
        .iter()
        .map(|act| (&act["user"], &act["outcome"]))
        .collect();
    let (refused, done) = (json!("refused"), json!("done"));
    let users = [json!("ada"), json!("eve"), Value::Null, json!("root")];
    let outcomes = [&refused, &refused, &refused, &done];
    assert_eq!(
        who,
        users.iter().zip(outcomes).collect::<Vec<_>>(),
        "{text}"
    );
    assert!(
        acts.iter().all(|act| act["path"] == "/v1/users/ada"),
        "{text}"
    );
}
