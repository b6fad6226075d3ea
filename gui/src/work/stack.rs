//! Previews of reductions: the real one, over a few of the files.

use super::objects::Services;
use super::{News, Post, preview, read, run, spawn};
use crate::picture::Picture;
use imaging::Result;
use imaging::executor::{Stop, guarded};
use protocol::{Job, name};

/// Computes a preview; `job` is the reduction over the files that count, whatever its output is called.
pub fn preview(post: &Post, serial: u64, mut job: Job, services: Services, stop: Stop) {
    spawn(post, "stack", move |post| {
        let made = guarded(|| {
            let folder = tempfile::Builder::new().prefix("sundog-stack-").tempdir()?;
            let output = folder.path().join("stack.tif");
            job.output = name::to_text(&output);
            let mut failed = None;
            let request = run::request(job.clone());
            run::carry_out(&request, &services, &stop, &mut |event| {
                if let protocol::Event::TaskFinished(end) = event {
                    failed = end.reason;
                }
            })?;
            if let Some(reason) = failed {
                return Err(imaging::Error::Unsuitable(reason));
            }
            shown(&output, &stop)
        });
        if !stop.is_set() {
            post.send(News::Stacked(
                serial,
                made.map_err(|error| error.to_string()),
            ));
        }
    });
}

fn shown(path: &std::path::Path, stop: &Stop) -> Result<crate::state::view::Seen> {
    let header = read::header(path)?;
    let size = (header.shape.cols, header.shape.rows);
    let rows = read::reduced(path, &header, 2048, stop)?;
    Ok(preview::seen(Picture::of(&rows), size))
}
