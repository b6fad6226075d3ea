//! How many clients may watch at once, in all and per user.

use service::{Code, Problem};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Counts who watches.
#[derive(Debug)]
pub struct Seats {
    all: usize,
    per_user: usize,
    taken: Mutex<HashMap<String, usize>>,
}

/// One client's seat; it is free again when this is dropped.
#[derive(Debug)]
pub struct Seat {
    seats: Arc<Seats>,
    user: String,
}

impl Seats {
    /// So many in all, and so many for one user.
    pub fn new(all: usize, per_user: usize) -> Arc<Seats> {
        Arc::new(Seats {
            all,
            per_user,
            taken: Mutex::default(),
        })
    }

    /// Takes a seat.
    pub fn take(self: &Arc<Self>, user: &str) -> Result<Seat, Problem> {
        let mut taken = self.taken();
        let sum: usize = taken.values().sum();
        if sum >= self.all {
            let message = format!("{} clients watch already (try again later)", self.all);
            return Err(Problem::new(Code::Unavailable, message));
        }
        if taken.get(user).is_some_and(|n| *n >= self.per_user) {
            let most = self.per_user;
            let message = format!("{most} clients of this user watch already (close some)");
            return Err(Problem::new(Code::Busy, message));
        }
        *taken.entry(user.to_owned()).or_default() += 1;
        metrics::gauge!("sundog_watchers").set((sum + 1) as f64);
        Ok(Seat {
            seats: self.clone(),
            user: user.to_owned(),
        })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken();
        if let Some(n) = taken.get_mut(&self.user) {
            *n -= 1;
            if *n == 0 {
                taken.remove(&self.user);
            }
        }
        metrics::gauge!("sundog_watchers").set(taken.values().sum::<usize>() as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_are_limited_and_come_back() {
        let seats = Seats::new(3, 2);
        let first = seats.take("ada").unwrap();
        let _second = seats.take("ada").unwrap();
        assert_eq!(seats.take("ada").unwrap_err().code(), Code::Busy);
        let _third = seats.take("bob").unwrap();
        assert_eq!(seats.take("eve").unwrap_err().code(), Code::Unavailable);
        drop(first);
        assert!(seats.take("ada").is_ok());
        assert_eq!(seats.taken().len(), 2);
    }
}
