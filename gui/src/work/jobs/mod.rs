//! The job system, asked on a thread of its own: jobs, their images as events come, nodes, uploads and downloads.

mod carry;
mod connect;
mod follow;
mod inspect;
mod transfers;
mod watch;

use super::{News, Post};
use crate::state::inspect::Subject;
use crate::state::jobs::{Links, Listed, Target, Task, Token, Transfer};
use client::Client;
use client::exit::Exit;
use protocol::Job;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use watch::Watch;

/// What is asked of the job system.
#[derive(Debug)]
pub enum Ask {
    /// Go on with another one, with a token where one was typed.
    Turn(Target, Option<Token>),
    /// Look at once.
    Look,
    /// Whether nodes are in sight.
    Nodes(bool),
    /// Ask for the jobs behind that one.
    Older(String),
    /// Upload files and submit the job.
    Submit(Box<Job>),
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
    /// Fetch a job's outputs into a folder.
    Download(String, PathBuf),
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
    /// A job was accepted.
    Accepted(String),
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
                    tokio::task::LocalSet::new().block_on(&runtime, serve(inbox, post.clone()));
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

/// What is asked, and of whom.
struct Desk {
    post: Post,
    target: (Target, Option<Token>),
    client: Option<Arc<Client>>,
    watch: Watch,
    followed: Option<String>,
    following: Option<tokio::task::JoinHandle<()>>,
    number: u64,
}

async fn serve(mut inbox: mpsc::UnboundedReceiver<Ask>, post: Post) {
    let mut desk = Desk {
        post,
        target: (Target::Local, None),
        client: None,
        watch: Watch::default(),
        followed: None,
        following: None,
        number: 0,
    };
    loop {
        let ask = tokio::select! {
            ask = inbox.recv() => match ask {
                Some(ask) => ask,
                None => return,
            },
            () = desk.due() => Ask::Look,
        };
        if !desk.take(ask).await {
            return;
        }
    }
}

impl Desk {
    /// Waits until it is time to look again; without a job system, for ever.
    async fn due(&self) {
        match self.target.0 {
            Target::Local => std::future::pending().await,
            _ => self.watch.due().await,
        }
    }

    /// Carries one thing out; false once the window is gone.
    async fn take(&mut self, ask: Ask) -> bool {
        match ask {
            Ask::Turn(target, token) => {
                self.target = (target, token);
                (self.client, self.followed) = (None, None);
                self.watch.forget();
                self.leave();
            }
            Ask::Follow(job) => {
                self.leave();
                self.followed = job;
                self.follow();
                return true;
            }
            Ask::Nodes(seen) => {
                self.watch.nodes(seen);
                if !seen {
                    return true;
                }
            }
            Ask::Look => {}
            ask => {
                self.number += 1;
                // Something is about to change.
                self.watch.soon();
                if let Ask::Retry(job) | Ask::Resume(job) = &ask {
                    self.watch.goes_on(job);
                }
                let Some(client) = &self.client else {
                    let told = "the job system does not answer yet (try again in a moment)";
                    return self.post.send(News::Told(true, told.into()));
                };
                let asked = carry::work(client.clone(), ask, self.number, self.post.clone());
                drop(tokio::task::spawn_local(asked));
                return true;
            }
        }
        self.look().await
    }

    /// Follows the images of the job that is looked at no more.
    fn leave(&mut self) {
        if let Some(task) = self.following.take() {
            task.abort();
        }
    }

    fn follow(&mut self) {
        if let (Some(client), Some(job), None) = (&self.client, &self.followed, &self.following) {
            let following = follow::follow(client.clone(), job.clone(), self.post.clone());
            self.following = Some(tokio::spawn(following));
        }
    }

    /// Looks at jobs and nodes; false once the window is gone.
    async fn look(&mut self) -> bool {
        if self.target.0 == Target::Local {
            return true;
        }
        let client = match &self.client {
            Some(client) => client.clone(),
            None => match connect::connect(&self.target.0, self.target.1.as_ref(), &self.post) {
                Ok(made) => self.client.insert(Arc::new(made)).clone(),
                Err(failure) => {
                    self.watch.failed();
                    return say(&self.post, Answer::Down(failure.message));
                }
            },
        };
        let looked = self.watch.look(&client, &self.post).await;
        let Err(failure) = looked else {
            self.follow();
            return true;
        };
        self.watch.failed();
        // A serve that was started again has another address.
        if self.target.0 == Target::Serve || failure.exit != Exit::Unreachable {
            self.client = None;
            self.leave();
        }
        say(&self.post, Answer::Down(failure.message))
    }
}
