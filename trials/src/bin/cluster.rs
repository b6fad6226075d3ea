//! A whole cluster on this machine: RabbitMQ, Redis, a server of objects that checks signatures, two dispatchers with
//! mpirun worlds, notifier and gateway. Runs a job on it as a user would, or stays for one to try.

use clap::Parser;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};
use trials::{Cluster, Program, StoreKind};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How long the programs may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// Starts a cluster on free ports of the loopback interface.
#[derive(Debug, Parser)]
#[command(name = "sundog-cluster")]
struct Arguments {
    /// Images of the job: files or directories
    #[arg(default_value = "samples")]
    inputs: Vec<PathBuf>,
    /// What is done to them
    #[arg(
        short,
        long,
        default_value = "equalize | gaussian(sigma=1.2) | unsharp(sigma=3, amount=0.8)"
    )]
    pipeline: String,
    /// Where the outputs are downloaded to
    #[arg(short, long, default_value = "target/cluster/out")]
    output: PathBuf,
    /// Dispatchers
    #[arg(long, default_value_t = 2)]
    dispatchers: usize,
    /// Ranks of each dispatcher
    #[arg(long, default_value_t = 2)]
    ranks: usize,
    /// Objects in a directory instead of on a server
    #[arg(long)]
    directory: bool,
    /// Run no job; print how to reach the cluster and stay until an empty line, the end of the standard input or Ctrl-C. The
    /// lines `broker down` and `broker up` kill RabbitMQ and start it again with its files
    #[arg(long)]
    stay: bool,
}

fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse();
    let kind = match arguments.directory {
        true => StoreKind::Directory,
        false => StoreKind::S3,
    };
    say("starting RabbitMQ, Redis and the store")?;
    let mut cluster = Cluster::start(kind)?;
    let ranks = arguments.ranks.to_string();
    let mut programs = Vec::new();
    for n in 1..=arguments.dispatchers {
        let name = format!("dispatcher-{n}");
        say(&format!("starting {name} with mpirun -n {ranks}"))?;
        programs.push(cluster.dispatcher(&name, &["--ranks", &ranks])?);
    }
    say("starting gateway and notifier")?;
    let front = cluster.front()?;
    let user = front.environment();
    wait(&front.gateway_url("readyz"), &front.gateway)?;
    wait(&front.notifier_url("healthz"), &front.notifier)?;
    ready(&user, arguments.dispatchers, arguments.ranks)?;
    say(&format!("the web page: {}", front.page()))?;
    if arguments.stay {
        for (name, value) in &user {
            writeln!(std::io::stdout(), "export {name}='{value}'")?;
        }
        let mut out = std::io::stdout();
        writeln!(
            out,
            "# or, instead of the gateway, the services themselves:"
        )?;
        for (name, value) in cluster.environment() {
            writeln!(out, "# export {name}='{value}'")?;
        }
        say("in another terminal, with these: sundog submit samples -p invert --watch")?;
        stay(&mut cluster)?;
        return end(programs, front);
    }
    let inputs = arguments
        .inputs
        .iter()
        .map(|path| path.to_string_lossy().into_owned());
    let inputs: Vec<String> = inputs.collect();
    let mut submit = vec!["submit"];
    submit.extend(inputs.iter().map(String::as_str));
    submit.extend(["-p", &arguments.pipeline]);
    say("sundog submit")?;
    let job = sundog(&user, &submit)?;
    let job = job.trim();
    say(&format!("sundog watch {job}"))?;
    sundog(&user, &["watch", job])?;
    say(&format!(
        "sundog results {job} --download {}",
        arguments.output.display()
    ))?;
    let output = arguments.output.to_string_lossy();
    sundog(&user, &["results", job, "--download", &output])?;
    say("sundog nodes")?;
    write!(std::io::stdout(), "{}", sundog(&user, &["nodes"])?)?;
    end(programs, front)
}

/// Stays, and does to the broker what is asked for.
fn stay(cluster: &mut Cluster) -> Result<(), Failure> {
    for line in std::io::stdin().lines() {
        match line?.trim() {
            "" => break,
            "broker down" => {
                cluster.broker.kill();
                say("the broker was killed")?;
            }
            "broker up" => {
                cluster.broker.resume()?;
                say("the broker is back")?;
            }
            other => say(&format!(
                "`{other}` is unknown (broker down, broker up, or an empty line to end)"
            ))?,
        }
    }
    Ok(())
}

fn end(programs: Vec<Program>, front: trials::Front) -> Result<(), Failure> {
    say("ending all of it")?;
    drop(front);
    for mut program in programs {
        program.end()?;
    }
    Ok(())
}

fn say(text: &str) -> std::io::Result<()> {
    writeln!(std::io::stderr(), "cluster: {text}")
}

/// The command line as a user calls it, whose messages go where ours do.
fn sundog(environment: &[(String, String)], arguments: &[&str]) -> Result<String, Failure> {
    let program = trials::find("sundog")?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stderr(std::process::Stdio::inherit());
    command.envs(environment.iter().map(|(k, v)| (k, v)));
    let output = command.output()?;
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout)?),
        false => Err(format!("sundog {arguments:?}: {}", output.status).into()),
    }
}

/// Waits until all dispatchers have their ranks.
fn ready(user: &[(String, String)], dispatchers: usize, ranks: usize) -> Result<(), Failure> {
    say("waiting for the ranks of all dispatchers")?;
    let begun = Instant::now();
    loop {
        let nodes = sundog(user, &["nodes", "--json"])?;
        let nodes: Vec<serde_json::Value> = nodes
            .lines()
            .map(serde_json::from_str)
            .collect::<Result<_, _>>()?;
        let is_ready = |node: &&serde_json::Value| node["ranks"].as_u64() >= Some(ranks as u64);
        if nodes.iter().filter(is_ready).count() >= dispatchers {
            return Ok(());
        }
        if begun.elapsed() > PATIENCE {
            return Err(format!("the ranks did not come up: {nodes:?}").into());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Waits until an address answers well.
fn wait(url: &str, program: &Program) -> Result<(), Failure> {
    let begun = Instant::now();
    while !trials::answers(url) {
        if begun.elapsed() > PATIENCE {
            return Err(format!("{url} does not answer:\n{}", program.log()).into());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
