//! Answers that are looked for once for all who ask at the same time.

use crate::error::Result;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Who asks while an answer is looked for gets the next one, which is looked for once for all of those: no answer is older
/// than its question.
#[derive(Debug)]
pub struct Together<T>(Mutex<HashMap<String, Arc<Place<T>>>>);

#[derive(Debug)]
struct Place<T> {
    /// Questions so far.
    asked: AtomicU64,
    /// The last answer, and how many had asked when it was begun.
    answer: tokio::sync::Mutex<Option<(u64, Arc<T>)>>,
}

impl<T> Default for Together<T> {
    fn default() -> Together<T> {
        Together(Mutex::default())
    }
}

impl<T> Together<T> {
    /// The answer of `look`, or of another's who began after this was asked.
    pub async fn get(&self, key: &str, look: impl AsyncFnOnce() -> Result<T>) -> Result<Arc<T>> {
        let place = self.place(key);
        let number = place.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let answer = Together::answer(&place, number, look).await;
        let mut places = self.places();
        // The map's and this one: nobody else waits, and an answer is not kept for later.
        if Arc::strong_count(&place) == 2 {
            places.remove(key);
        }
        answer
    }

    async fn answer(
        place: &Place<T>,
        number: u64,
        look: impl AsyncFnOnce() -> Result<T>,
    ) -> Result<Arc<T>> {
        let mut answer = place.answer.lock().await;
        if let Some((begun, found)) = &*answer
            && *begun >= number
        {
            return Ok(found.clone());
        }
        let begun = place.asked.load(Ordering::SeqCst);
        let found = Arc::new(look().await?);
        *answer = Some((begun, found.clone()));
        Ok(found)
    }

    fn place(&self, key: &str) -> Arc<Place<T>> {
        let new = || {
            Arc::new(Place {
                asked: AtomicU64::new(0),
                answer: tokio::sync::Mutex::new(None),
            })
        };
        let mut places = self.places();
        places.entry(key.to_owned()).or_insert_with(new).clone()
    }

    fn places(&self) -> MutexGuard<'_, HashMap<String, Arc<Place<T>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn many_who_ask_at_once_cost_two_looks_and_get_no_old_answer() {
        let (together, looks) = (Together::default(), AtomicU64::new(0));
        let ask = async || {
            let before = looks.load(Ordering::SeqCst);
            let answer = together.get("ada", async || {
                let number = looks.fetch_add(1, Ordering::SeqCst) + 1;
                tokio::time::sleep(Duration::from_millis(20)).await;
                Ok(number)
            });
            let answer = *answer.await.unwrap();
            assert!(answer > before, "begun before it was asked");
            answer
        };
        let first = ask();
        let others = futures_util::future::join_all((0..50).map(async |_| {
            tokio::time::sleep(Duration::from_millis(5)).await;
            ask().await
        }));
        let (first, others) = tokio::join!(first, others);
        assert_eq!(first, 1);
        assert!(others.iter().all(|answer| *answer == 2), "{others:?}");
        assert!(together.places().is_empty());
        assert_eq!(ask().await, 3);
    }

    #[tokio::test]
    async fn who_gives_up_or_fails_leaves_the_others_theirs() {
        let together = Together::<u32>::default();
        let slow = together.get("ada", async || {
            tokio::time::sleep(Duration::from_secs(60)).await;
            Ok(1)
        });
        let cut = tokio::time::timeout(Duration::from_millis(5), slow);
        assert!(cut.await.is_err());
        let failed = together.get("ada", async || Err(crate::Error::NoSuchJob("x".into())));
        assert!(failed.await.is_err());
        assert_eq!(*together.get("ada", async || Ok(2)).await.unwrap(), 2);
        assert_eq!(*together.get("eve", async || Ok(3)).await.unwrap(), 3);
    }
}
