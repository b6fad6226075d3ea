//! What the job system needs: gateway, broker, Redis, store, signed links, clocks.

use super::Found;
use client::settings::Layers;
use client::{Gateway, serving};
use cloud::config::{Config, Location};
use cloud::queue::QueueName;
use cloud::store::{Created, Store};
use std::cell::RefCell;
use std::time::{Duration, SystemTime};
use tokio::runtime::Runtime;

/// Longest time for one check.
const PATIENCE: Duration = Duration::from_secs(15);
/// How far a service's clock may be off before links end early or are refused.
const SKEW: Duration = Duration::from_secs(30);

/// What is written for a try.
const BODY: &[u8] = b"sundog doctor";

const GATEWAY: &str =
    "start it (sundog serve, or sundog gateway), or correct SUNDOG_GATEWAY and SUNDOG_TOKEN";
const BROKER: &str = "start RabbitMQ and correct SUNDOG_BROKER: amqps://user:password@host/vhost (guest works on the broker's own machine alone)";
const REDIS: &str = "start Redis and correct SUNDOG_REDIS: rediss://:password@host:6379/0";
const STORE: &str = "correct SUNDOG_STORE, SUNDOG_S3_ENDPOINT and the provider's credentials, which need to list, read, write and delete";
const SIGNING: &str = "let the credentials sign (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or GOOGLE_SERVICE_ACCOUNT with its key), and check this machine's clock";
const CLOCKS: &str = "set the clocks of both machines by NTP (timedatectl set-ntp true)";
const CORS: &str = r#"let the page's address in: aws s3api put-bucket-cors --bucket BUCKET --cors-configuration '{"CORSRules":[{"AllowedOrigins":["https://THE-PAGE"],"AllowedMethods":["GET","PUT"],"AllowedHeaders":["*"],"ExposeHeaders":["ETag"]}]}' (Google: gcloud storage buckets update gs://BUCKET --cors-file=FILE)"#;
const SETTINGS: &str = "correct the setting named";

/// The services that the settings name.
pub struct Services {
    runtime: Option<Runtime>,
    layers: Layers,
    config: Result<Config, String>,
    /// Clocks that were seen: whose, and how far off.
    clocks: RefCell<Vec<(&'static str, i64)>>,
}

impl Services {
    pub fn new(layers: Layers) -> Services {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build();
        Services {
            runtime: runtime.ok(),
            config: client::services(&layers).map_err(|failure| failure.message),
            layers,
            clocks: RefCell::default(),
        }
    }

    fn run(&self, fix: &'static str, check: impl Future<Output = Result<String, String>>) -> Found {
        let Some(runtime) = &self.runtime else {
            return Found::Broken("no runtime can be started".into(), fix);
        };
        match runtime.block_on(async { tokio::time::timeout(PATIENCE, check).await }) {
            Ok(Ok(found)) => Found::Ok(found),
            Ok(Err(reason)) => Found::Broken(reason, fix),
            Err(_) => Found::Broken(format!("no answer within {} s", PATIENCE.as_secs()), fix),
        }
    }

    /// The gateway that commands talk to.
    pub fn gateway(&self) -> Found {
        let set = self.layers.text("gateway");
        let own = match set {
            Some(_) => None,
            None => match serving::find() {
                Ok(own) => own,
                Err(failure) => return Found::Broken(failure.message, GATEWAY),
            },
        };
        let gateway = match (set, &own) {
            (Some(address), _) => Gateway::new(address, self.layers.text("token"), false),
            (None, Some(own)) => Gateway::new(&own.address, Some(&own.token), true),
            (None, None) => {
                return Found::Missing(
                    "SUNDOG_GATEWAY is not set and no sundog serve is running; sundog run works without".into(),
                    "sundog serve starts the job system on this machine",
                );
            }
        };
        let gateway = match gateway {
            Ok(gateway) => gateway,
            Err(failure) => return Found::Broken(failure.message, GATEWAY),
        };
        self.run(GATEWAY, async {
            let date = gateway.knock().await.map_err(|failure| failure.message)?;
            self.note("the gateway", date.as_deref());
            Ok(format!("{} lets you in", gateway.base()))
        })
    }

