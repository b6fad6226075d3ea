//! All results of a job as one zip archive.

use crate::archive::Archive;
use crate::run::Gateway;
use axum::extract::{Path, State};
use axum::response::Response;
use cloud::links::{Access as LinkAccess, Link};
use dispatcher::names;
use protocol::TaskReceipt;
use protocol::state::TaskState;
use service::{Api, Operation, Problem, User};
use std::io::{Error, Result};
use std::time::{Duration, SystemTime};

/// Receipts that are read at once.
const PAGE: usize = 1024;
/// The entry that tells of what has no output.
const FAILED: &str = "failed.txt";

pub(super) fn add(api: Api<Gateway>) -> Api<Gateway> {
    api.add(
        Operation::get(
            "/v1/jobs/{id}/results.zip",
            "getArchive",
            "Gets all results of a job so far as one zip archive",
        )
        .about("Files are stored as they are, under safe names; images without an output are listed in `failed.txt`.")
        .tag("results")
        .id("Id of a job.")
        .answer_as(200, "the archive", "application/zip"),
        archive,
    )
}

/// What links to archives begin with; no object does.
pub(super) const LINKS: &str = "archives/";

async fn archive(
    State(gateway): State<Gateway>,
    user: User,
    Path(id): Path<String>,
) -> std::result::Result<Response, Problem> {
    send(gateway, user.name, id).await
}

/// A link to a job's archive, for those who cannot show a token, such as a browser that saves it.
pub(super) fn link(
    gateway: &Gateway,
    owner: &str,
    id: &str,
    life: Duration,
) -> cloud::Result<Link> {
    let name = format!("{LINKS}{owner}/{id}");
    gateway
        .key
        .sign(LinkAccess::Get, &name, life, SystemTime::now())
}

/// What such a link leads to; `of` is its name behind [`LINKS`].
pub(super) async fn linked(gateway: Gateway, of: &str) -> std::result::Result<Response, Problem> {
    let missing = || Problem::not_found("there is no such job");
    let (owner, id) = of.split_once('/').ok_or_else(missing)?;
    send(gateway, owner.to_owned(), id.to_owned()).await
}

async fn send(
    gateway: Gateway,
    owner: String,
    id: String,
) -> std::result::Result<Response, Problem> {
    let stored = gateway.jobs.load(&owner, &id).await?;
    let name = format!("sundog-{}.zip", stored.id);
    Ok(Archive::answer(&name, |archive| async move {
        let results = Results {
            gateway: &gateway,
            owner: &owner,
            job: &id,
        };
        results.fill(archive).await
    }))
}

/// Whose results of which job.
struct Results<'a> {
    gateway: &'a Gateway,
    owner: &'a str,
    job: &'a str,
}

impl Results<'_> {
    async fn fill(&self, mut archive: Archive) -> Result<Archive> {
        let store = &self.gateway.jobs.store;
        let mut any_failed = false;
        let mut after = None;
        while let Some(receipts) = self.page(&mut after).await? {
            for receipt in &receipts {
                if receipt.state != TaskState::Succeeded {
                    any_failed = true;
                    continue;
                }
                for (object, output) in names::outputs_of(self.job, receipt) {
                    let path = output.output;
                    let name = path.strip_prefix("out/").unwrap_or(path);
                    archive.object(store, &object, name).await?;
                }
            }
        }
        if any_failed {
            // Once more, rather than keeping what may be long.
            archive.begin(FAILED, 0).await?;
            let mut after = None;
            while let Some(receipts) = self.page(&mut after).await? {
                let failed = receipts
                    .iter()
                    .filter(|receipt| receipt.state != TaskState::Succeeded);
                let lines: Vec<String> = failed.map(line).collect();
                archive.bytes(lines.concat().into()).await?;
            }
            archive.end().await?;
        }
        Ok(archive)
    }

    /// The next receipts; None behind the last.
    async fn page(&self, after: &mut Option<u64>) -> Result<Option<Vec<TaskReceipt>>> {
        receipts(self.gateway, self.owner, self.job, after).await
    }
}

/// The next receipts of a job's tasks; None behind the last.
pub(super) async fn receipts(
    gateway: &Gateway,
    owner: &str,
    job: &str,
    after: &mut Option<u64>,
) -> Result<Option<Vec<TaskReceipt>>> {
    let some = gateway.jobs.some_tasks(owner, job, PAGE, *after);
    let receipts = some.await.map_err(Error::other)?;
    let Some(last) = receipts.last() else {
        return Ok(None);
    };
    *after = Some(last.task);
    Ok(Some(receipts))
}

/// What is told of an image without an output.
fn line(receipt: &TaskReceipt) -> String {
    let plain = |text: &str| text.replace(char::is_control, " ");
    let reason = receipt.reason.as_deref().unwrap_or(receipt.state.name());
    format!("{}\t{}\n", plain(&receipt.input), plain(reason))
}
