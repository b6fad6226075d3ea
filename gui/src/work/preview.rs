//! Previews: first from a smaller image, then by writing the very output that a run writes and reading it back.

use super::objects::{self, Local, Services};
use super::write::write;
use super::{News, Post, read, spawn};
use crate::picture::{Picture, Pyramid};
use crate::state::files::Info;
use crate::state::scale::scaled;
use crate::state::view::{Exactness, Seen, Written};
use imaging::codec;
use imaging::comm::serial::Serial;
use imaging::executor::{Context, Stop, guarded, run_rows};
use imaging::{Pipeline, Plan, Result, Rows, Spare};
use protocol::Job;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::SystemTime;

/// The longer side of the smaller image.
const SMALL: usize = 1024;
/// Pixels of an image that is held whole, before and after.
const MOST: usize = 80_000_000;
/// The longer side at which larger ones are shown.
const LARGE: usize = 4096;

/// What is to be previewed.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its number; answers carry it.
    pub serial: u64,
    /// The number of the file in the list.
    pub file: u64,
    /// The image, or the URL of one.
    pub path: PathBuf,
    /// Where its store is found.
    pub services: Services,
    /// The job as it would run, without inputs.
    pub job: Job,
    /// Its operations.
    pub pipeline: Pipeline,
}

#[derive(Default)]
struct Slot {
    next: Option<Request>,
    stop: Stop,
    closed: bool,
}

/// A thread that computes the latest request.
pub struct Previewer {
    slot: Arc<(Mutex<Slot>, Condvar)>,
}

impl Previewer {
    /// Starts it.
    pub fn new(post: Post) -> Previewer {
        let slot: Arc<(Mutex<Slot>, Condvar)> = Arc::default();
        let own = slot.clone();
        spawn(&post, "preview", move |post| serve(&own, post));
        Previewer { slot }
    }

    fn change(&self, change: impl FnOnce(&mut Slot)) {
        let mut slot = self.slot.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Whatever is being computed is for nobody now.
        slot.stop.set();
        slot.stop = Stop::default();
        change(&mut slot);
        drop(slot);
        self.slot.1.notify_one();
    }

    /// Asks for a preview; what was asked for before is given up.
    pub fn ask(&self, request: Request) {
        self.change(|slot| slot.next = Some(request));
    }

    /// Gives up what was asked for.
    pub fn cancel(&self) {
        self.change(|slot| slot.next = None);
    }
}

impl Drop for Previewer {
    fn drop(&mut self) {
        self.change(|slot| slot.closed = true);
    }
}

/// What is kept of the image that was asked for last.
struct Original {
    path: PathBuf,
    /// The file, or the copy of the object.
    local: Local,
    changed: Option<SystemTime>,
    header: codec::Header,
    /// In 8 bits, upright.
    small: Rows,
    seen: Seen,
    whole: bool,
}

fn serve(slot: &(Mutex<Slot>, Condvar), post: &Post) {
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
    let pool = match rayon::ThreadPoolBuilder::new().num_threads(threads).build() {
        Ok(pool) => pool,
        Err(error) => {
            post.send(News::Told(
                true,
                format!("no threads for the preview: {error}"),
            ));
            return;
        }
    };
    let mut original = None;
    let spare = Arc::default();
    loop {
        let (request, stop) = {
            let mut now = slot.0.lock().unwrap_or_else(PoisonError::into_inner);
            loop {
                if now.closed {
                    return;
                }
                if let Some(request) = now.next.take() {
                    break (request, now.stop.clone());
                }
                now = slot.1.wait(now).unwrap_or_else(PoisonError::into_inner);
            }
        };
        let worked = guarded(|| answer(&request, &mut original, &pool, &stop, &spare, post));
        if let Err(error) = worked.map_err(|e| e.to_string())
            && !stop.is_set()
        {
            post.send(News::After(request.serial, None, Exactness::Failed(error)));
        }
    }
}

