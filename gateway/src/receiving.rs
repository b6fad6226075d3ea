//! Files that arrive: each owner has a share of the places, and whoever sends too slowly loses its place.

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use http::StatusCode;
use service::{Code, Problem};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Files of one owner that arrive or wait, beyond which further ones are refused for the moment.
const PRESENT: usize = 64;

/// Places for files that arrive.
#[derive(Debug)]
pub(crate) struct Receiving {
    all: Arc<Semaphore>,
    /// Places that one owner may have.
    share: usize,
    owners: Mutex<HashMap<String, Owner>>,
}

#[derive(Debug)]
struct Owner {
    places: Arc<Semaphore>,
    present: usize,
}

/// A file's place.
#[derive(Debug)]
pub(crate) struct Place {
    _present: Present,
    _own: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

/// A file that arrives or waits.
#[derive(Debug)]
struct Present {
    receiving: Arc<Receiving>,
    owner: String,
}

impl Receiving {
    /// So many places, a quarter of which one owner may have.
    pub(crate) fn new(places: usize) -> Arc<Receiving> {
        Arc::new(Receiving {
            all: Arc::new(Semaphore::new(places.max(1))),
            share: (places / 4).max(1),
            owners: Mutex::default(),
        })
    }

    /// Waits for a place of an owner's share.
    pub(crate) async fn enter(self: &Arc<Self>, owner: &str) -> Result<Place, Problem> {
        let (present, places) = self.come(owner)?;
        let closed = |error: tokio::sync::AcquireError| Problem::internal(&error);
        let own = places.acquire_owned().await.map_err(closed)?;
        let of_all = self.all.clone().acquire_owned().await.map_err(closed)?;
        Ok(Place {
            _present: present,
            _own: own,
            _of_all: of_all,
        })
    }

    fn come(self: &Arc<Self>, owner: &str) -> Result<(Present, Arc<Semaphore>), Problem> {
        let mut owners = self.owners();
        let entry = owners.entry(owner.to_owned()).or_insert_with(|| Owner {
            places: Arc::new(Semaphore::new(self.share)),
            present: 0,
        });
        if entry.present >= PRESENT {
            let message = format!(
                "{PRESENT} files of this owner arrive or wait already (send fewer at once)"
            );
            return Err(Problem::new(Code::Busy, message));
        }
        entry.present += 1;
        let present = Present {
            receiving: self.clone(),
            owner: owner.to_owned(),
        };
        Ok((present, entry.places.clone()))
    }

    fn owners(&self) -> MutexGuard<'_, HashMap<String, Owner>> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        let mut owners = self.receiving.owners();
        if let Some(owner) = owners.get_mut(&self.owner) {
            owner.present -= 1;
            if owner.present == 0 {
                owners.remove(&self.owner);
            }
        }
    }
}

/// How slowly a file may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Bytes a second, as a mean over [`Pace::window`].
    pub least: u64,
    /// How long it is waited before that is looked at.
    pub window: Duration,
}

/// A body whose next bytes are waited for only while it keeps its pace.
pub(crate) struct Paced<S> {
    body: S,
    pace: Pace,
    waited: Duration,
    bytes: u64,
}

impl<S, E> Paced<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: std::fmt::Display,
{
    pub(crate) fn new(body: S, pace: Pace) -> Paced<S> {
        Paced {
            body,
            pace,
            waited: Duration::ZERO,
            bytes: 0,
        }
    }

    /// The next bytes; None at the end. Time counts only while they are waited for.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        loop {
            let left = self.pace.window.saturating_sub(self.waited);
            let begun = Instant::now();
            let next = tokio::time::timeout(left, self.body.next()).await;
            self.waited += begun.elapsed();
            match next {
                Ok(None) => return Ok(None),
                Ok(Some(Ok(bytes))) => {
                    self.bytes += bytes.len() as u64;
                    return Ok(Some(bytes));
                }
                Ok(Some(Err(error))) => {
                    tracing::debug!(%error, "an upload ended early");
                    let message = "the file did not arrive whole";
                    return Err(Problem::new(Code::Invalid, message));
                }
                Err(_) => self.look()?,
            }
        }
    }

    /// At the end of a window.
    fn look(&mut self) -> Result<(), Problem> {
        let Pace { least, window } = self.pace;
        let wanted = least as f64 * window.as_secs_f64();
        if (self.bytes as f64) < wanted {
            let (bytes, secs) = (self.bytes, window.as_secs_f64());
            let message = format!(
                "{bytes} bytes in {secs} s are fewer than the {least} a second that are waited for (send it again, fewer files at once)"
            );
            let problem = Problem::new(Code::Busy, message);
            return Err(problem.with_status(StatusCode::REQUEST_TIMEOUT));
        }
        (self.waited, self.bytes) = (Duration::ZERO, 0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;

    #[tokio::test]
    async fn one_owner_leaves_places_to_others() {
        let receiving = Receiving::new(8);
        let first = receiving.enter("eve").await.unwrap();
        let _second = receiving.enter("eve").await.unwrap();
        let waiting = receiving.clone();
        let waiting = tokio::spawn(async move { waiting.enter("eve").await.map(drop) });
        for _ in 0..2 {
            let other = tokio::time::timeout(Duration::from_secs(5), receiving.enter("ada"));
            drop(other.await.unwrap().unwrap());
        }
        assert!(!waiting.is_finished());
        drop(first);
        waiting.await.unwrap().unwrap();
        let crowd: Vec<_> = (0..PRESENT - 1)
            .map(|_| receiving.come("eve").unwrap())
            .collect();
        assert_eq!(receiving.come("eve").unwrap_err().code(), Code::Busy);
        drop(crowd);
        assert_eq!(receiving.owners().len(), 1);
    }

    #[tokio::test]
    async fn what_trickles_is_cut_and_what_is_steady_is_not() {
        let pace = Pace {
            least: 100,
            window: Duration::from_millis(200),
        };
        let drops = |bytes: usize| {
            let drops = stream::unfold((), move |()| async move {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Some((Ok::<_, std::io::Error>(Bytes::from(vec![0; bytes])), ()))
            });
            Box::pin(drops)
        };
        let run = async |bytes: usize| {
            let mut paced = Paced::new(drops(bytes), pace);
            for _ in 0..40 {
                paced.next().await?;
            }
            Ok::<(), Problem>(())
        };
        let cut = run(1).await.unwrap_err();
        assert!(cut.message().contains("fewer than the 100"), "{cut}");
        run(10).await.unwrap();
    }
}
