//! Real services with a dispatcher on them, and how programs find them.

use crate::program;
use cloud::testing::objects::{Account, ObjectServer};
use cloud::testing::{RabbitMq, Redis, available};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// What makes a dispatcher slow.
pub const SLOW: &[&str] = &["--simulate-load", "1", "--simulate-delay", "250ms"];

/// Secret of the store's account.
pub const S3_SECRET: &str = "cluster-S3-secret";

/// Whether there can be any.
pub fn there() -> bool {
    available(RabbitMq::program(), "RabbitMQ") && available(Redis::program(), "Redis")
}

/// A server of objects that checks signatures.
pub fn objects() -> ObjectServer {
    let account = Account::Aws {
        key_id: "cluster".into(),
        secret: S3_SECRET.into(),
    };
    ObjectServer::start(account).unwrap()
}

/// What a program needs to use it.
pub fn store(server: &ObjectServer) -> Vec<(String, String)> {
    [
        ("SUNDOG_STORE", "s3://bucket/sundog"),
        ("SUNDOG_S3_ENDPOINT", &server.url()),
        ("AWS_ACCESS_KEY_ID", "cluster"),
        ("AWS_SECRET_ACCESS_KEY", S3_SECRET),
        ("AWS_REGION", "us-east-1"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

/// Services and a dispatcher, ended with the value.
pub struct Cluster {
    pub rabbit: RabbitMq,
    pub redis: Redis,
    store: Vec<(String, String)>,
    dispatcher: Option<Child>,
}

impl Cluster {
    /// With objects in a directory.
    pub fn start(dir: &Path) -> Cluster {
        let store = format!("file://{}", dir.join("store").display());
        Cluster::on(dir, vec![("SUNDOG_STORE".to_owned(), store)])
    }

    /// With objects where these variables say.
    pub fn on(dir: &Path, store: Vec<(String, String)>) -> Cluster {
        Cluster::with(dir, store, &[])
    }

    /// With objects in a directory, and each task delayed for a while.
    pub fn slow(dir: &Path) -> Cluster {
        let store = format!("file://{}", dir.join("store").display());
        let store = vec![("SUNDOG_STORE".to_owned(), store)];
        Cluster::with(dir, store, SLOW)
    }

    fn with(dir: &Path, store: Vec<(String, String)>, more: &[&str]) -> Cluster {
        let mut cluster = Cluster {
            rabbit: RabbitMq::start().unwrap(),
            redis: Redis::start().unwrap(),
            store,
            dispatcher: None,
        };
        cluster.dispatcher = Some(cluster.dispatcher(dir, "n1", more));
        cluster
    }

    /// A dispatcher of that name, for the caller to end.
    pub fn dispatcher(&self, dir: &Path, name: &str, more: &[&str]) -> Child {
        let mut command = self.command(dir);
        command.args(["dispatcher", "--threads", "2", "--node", name]);
        command.args(more);
        let log = std::fs::File::create(dir.join(format!("{name}.log"))).unwrap();
        command.stdout(Stdio::null()).stderr(log).spawn().unwrap()
    }

    /// Kills the dispatcher that it began with, as by `kill -9`.
    pub fn kill(&mut self) {
        if let Some(mut dispatcher) = self.dispatcher.take() {
            dispatcher.kill().unwrap();
            dispatcher.wait().unwrap();
        }
    }

    /// The variables that name the services.
    pub fn environment(&self) -> Vec<(String, String)> {
        let mut all = vec![
            ("SUNDOG_BROKER".to_owned(), self.rabbit.url()),
            ("SUNDOG_REDIS".to_owned(), self.redis.url()),
        ];
        all.extend(self.store.iter().cloned());
        all
    }

    pub fn command(&self, dir: &Path) -> Command {
        let mut command = program(dir);
        command.envs(self.environment()).env("SUNDOG_USER", "ada");
        command
    }

    pub fn run(&self, dir: &Path, arguments: &[&str]) -> (i32, String, String) {
        told(self.command(dir).args(arguments))
    }
}

/// What a command left: exit code, stdout, stderr.
pub fn told(command: &mut Command) -> (i32, String, String) {
    let output = command.output().unwrap();
    (
        output.status.code().unwrap_or(-1),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(dispatcher) = &mut self.dispatcher {
            let _ = dispatcher.kill();
            let _ = dispatcher.wait();
        }
    }
}
