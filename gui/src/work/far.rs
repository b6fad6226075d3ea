//! Thumbnails of what lies in stores: what is in sight is fetched for them, one after the other.

use super::objects::{self, Services};
use super::{News, Post, read, shelf, spawn};
use crate::state::files::Info;
use imaging::executor::Stop;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Bytes of an object that is fetched just for its thumbnail.
pub const MOST: u64 = 16 << 20;

/// An object whose thumbnail is missing.
#[derive(Clone, Debug)]
pub struct Object {
    /// The number of its file.
    pub id: u64,
    /// Its URL.
    pub path: PathBuf,
    /// Whether its header is missing, too.
    pub header: bool,
    /// Where its store is found.
    pub services: Services,
}

#[derive(Default)]
struct Wanted {
    seen: VecDeque<Object>,
    /// What is being fetched, and what ends that.
    now: Option<(u64, Stop)>,
    closed: bool,
}

/// A thread that fetches.
pub struct Far {
    wanted: Arc<(Mutex<Wanted>, Condvar)>,
}

impl Far {
    /// Starts it.
    pub fn new(post: Post) -> Far {
        let wanted: Arc<(Mutex<Wanted>, Condvar)> = Arc::default();
        let own = wanted.clone();
        spawn(&post, "far", move |post| serve(&own, post));
        Far { wanted }
    }

    /// The objects in sight that have no thumbnail, in place of those asked for before.
    pub fn in_sight(&self, objects: Vec<Object>) {
        let mut wanted = lock(&self.wanted.0);
        let now = wanted.now.as_ref();
        let kept = now.is_some_and(|(id, _)| objects.iter().any(|object| object.id == *id));
        if let (Some((_, stop)), false) = (now, kept) {
            stop.set();
        }
        let going = wanted.now.as_ref().filter(|_| kept).map(|(id, _)| *id);
        wanted.seen = (objects.into_iter())
            .filter(|object| Some(object.id) != going)
            .collect();
        drop(wanted);
        self.wanted.1.notify_one();
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        let mut wanted = lock(&self.wanted.0);
        wanted.closed = true;
        if let Some((_, stop)) = &wanted.now {
            stop.set();
        }
        drop(wanted);
        self.wanted.1.notify_one();
    }
}

fn lock(wanted: &Mutex<Wanted>) -> MutexGuard<'_, Wanted> {
    wanted.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(wanted: &(Mutex<Wanted>, Condvar), post: &Post) {
    loop {
        let (object, stop) = {
            let mut now = lock(&wanted.0);
            now.now = None;
            loop {
                if now.closed {
                    return;
                }
                if let Some(object) = now.seen.pop_front() {
                    let stop = Stop::default();
                    now.now = Some((object.id, stop.clone()));
                    break (object, stop);
                }
                now = wanted.1.wait(now).unwrap_or_else(PoisonError::into_inner);
            }
        };
        let made = fetch(&object, &stop, post);
        // What went out of sight is asked for again when it comes back.
        if !stop.is_set() && !post.send(News::Thumbnail(object.id, made)) {
            return;
        }
    }
}

fn fetch(object: &Object, stop: &Stop, post: &Post) -> Result<crate::picture::Picture, String> {
    let local = objects::local_of(&object.services, &object.path, MOST, stop);
    let local = local.map_err(|error| error.to_string())?;
    if object.header {
        let told = match read::header(&local.path) {
            Ok(header) => Info::Ready(read::told(&header)),
            Err(error) => Info::Broken(error.to_string()),
        };
        post.send(News::Header(object.id, told));
    }
    read::thumbnail(&local.path, shelf::SIDE).map_err(|error| error.to_string())
}
