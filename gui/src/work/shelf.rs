//! Headers and thumbnails: what is in sight comes first, all other headers follow.

use super::{News, Post, read, spawn};
use crate::state::files::Info;
use crate::state::run::OUTPUT;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// The longer side of a thumbnail in pixels: twice what the table shows, for fine screens.
pub const SIDE: usize = 96;
/// The same of results, which are shown larger.
const RESULT: usize = 192;

#[derive(Default)]
struct Wanted {
    /// Files in sight whose thumbnail is missing, and whether the header is too.
    seen: VecDeque<(u64, PathBuf, bool)>,
    /// Files whose header is missing.
    headers: VecDeque<(u64, PathBuf)>,
    /// Whether others need the processor more.
    quiet: bool,
    closed: bool,
}

/// A thread that reads.
pub struct Shelf {
    wanted: Arc<(Mutex<Wanted>, Condvar)>,
}

impl Shelf {
    /// Starts it.
    pub fn new(post: Post) -> Shelf {
        let wanted: Arc<(Mutex<Wanted>, Condvar)> = Arc::default();
        let own = wanted.clone();
        spawn(&post, "shelf", move |post| serve(&own, post));
        Shelf { wanted }
    }

    fn change(&self, change: impl FnOnce(&mut Wanted)) {
        change(&mut lock(&self.wanted.0));
        self.wanted.1.notify_one();
    }

    /// Files that came into the list.
    pub fn headers(&self, files: impl IntoIterator<Item = (u64, PathBuf)>) {
        self.change(|wanted| wanted.headers.extend(files));
    }

    /// The files in sight that have no thumbnail, in place of those asked for before.
    pub fn in_sight(&self, files: Vec<(u64, PathBuf, bool)>) {
        self.change(|wanted| wanted.seen = files.into());
    }

    /// Whether headers of files out of sight wait, since something else is being computed.
    pub fn quiet(&self, quiet: bool) {
        self.change(|wanted| wanted.quiet = quiet);
    }

    /// Nothing of what was asked for is wanted any more.
    pub fn forget(&self) {
        self.change(|wanted| {
            wanted.seen.clear();
            wanted.headers.clear();
        });
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        self.change(|wanted| wanted.closed = true);
    }
}

fn lock(wanted: &Mutex<Wanted>) -> MutexGuard<'_, Wanted> {
    wanted.lock().unwrap_or_else(PoisonError::into_inner)
}

enum Next {
    Thumbnail(u64, PathBuf, bool),
    Header(u64, PathBuf),
}

fn serve(wanted: &(Mutex<Wanted>, Condvar), post: &Post) {
    loop {
        let next = {
            let mut now = lock(&wanted.0);
            loop {
                if now.closed {
                    return;
                }
                if let Some((id, path, header)) = now.seen.pop_front() {
                    break Next::Thumbnail(id, path, header);
                }
                if !now.quiet
                    && let Some((id, path)) = now.headers.pop_front()
                {
                    break Next::Header(id, path);
                }
                now = wanted.1.wait(now).unwrap_or_else(PoisonError::into_inner);
            }
        };
        let told = |path: &PathBuf| match read::header(path) {
            Ok(header) => Info::Ready(read::told(&header)),
            Err(error) => Info::Broken(error.to_string()),
        };
        let going = match next {
            Next::Header(id, path) => post.send(News::Header(id, told(&path))),
            Next::Thumbnail(id, path, header) => {
                let info = header.then(|| told(&path));
                let broken = matches!(info, Some(Info::Broken(_)));
                let going = info.is_none_or(|info| post.send(News::Header(id, info)));
                let picture = match broken {
                    true => Err("it cannot be read".into()),
                    false => read::thumbnail(&path, if id & OUTPUT == 0 { SIDE } else { RESULT })
                        .map_err(|e| e.to_string()),
                };
                going && post.send(News::Thumbnail(id, picture))
            }
        };
        if !going {
            return;
        }
    }
}
