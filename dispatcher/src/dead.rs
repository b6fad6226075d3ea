//! What failed for good, kept for its owner: one object for each page of a job that has some.

use crate::error::Result;
use crate::names;
use cloud::store::Store;
use protocol::TaskReceipt;
use protocol::state::TaskState;
use serde::{Deserialize, Serialize};

/// A task that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Letter {
    pub(crate) task: u64,
    pub(crate) reason: String,
    pub(crate) attempts: u32,
}

impl Letter {
    /// Writes those of a page, if there are some.
    pub(crate) async fn write(
        store: &Store,
        owner: &str,
        job: &str,
        round: u32,
        page: u32,
        receipts: &[TaskReceipt],
    ) -> Result<()> {
        let failed = receipts
            .iter()
            .filter(|receipt| receipt.state == TaskState::Failed);
        let letters: Vec<Letter> = failed
            .map(|receipt| Letter {
                task: receipt.task,
                reason: receipt.reason.clone().unwrap_or_default(),
                attempts: receipt.attempt,
            })
            .collect();
        if !letters.is_empty() {
            let name = names::letter(owner, job, round, page);
            names::create_hint(store, &name, &letters).await?;
        }
        Ok(())
    }
}