    /// The broker.
    pub fn broker(&self) -> Found {
        let missing = "SUNDOG_BROKER is not set; a sundog serve queues in memory";
        let config = match self.named("broker", missing) {
            Ok(config) => config,
            Err(found) => return found,
        };
        self.run(BROKER, async {
            let queue = config.queue().map_err(text)?;
            let mut waiting = Vec::new();
            let names = [
                QueueName::Jobs,
                QueueName::Control,
                QueueName::Tasks,
                QueueName::DeadLetters,
            ];
            for name in names {
                let stats = queue.stats(&name).await.map_err(text)?;
                waiting.push(format!("{} in {name}", stats.ready));
            }
            Ok(format!("it answers; {}", waiting.join(", ")))
        })
    }

    /// Redis.
    pub fn redis(&self) -> Found {
        let missing = "SUNDOG_REDIS is not set; a sundog serve keeps events in memory";
        let config = match self.named("redis", missing) {
            Ok(config) => config,
            Err(found) => return found,
        };
        self.run(REDIS, async {
            let events = config.events().map_err(text)?;
            let nodes = events.nodes().await.map_err(text)?.len();
            let plural = if nodes == 1 { "" } else { "s" };
            Ok(format!("it answers; {nodes} dispatcher{plural} at work"))
        })
    }

    /// The object store: writes, writes only if absent, reads and removes.
    pub fn store(&self) -> Found {
        let missing = "SUNDOG_STORE is not set; a sundog serve stores in a directory of yours";
        let config = match self.named("store", missing) {
            Ok(config) => config,
            Err(found) => return found,
        };
        self.run(STORE, async {
            let store = open(config)?;
            let name = format!("doctor/{}", worker::batch::new_job_id());
            let checked = exercise(&store, &name).await;
            let removed = store.delete(&name).await.map_err(text);
            checked.and(removed)?;
            Ok(format!(
                "{} can be written, read and listed",
                store.address()
            ))
        })
    }

    /// Links that somebody without credentials can use.
    pub fn signing(&self) -> Found {
        let missing = "SUNDOG_STORE is not set; a sundog serve signs its own links";
        let config = match self.named("store", missing) {
            Ok(config) => config,
            Err(found) => return found,
        };
        if matches!(
            config.store,
            Some(Location::Directory(_) | Location::Memory)
        ) {
            return Found::Ok("the gateway signs links to this store".into());
        }
        self.run(SIGNING, async {
            let store = open(config)?;
            let name = format!("doctor/{}", worker::batch::new_job_id());
            let checked = self.use_links(&store, &name).await;
            let removed = store.delete(&name).await.map_err(text);
            checked.and(removed)?;
            Ok("a file went up and down by signed links".into())
        })
    }

    async fn use_links(&self, store: &Store, name: &str) -> Result<(), String> {
        let life = Duration::from_secs(60);
        let put = store
            .link_put(name, None, BODY.len() as u64, life)
            .await
            .map_err(text)?;
        let http = client::plain_http(&put.url).map_err(|failure| failure.message)?;
        let mut request = http.put(put.url).body(BODY);
        for (name, value) in put.headers {
            request = request.header(name, value);
        }
        let answer = request.send().await.map_err(|e| client::cause(&e))?;
        let date = answer.headers().get("date").and_then(|d| d.to_str().ok());
        self.note("the store", date);
        if !answer.status().is_success() {
            return Err(format!(
                "a signed PUT was answered with {}",
                answer.status()
            ));
        }
        let get = store.link_get(name, life).await.map_err(text)?;
        let answer = http
            .get(get.url)
            .send()
            .await
            .map_err(|e| client::cause(&e))?;
        if !answer.status().is_success() {
            return Err(format!(
                "a signed GET was answered with {}",
                answer.status()
            ));
        }
        let bytes = answer.bytes().await.map_err(|e| client::cause(&e))?;
        match bytes[..] == *BODY {
            true => Ok(()),
            false => Err("a signed GET brought other bytes than were put".into()),
        }
    }

