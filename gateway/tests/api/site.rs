//! A gateway with a dispatcher on the adapters in memory and a directory, on a free port.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cloud::config::{Config as Services, Location};
use cloud::events::memory::MemoryEvents;
use cloud::links::LinkKey;
use cloud::queue::memory::MemoryQueue;
use cloud::store::Store;
use dispatcher::jobs::{Jobs, Rules};
use dispatcher::world::Threads;
use gateway::{Config, Limits, Secret};
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};
use service::{Tokens, access};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::{CancellationToken, DropGuard};
use url::Url;

pub struct Site {
    pub url: Url,
    pub ada: String,
    pub eve: String,
    pub root: String,
    pub store: PathBuf,
    pub jobs: Jobs,
    signing: Store,
    pub client: Client,
    _gateway: DropGuard,
    dispatcher: Option<DropGuard>,
    // Outlives the services.
    _dir: tempfile::TempDir,
}

impl Site {
    pub async fn new() -> Site {
        Site::with(|_| {}, Rules::default()).await
    }

    /// With other settings.
    pub async fn with(change: impl FnOnce(&mut Config), rules: Rules) -> Site {
        let limits = Limits {
            files: 5,
            file_bytes: 1 << 20,
            upload_bytes: 3 << 19,
            body_bytes: 64 << 10,
            ..Limits::default()
        };
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("store");
        let jobs = Jobs {
            queue: Arc::new(MemoryQueue::new()),
            events: Arc::new(MemoryEvents::default()),
            store: Services::default()
                .open(&Location::Directory(store.clone()))
                .unwrap(),
            rules,
        };
        let file = dir.path().join("tokens.toml");
        let token = |user: &str, admin: bool| access::add(&file, user, admin).unwrap();
        let (ada, eve, root) = (
            token("ada", false),
            token("eve", false),
            token("root", true),
        );
        let listener = service::listen("127.0.0.1:0".parse().unwrap(), true)
            .await
            .unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let url = Url::parse(&url).unwrap();
        // Known here, so that links can be signed.
        let own = dir.path().join("secret");
        let secret = Secret::file(&own).unwrap();
        let bytes = std::fs::read_to_string(&own).unwrap();
        let bytes = URL_SAFE_NO_PAD.decode(bytes.trim()).unwrap();
        let key = LinkKey::new(&bytes, url.join("v1/objects/").unwrap()).unwrap();
        let signing = jobs.store.clone().with_links(key);
        let mut config = Config::new(Tokens::file(&file).unwrap(), secret, url.clone());
        config.limits = limits;
        change(&mut config);
        let shutdown = CancellationToken::new();
        let extra = service::Api::new(&config.entrance);
        let served = gateway::run(config, jobs.clone(), listener, extra, shutdown.clone());
        tokio::spawn(async move { served.await.unwrap() });
        Site {
            url,
            ada,
            eve,
            root,
            store,
            signing,
            jobs,
            client: Client::builder().build().unwrap(),
            _gateway: shutdown.drop_guard(),
            dispatcher: None,
            _dir: dir,
        }
    }

    pub fn start_dispatcher(&mut self) {
        let shutdown = CancellationToken::new();
        let mut config = dispatcher::Config::new("node");
        config.scratch = self.store.join(".scratch");
        let world = Arc::new(Threads::start(2));
        let run = dispatcher::run(config, self.jobs.clone(), world, shutdown.clone());
        tokio::spawn(run);
        self.dispatcher = Some(shutdown.drop_guard());
    }

    pub fn stop_dispatcher(&mut self) {
        drop(self.dispatcher.take());
    }

    pub async fn send(
        &self,
        method: &str,
        path: &str,
        token: &str,
        body: Option<Value>,
    ) -> Response {
        let method: Method = method.parse().unwrap();
        let request = self.client.request(method, self.url.join(path).unwrap());
        let request = match token {
            "" => request,
            token => request.bearer_auth(token),
        };
        let request = match &body {
            Some(body) => request.json(body),
            None => request,
        };
        request.send().await.unwrap()
    }

    pub async fn call(
        &self,
        method: &str,
        path: &str,
        token: &str,
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        let response = self.send(method, path, token, body).await;
        let status = response.status();
        let text = response.text().await.unwrap();
        (
            status,
            serde_json::from_str(&text).unwrap_or(Value::String(text)),
        )
    }

    /// Announces files; returns the whole answer.
    pub async fn announce(&self, token: &str, files: &[(&str, usize)]) -> Value {
        let files: Vec<Value> = files
            .iter()
            .map(|(name, bytes)| json!({"name": name, "bytes": bytes}))
            .collect();
        let (status, answer) = self
            .call("POST", "v1/uploads", token, Some(json!({ "files": files })))
            .await;
        assert_eq!(status, StatusCode::CREATED, "{answer}");
        answer
    }

    pub async fn put(&self, url: &str, bytes: Vec<u8>) -> StatusCode {
        let sent = self.client.put(url).body(bytes).send().await;
        sent.unwrap().status()
    }

    /// Uploads files; returns what a job names as its inputs.
    pub async fn upload(&self, token: &str, files: &[(&str, Vec<u8>)]) -> Value {
        let sizes: Vec<_> = files
            .iter()
            .map(|(name, bytes)| (*name, bytes.len()))
            .collect();
        let answer = self.announce(token, &sizes).await;
        for (place, (name, bytes)) in answer["files"].as_array().unwrap().iter().zip(files) {
            assert_eq!(place["name"], *name);
            assert_eq!(place["method"], "PUT");
            let status = self
                .put(place["url"].as_str().unwrap(), bytes.clone())
                .await;
            assert_eq!(status, StatusCode::NO_CONTENT);
        }
        answer["inputs"].clone()
    }

    pub async fn submit(&self, token: &str, inputs: &Value) -> String {
        let job = json!({"name": "test", "inputs": inputs, "pipeline": PIPELINE});
        let (status, answer) = self.call("POST", "v1/jobs", token, Some(job)).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
        answer["job"].as_str().unwrap().to_owned()
    }

    pub async fn ended(&self, token: &str, job: &str) -> Value {
        let wait = async {
            loop {
                let (status, answer) = self
                    .call("GET", &format!("v1/jobs/{job}"), token, None)
                    .await;
                assert_eq!(status, StatusCode::OK, "{answer}");
                if !["queued", "running"].contains(&answer["state"].as_str().unwrap()) {
                    return answer;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), wait)
            .await
            .unwrap()
    }

    /// A link to get any object, as the gateway signs them.
    pub async fn link(&self, name: &str) -> String {
        let link = self.signing.link_get(name, Duration::from_secs(60)).await;
        link.unwrap().url.to_string()
    }

    /// Files in the store that are no objects yet.
    pub fn left(&self) -> usize {
        let mut n = 0;
        for folder in std::fs::read_dir(self.store.join(".scratch")).unwrap() {
            let folder = folder.unwrap().path();
            if !folder.is_dir() {
                // What a dispatcher has in hand.
                n += usize::from(std::fs::metadata(folder).unwrap().len() > 0);
                continue;
            }
            let files = std::fs::read_dir(folder).unwrap();
            n += files
                .filter(|file| file.as_ref().unwrap().file_name() != "lock")
                .count();
        }
        n
    }
}

pub const PIPELINE: &str = "gaussian(sigma=2) | invert";

pub fn picture(seed: u8) -> Vec<u8> {
    let mut bytes = b"P5 40 30 255\n".to_vec();
    bytes.extend((0..1200u32).map(|i| (i * 7 + u32::from(seed) * 31) as u8));
    bytes
}
