//! Several users with jobs of several priorities at once, a reduction among them, while dispatchers die, leave and come.

use super::unsound::{judge_other, submit};
use super::{Case, Course, THREADS};
use crate::Failure;
use crate::cluster::StoreKind;
use crate::trial::{PATIENCE, Trial};
use dispatcher::names;
use protocol::Job;
use protocol::job::{Priority, Reduce, ReduceOp};
use protocol::state::JobState;
use std::time::{Duration, Instant};
use worker::batch::new_job_id;

/// On files.
pub const USERS: Case = Case {
    name: "several-users",
    store: StoreKind::Directory,
    needs_ranks: false,
    play: |trial| Box::pin(users(trial)),
};

/// On objects.
pub const USERS_S3: Case = Case {
    name: "several-users-s3",
    store: StoreKind::S3,
    needs_ranks: false,
    play: |trial| Box::pin(users(trial)),
};

/// Who has images, and how urgent they are.
const OTHERS: [(&str, Priority); 3] = [
    ("ada", Priority::High),
    ("eve", Priority::Normal),
    ("joe", Priority::Low),
];
/// Who has numbers.
const SUMS: &str = "sums";
/// Files of numbers, and numbers in each.
const FILES: usize = 40;
const NUMBERS: usize = 200;

async fn users(trial: &mut Trial) -> Result<Course, Failure> {
    trial.submit(2).await?;
    let mut others = Vec::new();
    for (owner, priority) in OTHERS {
        others.push((owner, submit(trial, owner, priority).await?));
    }
    let sums = reduction(trial).await?;
    let doomed = trial.dispatcher(THREADS)?;
    let leaving = trial.dispatcher(THREADS)?;
    trial.midst().await?;
    trial.kill(&doomed)?;
    let wait = Duration::from_millis(trial.dice.u64(0..1000));
    trial.pause(wait).await;
    trial.dispatcher(THREADS)?;
    trial.end(&leaving)?;
    trial.dispatcher(THREADS)?;
    trial.ended().await?;
    for (owner, job) in others {
        judge_other(trial, owner, &job).await?;
    }
    judge_sums(trial, &sums).await?;
    Ok(Course::Through)
}

fn number(file: usize, at: usize) -> usize {
    file * 7 + at * 3
}

/// A reduction of files of numbers.
async fn reduction(trial: &mut Trial) -> Result<String, Failure> {
    let upload = new_job_id();
    for file in 0..FILES {
        let text: String = (0..NUMBERS)
            .map(|at| format!("{}\n", number(file, at)))
            .collect();
        let name = names::upload(SUMS, &format!("{upload}/{file:03}.txt"));
        trial
            .jobs
            .store
            .put(&name, text.into(), "text/plain")
            .await?;
    }
    let job = Job {
        inputs: vec![format!("uploads/{upload}/")],
        reduce: Some(Reduce {
            op: ReduceOp::Sum,
            fan_in: 3,
            max_open_files: 5,
            bits: None,
            keep_partials: false,
        }),
        ..Job::default()
    };
    Ok(trial.jobs.submit(SUMS, job).await?)
}

/// One result with the right sums, and nothing that nodes of the tree left for each other.
async fn judge_sums(trial: &mut Trial, job: &str) -> Result<(), Failure> {
    let begun = Instant::now();
    while !trial.has_receipt(job).await {
        if begun.elapsed() > PATIENCE {
            return Err("the reduction does not end".into());
        }
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
    let receipt = trial.jobs.receipt(SUMS, job).await?;
    let receipt = receipt.ok_or("the reduction has no receipt")?;
    if receipt.state != JobState::Succeeded {
        return Err(format!("the reduction ended as {}", receipt.state.name()).into());
    }
    let all = receipt
        .tasks
        .iter()
        .flat_map(|task| names::outputs_of(job, task));
    let outputs: Vec<String> = all.map(|(name, _)| name).collect();
    let [output] = &outputs[..] else {
        return Err(format!("the reduction has the results {outputs:?}").into());
    };
    let bytes = trial.jobs.store.get(output, 1 << 20).await?;
    let text = String::from_utf8(bytes.to_vec())?;
    let found: Vec<f64> = text
        .split_whitespace()
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    let sum = |at| (0..FILES).map(|file| number(file, at)).sum::<usize>() as f64;
    let right: Vec<f64> = (0..NUMBERS).map(sum).collect();
    if found != right {
        return Err(format!("the sums begin with {:?}", found.get(..4)).into());
    }
    let partials = trial.jobs.store.list(&names::partials(job, 1)).await?;
    match partials.is_empty() {
        true => Ok(()),
        false => Err(format!("{} partial results are left", partials.len()).into()),
    }
}
