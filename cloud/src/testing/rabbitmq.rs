//! A RabbitMQ broker with its own Erlang node, port mapper and files.

use super::{Service, find_program, free_ports, wait_closed, wait_until};
use std::io;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// Where packages put the script itself; the one in `PATH` may insist on a system user.
const SCRIPTS: [&str; 2] = [
    "/usr/lib/rabbitmq/bin/rabbitmq-server",
    "/opt/rabbitmq/sbin/rabbitmq-server",
];

/// Five seconds on an idle machine; very many on one that compiles beside.
const START: Duration = Duration::from_secs(150);

/// A broker. Its messages survive [`RabbitMq::restart`].
#[derive(Debug)]
pub struct RabbitMq {
    dir: TempDir,
    port: u16,
    distribution_port: u16,
    mapper_port: u16,
    broker: Option<Service>,
    mapper: Option<Service>,
    /// Arguments of the emulator.
    settings: String,
}

impl RabbitMq {
    /// The server's script, if it is installed.
    pub fn program() -> Option<PathBuf> {
        find_program("epmd")?;
        SCRIPTS
            .iter()
            .map(PathBuf::from)
            .find(|file| file.is_file())
            .or_else(|| find_program("rabbitmq-server"))
    }

    /// Starts a broker and waits until it accepts connections.
    pub fn start() -> io::Result<RabbitMq> {
        RabbitMq::with_settings(&[])
    }

    /// The same with these settings of the broker, by the names of its Erlang application's environment.
    pub fn with_settings(settings: &[(&str, u32)]) -> io::Result<RabbitMq> {
        let [port, distribution_port, mapper_port] = free_ports()?;
        let dir = tempfile::Builder::new().prefix("sundog-amqp-").tempdir()?;
        std::fs::write(dir.path().join("plugins"), "[].\n")?;
        std::fs::write(dir.path().join("rabbitmq.conf"), "")?;
        let mut broker = RabbitMq {
            dir,
            port,
            distribution_port,
            mapper_port,
            broker: None,
            mapper: None,
            settings: settings
                .iter()
                .map(|(name, value)| format!(" -rabbit {name} {value}"))
                .collect(),
        };
        broker.resume()?;
        Ok(broker)
    }

    /// Address for clients.
    pub fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.port)
    }

    /// Kills the broker as a power failure would.
    pub fn kill(&mut self) {
        self.broker = None;
        self.mapper = None;
        for port in [self.port, self.distribution_port, self.mapper_port] {
            wait_closed(port);
        }
    }

    /// Stops the broker's processes where they are, as a machine that hangs would.
    pub fn pause(&self) -> io::Result<()> {
        match &self.broker {
            Some(service) => service.pause(),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Lets a paused broker go on.
    pub fn unpause(&self) -> io::Result<()> {
        match &self.broker {
            Some(service) => service.unpause(),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Starts a killed broker again with its files.
    pub fn resume(&mut self) -> io::Result<()> {
        let program = Self::program().ok_or(io::ErrorKind::NotFound)?;
        let epmd = find_program("epmd").ok_or(io::ErrorKind::NotFound)?;
        let dir = self.dir.path();
        let log = dir.join("log.txt");
        let mapper_port = self.mapper_port.to_string();

        // Erlang would start one that stays behind as a daemon.
        let mut mapper = Command::new(epmd);
        mapper.args(["-port", &mapper_port, "-address", "127.0.0.1"]);
        let mapper = Service::start(&mapper, &log)?;
        wait_until("epmd", &log, Duration::from_secs(20), || {
            TcpStream::connect(("127.0.0.1", self.mapper_port)).is_ok()
        })?;

        let mut command = Command::new(program);
        command
            .env("HOME", dir)
            .env("ERL_CRASH_DUMP", dir.join("crash.dump"))
            .env("ERL_EPMD_PORT", &mapper_port)
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env(
                "RABBITMQ_NODENAME",
                format!("sundog-{}@localhost", self.port),
            )
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODE_PORT", self.port.to_string())
            .env("RABBITMQ_DIST_PORT", self.distribution_port.to_string())
            .env("RABBITMQ_BASE", dir)
            .env("RABBITMQ_MNESIA_BASE", dir.join("mnesia"))
            .env("RABBITMQ_LOG_BASE", dir.join("log"))
            .env("RABBITMQ_LOGS", "-")
            .env("RABBITMQ_CONF_ENV_FILE", dir.join("no-environment"))
            .env("RABBITMQ_CONFIG_FILE", dir.join("rabbitmq"))
            .env("RABBITMQ_ADVANCED_CONFIG_FILE", dir.join("advanced"))
            .env("RABBITMQ_GENERATED_CONFIG_DIR", dir.join("generated"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", dir.join("plugins"))
            .env("RABBITMQ_PID_FILE", dir.join("pid"))
            .env(
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                format!(
                    "-kernel inet_dist_use_interface {{127,0,0,1}} -start_epmd false +sbwt none{}",
                    self.settings
                ),
            );
        let broker = Service::start(&command, &log)?;
        wait_until("RabbitMQ", &log, START, || {
            TcpStream::connect(("127.0.0.1", self.port)).is_ok()
        })?;
        self.mapper = Some(mapper);
        self.broker = Some(broker);
        Ok(())
    }

    /// Kills the broker and starts it again.
    pub fn restart(&mut self) -> io::Result<()> {
        self.kill();
        self.resume()
    }
}

impl Drop for RabbitMq {
    fn drop(&mut self) {
        // Before the directory goes.
        self.kill();
    }
}
