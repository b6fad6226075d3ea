//! What must hold after each trial: nothing lost, nothing doubled, nothing left, nothing told that is secret.

use crate::Failure;
use crate::remains;
use crate::trial::Trial;
use crate::work::{OWNER, Work};
use cloud::queue::QueueName;
use dispatcher::names;
use protocol::state::{JobState, TaskState};
use protocol::{Event, JobReceipt};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use worker::atomic::sha256;

/// How long what ends by itself may take.
const SETTLE: Duration = Duration::from_secs(20);

/// What the end of a trial has to look like, beside what always has to hold.
#[derive(Clone, Debug, Default)]
pub struct Expect {
    /// When the events were wiped on the way: they may begin late, and there are none of a job that had ended by then.
    pub wiped: Option<String>,
    /// Images that fail beside the damaged ones.
    pub failed: BTreeSet<String>,
    /// Rounds of the job; 0 and 1 both mean that nothing was tried again.
    pub rounds: u32,
}

/// What is wrong; empty after a trial that was passed.
pub type Problems = Vec<String>;

/// Ends a trial and looks at all of it.
pub async fn judge(trial: &mut Trial) -> Result<Problems, Failure> {
    let mut problems = Problems::new();
    let receipt = job(trial, &mut problems).await?;
    let told = events(trial, &receipt, &mut problems).await?;
    status(trial, &receipt, &mut problems).await;
    let lines = remains::command_lines(&trial.processes()?);
    last_one(trial, &mut problems).await?;
    end(trial, &mut problems).await?;
    queues(trial, &receipt, &mut problems).await?;
    left(trial, &mut problems)?;
    let mut texts = vec![
        ("a command line".to_owned(), lines),
        ("an event".into(), told),
    ];
    texts.push(("a receipt".into(), serde_json::to_string(&receipt)?));
    for entry in std::fs::read_dir(trial.dir())?.flatten() {
        if entry.path().extension().is_some_and(|e| e == "log") {
            let text = String::from_utf8_lossy(&std::fs::read(entry.path())?).into_owned();
            texts.push((entry.file_name().to_string_lossy().into_owned(), text));
        }
    }
    let secrets = trial.secrets();
    for (place, text) in texts {
        for name in remains::secrets(&text, &secrets) {
            problems.push(format!("{place} holds {name}"));
        }
    }
    Ok(problems)
}

/// Receipts and outputs: each image once, with the pixels of a run in one process or with a reason.
async fn job(trial: &mut Trial, problems: &mut Problems) -> Result<JobReceipt, Failure> {
    let (id, store) = (trial.job.clone(), trial.jobs.store.clone());
    let receipt = trial.jobs.receipt(OWNER, &id).await?;
    let receipt = receipt.ok_or("the job has no receipt")?;
    let mut open: BTreeSet<&str> = trial.work.images.keys().map(String::as_str).collect();
    let mut outputs = BTreeSet::new();
    for task in &receipt.tasks {
        let name = Work::name_of(&task.input);
        if !open.remove(name) {
            problems.push(format!("{name} has two tasks, or nobody asked for it"));
        }
        let fails = trial.work.damaged.contains(name) || trial.expect.failed.contains(name);
        match (task.state, fails) {
            (TaskState::Succeeded, false) => {
                let there = names::outputs_of(&id, task).into_iter().next();
                let name_there = there.map(|(name, _)| name).unwrap_or_default();
                let bytes = store.get(&name_there, 1 << 30).await?;
                let hashes = [Some(sha256(&bytes)), task.output_sha256.clone()];
                let expected = trial.work.expected.get(name).cloned();
                if hashes.iter().any(|hash| *hash != expected) {
                    problems.push(format!("{name}: {hashes:?} is not {expected:?}"));
                }
                outputs.insert(name_there);
            }
            (TaskState::Failed, true) if task.reason.as_ref().is_some_and(|r| !r.is_empty()) => {}
            (state, _) => {
                let (state, reason) = (state.name(), &task.reason);
                problems.push(format!("{name} ended as {state}: {reason:?}"));
            }
        }
    }
    if !open.is_empty() {
        problems.push(format!("lost: {open:?}"));
    }
    let there: BTreeSet<String> = names_below(trial, &names::outputs(&id)).await?;
    if there != outputs {
        problems.push(format!("outputs are {there:?} and not {outputs:?}"));
    }
    let single = trial.jobs.tasks(OWNER, &id).await?;
    if single != receipt.tasks {
        problems.push("the tasks' receipts are not those of the job's".into());
    }
    // The mark goes right after the receipt was written.
    let open = names::open(&id);
    wait(async || Ok(!names::exists(&store, &open).await?)).await?;
    if names::exists(&store, &open).await? {
        problems.push("the job is still marked as open".into());
    }
    Ok(receipt)
}

