//! From settings of the environment to adapters.
//!
//! `SUNDOG_BROKER`, `SUNDOG_REDIS`, `SUNDOG_STORE`, `SUNDOG_S3_ENDPOINT`, `SUNDOG_S3_PUBLIC_ENDPOINT`; the credentials of a store come from
//! its provider's usual variables (`AWS_…`, `GOOGLE_…`). What is not set stays in this process. What is secret may
//! be in a file instead, whose path is in the variable of the same name with `_FILE` behind it.

use crate::error::{Error, Result};
use crate::events::Events;
use crate::events::memory::MemoryEvents;
use crate::events::redis::{RedisConfig, RedisEvents};
use crate::links::Limits;
use crate::queue::Queue;
use crate::queue::memory::MemoryQueue;
use crate::queue::rabbitmq::{RabbitConfig, RabbitQueue};
use crate::store::Store;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::{BackoffConfig, ClientOptions, RetryConfig};
use std::collections::BTreeMap;
use std::fmt;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use url::Url;

/// How long links live when they are signed with temporary credentials whose end nobody told: the
/// shortest session that providers give out by default.
const TEMPORARY: Duration = Duration::from_secs(3600);

/// Variables that may be given as a file, as orchestrators hand out secrets; others such as
/// `AWS_WEB_IDENTITY_TOKEN_FILE` are the provider's own.
const IN_FILES: [&str; 5] = [
    "SUNDOG_BROKER",
    "SUNDOG_REDIS",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
];
/// Longest secret that is read.
const MAX_SECRET: u64 = 16 << 10;

/// Reads the secret that a variable `name` gives as the path of a file. A line break at its end is not part of it.
pub fn secret_file(name: &str, path: &str) -> Result<String> {
    let invalid = |reason: String| Error::invalid(name, format!("{path}: {reason}"));
    let file = std::fs::File::open(path).map_err(|error| invalid(error.to_string()))?;
    let mut text = String::new();
    let read = file.take(MAX_SECRET + 1).read_to_string(&mut text);
    read.map_err(|error| invalid(error.to_string()))?;
    let secret = text.trim_end_matches(['\r', '\n']);
    match secret.len() as u64 {
        0 => Err(invalid("the file is empty".into())),
        length if length > MAX_SECRET => Err(invalid(format!(
            "the file is larger than a secret may be ({MAX_SECRET} bytes)"
        ))),
        _ => Ok(secret.to_owned()),
    }
}

/// Where a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A directory of this machine.
    Directory(PathBuf),
    /// A bucket of S3 or a server that speaks its protocol.
    S3 {
        /// The bucket.
        bucket: String,
        /// What all names begin with.
        prefix: String,
    },
    /// A bucket of Google Cloud Storage.
    Gcs {
        /// The bucket.
        bucket: String,
        /// What all names begin with.
        prefix: String,
    },
    /// The memory of this process.
    Memory,
}

impl Location {
    /// Reads `file:///…`, `s3://bucket/prefix`, `gs://bucket/prefix`, `memory:` or the path of a directory.
    pub fn parse(text: &str) -> Result<Location> {
        let Some((scheme, rest)) = text.split_once(':').filter(|(s, _)| s.len() > 1) else {
            return match text {
                "" => Err(Error::invalid("the store", "empty")),
                path => Ok(Location::Directory(path.into())),
            };
        };
        let bucket = || {
            let rest = rest.strip_prefix("//").unwrap_or_default();
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            if bucket.is_empty() || bucket.contains(['@', '?', '#']) {
                return Err(Error::invalid(
                    "the store",
                    format!("expected {scheme}://bucket/prefix without credentials"),
                ));
            }
            Ok((bucket.to_owned(), prefix.trim_matches('/').to_owned()))
        };
        match scheme {
            "s3" => bucket().map(|(bucket, prefix)| Location::S3 { bucket, prefix }),
            "gs" => bucket().map(|(bucket, prefix)| Location::Gcs { bucket, prefix }),
            "memory" => Ok(Location::Memory),
            "file" => match Url::parse(text)
                .ok()
                .filter(|_| rest.starts_with("//"))
                .and_then(|url| url.to_file_path().ok())
            {
                Some(path) => Ok(Location::Directory(path)),
                None => Err(Error::invalid("the store", "expected file:///path")),
            },
            _ => Err(Error::invalid(
                "the store",
                "expected file:///path, s3://bucket/prefix or gs://bucket/prefix",
            )),
        }
    }
}