fn answer(
    request: &Request,
    original: &mut Option<Original>,
    pool: &rayon::ThreadPool,
    stop: &Stop,
    spare: &Arc<Spare>,
    post: &Post,
) -> Result<()> {
    let serial = request.serial;
    let changed = std::fs::metadata(&request.path)
        .and_then(|m| m.modified())
        .ok();
    let same = |o: &Original| o.path == request.path && o.changed == changed;
    if !original.as_ref().is_some_and(same) {
        *original = None;
        let local = objects::local(&request.services, &request.path, stop)?;
        let header = read::header(&local.path)?;
        let rows = read::reduced(&local.path, &header, SMALL, stop)?;
        let small = guarded(|| read::upright(rows, header.orientation))?;
        let told = read::told(&header);
        let size = (told.width as usize, told.height as usize);
        if local.path != request.path {
            // Of what lies in a store, that is known only now.
            post.send(News::Header(request.file, Info::Ready(told)));
        }
        *original = Some(Original {
            path: request.path.clone(),
            local,
            changed,
            seen: seen(Picture::of(&small), size),
            header,
            small,
            whole: false,
        });
    }
    let Some(kept) = original.as_mut() else {
        return Ok(());
    };
    post.send(News::Before(serial, kept.seen.clone()));
    let approximate = approximate(request, kept, pool, stop);
    stop.check()?;
    // What cannot be said from the smaller image is said by the exact one.
    if let Ok(after) = approximate {
        post.send(News::After(serial, Some(after), Exactness::Approximate));
    }
    let local = Request {
        path: kept.local.path.clone(),
        ..request.clone()
    };
    let (after, written) = exact(&local, pool, stop, spare)?;
    stop.check()?;
    post.send(News::After(serial, Some(after), Exactness::Exact(written)));
    if !kept.whole {
        if let Some(picture) = read::whole(&kept.local.path, &kept.header, 0, MOST, stop)? {
            kept.seen = seen(picture, kept.seen.size);
        }
        kept.whole = true;
        post.send(News::Before(serial, kept.seen.clone()));
    }
    Ok(())
}

/// What is known of a picture.
pub fn seen(picture: Picture, size: (usize, usize)) -> Seen {
    Seen {
        histogram: Arc::new(picture.histogram()),
        pyramid: Arc::new(Pyramid::of(picture)),
        size,
    }
}

fn approximate(
    request: &Request,
    kept: &Original,
    pool: &rayon::ThreadPool,
    stop: &Stop,
) -> Result<Seen> {
    let shape = kept.small.shape;
    let scale = shape.cols as f64 / kept.seen.size.0.max(1) as f64;
    let plan = Plan::new(&scaled(&request.pipeline, scale), shape)?;
    let comm = Serial::default();
    let mut context = Context::with_pool(&comm, pool);
    context.stop = stop.clone();
    let rows = guarded(|| run_rows(&mut context, &plan, kept.small.clone()))?;
    let whole = |side: usize| (side as f64 / scale).round() as usize;
    let size = (whole(rows.shape.cols), whole(rows.shape.rows));
    Ok(seen(Picture::of(&rows), size))
}

fn exact(
    request: &Request,
    pool: &rayon::ThreadPool,
    stop: &Stop,
    spare: &Arc<Spare>,
) -> Result<(Seen, Written)> {
    let folder = tempfile::Builder::new()
        .prefix("sundog-preview-")
        .tempdir()?;
    let (path, written) = write(request, folder.path(), pool, stop, spare)?;
    let header = read::header(&path)?;
    let told = read::told(&header);
    let size = (told.width as usize, told.height as usize);
    let picture = match read::whole(&path, &header, 0, MOST, stop)? {
        Some(picture) => picture,
        None => {
            let rows = read::reduced(&path, &header, LARGE, stop)?;
            Picture::of(&read::upright(rows, header.orientation)?)
        }
    };
    Ok((seen(picture, size), written))
}
