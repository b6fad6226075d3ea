//! The services of a cluster, and its programs on them.

use crate::program::Program;
use cloud::config::Config;
use cloud::testing::objects::{Account, ObjectServer};
use cloud::testing::{RabbitMq, Redis};
use dispatcher::jobs::{Jobs, Rules};
use std::io;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Where a cluster keeps its objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreKind {
    /// A directory.
    Directory,
    /// A server that speaks S3's protocol and checks signatures.
    S3,
}

pub(crate) const S3_SECRET: &str = "trial-S3-secret";

/// The job system as a program with this environment has it; call it within a Tokio runtime.
pub(crate) fn open(environment: &[(String, String)], dir: &Path) -> cloud::Result<Jobs> {
    let config = Config::from_vars(environment.iter().cloned())?;
    Ok(Jobs {
        queue: config.queue()?,
        events: config.events()?,
        store: config.store(&dir.join("store"))?,
        rules: Rules::default(),
    })
}

/// Services on free ports of the loopback interface. All end when this is dropped.
#[derive(Debug)]
pub struct Cluster {
    /// The broker.
    pub broker: RabbitMq,
    /// Redis.
    pub redis: Redis,
    /// The server of objects, where the store is one.
    pub objects: Option<ObjectServer>,
    dir: TempDir,
    more: Vec<(String, String)>,
}

impl Cluster {
    /// Starts the services.
    pub fn start(store: StoreKind) -> io::Result<Cluster> {
        let redis = Redis::start()?;
        let mut cluster = Cluster {
            broker: RabbitMq::start()?,
            redis,
            objects: None,
            dir: tempfile::Builder::new()
                .prefix("sundog-cluster-")
                .tempdir()?,
            more: Vec::new(),
        };
        cluster.switch(store)?;
        Ok(cluster)
    }

    /// Gives programs that are started from now on another store.
    pub fn switch(&mut self, store: StoreKind) -> io::Result<()> {
        self.objects = match store {
            StoreKind::Directory => None,
            StoreKind::S3 => {
                let server = ObjectServer::start(Account::Aws {
                    key_id: "trial".into(),
                    secret: S3_SECRET.into(),
                })?;
                server.set_page(1000);
                Some(server)
            }
        };
        Ok(())
    }

    /// Gives programs that are started from now on another variable.
    pub fn set(&mut self, name: &str, value: &str) {
        self.more.push((name.to_owned(), value.to_owned()));
    }

    /// The cluster's directory for files and logs.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// What programs need to find the services.
    pub fn environment(&self) -> Vec<(String, String)> {
        let mut all = vec![
            ("SUNDOG_BROKER".to_owned(), self.broker.url()),
            ("SUNDOG_REDIS".to_owned(), self.redis.url()),
        ];
        all.extend(self.more.iter().cloned());
        match &self.objects {
            None => all.push((
                "SUNDOG_STORE".into(),
                format!("file://{}", self.dir.path().join("store").display()),
            )),
            Some(server) => all.extend(
                [
                    ("SUNDOG_STORE", "s3://bucket/sundog"),
                    ("SUNDOG_S3_ENDPOINT", &server.url()),
                    ("AWS_ACCESS_KEY_ID", "trial"),
                    ("AWS_SECRET_ACCESS_KEY", S3_SECRET),
                    ("AWS_REGION", "us-east-1"),
                ]
                .map(|(name, value)| (name.to_owned(), value.to_owned())),
            ),
        }
        all
    }

    /// The services as a program would open them.
    pub fn config(&self) -> cloud::Result<Config> {
        Config::from_vars(self.environment())
    }

    /// What nobody may print, by its name.
    pub fn secrets(&self) -> Vec<(String, String)> {
        let of = |url: String| {
            let user = url
                .split_once("://")
                .and_then(|(_, rest)| rest.split_once('@'));
            user.map(|(user, _)| user.trim_start_matches(':').to_owned())
                .unwrap_or_default()
        };
        vec![
            ("the broker's password".into(), of(self.broker.url())),
            ("the password of Redis".into(), of(self.redis.url())),
            ("the store's secret".into(), S3_SECRET.into()),
        ]
    }

    /// The job system on these services; call it within a Tokio runtime.
    pub fn jobs(&self) -> cloud::Result<Jobs> {
        open(&self.environment(), self.dir.path())
    }

    /// Where a program of that name writes its log.
    pub fn log(&self, name: &str) -> PathBuf {
        self.dir.path().join(format!("{name}.log"))
    }

    /// Starts a dispatcher.
    pub fn dispatcher(&self, name: &str, arguments: &[&str]) -> io::Result<Program> {
        let mut all = vec!["--node", name];
        all.extend(arguments);
        Program::start(
            "sundog-dispatcher",
            &all,
            &self.environment(),
            &self.log(name),
        )
    }
}