/// Where the services are. Holds credentials and shows none.
#[derive(Clone, Default)]
pub struct Config {
    /// The broker; without one, queues are in memory.
    pub broker: Option<RabbitConfig>,
    /// Redis; without one, events are in memory.
    pub redis: Option<RedisConfig>,
    /// The store, where one is set.
    pub store: Option<Location>,
    s3_endpoint: Option<Url>,
    /// Where clients reach the S3 server, if that is another address than the services': links lead there.
    s3_public: Option<Url>,
    /// `AWS_…` and `GOOGLE_…`.
    provider: BTreeMap<String, String>,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&String> = self.provider.keys().collect();
        f.debug_struct("Config")
            .field("broker", &self.broker)
            .field("redis", &self.redis)
            .field("store", &self.store)
            .field("s3_endpoint", &self.s3_endpoint.as_ref().map(Url::as_str))
            .field("provider", &names)
            .finish()
    }
}

impl Config {
    /// Reads the environment of this process.
    pub fn from_env() -> Result<Config> {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Config::from_vars(std::env::vars_os().filter_map(text))
    }

    /// Reads settings by their names in the environment; empty ones count as not set.
    pub fn from_vars(vars: impl IntoIterator<Item = (String, String)>) -> Result<Config> {
        let mut config = Config::default();
        let set = vars.into_iter().filter(|(_, value)| !value.is_empty());
        let mut vars: BTreeMap<String, String> = set.collect();
        for name in IN_FILES {
            let in_file = format!("{name}_FILE");
            if let Some(path) = vars.remove(&in_file) {
                if vars.contains_key(name) {
                    let both = format!("{name} is set, too; leave one of them out");
                    return Err(Error::invalid(&in_file, both));
                }
                vars.insert(name.to_owned(), secret_file(&in_file, &path)?);
            }
        }
        for (name, value) in vars {
            let named = |error: Error| match error {
                Error::Invalid { reason, .. } => Error::Invalid {
                    what: name.clone(),
                    reason,
                },
                other => other,
            };
            match name.as_str() {
                "SUNDOG_BROKER" => config.broker = Some(RabbitConfig::new(&value).map_err(named)?),
                "SUNDOG_REDIS" => config.redis = Some(RedisConfig::new(&value).map_err(named)?),
                "SUNDOG_STORE" => config.store = Some(Location::parse(&value).map_err(named)?),
                "SUNDOG_S3_ENDPOINT" => config.s3_endpoint = Some(endpoint(&value).map_err(named)?),
                "SUNDOG_S3_PUBLIC_ENDPOINT" => {
                    config.s3_public = Some(endpoint(&value).map_err(named)?);
                }
                _ if name.starts_with("AWS_") || name.starts_with("GOOGLE_") => {
                    config.provider.insert(name, value);
                }
                _ => {}
            }
        }
        Ok(config)
    }

