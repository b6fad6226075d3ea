//! What webhooks promise, on events in memory and on Redis, with a receiver on the loopback interface.

#![allow(clippy::unwrap_used)]

mod receiver;
mod site;

use async_trait::async_trait;
use axum::body::{Body, Bytes};
use axum::response::{IntoResponse as _, Response};
use hmac::Mac as _;
use http::StatusCode;
use notifier::Config;
use notifier::webhooks::Names;
use receiver::{Got, Receiver};
use serde_json::{Value, json};
use site::{Ground, LIMIT, Site, client};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

fn ok(_: usize) -> Response {
    StatusCode::NO_CONTENT.into_response()
}

/// Every name leads to one address.
#[derive(Debug)]
struct Leads(IpAddr);

#[async_trait]
impl Names for Leads {
    async fn lookup(&self, _: &str) -> std::io::Result<Vec<IpAddr>> {
        Ok(vec![self.0])
    }
}

/// In haste, and allowed to reach the receiver.
fn config() -> Config {
    let mut config = Config::default();
    config.webhooks.allow = vec!["127.0.0.1".parse().unwrap()];
    config.webhooks.backoff = Duration::from_millis(20);
    config.webhooks.attempts = 4;
    config.webhooks.timeout = Duration::from_secs(2);
    config.webhooks.scan = Duration::from_millis(100);
    config.webhooks.lease = Duration::from_secs(1);
    config.webhooks.save = Duration::from_millis(20);
    config
}

async fn create(site: &Site, token: &str, wish: Value) -> (StatusCode, Value) {
    let url = format!("{}/v1/webhooks", site.url);
    let request = client().post(url).bearer_auth(token);
    let request = request.header("content-type", "application/json");
    let response = request.body(wish.to_string()).send().await.unwrap();
    let status = response.status();
    (
        status,
        serde_json::from_str(&response.text().await.unwrap()).unwrap(),
    )
}

