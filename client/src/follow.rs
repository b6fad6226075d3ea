//! A job's events as they come, whatever they come through.

use crate::exit::Failure;
use protocol::Event;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// What a follower is told.
#[derive(Debug)]
pub enum Update {
    /// The next event.
    Event(Box<Event>),
    /// Events were lost: what is known from them counts no more; those that are kept follow.
    Reset,
    /// The source is away; it is tried again.
    Away(String),
    /// The source is back.
    Back,
    /// There is nothing more to come.
    Over(Failure),
}

/// A job's events. Dropping it ends the stream.
#[derive(Debug)]
pub struct Follow {
    updates: mpsc::Receiver<Update>,
    task: JoinHandle<()>,
}

/// Updates that wait for a slow reader.
const WAITING: usize = 256;

impl Follow {
    /// What `run` sends; it ends when its sender is closed.
    pub fn spawn<F>(run: impl FnOnce(mpsc::Sender<Update>) -> F) -> Follow
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (sender, updates) = mpsc::channel(WAITING);
        Follow {
            updates,
            task: tokio::spawn(run(sender)),
        }
    }

    /// The next update; None after the last.
    pub async fn next(&mut self) -> Option<Update> {
        self.updates.recv().await
    }
}

impl Drop for Follow {
    fn drop(&mut self) {
        self.task.abort();
    }
}