    /// Variables of services that are not set.
    pub fn missing(&self) -> Vec<&'static str> {
        let set = [
            ("SUNDOG_BROKER", self.broker.is_some()),
            ("SUNDOG_REDIS", self.redis.is_some()),
            ("SUNDOG_STORE", self.store.is_some()),
        ];
        let missing = set.into_iter().filter(|(_, set)| !set);
        missing.map(|(name, _)| name).collect()
    }

    /// The queue: RabbitMQ, or memory.
    pub fn queue(&self) -> Result<Arc<dyn Queue>> {
        Ok(match &self.broker {
            Some(broker) => Arc::new(RabbitQueue::new(broker.clone())?),
            None => Arc::new(MemoryQueue::new()),
        })
    }

    /// The events: Redis, or memory. Needs a Tokio runtime.
    pub fn events(&self) -> Result<Arc<dyn Events>> {
        Ok(match &self.redis {
            Some(redis) => Arc::new(RedisEvents::new(redis.clone())?),
            None => Arc::new(MemoryEvents::default()),
        })
    }

    /// The store that is set, or else a directory.
    pub fn store(&self, default: &std::path::Path) -> Result<Store> {
        match &self.store {
            Some(location) => self.open(location),
            None => Store::directory(default),
        }
    }

    /// Opens any store with the credentials of this configuration.
    pub fn open(&self, location: &Location) -> Result<Store> {
        crate::tls::install();
        match location {
            Location::Directory(dir) => Store::directory(dir),
            Location::Memory => Ok(Store::memory()),
            Location::S3 { bucket, prefix } => self.s3(bucket, prefix),
            Location::Gcs { bucket, prefix } => self.gcs(bucket, prefix),
        }
    }

    fn s3(&self, bucket: &str, prefix: &str) -> Result<Store> {
        let mut builder = AmazonS3Builder::new();
        for (name, value) in &self.provider {
            if let Ok(key) = name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>() {
                builder = builder.with_config(key, value);
            }
        }
        builder = builder
            .with_bucket_name(bucket)
            .with_retry(retry())
            .with_client_options(self.client());
        let address = format!("s3://{bucket}/{prefix}");
        let at = |url: &Option<Url>| {
            let builder = match url {
                Some(url) => (builder.clone()).with_endpoint(url.as_str().trim_end_matches('/')),
                None => builder.clone(),
            };
            builder.build().map_err(|error| settings(&address, &error))
        };
        let store = at(&self.s3_endpoint)?;
        let credentials = store.credentials().clone();
        let limits = self.s3_limits()?;
        let signer = match self.s3_public {
            Some(_) => Some(at(&self.s3_public)?),
            None => None,
        };
        let store = Store::remote(store, prefix, address.clone(), Some(credentials), limits)?;
        Ok(match signer {
            Some(signer) => store.signed_by(signer),
            None => store,
        })
    }

    fn s3_limits(&self) -> Result<Limits> {
        let temporary = self.provider.contains_key("AWS_SESSION_TOKEN")
            || !self.provider.contains_key("AWS_ACCESS_KEY_ID");
        if !temporary {
            return Ok(Limits::default());
        }
        let end = match self.provider.get("AWS_CREDENTIAL_EXPIRATION") {
            Some(text) => Some(SystemTime::from(
                chrono::DateTime::parse_from_rfc3339(text).map_err(|_| {
                    Error::invalid(
                        "AWS_CREDENTIAL_EXPIRATION",
                        "expected a time such as 2026-01-31T12:00:00Z",
                    )
                })?,
            )),
            None => None,
        };
        Ok(Limits {
            credentials_end: end,
            longest: end.is_none().then_some(TEMPORARY),
        })
    }

    fn gcs(&self, bucket: &str, prefix: &str) -> Result<Store> {
        let mut builder = GoogleCloudStorageBuilder::new();
        for (name, value) in &self.provider {
            if let Ok(key) = name.to_ascii_lowercase().parse::<GoogleConfigKey>() {
                builder = builder.with_config(key, value);
            }
        }
        builder = builder
            .with_bucket_name(bucket)
            .with_retry(retry())
            .with_client_options(self.client());
        let address = format!("gs://{bucket}/{prefix}");
        let store = builder
            .build()
            .map_err(|error| settings(&address, &error))?;
        let own_key = [
            "GOOGLE_SERVICE_ACCOUNT",
            "GOOGLE_SERVICE_ACCOUNT_KEY",
            "GOOGLE_SERVICE_ACCOUNT_PATH",
        ];
        let own_key = own_key.iter().any(|name| self.provider.contains_key(*name));
        // Without a key of its own the service signs for us, with keys that it changes after half a day.
        let longest = (!own_key).then_some(Duration::from_secs(12 * 3600));
        let limits = Limits {
            credentials_end: None,
            longest,
        };
        Store::remote(store, prefix, address, None, limits)
    }

    fn client(&self) -> ClientOptions {
        let plain = |url: &Url| url.scheme() == "http";
        // A key file for Google Cloud may name another server, which only tests do without TLS.
        let plain = self.s3_endpoint.as_ref().is_some_and(plain)
            || self.s3_public.as_ref().is_some_and(plain)
            || self
                .provider
                .get("GOOGLE_ALLOW_HTTP")
                .is_some_and(|v| v == "true")
            || self
                .provider
                .get("AWS_ALLOW_HTTP")
                .is_some_and(|v| v == "true");
        ClientOptions::new()
            .with_allow_http(plain)
            .with_connect_timeout(Duration::from_secs(10))
            // Of one request, which may carry a large image.
            .with_timeout(Duration::from_secs(300))
    }
}

fn endpoint(text: &str) -> Result<Url> {
    let expected = || Error::invalid("the endpoint", "expected http://host:port or https://host");
    let url = Url::parse(text).map_err(|_| expected())?;
    let bare = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    if !bare || !matches!(url.scheme(), "http" | "https") {
        return Err(expected());
    }
    Ok(url)
}

fn retry() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig::default(),
        max_retries: 5,
        retry_timeout: Duration::from_secs(30),
    }
}

fn settings(address: &str, error: &object_store::Error) -> Error {
    // Messages of the builders name settings; a key that cannot be parsed is not repeated.
    let text = error.to_string();
    let reason = text.lines().next().unwrap_or_default().chars().take(200);
    Error::invalid(
        address,
        format!("{} (hint: sundog doctor)", reason.collect::<String>()),
    )
}

#[cfg(test)]
mod tests;
