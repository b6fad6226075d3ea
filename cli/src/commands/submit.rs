//! `sundog submit`: a batch for the job system.

use super::reduce::Op;
use crate::job_flags::JobFlags;
use crate::jobs::{bytes, session, watch};
use crate::{output, resolve};
use client::Client;
use client::exit::{Exit, Failure, Result};
use client::settings;
use client::upload;
use protocol::job::Reduce;
use protocol::{Job, name};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::OnceLock;
use worker::check;

/// Options.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  sundog submit photos/ -p 'equalize | gaussian(sigma=2)' --watch
  sundog submit s3://bucket/raw/ -p invert --format 'jpeg(quality=90)'
  sundog submit --reduce mean exposures/*.tif --fan-in 8 --dry-run
  job=$(sundog submit scan.tif) && sundog results $job --download out/

Prints the job's id. Files of this machine are uploaded, s3:// and gs:// URLs are read where the work is done.
The job system is that of SUNDOG_GATEWAY and SUNDOG_TOKEN, or of SUNDOG_BROKER, SUNDOG_REDIS and SUNDOG_STORE,
or else your own running `sundog serve`.

Exit codes: 0 accepted (with --watch: all succeeded), 1 failed, 2 wrong usage, 3 some images failed,
4 the job system cannot be reached, 5 refused by a limit, 130 interrupted. Operations: sundog ops")]
pub struct Args {
    /// Files, directories (recursive), globs; s3://, gs:// URLs
    #[arg(value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    #[command(flatten)]
    job: JobFlags,
    /// In place of a pipeline: one output from all files, index by index
    #[arg(long, value_enum, value_name = "OP", conflicts_with = "pipeline")]
    reduce: Option<Op>,
    /// Files, or results of nodes, that one node of a reduction's tree takes [default: 5]
    #[arg(long, value_name = "P", value_parser = clap::value_parser!(u32).range(2..=100_000))]
    fan_in: Option<u32>,
    /// Keep the results of a reduction's nodes in the store when it has ended
    #[arg(long)]
    keep_partials: bool,
    /// Attempts after which an image has failed [default: 3]
    #[arg(long, value_name = "N")]
    max_attempts: Option<u32>,
    /// How urgent the job is beside others [default: normal]
    #[arg(long, value_enum, value_name = "PRIORITY")]
    priority: Option<Priority>,
    /// Print what would be submitted and what outputs would be called; send nothing
    #[arg(long, conflicts_with = "watch")]
    dry_run: bool,
    /// Follow the job to its end
    #[arg(short, long)]
    watch: bool,
    /// Print JSON: the job's id, and with --watch its events
    #[arg(long)]
    json: bool,
}

/// How urgent a job is.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Priority {
    /// Before all others
    High,
    /// As most are
    Normal,
    /// When nothing else waits
    Low,
}

impl Priority {
    fn name(self) -> &'static str {
        match self {
            Priority::High => "high",
            Priority::Normal => "normal",
            Priority::Low => "low",
        }
    }
}

impl Args {
    fn flags(&self) -> Vec<(&'static str, Value)> {
        let mut flags = self.job.flags();
        let attempts = self.max_attempts.map(Value::from);
        flags.extend(attempts.map(|n| ("schedule.max_attempts", n)));
        let priority = self.priority.map(|priority| priority.name().into());
        flags.extend(priority.map(|name| ("schedule.priority", name)));
        flags.extend(self.reduce.map(|op| ("reduce.op", op.name().into())));
        flags.extend(self.fan_in.map(|n| ("reduce.fan_in", n.into())));
        let keep = self.keep_partials.then_some(true.into());
        flags.extend(keep.map(|keep| ("reduce.keep_partials", keep)));
        if !self.inputs.is_empty() {
            let inputs = self.inputs.iter().map(|p| Value::from(name::to_text(p)));
            flags.push(("inputs", inputs.collect()));
        }
        flags
    }
}

/// Submits the job.
pub fn run(args: Args) -> Result {
    let layers = settings::load()?;
    let job = resolve::job(&resolve::Request {
        layers: &layers,
        spec: args.job.spec.as_deref(),
        base: None,
        flags: args.flags(),
    })?;
    if job.inputs.is_empty() {
        return Err(Failure::usage(
            "no inputs are named (give files, directories, globs or URLs, or --spec FILE)",
        ));
    }
    if let Some(spec) = &args.job.spec {
        resolve::refuse(spec, &check::WORLD_KEYS, check::WORLD)?;
    }
    warn_of_world(&layers);
    let (files, urls) = upload::find(&job)?;
    if files.is_empty() && urls.is_empty() {
        let what = match job.reduce {
            Some(_) => "an image or holds numbers",
            None => "an image",
        };
        return Err(Failure::usage(format!(
            "there is nothing to do: no file in the inputs is {what} (nothing was submitted)"
        )));
    }
    if args.dry_run
        && let Some(reduce) = &job.reduce
    {
        return reduced(reduce, &files, &urls, args.json);
    }
    if args.dry_run {
        return planned(&job, &files, &urls, args.json);
    }
    let submitted = OnceLock::new();
    let farewell = || match submitted.get() {
        Some(id) => watch::farewell(std::slice::from_ref(id)),
        None => "interrupted; nothing was submitted".to_owned(),
    };
    session::block_on(async {
        let client = client::connect(&layers, output::warning)?;
        let work = submit(&client, &args, job, (files, urls), &submitted);
        session::until_interrupted(farewell, work).await
    })
}

/// Prints what would be submitted.
fn planned(job: &Job, files: &[upload::Local], urls: &[String], json: bool) -> Result {
    let outputs = upload::outputs(job, files)?;
    let bytes: u64 = files.iter().map(upload::Local::bytes).sum();
    if json {
        let files = files.iter().zip(&outputs).map(|(file, output)| {
            json!({"input": name::to_text(file.path()), "bytes": file.bytes(), "output": output})
        });
        let files: Vec<Value> = files.collect();
        output::json(
            &json!({"files": files, "urls": urls, "bytes": bytes, "pipeline": job.pipeline}),
        );
        return Ok(Exit::Ok);
    }
    for (file, output) in files.iter().zip(&outputs) {
        let output = output
            .as_deref()
            .unwrap_or("(named when its pixels are known)");
        output::line(format!(
            "{} -> {}",
            output::harmless(&file.path().display().to_string()),
            output::harmless(output)
        ));
    }
    for url in urls {
        output::line(format!(
            "{} (read where the work is done)",
            output::harmless(url)
        ));
    }
    output::message(&format!(
        "{} files of {} would be uploaded, {} URLs read; nothing was submitted",
        files.len(),
        indicatif::HumanBytes(bytes),
        urls.len()
    ));
    Ok(Exit::Ok)
}

/// Prints the shape of a reduction's tree.
fn reduced(reduce: &Reduce, files: &[upload::Local], urls: &[String], json: bool) -> Result {
    let bytes: u64 = files.iter().map(upload::Local::bytes).sum();
    // How many files are behind URLs is known where the work is done.
    let tree = (urls.is_empty()).then(|| dispatcher::tree(reduce, files.len() as u64));
    let (op, fan_in) = (reduce.op.name(), reduce.fan_in);
    if json {
        let files = files
            .iter()
            .map(|file| json!({"input": name::to_text(file.path()), "bytes": file.bytes()}));
        let files: Vec<Value> = files.collect();
        let shape = json!({
            "op": op,
            "fan_in": fan_in,
            "max_open_files": reduce.max_open_files,
            "files": tree.as_ref().map(|tree| tree.files()),
            "nodes": tree.as_ref().map(|tree| tree.nodes()),
            "levels": tree.as_ref().map(|tree| tree.levels()),
        });
        output::json(&json!({"files": files, "urls": urls, "bytes": bytes, "reduce": shape}));
        return Ok(Exit::Ok);
    }
    let Some(tree) = tree else {
        output::message(&format!(
            "{op} of {} files and what {} URLs come to, with a fan-in of {fan_in}: the tree's shape is known when the \
             work begins; nothing was submitted",
            files.len(),
            urls.len()
        ));
        return Ok(Exit::Ok);
    };
    let mut below = tree.files();
    for (level, &nodes) in tree.levels().iter().enumerate() {
        let many = if nodes == 1 { "node" } else { "nodes" };
        let what = if level == 0 { "files" } else { "results" };
        let each = tree.fan_in().min(below);
        output::line(format!(
            "level {}: {nodes} {many}, {each} {what} each at most",
            level + 1
        ));
        below = nodes;
    }
    output::message(&format!(
        "{op} of {} files of {} in {} nodes, with a fan-in of {fan_in}; nothing was submitted",
        tree.files(),
        indicatif::HumanBytes(bytes),
        tree.nodes()
    ));
    Ok(Exit::Ok)
}

/// Names settings that a submitted job does not take.
fn warn_of_world(layers: &settings::Layers) {
    for key in check::WORLD_KEYS {
        if let Some(setting) = layers.settings.get(key)
            && setting.origin != "default"
        {
            let origin = &setting.origin;
            output::warning(&format!(
                "`{key}` of {origin} is for runs on this machine and does not enter the job: {}",
                check::WORLD
            ));
        }
    }
}

async fn submit(
    client: &Client,
    args: &Args,
    mut job: Job,
    (files, urls): (Vec<upload::Local>, Vec<String>),
    submitted: &OnceLock<String>,
) -> Result {
    let mut inputs = match files.is_empty() {
        true => Vec::new(),
        false => {
            let bar = bytes::bar("uploading", args.json);
            upload::send(client, &files, job.reduce.is_some(), &bar).await?
        }
    };
    inputs.extend(urls);
    job.inputs = inputs;
    // Settings of this machine's runs; a job file that names them was refused.
    (job.ranks, job.thread_ranks, job.threads) = (None, None, None);
    let id = client.submit(&job, &worker::batch::new_job_id()).await?;
    let id = submitted.get_or_init(|| id);
    match args.json {
        true => output::json(&json!({"job": id})),
        false => output::line(output::harmless(id)),
    }
    match args.watch {
        true => watch::follow(client, std::slice::from_ref(id), watch::show(args.json)).await,
        false => Ok(Exit::Ok),
    }
}
