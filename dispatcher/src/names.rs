//! Where things of a job lie in the store, and reading and writing them as JSON.

use crate::error::{Error, Result};
use cloud::store::{Created, Store};
use protocol::receipt::{OutputReceipt, TaskReceipt};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Largest JSON object that is read back: a receipt of some hundred thousand tasks.
pub(crate) const MAX_JSON: u64 = 512 << 20;

/// The job as accepted.
pub fn spec(job: &str) -> String {
    format!("jobs/{job}/spec.json")
}

/// What its inputs came to.
pub fn plan(job: &str) -> String {
    format!("jobs/{job}/r1/plan.json")
}

/// A page of that.
pub fn plan_page(job: &str, page: u32) -> String {
    format!("jobs/{job}/r1/plan/{page}.json")
}

/// A page of the files of a reduction.
pub fn plan_files(job: &str, page: u32) -> String {
    format!("jobs/{job}/r1/files/{page}.json")
}

/// What the first file of a reduction is.
pub fn first_file(job: &str, round: u32) -> String {
    format!("jobs/{job}/r{round}/first.json")
}

/// Where the results of a tree's nodes lie until their job ends.
pub fn partials(job: &str, round: u32) -> String {
    format!("jobs/{job}/r{round}/partials")
}

/// The result of a node.
pub fn partial(job: &str, round: u32, node: u64) -> String {
    format!("{}/{node}.bin", partials(job, round))
}

/// Receipts of a round's spans.
pub fn done(job: &str, round: u32) -> String {
    format!("jobs/{job}/r{round}/done")
}

/// Receipts of the spans of a page.
pub fn done_page(job: &str, round: u32, page: u32) -> String {
    format!("jobs/{job}/r{round}/done/{page}")
}

/// How all inputs of a page ended, once they have.
pub fn folded(job: &str, round: u32, page: u32) -> String {
    format!("jobs/{job}/r{round}/done/{page}.json")
}

/// The receipt of a span.
pub fn span(span: &jobs::Span) -> String {
    format!("jobs/{}/{}", span.job, span.receipt())
}

/// The end of a round: the job's receipt without its tasks.
pub fn end(job: &str, round: u32) -> String {
    format!("jobs/{job}/r{round}/end.json")
}

/// A user's wish that nothing more is begun for now.
pub fn paused(job: &str) -> String {
    format!("jobs/{job}/paused.json")
}

/// What failed of a page of a round, for its owner.
pub fn letter(owner: &str, job: &str, round: u32, page: u32) -> String {
    format!("{}/{round}.{page}.json", letters_of(owner, job))
}

/// All that failed of a job.
pub fn letters_of(owner: &str, job: &str) -> String {
    format!("{LETTERS}/{owner}/{job}")
}

/// Where what failed lies, by owner.
pub const LETTERS: &str = "letters";

/// The receipt of the job in its last round.
pub fn receipt(job: &str) -> String {
    format!("jobs/{job}/receipt.json")
}

/// A user's wish to run failed tasks again.
pub fn round(job: &str, round: u32) -> String {
    format!("jobs/{job}/rounds/{round}.json")
}

/// A user's wish that a round ends.
pub fn cancelled(job: &str, round: u32) -> String {
    format!("jobs/{job}/cancelled/{round}.json")
}

/// Where an output of a task lies below its job: its numbers keep it apart from all others, whatever they are called.
pub fn object(task: u64, page: Option<u32>, output: &str) -> String {
    /// Bytes of a file's name that are kept, far below what file systems take.
    const LONGEST: usize = 200;
    let mut name = output.rsplit('/').next().unwrap_or(output);
    while name.len() > LONGEST {
        let mut rest = name.chars();
        rest.next();
        name = rest.as_str();
    }
    match page {
        Some(page) => format!("out/{task}.{page}-{name}"),
        None => format!("out/{task}-{name}"),
    }
}

/// The folder of a job's outputs.
pub fn outputs(job: &str) -> String {
    format!("jobs/{job}/out")
}

/// The outputs that a task's receipt tells of, with their places.
pub fn outputs_of<'a>(job: &str, receipt: &'a TaskReceipt) -> Vec<(String, OutputReceipt<'a>)> {
    let outputs = receipt.outputs().into_iter();
    let place = |output: OutputReceipt<'a>| {
        let path = output.object.unwrap_or(output.output);
        (format!("jobs/{job}/{path}"), output)
    };
    outputs.map(place).collect()
}

