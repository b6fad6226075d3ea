//! All results of a job as one zip archive, streamed: nothing of it is kept here.

use crate::run::Gateway;
use crate::zip::Zip;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use cloud::links::{Access as LinkAccess, Link};
use dispatcher::names;
use futures_util::{StreamExt as _, stream};
use http::header;
use protocol::TaskReceipt;
use protocol::state::TaskState;
use service::{Api, Operation, Problem, User};
use std::collections::HashSet;
use std::io::{Error, Result};
use std::time::{Duration, SystemTime};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Receipts that are read at once.
const PAGE: usize = 1024;
/// Pieces that wait for a slow client.
const AHEAD: usize = 4;
/// Bytes of a part of a name; file systems take some more.
const LONGEST: usize = 200;
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
    let (sender, receiver) = channel(AHEAD);
    let writer = Writer {
        gateway,
        owner,
        job: id,
        zip: Zip::default(),
        names: Names::default(),
        sender,
    };
    tokio::spawn(writer.run());
    let body = stream::unfold(receiver, async |mut receiver: Receiver<Result<Bytes>>| {
        let piece = receiver.recv().await?;
        Some((piece, receiver))
    });
    let disposition = format!("attachment; filename=\"sundog-{}.zip\"", stored.id);
    let headers = [
        (header::CONTENT_TYPE, "application/zip".to_owned()),
        (header::CONTENT_DISPOSITION, disposition),
    ];
    Ok((headers, Body::from_stream(body)).into_response())
}

struct Writer {
    gateway: Gateway,
    owner: String,
    job: String,
    zip: Zip,
    names: Names,
    sender: Sender<Result<Bytes>>,
}

impl Writer {
    async fn run(mut self) {
        // The end is missing then, so that the client knows.
        if let Err(error) = self.all().await {
            tracing::debug!(%error, job = self.job, "an archive ended early");
            let _ = self.sender.send(Err(error)).await;
            return;
        }
        let end = self.zip.finish();
        let _ = self.sender.send(Ok(end.into())).await;
    }

    async fn all(&mut self) -> Result<()> {
        let mut any_failed = false;
        let mut after = None;
        while let Some(receipts) = self.page(&mut after).await? {
            for receipt in &receipts {
                match receipt.state {
                    TaskState::Succeeded => self.outputs(receipt).await?,
                    _ => any_failed = true,
                }
            }
        }
        if !any_failed {
            return Ok(());
        }
        // Once more, rather than keeping what may be long.
        let name = self.names.fit(FAILED);
        let head = self.zip.begin(name, 0);
        self.send(head.into()).await?;
        let mut after = None;
        while let Some(receipts) = self.page(&mut after).await? {
            let failed = receipts
                .iter()
                .filter(|receipt| receipt.state != TaskState::Succeeded);
            let lines: Vec<String> = failed.map(line).collect();
            self.bytes(lines.concat().into()).await?;
        }
        self.end().await
    }

    /// The next receipts; None behind the last.
    async fn page(&self, after: &mut Option<u64>) -> Result<Option<Vec<TaskReceipt>>> {
        let jobs = &self.gateway.jobs;
        let some = jobs.some_tasks(&self.owner, &self.job, PAGE, *after);
        let receipts = some.await.map_err(Error::other)?;
        let Some(last) = receipts.last() else {
            return Ok(None);
        };
        *after = Some(last.task);
        Ok(Some(receipts))
    }

    async fn outputs(&mut self, receipt: &TaskReceipt) -> Result<()> {
        for (object, output) in names::outputs_of(&self.job, receipt) {
            let store = &self.gateway.jobs.store;
            let (size, mut stream) = store.get_stream(&object).await.map_err(Error::other)?;
            let path = output.output;
            let name = self.names.fit(path.strip_prefix("out/").unwrap_or(path));
            let head = self.zip.begin(name, size);
            self.send(head.into()).await?;
            while let Some(piece) = stream.next().await {
                self.bytes(piece.map_err(Error::other)?).await?;
            }
            self.end().await?;
        }
        Ok(())
    }