    /// Whether browsers that show the gateway's page may put files into the store and get them from it: they ask it first.
    pub fn page(&self) -> Found {
        let missing = "SUNDOG_STORE is not set; the page gets objects from its own gateway";
        let config = match self.named("store", missing) {
            Ok(config) => config,
            Err(found) => return found,
        };
        if matches!(
            config.store,
            Some(Location::Directory(_) | Location::Memory)
        ) {
            return Found::Ok("the page gets objects from its own gateway".into());
        }
        let public = std::env::var("SUNDOG_PUBLIC_URL").ok();
        let address = public.as_deref().or(self.layers.text("gateway"));
        let origin = address.and_then(|address| address.parse::<url::Url>().ok());
        let Some(origin) = origin.map(|url| url.origin().ascii_serialization()) else {
            return Found::Missing(
                "where browsers reach the gateway is not known, so the page's way to the store was not tried".into(),
                "set SUNDOG_PUBLIC_URL",
            );
        };
        let tried = self.run(CORS, async {
            let store = open(config)?;
            let life = Duration::from_secs(60);
            let link = store.link_put("doctor/page", None, 1, life).await.map_err(text)?;
            let http = client::plain_http(&link.url).map_err(|failure| failure.message)?;
            let ask = http
                .request(reqwest::Method::OPTIONS, link.url)
                .header("origin", &origin)
                .header("access-control-request-method", "PUT")
                .header("access-control-request-headers", "content-type");
            let answer = ask.send().await.map_err(|error| client::cause(&error))?;
            let header = |name: &str| {
                let value = answer.headers().get(name);
                value.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
            };
            let (from, methods) = (
                header("access-control-allow-origin"),
                header("access-control-allow-methods"),
            );
            match (from == "*" || from == origin) && methods.contains("PUT") {
                true => Ok(format!("the store lets the page at {origin} in")),
                false => Err(format!(
                    "the store does not let a page at {origin} in (its CORS rules), so the page can neither upload nor show results"
                )),
            }
        });
        match tried {
            // Commands work all the same.
            Found::Broken(what, fix) => Found::Missing(what, fix),
            found => found,
        }
    }

    /// Clocks of services beside this machine's; to be asked last.
    pub fn clocks(&self) -> Found {
        let clocks = self.clocks.borrow();
        let worst = clocks.iter().max_by_key(|(_, off)| off.abs());
        match worst {
            None => Found::Missing("no service told its time".into(), "see above"),
            Some((whose, off)) if off.unsigned_abs() > SKEW.as_secs() => Found::Broken(
                format!(
                    "this machine's clock and that of {whose} differ by {} s",
                    off.abs()
                ),
                CLOCKS,
            ),
            Some((whose, off)) => Found::Ok(format!(
                "{whose} and this machine differ by {} s",
                off.abs()
            )),
        }
    }

    /// The services' settings, where `key` is among them.
    fn named(&self, key: &str, missing: &str) -> Result<&Config, Found> {
        match &self.config {
            Err(reason) => Err(Found::Broken(reason.clone(), SETTINGS)),
            Ok(_) if self.layers.text(key).is_none() => Err(Found::Missing(
                missing.into(),
                "set it for a cluster (hint: sundog config show --origin)",
            )),
            Ok(config) => Ok(config),
        }
    }

    fn note(&self, whose: &'static str, date: Option<&str>) {
        let Some(date) = date.and_then(|date| httpdate::parse_http_date(date).ok()) else {
            return;
        };
        let secs = |time: SystemTime| {
            let since = time.duration_since(SystemTime::UNIX_EPOCH);
            since.map_or(0, |d| d.as_secs() as i64)
        };
        let off = secs(date) - secs(SystemTime::now());
        self.clocks.borrow_mut().push((whose, off));
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn open(config: &Config) -> Result<Store, String> {
    match &config.store {
        Some(location) => config.open(location).map_err(text),
        None => Err("no store is set".into()),
    }
}

async fn exercise(store: &Store, name: &str) -> Result<(), String> {
    let bytes = || BODY.to_vec();
    for expected in [Created::New, Created::Exists] {
        let created = store.create(name, bytes().into(), "text/plain").await;
        if created.map_err(text)? != expected {
            return Err("it does not keep to `create only if absent`, on which jobs rely".into());
        }
    }
    if store.get(name, 100).await.map_err(text)? != bytes() {
        return Err("it brought other bytes than were put".into());
    }
    let listed = store.list("doctor").await.map_err(text)?;
    match listed.iter().any(|meta| meta.name == name) {
        true => Ok(()),
        false => Err("what was put is not listed".into()),
    }
}