/// What a user uploaded: `path` is `<upload>/<name>`, as after `uploads/` in a job's inputs.
pub fn upload(owner: &str, path: &str) -> String {
    format!("uploads/{owner}/{path}")
}

/// The object of an input, where that is an upload: its owner's alone, since the name begins with the owner's prefix.
pub fn uploaded(owner: &str, input: &str) -> Option<String> {
    let path = input.strip_prefix("uploads/")?;
    Some(upload(owner, path))
}

/// Where all that was uploaded lies, by owner.
pub const UPLOADS: &str = "uploads";

/// Where the marks of all jobs lie, by owner.
pub const OWNERS: &str = "owners";

/// All that a user uploaded.
pub fn uploads(owner: &str) -> String {
    format!("uploads/{owner}")
}

/// Everything of a user beside jobs: uploads, what failed, webhooks and marks.
pub fn of_owner(owner: &str) -> [String; 5] {
    [
        uploads(owner),
        format!("{LETTERS}/{owner}"),
        webhooks(owner),
        format!("webhook-states/{owner}"),
        self::owner(owner),
    ]
}

/// A user's webhooks.
pub fn webhooks(owner: &str) -> String {
    format!("webhooks/{owner}")
}

/// Marks a job as a user's.
pub fn owned(owner: &str, job: &str) -> String {
    format!("owners/{owner}/{job}")
}

/// All marks of a user's jobs.
pub fn owner(owner: &str) -> String {
    format!("owners/{owner}")
}

/// Marks a job that has not ended.
pub fn open(job: &str) -> String {
    format!("{OPEN}/{job}")
}

/// Where the marks of jobs that have not ended lie.
pub const OPEN: &str = "open";

/// Compact JSON.
pub fn to_json<T: Serialize>(value: &T) -> Vec<u8> {
    match serde_json::to_vec(value) {
        Ok(bytes) => bytes,
        Err(error) => unreachable!("plain data: {error}"),
    }
}

/// Reads an object, None if there is none. One that a loss of power cut off in a directory was in nobody's hands yet:
/// it is removed, and counts as none.
pub async fn read<T: DeserializeOwned>(store: &Store, name: &str) -> Result<Option<T>> {
    match store.get(name, MAX_JSON).await {
        Ok(bytes) => match serde_json::from_slice(&bytes) {
            Ok(value) => Ok(Some(value)),
            Err(error) if store.file(name)?.is_some() && is_cut_off(&bytes, &error) => {
                tracing::warn!(name, "an object that a loss of power cut off is removed");
                store.delete(name).await?;
                Ok(None)
            }
            Err(error) => Err(Error::Damaged {
                name: name.to_owned(),
                reason: error.to_string(),
            }),
        },
        Err(cloud::Error::NotFound(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn is_cut_off(bytes: &[u8], error: &serde_json::Error) -> bool {
    error.is_eof() || bytes.iter().all(|byte| *byte == 0)
}

/// Writes an object if there is none; true if this call wrote it.
pub async fn create<T: Serialize>(store: &Store, name: &str, value: &T) -> Result<bool> {
    let created = store
        .create(name, to_json(value).into(), "application/json")
        .await?;
    Ok(created == Created::New)
}

/// Writes an object if there is none, not yet safe from a loss of power in a directory; true if this call wrote it.
pub async fn create_hint<T: Serialize>(store: &Store, name: &str, value: &T) -> Result<bool> {
    let created = store.create_hint(name, to_json(value).into(), "application/json");
    Ok(created.await? == Created::New)
}

/// Whether there is an object of that name.
pub async fn exists(store: &Store, name: &str) -> Result<bool> {
    Ok(store.exists(name).await?)
}

/// Which round a job is in: 1, or that of its last retry.
pub async fn current_round(store: &Store, job: &str) -> Result<u32> {
    let rounds = store.list(&format!("jobs/{job}/rounds")).await?;
    let numbers = rounds.iter().filter_map(|meta| number(&meta.name));
    Ok(numbers.max().map_or(1, |n| n as u32))
}

/// The number in `…/<n>.json`.
pub fn number(name: &str) -> Option<u64> {
    name.rsplit('/').next()?.strip_suffix(".json")?.parse().ok()
}
