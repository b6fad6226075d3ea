//! What is done beside the window's thread: reading files, computing, running. All of it answers by [`News`].

pub mod dialogs;
pub mod far;
pub mod find;
pub mod inspect;
pub mod jobs;
pub mod objects;
pub mod plan;
pub mod preview;
pub mod read;
pub mod run;
pub mod shelf;
pub mod stack;
pub mod write;

use crate::state::files::Info;
use crate::state::inspect::Side;
use crate::state::record::Record;
use crate::state::run::{Ended, Made};
use crate::state::view::{Exactness, Seen};
use imaging::executor::Stop;
use protocol::state::JobState;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use worker::inputs::Input;

/// What happened beside the window's thread.
pub enum News {
    /// Files of a source.
    Found(usize, Vec<(Input, u64, Info)>),
    /// A source has been searched; how many of its files were passed over.
    Searched(u64),
    /// What a file's header told.
    Header(u64, Info),
    /// A small picture of a file.
    Thumbnail(u64, Result<crate::picture::Picture, String>),
    /// The original of the preview with that number.
    Before(u64, Seen),
    /// The result of the preview with that number, and how exact it is.
    After(u64, Option<Seen>, Exactness),
    /// One of the pictures of what is looked at with that number: the output (true) or the input.
    Side(u64, bool, Side),
    /// What the receipt says of it.
    Record(u64, Result<Box<Record>, String>),
    /// What comparing it with its hash told.
    Checked(u64, Result<String, String>),
    /// The preview of a stack with that number.
    Stacked(u64, Result<Seen, String>),
    /// A plan, or why there is none.
    Planned(Result<Box<Made>, String>),
    /// A run begins.
    Started(u64, Option<f64>),
    /// An image of the run is being worked on.
    TaskStarted(u64, String, Option<f64>),
    /// An image of the run has ended.
    TaskEnded(u64, Box<Ended>),
    /// A run has ended.
    Ended(Result<(JobState, Option<PathBuf>), String>),
    /// The hashes of a receipt were compared.
    Verified(Result<String, String>),
    /// What the job system answers.
    Jobs(jobs::Answer),
    /// The user chose something in a dialog.
    Chosen(dialogs::Purpose, Vec<PathBuf>),
    /// To be told as it is; true for errors.
    Told(bool, String),
}

/// News on their way that the window has not taken yet, at the most: who computes faster waits.
const WAITING: usize = 4096;

/// The way of news into the window.
#[derive(Clone)]
pub struct Post {
    sender: SyncSender<News>,
    wake: Arc<dyn Fn() + Send + Sync>,
}

impl Post {
    /// A way, and its end in the window; `wake` makes the window look.
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> (Post, Receiver<News>) {
        let (sender, receiver) = sync_channel(WAITING);
        let wake = Arc::new(wake);
        (Post { sender, wake }, receiver)
    }

    /// Sends; false once the window is gone.
    pub fn send(&self, news: News) -> bool {
        let sent = self.sender.send(news).is_ok();
        (self.wake)();
        sent
    }
}

/// Everything that works beside the window's thread.
pub struct Work {
    /// The way of news.
    pub post: Post,
    /// Where stores are found.
    pub services: objects::Services,
    /// Ends the search through what was added.
    pub finding: Stop,
    /// Reads headers and makes thumbnails.
    pub shelf: shelf::Shelf,
    /// Fetches what lies in stores for thumbnails.
    pub far: far::Far,
    /// Computes previews.
    pub preview: preview::Previewer,
    /// Asks the job system.
    pub jobs: jobs::Asker,
    /// Ends the run that goes on.
    pub run: Option<Stop>,
    /// Has it begin nothing more for now.
    pub hold: run::Hold,
    /// Ends the preview of a stack that is being made.
    pub stack: Option<Stop>,
    /// Ends the plan that is being made.
    pub plan: Option<Stop>,
}

impl Work {
    /// Starts the threads that wait for work.
    pub fn new(post: Post) -> Work {
        Work {
            services: objects::Services::default(),
            finding: Stop::default(),
            shelf: shelf::Shelf::new(post.clone()),
            far: far::Far::new(post.clone()),
            preview: preview::Previewer::new(post.clone()),
            jobs: jobs::Asker::new(&post),
            post,
            run: None,
            hold: run::Hold::default(),
            stack: None,
            plan: None,
        }
    }
}

/// Runs on a thread of its own; a panic becomes a message instead of a loss.
pub fn spawn(post: &Post, name: &str, work: impl FnOnce(&Post) + Send + 'static) {
    let own = post.clone();
    let started = std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(&own)));
            if done.is_err() {
                own.send(News::Told(
                    true,
                    "internal error in a background thread (please report it)".into(),
                ));
            }
        });
    if let Err(error) = started {
        post.send(News::Told(true, format!("cannot start a thread: {error}")));
    }
}
