//! How many bytes a user may keep, and what is on its way of them.

use crate::run::Gateway;
use service::{Code, Problem};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long what a user keeps is believed while files arrive: to look at all of it for each would cost more than they do.
const BELIEVED: Duration = Duration::from_secs(30);

/// What users were found to keep, and what was admitted since.
#[derive(Debug, Default)]
pub(crate) struct Admitted(Mutex<HashMap<String, (Instant, u64)>>);

impl Admitted {
    /// Whether more fits below `most` by what is known; None where nothing is.
    fn fits(&self, owner: &str, more: u64, most: u64) -> Option<bool> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, (since, _)| since.elapsed() < BELIEVED);
        let (_, used) = known.get_mut(owner)?;
        let sum = used.saturating_add(more);
        if sum > most {
            return Some(false);
        }
        *used = sum;
        Some(true)
    }

    fn learn(&self, owner: &str, used: u64) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(owner.to_owned(), (Instant::now(), used));
    }
}

impl Gateway {
    /// Refuses more bytes than the operator lets a user keep. `known`: those of them that are kept already.
    pub(crate) async fn room(&self, owner: &str, more: u64, known: u64) -> Result<(), Problem> {
        let Some(most) = self.jobs.rules.stored_bytes else {
            return Ok(());
        };
        let used = self.kept(owner).await?;
        let more = more.saturating_sub(known);
        if used.saturating_add(more) <= most {
            return Ok(());
        }
        Err(beyond(used, more, most))
    }

    /// The same for a file that begins to arrive, whose announcement may be long ago.
    pub(crate) async fn admit(&self, owner: &str, bytes: u64) -> Result<(), Problem> {
        let Some(most) = self.jobs.rules.stored_bytes else {
            return Ok(());
        };
        if self.admitted.fits(owner, bytes, most) == Some(true) {
            return Ok(());
        }
        let used = self.kept(owner).await?;
        let sum = used.saturating_add(bytes);
        if sum > most {
            return Err(beyond(used, bytes, most));
        }
        self.admitted.learn(owner, sum);
        Ok(())
    }

    /// Bytes of everything of a user, parts of files that arrive among them.
    async fn kept(&self, owner: &str) -> Result<u64, Problem> {
        let usage = self.jobs.usage(owner, &self.weights).await?;
        Ok(usage.bytes() + self.arriving.bytes(owner, None).await?)
    }
}

fn beyond(used: u64, more: u64, most: u64) -> Problem {
    let message = format!(
        "you keep {used} bytes, and {more} more would be above the {most} that a user may keep (delete uploads or jobs)"
    );
    Problem::new(Code::TooLarge, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_admitted_counts_until_it_is_looked_at_again() {
        let admitted = Admitted::default();
        assert_eq!(admitted.fits("ada", 1, 10), None);
        admitted.learn("ada", 4);
        assert_eq!(admitted.fits("ada", 6, 10), Some(true));
        assert_eq!(admitted.fits("ada", 1, 10), Some(false));
        assert_eq!(admitted.fits("eve", 1, 10), None);
        admitted.learn("ada", 4);
        assert_eq!(admitted.fits("ada", 1, 10), Some(true));
    }
}