async fn names_below(trial: &Trial, prefix: &str) -> Result<BTreeSet<String>, Failure> {
    let found = trial.jobs.store.list(prefix).await?;
    Ok(found.into_iter().map(|meta| meta.name).collect())
}

/// The history of the job; returns it as text.
async fn events(
    trial: &Trial,
    receipt: &JobReceipt,
    problems: &mut Problems,
) -> Result<String, Failure> {
    let ends = |event: &Event| matches!(event, Event::JobFinished(_));
    let rounds = trial.expect.rounds.max(1) as usize;
    let all = async || {
        let page = trial.jobs.events.read(&receipt.job, 0, 1_000_000).await?;
        Ok::<_, Failure>(page)
    };
    wait(async || {
        let page = all().await?;
        Ok(page.records.iter().filter(|r| ends(&r.event)).count() >= rounds)
    })
    .await?;
    let page = all().await?;
    let too_late = |wiped: &String| receipt.finished <= *wiped && page.records.is_empty();
    if trial.expect.wiped.as_ref().is_some_and(too_late) {
        return Ok(String::new());
    }
    for (record, number) in page.records.iter().zip(1..) {
        if record.seq != number {
            problems.push(format!("event {number} has the number {}", record.seq));
            break;
        }
    }
    let mut finished: BTreeMap<u64, Vec<TaskState>> = BTreeMap::new();
    let (mut begun, mut ended, mut late) = (0, 0, 0);
    for record in &page.records {
        match &record.event {
            Event::JobStarted(_) => begun += 1,
            Event::TaskFinished(event) => {
                finished.entry(event.task).or_default().push(event.state);
                late += usize::from(ended == rounds);
            }
            Event::JobFinished(_) => ended += 1,
            _ => {}
        }
    }
    if ended != rounds || (begun != rounds && trial.expect.wiped.is_none()) {
        problems.push(format!("told: {begun} begins and {ended} ends of the job"));
    }
    if late > 0 {
        problems.push(format!("{late} tasks were told after the job's end"));
    }
    for task in &receipt.tasks {
        let told = finished.remove(&task.task).unwrap_or_default();
        let right = match rounds {
            1 => told == [task.state],
            _ => told.last() == Some(&task.state) && told.len() <= rounds,
        };
        if !right {
            problems.push(format!(
                "task {} is {:?} and was told as {told:?}",
                task.task, task.state
            ));
        }
    }
    if !finished.is_empty() {
        problems.push(format!("told of tasks that there are not: {finished:?}"));
    }
    let lines = page.records.iter().map(|r| serde_json::to_string(&r.event));
    Ok(lines.collect::<Result<Vec<_>, _>>()?.join("\n"))
}

/// What users are told is what the receipt says.
async fn status(trial: &Trial, receipt: &JobReceipt, problems: &mut Problems) {
    let right = wait(async || {
        let status = trial.jobs.status(OWNER, &receipt.job).await?;
        Ok((status.state, status.counts) == (receipt.state, receipt.counts))
    });
    if !right.await.unwrap_or(false) {
        let status = trial.jobs.status(OWNER, &receipt.job).await;
        let (state, counts) = (receipt.state, receipt.counts);
        problems.push(format!(
            "the status is {status:?} and not {state:?}, {counts:?}"
        ));
    }
}

/// All dispatchers but one end; that one, chosen by chance, must still do a job.
async fn last_one(trial: &mut Trial, problems: &mut Problems) -> Result<(), Failure> {
    let mut nodes = trial.nodes();
    trial.dice.shuffle(&mut nodes);
    let Some(last) = nodes.pop() else {
        return Ok(());
    };
    for name in nodes {
        if let Err(error) = trial.end(&name) {
            problems.push(error.to_string());
        }
    }
    let name = trial
        .work
        .expected
        .keys()
        .next()
        .cloned()
        .unwrap_or_default();
    let job = trial.work.job(&format!("{}/{name}", trial.upload), 1);
    let job = protocol::Job {
        inputs: vec![format!("uploads/{}/{name}", trial.upload)],
        ..job
    };
    let id = trial.jobs.submit(OWNER, job).await?;
    let done = wait(async || Ok(trial.has_receipt(&id).await)).await?;
    let receipt = match done {
        true => trial.jobs.receipt(OWNER, &id).await?,
        false => None,
    };
    match receipt {
        Some(receipt) if receipt.state == JobState::Succeeded => {
            trial.note(format!("{last} did another job"));
            // Its end is told before the dispatcher is asked to end, so that nothing of it stays open.
            wait(async || Ok(!names::exists(&trial.jobs.store, &names::open(&id)).await?)).await?;
        }
        Some(receipt) => problems.push(format!("another job ended as {:?}", receipt.state)),
        None => problems.push(format!("{last} is alive and does no work")),
    }
    Ok(())
}

