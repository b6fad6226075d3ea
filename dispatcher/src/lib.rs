//! From a submitted job to its receipt: one dispatcher leads and plans jobs, all run spans of their inputs on a world of ranks
//! that stays warm, receipts are written.
//!
//! [`jobs::Jobs`] is what the gateway and the command line call; [`service::run`] is the dispatcher itself.

mod attempt;
mod beats;
mod config;
mod dead;
mod error;
mod execute;
mod expand;
mod in_hand;
pub mod jobs;
mod keep;
mod lead;
pub mod names;
pub mod observe;
mod opening;
mod problem;
pub mod program;
mod proof;
mod records;
mod reduction;
pub mod scale;
pub mod scratch;
pub mod service;
pub mod settings;
mod take;
mod tell;
mod tidy;
pub mod world;

pub use error::{Error, Result};
pub use expand::{UrlInput, expand_urls, list_url};
pub use keep::Keep;
pub use reduction::tree;
pub use service::{Config, run};