    async fn bytes(&mut self, bytes: Bytes) -> Result<()> {
        self.zip.count(&bytes);
        self.send(bytes).await
    }

    async fn end(&mut self) -> Result<()> {
        let tail = self.zip.end();
        let tail = tail.ok_or_else(|| Error::other("an entry is longer than its object was"))?;
        self.send(tail.into()).await
    }

    async fn send(&self, bytes: Bytes) -> Result<()> {
        let sent = self.sender.send(Ok(bytes)).await;
        sent.map_err(|_| Error::other("the client went away"))
    }
}

/// What is told of an image without an output.
fn line(receipt: &TaskReceipt) -> String {
    let plain = |text: &str| text.replace(char::is_control, " ");
    let reason = receipt.reason.as_deref().unwrap_or(receipt.state.name());
    format!("{}\t{}\n", plain(&receipt.input), plain(reason))
}

/// Names that stay below where the archive is unpacked, on all systems, each once.
#[derive(Debug, Default)]
struct Names {
    /// In lower case: some systems do not tell the two apart.
    taken: HashSet<String>,
}

impl Names {
    fn fit(&mut self, name: &str) -> String {
        let parts = name.split('/').map(part).filter(|part| !part.is_empty());
        let name = parts.collect::<Vec<_>>().join("/");
        let name = match name.is_empty() {
            true => "unnamed".to_owned(),
            false => name,
        };
        if self.taken.insert(name.to_lowercase()) {
            return name;
        }
        let at = name.rfind('/').map_or(0, |at| at + 1);
        let dot = name[at..].rfind('.').map_or(name.len(), |dot| at + dot);
        let (stem, extension) = name.split_at(dot);
        let mut n = 2u64;
        loop {
            let other = format!("{stem} ({n}){extension}");
            if self.taken.insert(other.to_lowercase()) {
                return other;
            }
            n += 1;
        }
    }
}

/// A part of a name without what leads elsewhere or cannot be written somewhere.
fn part(text: &str) -> String {
    let odd = |c: char| c.is_control() || "\\:*?\"<>|".contains(c);
    let mut part: String = text.chars().map(|c| if odd(c) { '_' } else { c }).collect();
    let mut cut = part.len().min(LONGEST);
    while !part.is_char_boundary(cut) {
        cut -= 1;
    }
    if cut < part.len() {
        // The end tells the format.
        let from = part.len() - cut;
        let from = (from..part.len()).find(|at| part.is_char_boundary(*at));
        part = part.split_off(from.unwrap_or(0));
    }
    // Also `..`, and what Windows leaves out at the end.
    part.trim_end_matches(['.', ' ']).trim_start().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_below_and_are_there_once() {
        let mut names = Names::default();
        for (name, safe) in [
            ("a.png", "a.png"),
            ("A.png", "A (2).png"),
            ("a.png", "a (3).png"),
            ("../../etc/passwd", "etc/passwd"),
            ("/etc/passwd", "etc/passwd (2)"),
            ("x/./..//y.png", "x/y.png"),
            ("c:\\windows\\a.png", "c__windows_a.png"),
            ("..", "unnamed"),
            ("... ", "unnamed (2)"),
            ("a\n\u{1b}[2Jb", "a__[2Jb"),
            ("dir.d/b", "dir.d/b"),
            ("dir.d/b", "dir.d/b (2)"),
            ("ü☃.tif", "ü☃.tif"),
        ] {
            assert_eq!(names.fit(name), safe, "{name:?}");
        }
        let long = format!("{}.tif", "☃".repeat(200));
        let fitted = names.fit(&long);
        assert!(
            fitted.len() <= LONGEST && fitted.ends_with("☃.tif"),
            "{fitted}"
        );
    }
}
