//! `sundog verify JOB`: the outputs of a job in the job system, against its receipt; `--serial`: against what one thread of
//! this machine makes of the same inputs.

use super::reproduce::difference;
use crate::jobs::session;
use crate::mpi::Start;
use crate::progress::Show;
use crate::{interrupt, output, receipts, world};
use client::exit::{Exit, Failure, Result};
use client::{Client, Input, Results, download, settings};
use protocol::job::OnClash;
use protocol::state::{JobState, TaskState};
use protocol::{JobReceipt, TaskReceipt, name};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// How long links live that are used at once: a long list takes its time.
const LIFE: Duration = Duration::from_secs(24 * 3600);
/// Inputs that are asked for at once.
const PAGE: usize = 1000;

/// What is compared.
struct Seen {
    sound: usize,
    wrong: usize,
    json: bool,
}

impl Seen {
    fn add(&mut self, output: &str, reason: Option<String>) {
        if self.json {
            output::json(&json!({"output": output, "ok": reason.is_none(), "reason": reason}));
        }
        match reason {
            None => self.sound += 1,
            Some(reason) => {
                self.wrong += 1;
                if !self.json {
                    let output = output::harmless(output);
                    output::message(&format!("{}: {output}: {reason}", output::red("differs")));
                }
            }
        }
    }

    fn exit(&self, how: &str) -> Exit {
        if !self.json {
            let all = self.sound + self.wrong;
            output::message(&format!("{} of {all} outputs {how}", self.sound));
        }
        match self.wrong {
            0 => Exit::Ok,
            _ => Exit::Failed,
        }
    }
}

/// Whether an argument names a job rather than a receipt.
pub fn is_job(text: &str) -> bool {
    let id = text.len() == 26 && text.bytes().all(|b| b.is_ascii_alphanumeric());
    id && !Path::new(text).exists()
}

/// Compares; exit code 1 names the outputs that differ.
pub fn run(job: &str, serial: bool, json: bool) -> Result {
    let scratch = tempfile::Builder::new()
        .prefix("sundog-verify-")
        .tempdir()
        .map_err(|e| {
            Failure::failed(format!(
                "cannot make a temporary directory: {e} (hint: set TMPDIR)"
            ))
        })?;
    let layers = settings::load()?;
    let (receipt, results, inputs) = session::block_on(async {
        let client = client::connect(&layers, output::warning)?;
        let receipt = client.receipt(job).await?.ok_or_else(|| {
            Failure::failed(format!(
                "job {job} has not ended yet (hint: sundog watch {job})"
            ))
        })?;
        let results = client.results(job, LIFE).await?;
        let bar = indicatif::ProgressBar::hidden();
        let mut seen = None;
        let mut inputs = Vec::new();
        match serial {
            // What is fetched is compared with the hash that the receipt has.
            false => {
                let outputs = scratch.path().join("outputs");
                seen = Some(download::all(&client, &results, &outputs, LIFE, &bar).await?);
            }
            true => {
                inputs = all_inputs(&client, job).await?;
                fetch(&client, &results, &inputs, scratch.path()).await?;
            }
        }
        Ok((receipt, (results, seen), inputs))
    })?;
    let mut seen = Seen {
        sound: 0,
        wrong: 0,
        json,
    };
    if let (results, Some(outcome)) = &results {
        let failed: BTreeMap<&str, &str> = (outcome.failed.iter())
            .map(|(name, reason)| (name.as_str(), reason.as_str()))
            .collect();
        for result in &results.results {
            let reason = failed.get(&*output::harmless(&result.output));
            seen.add(&result.output, reason.map(|reason| (*reason).to_owned()));
        }
        return Ok(seen.exit("match"));
    }
    again(&layers, &receipt, &inputs, scratch.path(), &mut seen)?;
    if interrupt::happened() {
        return Ok(Exit::Interrupted);
    }
    Ok(seen.exit("came out the same on one thread"))
}

async fn all_inputs(client: &Client, job: &str) -> Result<Vec<Input>> {
    let mut all: Vec<Input> = Vec::new();
    loop {
        let after = all.last().map(|input| input.number);
        let some = client.inputs(job, LIFE, PAGE, after).await?.inputs;
        if some.is_empty() {
            return Ok(all);
        }
        all.extend(some);
    }
}

