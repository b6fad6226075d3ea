//! What crosses a wire or lands in a receipt: the job file, messages, receipts, events and their states.
//!
//! Types only. Every message carries a `version`; the golden files under `tests/golden` hold one
//! example of each version and must go on being read.

pub mod event;
pub mod job;
pub mod message;
pub mod name;
pub mod pages;
pub mod pipeline;
pub mod receipt;
pub mod size;
pub mod state;

pub use event::Event;
pub use job::Job;
pub use message::{JobMessage, StoredJob};
pub use pages::Pages;
pub use receipt::{JobReceipt, TaskReceipt, Warning};
pub use size::Size;
pub use state::{JobState, TaskState};

/// The version that this program writes into jobs, receipts and events.
pub const VERSION: u32 = 1;

fn version() -> u32 {
    VERSION
}

fn is_false(value: &bool) -> bool {
    !value
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}