/// All programs end in order, and no process of theirs stays.
async fn end(trial: &mut Trial, problems: &mut Problems) -> Result<(), Failure> {
    for name in trial.nodes() {
        if let Err(error) = trial.end(&name) {
            problems.push(error.to_string());
        }
    }
    if let Some(front) = &mut trial.front {
        for (name, program) in front.programs() {
            let status = program.end()?;
            if !status.success() {
                problems.push(format!("{name} was asked to end and ended with {status}"));
            }
        }
    }
    wait(async || Ok(trial.processes()?.is_empty())).await?;
    let left = trial.processes()?;
    if !left.is_empty() {
        problems.push(format!("processes are left: {left:?}"));
        trial.kill_all()?;
    }
    Ok(())
}

/// Queues are empty but for the dead letters of the tasks that failed, which are taken away.
async fn queues(
    trial: &Trial,
    receipt: &JobReceipt,
    problems: &mut Problems,
) -> Result<(), Failure> {
    for queue in [QueueName::Jobs, QueueName::Tasks] {
        let empty = async || Ok(trial.jobs.queue.stats(&queue).await?.ready == 0);
        if !wait(empty).await? {
            let n = trial.jobs.queue.stats(&queue).await?.ready;
            problems.push(format!("{n} messages are left in {queue}"));
        }
    }
    let mut found = BTreeMap::new();
    for letter in trial.jobs.dead_letters(1000).await? {
        let Some(task) = letter.task else {
            problems.push(format!("a message is none of ours: {letter:?}"));
            continue;
        };
        if letter.job.as_ref() == Some(&receipt.job) {
            *found.entry(task).or_insert(0) += 1;
            if letter.reason.is_empty() {
                problems.push(format!("the dead letter of task {task} has no reason"));
            }
        }
    }
    let failed = receipt
        .tasks
        .iter()
        .filter(|t| t.state == TaskState::Failed);
    let failed: BTreeMap<u64, i32> = failed.map(|t| (t.task, 1)).collect();
    if found != failed {
        problems.push(format!("dead letters are {found:?} and not {failed:?}"));
    }
    Ok(())
}

/// No temporary file, no connection, no upload in parts stays.
fn left(trial: &Trial, problems: &mut Problems) -> Result<(), Failure> {
    let mut files = remains::temporary_files(&trial.cluster.dir().join("store"))?;
    for dir in ["tmp", "scratch", "disk"] {
        files.extend(remains::temporary_files(&trial.dir().join(dir))?);
    }
    // Nothing at all is to be left here.
    for entry in std::fs::read_dir(trial.dir().join("tmp"))? {
        files.push(entry?.path().display().to_string());
    }
    if !files.is_empty() {
        problems.push(format!("temporary files are left: {files:?}"));
    }
    let connections = remains::connections(&trial.ports())?;
    if connections > 0 {
        problems.push(format!("{connections} connections are left"));
    }
    let uploads = trial
        .cluster
        .objects
        .as_ref()
        .map_or(0, |o| o.open_uploads());
    if uploads > 0 {
        problems.push(format!("{uploads} uploads in parts are left"));
    }
    Ok(())
}

/// Asks until the answer is yes; whether it became so in time.
async fn wait(ask: impl AsyncFn() -> Result<bool, Failure>) -> Result<bool, Failure> {
    let begun = Instant::now();
    loop {
        match ask().await {
            Ok(true) => return Ok(true),
            Ok(false) if begun.elapsed() > SETTLE => return Ok(false),
            Err(error) if begun.elapsed() > SETTLE => return Err(error),
            Ok(false) | Err(_) => tokio::time::sleep(Duration::from_millis(30)).await,
        }
    }
}