/// The name of an input's copy: apart from all others, and what it is called.
fn copy(input: &Input) -> String {
    let file = input.input.rsplit('/').next().unwrap_or_default();
    format!("{}/{file}", input.number)
}

/// Fetches the uploads among the inputs.
async fn fetch(client: &Client, results: &Results, inputs: &[Input], to: &Path) -> Result<()> {
    let uploads = inputs.iter().filter_map(|input| {
        Some(client::Output {
            task: input.number,
            page: None,
            input: input.input.clone(),
            output: copy(input),
            url: input.url.clone()?,
            expires: None,
            bytes: input.bytes,
            sha256: None,
            width: None,
            height: None,
        })
    });
    let uploads = Results {
        job: results.job.clone(),
        state: results.state,
        results: uploads.collect(),
        failed: Vec::new(),
    };
    let bar = indicatif::ProgressBar::hidden();
    let fetched = download::all(client, &uploads, &to.join("inputs"), LIFE, &bar).await?;
    match fetched.failed.first() {
        Some((name, reason)) => Err(Failure::failed(format!("the input {name}: {reason}"))),
        None => Ok(()),
    }
}

/// Makes the outputs again on one thread, and compares.
fn again(
    layers: &settings::Layers,
    receipt: &JobReceipt,
    inputs: &[Input],
    scratch: &Path,
    seen: &mut Seen,
) -> Result<()> {
    let place = |input: &Input| match &input.url {
        Some(_) => name::to_text(&scratch.join("inputs").join(name::to_path(&copy(input)))),
        None => input.input.clone(),
    };
    let done = |task: &&TaskReceipt| task.state == TaskState::Succeeded;
    let wanted: Vec<&TaskReceipt> = receipt.tasks.iter().filter(done).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let mut job = receipt.spec.clone();
    job.threads = Some(1);
    (job.names, job.on_clash, job.skip_existing) = (None, OnClash::Number, false);
    let reduced = job.reduce.is_some();
    match &mut job.reduce {
        Some(reduce) => {
            reduce.keep_partials = false;
            job.inputs = inputs.iter().map(place).collect();
            // The name that the result has: it says what it is written as.
            let result = wanted.iter().find_map(|task| task.output.as_deref());
            let Some(result) = result else {
                return Ok(());
            };
            let file = result.rsplit('/').next().unwrap_or(result);
            job.output = name::to_text(&scratch.join("again").join(file));
        }
        None => {
            let by_number: BTreeMap<u64, &Input> = inputs.iter().map(|i| (i.number, i)).collect();
            let inputs = wanted.iter().filter_map(|task| by_number.get(&task.task));
            job.inputs = inputs.map(|input| place(input)).collect();
            job.output = name::to_text(&scratch.join("again"));
        }
    }
    let request = world::request(job);
    let start = Start::new(layers, None, None);
    let outcome = super::run::drive(&request, layers, &start, Show::Silent, &|_| Ok(()))?;
    if interrupt::happened() {
        return Ok(());
    }
    let second = match outcome.receipt {
        Some(path) => receipts::read(&path)?,
        None => return Err(Failure::failed("the run on one thread left no receipt")),
    };
    if reduced {
        let root = wanted.iter().find(|task| task.output.is_some());
        if let Some(root) = root {
            let reason = match second.state {
                JobState::Succeeded => difference(root, second.tasks.first()),
                _ => Some(failure(&second)),
            };
            seen.add(root.output.as_deref().unwrap_or_default(), reason);
        }
        return Ok(());
    }
    let found: BTreeMap<&str, &TaskReceipt> = second
        .tasks
        .iter()
        .map(|task| (task.input.as_str(), task))
        .collect();
    let places: BTreeMap<u64, String> = inputs.iter().map(|i| (i.number, place(i))).collect();
    for task in wanted {
        let second = places
            .get(&task.task)
            .and_then(|place| found.get(place.as_str()));
        let reason = difference(task, second.copied());
        seen.add(task.output.as_deref().unwrap_or(&task.input), reason);
    }
    Ok(())
}

fn failure(receipt: &JobReceipt) -> String {
    let reason = receipt.tasks.iter().find_map(|task| task.reason.clone());
    let reason = reason.unwrap_or_else(|| "no reason is known".into());
    format!("it failed on one thread: {reason}")
}
