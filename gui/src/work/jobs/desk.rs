//! Takes what is asked of the job system, and looks at it from time to time.

use super::watch::Watch;
use super::{Answer, Ask, carry, connect, follow, say};
use crate::state::jobs::{Target, Token};
use crate::work::objects::Services;
use crate::work::{News, Post};
use client::Client;
use client::exit::{Exit, Failure};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinHandle;

/// How long one look may take: with services that hang, every question of it waits for them.
const LOOK: Duration = Duration::from_secs(20);

/// What is asked, and of whom.
struct Desk {
    inbox: UnboundedReceiver<Ask>,
    /// What came while something else was done.
    late: VecDeque<Ask>,
    post: Post,
    target: (Target, Option<Token>, Services),
    client: Option<Arc<Client>>,
    watch: Watch,
    followed: Option<String>,
    following: Option<JoinHandle<()>>,
    /// Whether the services behind answer is asked beside the looks, which hang where they do not.
    asking: Option<JoinHandle<()>>,
    silent: Arc<AtomicBool>,
    number: u64,
}

/// Serves until the window is gone.
pub(super) async fn serve(inbox: UnboundedReceiver<Ask>, post: Post) {
    let mut desk = Desk {
        inbox,
        late: VecDeque::new(),
        post,
        target: (Target::Local, None, Services::default()),
        client: None,
        watch: Watch::default(),
        followed: None,
        following: None,
        asking: None,
        silent: Arc::default(),
        number: 0,
    };
    while let Some(ask) = desk.next().await {
        if !desk.take(ask).await {
            return;
        }
    }
}

/// What came of a look.
enum Looked {
    At(client::exit::Result<()>),
    /// Something else is to be looked at.
    Left,
    /// The window is gone.
    Gone,
}

impl Desk {
    /// What is to be done next; none: the window is gone.
    async fn next(&mut self) -> Option<Ask> {
        if let Some(ask) = self.late.pop_front() {
            return Some(ask);
        }
        let (target, watch, silent) = (&self.target.0, &self.watch, &self.silent);
        let due = async {
            match target {
                Target::Local => std::future::pending().await,
                _ => watch.due(silent.load(Ordering::Relaxed)).await,
            }
        };
        tokio::select! {
            ask = self.inbox.recv() => ask,
            () = due => Some(Ask::Look),
        }
    }

    /// Carries one thing out; false once the window is gone.
    async fn take(&mut self, ask: Ask) -> bool {
        match ask {
            Ask::Turn(target, token, services) => {
                self.target = (target, token, services);
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
            Ask::Sight(queue, part) => {
                let soon = self.watch.sight(queue, part);
                if !soon {
                    return true;
                }
            }
            Ask::Look => {}
            ask => {
                self.watch.changes(&ask);
                return start(self.client.as_ref(), &mut self.number, ask, &self.post);
            }
        }
        self.look().await
    }

    /// Follows the images of the job that is looked at no more.
    fn leave(&mut self) {
        let tasks = [self.following.take(), self.asking.take()];
        tasks.into_iter().flatten().for_each(|task| task.abort());
    }

    fn follow(&mut self) {
        if let (Some(client), Some(job), None) = (&self.client, &self.followed, &self.following) {
            let following = follow::follow(client.clone(), job.clone(), self.post.clone());
            self.following = Some(tokio::spawn(following));
        }
    }

    /// Asks whether the services behind answer, unless that is still being asked.
    fn ask_services(&mut self, client: &Arc<Client>) {
        if self.asking.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        let (client, post, flag) = (client.clone(), self.post.clone(), self.silent.clone());
        self.asking = Some(tokio::task::spawn_local(async move {
            // Where the job system itself does not answer, the look says so.
            let silent = client.silent().await.unwrap_or_default();
            flag.store(!silent.none(), Ordering::Relaxed);
            say(&post, Answer::Silent(silent));
        }));
    }

    /// Looks at jobs and nodes; false once the window is gone.
    async fn look(&mut self) -> bool {
        if self.target.0 == Target::Local {
            return true;
        }
        let (target, token, services) = &self.target;
        let client = match &self.client {
            Some(client) => client.clone(),
            None => match connect::connect(target, token.as_ref(), services, &self.post) {
                Ok(made) => self.client.insert(Arc::new(made)).clone(),
                Err(failure) => {
                    self.watch.failed();
                    return say(&self.post, Answer::Down(failure.message));
                }
            },
        };
        self.ask_services(&client);
        let failure = match self.look_at(&client).await {
            Looked::At(Ok(())) => {
                self.follow();
                return true;
            }
            Looked::At(Err(failure)) => failure,
            Looked::Left => return true,
            Looked::Gone => return false,
        };
        self.watch.failed();
        // A serve that was started again has another address.
        if self.target.0 == Target::Serve || failure.exit != Exit::Unreachable {
            self.client = None;
            self.leave();
        }
        say(&self.post, Answer::Down(failure.message))
    }

    /// Looks, and goes on taking what is asked meanwhile.
    async fn look_at(&mut self, client: &Arc<Client>) -> Looked {
        let mut changed = Vec::new();
        let looked = {
            let followed = self.followed.as_deref();
            let look = self.watch.look(client, followed, &self.post);
            let look = tokio::time::timeout(LOOK, look);
            let mut look = std::pin::pin!(look);
            loop {
                tokio::select! {
                    looked = &mut look => break Looked::At(looked.unwrap_or_else(|_| Err(Failure {
                        exit: Exit::Unreachable,
                        message: format!("the job system gives no answer within {} s", LOOK.as_secs()),
                    }))),
                    ask = self.inbox.recv() => match ask {
                        None => break Looked::Gone,
                        Some(turn @ Ask::Turn(..)) => {
                            self.late.push_back(turn);
                            break Looked::Left;
                        }
                        Some(later @ (Ask::Follow(_) | Ask::Nodes(_) | Ask::Sight(..) | Ask::Look)) => {
                            self.late.push_back(later);
                        }
                        Some(ask) => {
                            changed.push(ask.clone());
                            start(Some(client), &mut self.number, ask, &self.post);
                        }
                    },
                }
            }
        };
        changed.iter().for_each(|ask| self.watch.changes(ask));
        looked
    }
}

/// Begins to carry something out; false once the window is gone.
fn start(client: Option<&Arc<Client>>, number: &mut u64, ask: Ask, post: &Post) -> bool {
    *number += 1;
    let Some(client) = client else {
        let told = "the job system does not answer yet (try again in a moment)";
        return post.send(News::Told(true, told.into()));
    };
    let asked = carry::work(client.clone(), ask, *number, post.clone());
    drop(tokio::task::spawn_local(asked));
    true
}
