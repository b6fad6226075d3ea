//! The job system, asked on a thread of its own: jobs, their images as events come, nodes, uploads and downloads.

mod carry;
mod connect;
mod desk;
mod follow;
mod inspect;
mod transfers;
mod watch;

use super::objects::Services;
use super::{News, Post};
use crate::state::inspect::Subject;
use crate::state::jobs::{Chosen, Links, Listed, Target, Task, Token, Transfer};
use client::Silent;
use protocol::Job;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::mpsc;

/// What is asked of the job system.
#[derive(Clone, Debug)]
pub enum Ask {
    /// Go on with another one, with a token where one was typed; services of a cluster are found by the last.
    Turn(Target, Option<Token>, Services),
    /// Look at once.
    Look,
    /// Whether nodes are in sight.
    Nodes(bool),
    /// Whether the queue is in sight, and the jobs of it beyond the newest: the one before them, and how many.
    Sight(bool, Option<(String, usize)>),
    /// Ask for the jobs behind that one.
    Older(String),
    /// Upload files and submit the job; megapixels of an image on average, where that is known.
    Submit(Box<Job>, Option<f64>),
    /// End a job.
    Cancel(String),
    /// Begin nothing more of a job until it is resumed.
    Pause(String),
    /// Go on with a job that was paused.
    Resume(String),
    /// Run what did not succeed of a job again.
    Retry(String),
    /// Remove everything of a job.
    Purge(String),
    /// Ask what an ended job was to do.
    Edit(String),
    /// Follow a job's images, or none.
    Follow(Option<String>),
    /// Ask for links to a job's outputs: those of the tasks behind one.
    Links(String, Option<u64>),
    /// Compare a job's outputs with the hashes of its receipts.
    Verify(String),
    /// Fetch an output and its input to look at, and what its receipt says.
    Inspect(u64, Box<Subject>),
    /// Fetch a job's outputs into a folder: all, or the chosen ones.
    Download(String, PathBuf, Option<Chosen>),
    /// Have so many workers.
    Scale(usize),
}

/// What the job system answers.
pub enum Answer {
    /// Jobs.
    List(Listed),
    /// Nodes.
    Nodes(Vec<client::Node>),
    /// It does not answer.
    Down(String),
    /// Services behind it that do not answer.
    Silent(Silent),
    /// A job was accepted; megapixels of an image on average.
    Accepted(String, Option<f64>),
    /// Images of the job that is followed; true: what was known of them before counts no more.
    Tasks(String, bool, Vec<(u64, Task)>),
    /// What a job was to do.
    Spec(Box<Job>),
    /// Links.
    Links(Box<Links>),
    /// What checking a job's hashes told.
    Verified(String, std::result::Result<String, String>),
    /// A transfer goes on, or is over.
    Transfer(u64, Option<Transfer>),
    /// Outputs were fetched into a folder.
    Downloaded(PathBuf, String),
}

/// How long links live that are asked for.
const LIFE: Duration = Duration::from_secs(3600);

/// The way to that thread.
pub struct Asker {
    asks: mpsc::UnboundedSender<Ask>,
}

impl Asker {
    /// Starts the thread; it connects to nothing before it is told to.
    pub fn new(post: &Post) -> Asker {
        let (asks, inbox) = mpsc::unbounded_channel();
        super::spawn(post, "jobs", move |post| {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build();
            match runtime {
                Ok(runtime) => {
                    tokio::task::LocalSet::new()
                        .block_on(&runtime, desk::serve(inbox, post.clone()));
                    // A transfer that hangs keeps nobody.
                    runtime.shutdown_background();
                }
                Err(error) => {
                    post.send(News::Told(true, format!("no runtime for jobs: {error}")));
                }
            }
        });
        Asker { asks }
    }

    /// Asks.
    pub fn ask(&self, ask: Ask) {
        // The thread ends with the window alone.
        drop(self.asks.send(ask));
    }
}

fn say(post: &Post, answer: Answer) -> bool {
    post.send(News::Jobs(answer))
}
