//! From a submitted job to its receipt: jobs are split into tasks, tasks run on a world of ranks that stays
//! warm, receipts are written.
//!
//! [`jobs::Jobs`] is what the gateway and the command line call; [`service::run`] is the dispatcher itself.

mod attempt;
mod error;
mod execute;
mod expand;
mod finish;
mod in_hand;
pub mod jobs;
pub mod names;
pub mod observe;
mod problem;
pub mod program;
mod progress;
pub mod scratch;
pub mod service;
pub mod settings;
mod speculate;
mod split;
mod tell;
mod tidy;
pub mod world;

pub use error::{Error, Result};
pub use expand::{UrlInput, expand_urls};
pub use service::{Config, run};
