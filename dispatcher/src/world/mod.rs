//! Where tasks run: a world of ranks that stays warm, as threads of this process or under `mpirun`.

mod flight;
mod life;
mod lines;
mod metrics;
pub mod mpirun;
mod processes;
mod room;
pub mod threads;

use async_trait::async_trait;
use worker::task::Finished;
pub use worker::warm::wire::Task;

pub use metrics::Metrics;
pub use mpirun::Mpirun;
pub use threads::Threads;

/// Why a task that was submitted has no end of its own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// A rank died or hung over this task: an attempt that counts.
    #[error("{reason}")]
    Fault {
        /// The rank, where known.
        rank: Option<usize>,
        /// What happened.
        reason: String,
    },
    /// The world died while the task was in it, through no fault of the task: try it again.
    #[error("the world of ranks died: {reason}")]
    World {
        /// What happened.
        reason: String,
    },
    /// The world has been shut down.
    #[error("the world of ranks has been shut down")]
    Shutdown,
    /// A task of that id is in flight already.
    #[error("a task `{0}` is in flight already")]
    Duplicate(String),
}

/// A world of ranks.
#[async_trait]
pub trait World: Send + Sync {
    /// Runs a task, beside others. What is wrong with the image is in the receipt of its end. Dropping
    /// the future cancels the task.
    async fn submit(&self, task: Task) -> Result<Finished, Lost>;

    /// Stops a task; its `submit` returns a cancelled end.
    fn cancel(&self, id: &str);

    /// Ranks that can work now.
    fn ranks_alive(&self) -> usize;

    /// How often the world died and was started afresh.
    fn restarts(&self) -> u64;

    /// What is to be told about the world; here without times.
    fn metrics(&self) -> Metrics {
        Metrics {
            ranks_alive: self.ranks_alive(),
            restarts: self.restarts(),
            ..Metrics::default()
        }
    }

    /// Stops what runs, ends every process and thread of the world, and waits for that.
    async fn shutdown(&self);
}
