//! How many workers there are: dispatchers of this process, or those of a cluster through a program that starts and ends
//! them. There is always one at least, since work that nobody takes would never end.

mod command;
mod pool;

use crate::error::{Error, Result};
use async_trait::async_trait;
use std::fmt;

pub use command::Command;
pub use pool::Pool;

/// What starts and ends workers.
#[async_trait]
pub trait Scale: Send + Sync + fmt::Debug {
    /// Asks for so many. Those that are too many finish what they have.
    async fn scale(&self, workers: usize) -> Result<Scaled>;

    /// How many were asked for last, where that is known.
    fn wanted(&self) -> Option<usize>;

    /// How many there may be.
    fn most(&self) -> usize;
}

/// What became of a wish for workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Scaled {
    /// How many there are to be.
    pub workers: usize,
    /// How many there were to be before, where that is known.
    pub before: Option<usize>,
}

/// Refuses a number of workers that there cannot be.
fn check(workers: usize, most: usize) -> Result<()> {
    match workers {
        0 => Err(Error::invalid(
            "workers",
            "0 would leave nobody to end what is queued; ask for 1 at least (hint: sundog pause JOB holds a job back)",
        )),
        n if n > most => Err(Error::invalid(
            "workers",
            format!("{n} are more than the limit of {most}"),
        )),
        _ => Ok(()),
    }
}
