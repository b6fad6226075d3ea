//! Archives that are streamed while they are made: nothing of them is kept here.

use crate::zip::Zip;
use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use cloud::store::Store;
use futures_util::{StreamExt as _, stream};
use http::header;
use std::collections::HashSet;
use std::io::{Error, Result};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Pieces that wait for a slow client.
const AHEAD: usize = 4;
/// Bytes of a part of a name; file systems take some more.
const LONGEST: usize = 200;

/// An archive on its way to a client.
pub(crate) struct Archive {
    zip: Zip,
    names: Names,
    sender: Sender<Result<Bytes>>,
}

impl Archive {
    /// An answer that is an archive of this name, and what fills it. One that is ended early lacks its directory, so that
    /// the client knows.
    pub(crate) fn answer<F>(name: &str, fill: impl FnOnce(Archive) -> F) -> Response
    where
        F: Future<Output = Result<Archive>> + Send + 'static,
    {
        let (sender, receiver) = channel(AHEAD);
        let filled = fill(Archive {
            zip: Zip::default(),
            names: Names::default(),
            sender: sender.clone(),
        });
        tokio::spawn(async move {
            match filled.await {
                Ok(archive) => {
                    let end = archive.zip.finish();
                    let _ = sender.send(Ok(end.into())).await;
                }
                Err(error) => {
                    tracing::debug!(%error, "an archive ended early");
                    let _ = sender.send(Err(error)).await;
                }
            }
        });
        let body = stream::unfold(receiver, async |mut receiver: Receiver<Result<Bytes>>| {
            let piece = receiver.recv().await?;
            Some((piece, receiver))
        });
        let headers = [
            (header::CONTENT_TYPE, "application/zip".to_owned()),
            (
                header::CONTENT_DISPOSITION,
                format!("attachment; filename=\"{name}\""),
            ),
        ];
        (headers, Body::from_stream(body)).into_response()
    }

    /// Begins an entry of at most so many bytes, under a safe name.
    pub(crate) async fn begin(&mut self, name: &str, most: u64) -> Result<()> {
        let name = self.names.fit(name);
        let head = self.zip.begin(name, most);
        self.send(head.into()).await
    }

    /// Bytes of the entry.
    pub(crate) async fn bytes(&mut self, bytes: Bytes) -> Result<()> {
        self.zip.count(&bytes);
        self.send(bytes).await
    }

    /// Ends the entry.
    pub(crate) async fn end(&mut self) -> Result<()> {
        let tail = self.zip.end();
        let tail = tail.ok_or_else(|| Error::other("an entry is longer than its object was"))?;
        self.send(tail.into()).await
    }

    /// An object of a store as an entry.
    pub(crate) async fn object(&mut self, store: &Store, object: &str, name: &str) -> Result<()> {
        let (size, mut stream) = store.get_stream(object).await.map_err(Error::other)?;
        self.begin(name, size).await?;
        while let Some(piece) = stream.next().await {
            self.bytes(piece.map_err(Error::other)?).await?;
        }
        self.end().await
    }

    async fn send(&self, bytes: Bytes) -> Result<()> {
        let sent = self.sender.send(Ok(bytes)).await;
        sent.map_err(|_| Error::other("the client went away"))
    }
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