/// Under a key of the client's.
async fn keyed(site: &Site, token: &str, key: &str, wish: &Value) -> (StatusCode, Value) {
    let url = format!("{}/v1/webhooks", site.url);
    let request = client().post(url).bearer_auth(token);
    let request = request.header("content-type", "application/json");
    let request = request.header("idempotency-key", key);
    let response = request.body(wish.to_string()).send().await.unwrap();
    let status = response.status();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_is_the_same_webhook() {
    let ground = Ground::memory();
    let site = ground.start(config()).await;
    let wish = json!({"url": "http://127.0.0.1:9/a"});
    let (status, first) = keyed(&site, &ground.ada, "k", &wish).await;
    assert_eq!(status, 201, "{first}");
    // As after a lost answer: the secret is told again.
    let again = keyed(&site, &ground.ada, "k", &wish).await;
    assert_eq!(again, (status, first.clone()));
    assert!(first["secret"].is_string());
    let other = json!({"url": "http://127.0.0.1:9/b"});
    assert_eq!(keyed(&site, &ground.ada, "k", &other).await.0, 409);
    let (_, of_bob) = keyed(&site, &ground.bob, "k", &wish).await;
    assert_ne!(of_bob["id"], first["id"]);
    let (_, list) = get(&site, &ground.ada, "/v1/webhooks").await;
    assert_eq!(list["webhooks"].as_array().unwrap().len(), 1);
}

async fn made(site: &Site, token: &str, wish: Value) -> Value {
    let (status, made) = create(site, token, wish).await;
    assert_eq!(status, 201, "{made}");
    made
}

async fn get(site: &Site, token: &str, path: &str) -> (StatusCode, Value) {
    let response = site::request(&format!("{}{path}", site.url), token, None).await;
    let status = response.status();
    (
        status,
        serde_json::from_str(&response.text().await.unwrap()).unwrap(),
    )
}

/// Waits until the newest delivery has this outcome.
async fn outcome(site: &Site, token: &str, id: &Value, outcome: &str) -> Value {
    let path = format!("/v1/webhooks/{}/deliveries", id.as_str().unwrap());
    let wait = async {
        loop {
            let (_, body) = get(site, token, &path).await;
            if body["deliveries"][0]["outcome"] == outcome {
                return body["deliveries"][0].clone();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LIMIT, wait).await.expect("an outcome")
}

/// As the documentation says, by another implementation than the service's.
fn verify(got: &Got, secret: &str) {
    let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    let timestamp = got.header("sundog-timestamp");
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(&got.body);
    let digits = mac.finalize().into_bytes();
    let hex: String = digits.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(got.header("sundog-signature"), format!("v1={hex}"));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let age = now.unwrap().as_secs() - timestamp.parse::<u64>().unwrap();
    assert!(age < 60, "{age}");
}

async fn everywhere(case: impl AsyncFn(&Ground)) {
    case(&Ground::memory()).await;
    if let Some(ground) = Ground::redis() {
        case(&ground).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_posted_signed_and_only_those_asked_for() {
    everywhere(async |ground| {
        let receiver = Receiver::start(ok).await;
        let site = ground.start(config()).await;
        let (one, two) = (ground.job("ada").await, ground.job("ada").await);
        let foreign = ground.job("bob").await;
        let ends = made(&site, &ground.ada, json!({"url": receiver.url()})).await;
        let starts = json!({
            "url": receiver.url(), "events": ["task_started"], "jobs": [two],
        });
        let starts = made(&site, &ground.ada, starts).await;
        for job in [&one, &two, &foreign] {
            ground.add(job, 0..2).await;
            ground.finish(job).await;
        }
        let got = receiver.wait(4).await;
        let mut seen = BTreeSet::new();
        for got in &got {
            let (event, job) = (got.header("sundog-event").to_owned(), got.event());
            assert_eq!(job["event"], event.as_str());
            let job = job["job"].as_str().unwrap().to_owned();
            let hook = match event.as_str() {
                "job_finished" => &ends,
                _ => &starts,
            };
            verify(got, hook["secret"].as_str().unwrap());
            assert_eq!(got.header("content-type"), "application/json");
            seen.insert((event, job, got.header("sundog-delivery").to_owned()));
        }
        assert_eq!(seen.len(), 4);
        let ended: Vec<&String> = seen
            .iter()
            .filter(|(event, ..)| event == "job_finished")
            .map(|(_, job, _)| job)
            .collect();
        assert_eq!(
            ended,
            BTreeSet::from([&one, &two]).into_iter().collect::<Vec<_>>()
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(receiver.got().len(), 4);
        let report = outcome(&site, &ground.ada, &ends["id"], "delivered").await;
        assert_eq!(
            (&report["status"], &report["attempts"]),
            (&json!(204), &json!(1))
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_are_tested_and_get_other_secrets() {
    everywhere(async |ground| {
        let receiver = Receiver::start(|before| match before {
            0 => StatusCode::NO_CONTENT.into_response(),
            1 => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            _ => ok(before),
        })
        .await;
        let site = ground.start(config()).await;
        let hook = made(&site, &ground.ada, json!({"url": receiver.url()})).await;
        let path = format!("/v1/webhooks/{}", hook["id"].as_str().unwrap());
        let post = async |token: &str, rest: &str| {
            let request = client().post(format!("{}{path}{rest}", site.url));
            let response = request.bearer_auth(token).send().await.unwrap();
            let status = response.status();
            let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
            (status, body)
        };
        let (status, tested) = post(&ground.ada, "/test").await;
        assert_eq!((status.as_u16(), &tested["delivered"]), (200, &json!(true)));
        let (_, tested) = post(&ground.ada, "/test").await;
        assert_eq!(
            (&tested["delivered"], &tested["status"]),
            (&json!(false), &json!(500))
        );
        let got = receiver.got();
        assert_eq!(got.len(), 2);
        assert_eq!(got[0].event()["event"], "ping");
        assert_ne!(
            got[0].header("sundog-delivery"),
            got[1].header("sundog-delivery")
        );
        verify(&got[0], hook["secret"].as_str().unwrap());
        assert_eq!(post(&ground.bob, "/test").await.0, 404);
        assert_eq!(post(&ground.bob, "/rotate").await.0, 404);

        let (_, rotated) = post(&ground.ada, "/rotate").await;
        assert_ne!(rotated["secret"], hook["secret"]);
        let (_, shown) = get(&site, &ground.ada, &path).await;
        assert!(shown["url"].is_string() && shown.get("secret").is_none());
        // Those at work take it up, too.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let job = ground.job("ada").await;
        ground.add(&job, 0..1).await;
        ground.finish(&job).await;
        let got = receiver.wait(3).await;
        verify(&got[2], rotated["secret"].as_str().unwrap());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_are_their_owners_and_secrets_are_shown_once() {
    let ground = Ground::memory();
    let site = ground.start(config()).await;
    let wish = json!({"url": "https://hooks.example/x?key=1"});
    let made = made(&site, &ground.ada, wish.clone()).await;
    let id = made["id"].as_str().unwrap();
    let secret = made["secret"].as_str().unwrap();
    assert!(secret.starts_with("whsec_") && secret.len() > 40);
    let (_, list) = get(&site, &ground.ada, "/v1/webhooks").await;
    assert_eq!(list["webhooks"][0]["id"], id);
    assert_eq!(list["webhooks"][0]["events"], json!(["job_finished"]));
    assert!(!list.to_string().contains(secret));
    let (_, others) = get(&site, &ground.bob, "/v1/webhooks").await;
    assert_eq!(others, json!({"webhooks": []}));
    let deliveries = format!("/v1/webhooks/{id}/deliveries");
    assert_eq!(get(&site, &ground.bob, &deliveries).await.0, 404);
    assert_eq!(
        get(&site, &ground.ada, &deliveries).await.1,
        json!({"deliveries": []})
    );
    let delete = async |token: &str| {
        let url = format!("{}/v1/webhooks/{id}", site.url);
        let sent = client().delete(url).bearer_auth(token).send().await;
        sent.unwrap().status()
    };
    assert_eq!(delete(&ground.bob).await, 404);
    assert_eq!(delete(&ground.ada).await, 204);
    assert_eq!(delete(&ground.ada).await, 404);
    assert_eq!(
        get(&site, &ground.ada, "/v1/webhooks/..%2Fx/deliveries")
            .await
            .0,
        404
    );
    let foreign = ground.job("bob").await;
    for (key, wrong) in [
        ("url", json!({"url": "https://127.0.0.2/"})),
        ("url", json!({"url": "https://[::ffff:10.0.0.1]/"})),
        ("url", json!({"url": "http://hooks.example/"})),
        ("url", json!({"url": "https://a:b@hooks.example/"})),
        (
            "events",
            json!({"url": "https://hooks.example/", "events": []}),
        ),
        (
            "events",
            json!({"url": "https://hooks.example/", "events": ["x"]}),
        ),
        (
            "jobs",
            json!({"url": "https://hooks.example/", "jobs": [foreign]}),
        ),
        ("what", json!({"url": "https://hooks.example/", "what": 1})),
    ] {
        let (status, body) = create(&site, &ground.ada, wrong.clone()).await;
        assert_eq!(status, 400, "{wrong}");
        let error = body.to_string();
        assert!(error.contains(key), "{wrong}: {error}");
    }
    for n in 0..=20 {
        let (status, _) = create(&site, &ground.ada, wish.clone()).await;
        assert_eq!(status, if n < 20 { 201 } else { 409 });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_tried_again_and_then_given_up() {
    let ground = Ground::memory();
    let site = ground.start(config()).await;
    let job = ground.job("ada").await;
    let flaky = Receiver::start(|n| match n {
        0 => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        1 => StatusCode::TOO_MANY_REQUESTS.into_response(),
        _ => StatusCode::OK.into_response(),
    });
    let flaky = flaky.await;
    let broken = Receiver::start(|_| StatusCode::BAD_GATEWAY.into_response()).await;
    let gone = Receiver::start(|_| StatusCode::GONE.into_response()).await;
    let target = Receiver::start(ok).await;
    let to = target.url();
    let moved =
        move |_| (StatusCode::TEMPORARY_REDIRECT, [("location", to.clone())]).into_response();
    let moved = Receiver::start(moved).await;
    let endless = Receiver::start(|_| {
        let zeros = futures_util::stream::repeat_with(|| {
            Ok::<_, std::convert::Infallible>(Bytes::from_static(&[0; 4096]))
        });
        Response::new(Body::from_stream(zeros))
    });
    let endless = endless.await;
    let mut ids = Vec::new();
    for receiver in [&flaky, &broken, &gone, &moved, &endless] {
        let wish = json!({"url": receiver.url()});
        ids.push(made(&site, &ground.ada, wish).await["id"].clone());
    }
    ground.finish(&job).await;
    let cases = [
        ("delivered", 3, json!(200)),
        ("given_up", 4, json!(502)),
        ("given_up", 1, json!(410)),
        ("given_up", 4, json!(307)),
        ("delivered", 1, json!(200)),
    ];
    for (id, (end, attempts, status)) in ids.iter().zip(cases) {
        let report = outcome(&site, &ground.ada, id, end).await;
        assert_eq!(report["attempts"], attempts, "{report}");
        assert_eq!(report["status"], status, "{report}");
    }
    assert_eq!(flaky.got().len(), 3);
    let deliveries = flaky.got();
    let deliveries: BTreeSet<&str> = deliveries
        .iter()
        .map(|g| g.header("sundog-delivery"))
        .collect();
    assert_eq!(deliveries.len(), 1, "one delivery has one id");
    // In parts, by fields that they have.
    let list = format!("/v1/webhooks/{}/deliveries", ids[0].as_str().unwrap());
    let of = async |query: &str| get(&site, &ground.ada, &format!("{list}?{query}")).await;
    let (status, all) = of("limit=1").await;
    let count = all["deliveries"].as_array().unwrap().len();
    assert_eq!((status, count), (StatusCode::OK, 1));
    let (_, some) = of("limit=1&fields=outcome").await;
    let outcome = &all["deliveries"][0]["outcome"];
    assert_eq!(some, json!({"deliveries": [{"outcome": outcome}]}));
    for (query, key) in [
        ("fields=outcom", "fields"),
        ("limit=0", ""),
        ("after=x", "after"),
    ] {
        let (status, problem) = of(query).await;
        assert_eq!(status, 400, "{query}");
        assert!(key.is_empty() || problem["key"] == key, "{problem}");
    }
    assert!(target.got().is_empty(), "redirects are not followed");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_lead_to_private_addresses_are_refused() {
    let receiver = Receiver::start(ok).await;
    let port = receiver.port;
    for (leads, allow, reached) in [
        ("127.0.0.1", vec![], false),
        ("::ffff:127.0.0.1", vec![], false),
        ("169.254.169.254", vec![], false),
        ("127.0.0.1", vec!["hooks.example".parse().unwrap()], true),
        ("127.0.0.1", vec!["127.0.0.0/8".parse().unwrap()], true),
    ] {
        let ground = Ground::memory();
        let mut config = config();
        config.webhooks.allow = allow;
        config.webhooks.http = true;
        config.webhooks.names = Arc::new(Leads(leads.parse().unwrap()));
        let site = ground.start(config).await;
        let job = ground.job("ada").await;
        let wish = json!({"url": format!("http://hooks.example:{port}/x")});
        let made = made(&site, &ground.ada, wish).await;
        ground.finish(&job).await;
        let end = if reached { "delivered" } else { "given_up" };
        let report = outcome(&site, &ground.ada, &made["id"], end).await;
        assert_eq!(report["attempts"], 1);
        let text = report.to_string();
        assert!(reached || text.contains("SUNDOG_WEBHOOK_ALLOW"), "{text}");
        assert!(!text.contains(leads), "{text}");
    }
    assert_eq!(receiver.got().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_out_when_the_notifier_dies() {
    everywhere(async |ground| {
        let slow = |_| {
            std::thread::sleep(Duration::from_millis(5));
            StatusCode::OK.into_response()
        };
        let receiver = Receiver::start(slow).await;
        let mut site = ground.start(config()).await;
        let job = ground.job("ada").await;
        let wish = json!({"url": receiver.url(), "events": ["task_started", "job_finished"]});
        made(&site, &ground.ada, wish).await;
        for n in 0..5_u64 {
            ground.add(&job, n * 40..n * 40 + 40).await;
            receiver.wait(n as usize * 40 + 20).await;
            // As by SIGKILL: nothing is stored any more, and its leases run out by themselves.
            site.task.abort();
            let _ = (&mut site.task).await;
            site = ground.start(config()).await;
        }
        ground.finish(&job).await;
        let seen = || {
            let mut seen: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
            for got in receiver.got() {
                let id = got.header("sundog-delivery").to_owned();
                let seq = got.event()["seq"].as_u64().unwrap();
                seen.entry(seq).or_default().insert(id);
            }
            seen
        };
        let wait = async {
            while seen().len() < 201 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(LIMIT, wait).await.expect("all events");
        assert!(seen().values().all(|ids| ids.len() == 1));
        let doubled = receiver.got().len() - 201;
        assert!(doubled <= 5 * 40, "{doubled}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_notifiers_share_webhooks_without_doubling() {
    everywhere(async |ground| {
        let receiver = Receiver::start(ok).await;
        let sites = [
            ground.start(config()).await,
            ground.start(config()).await,
            ground.start(config()).await,
        ];
        let job = ground.job("ada").await;
        for n in 0..6 {
            let wish = json!({"url": receiver.url(), "events": ["task_started"]});
            made(&sites[n % 3], &ground.ada, wish).await;
        }
        ground.add(&job, 0..50).await;
        receiver.wait(300).await;
        // One leaves as it should, and the others go on.
        sites[0].stop.cancel();
        ground.add(&job, 50..100).await;
        receiver.wait(600).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        let got = receiver.got();
        let ids: BTreeSet<&str> = got
            .iter()
            .map(|got| got.header("sundog-delivery"))
            .collect();
        assert_eq!(ids.len(), 600);
        assert!(got.len() <= 600 + 6 * 8, "{}", got.len());
    })
    .await;
}
