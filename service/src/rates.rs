//! What one user may ask for at once and in a minute, so that nobody keeps the others out.

use crate::problem::{Code, Problem};
use axum::response::Response;
use http::{HeaderName, HeaderValue};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The fields of the IETF's draft "RateLimit header fields for HTTP".
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STANDING: HeaderName = HeaderName::from_static("ratelimit");
/// Seconds of the window.
const WINDOW: f64 = 60.0;
/// Users who are remembered before those are forgotten whose window is full again.
const MANY: usize = 10_000;

/// What one user may have of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shares {
    /// Requests in a minute, all of which may come together; None: any number.
    pub requests_a_minute: Option<u32>,
    /// Requests that are answered at once (64); further ones are refused for the moment.
    pub at_once: usize,
}

impl Default for Shares {
    fn default() -> Shares {
        Shares {
            requests_a_minute: None,
            at_once: 64,
        }
    }
}

impl Shares {
    /// The usual ones, with what the operator sets: `SUNDOG_CEILING_REQUESTS` a minute.
    pub fn from_env() -> Result<Shares, Unfit> {
        Shares::from(std::env::var("SUNDOG_CEILING_REQUESTS").ok().as_deref())
    }

    /// A sixteenth of so many connections for each user's requests.
    pub fn of(self, connections: usize) -> Shares {
        Shares {
            at_once: (connections / 16).max(4),
            ..self
        }
    }

    fn from(requests: Option<&str>) -> Result<Shares, Unfit> {
        let requests = requests.filter(|text| !text.is_empty());
        let requests_a_minute = requests.map(|text| match text.parse() {
            Ok(bound) if bound > 0 => Ok(bound),
            _ => Err(Unfit(text.to_owned())),
        });
        Ok(Shares {
            requests_a_minute: requests_a_minute.transpose()?,
            ..Shares::default()
        })
    }
}

/// The operator's bound is no number.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("SUNDOG_CEILING_REQUESTS: `{0}` is not a number of requests a minute above 0")]
pub struct Unfit(String);

/// One user's account.
#[derive(Debug)]
struct Account {
    left: f64,
    looked: Instant,
    running: usize,
}

/// Counts what users ask for. Clones share it.
#[derive(Clone, Debug)]
pub struct Rates(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    shares: Shares,
    accounts: Mutex<HashMap<String, Account>>,
}

/// A user's place among the requests that are answered; free again when this is dropped.
#[derive(Debug)]
pub struct Place {
    rates: Rates,
    user: Option<String>,
}

/// How much of its rate a user has left.
#[derive(Clone, Copy, Debug)]
pub struct Standing(Option<(u32, u32, u64)>);

impl Standing {
    /// Tells of it in an answer's headers.
    pub fn tell(self, mut response: Response) -> Response {
        let Some((quota, left, secs)) = self.0 else {
            return response;
        };
        let headers = response.headers_mut();
        let policy = format!("\"requests\";q={quota};w={WINDOW}");
        let standing = format!("\"requests\";r={left};t={secs}");
        for (name, text) in [(POLICY, policy), (STANDING, standing)] {
            if let Ok(value) = HeaderValue::from_str(&text) {
                headers.insert(name, value);
            }
        }
        response
    }
}

impl Rates {
    /// With these shares for each user.
    pub fn new(shares: Shares) -> Rates {
        Rates(Arc::new(Inner {
            shares,
            accounts: Mutex::default(),
        }))
    }

    /// What each user may have.
    pub fn shares(&self) -> Shares {
        self.0.shares
    }

    /// Counts a request of a user and takes its place. `endless`: it has a seat elsewhere.
    pub fn take(
        &self,
        user: &str,
        endless: bool,
    ) -> Result<(Standing, Place), (Standing, Problem)> {
        let Shares {
            requests_a_minute,
            at_once,
        } = self.0.shares;
        let mut accounts = self.accounts();
        if accounts.len() >= MANY {
            accounts.retain(|_, account| {
                account.running > 0 || account.looked.elapsed().as_secs_f64() < WINDOW
            });
        }
        let full = f64::from(requests_a_minute.unwrap_or(u32::MAX));
        let account = accounts.entry(user.to_owned()).or_insert_with(|| Account {
            left: full,
            looked: Instant::now(),
            running: 0,
        });
        let passed = account.looked.elapsed().as_secs_f64();
        account.looked = Instant::now();
        account.left = (account.left + passed * full / WINDOW).min(full);
        let standing = |left: f64| {
            let secs = ((full - left.floor()) * WINDOW / full).ceil() as u64;
            Standing(requests_a_minute.map(|quota| (quota, left as u32, secs)))
        };
        if requests_a_minute.is_some() && account.left < 1.0 {
            let wait = ((1.0 - account.left) * WINDOW / full).ceil() as u64;
            let message = format!(
                "{full} requests in a minute are all that a user may send (come again in {wait} s)"
            );
            let problem = Problem::new(Code::Busy, message).with_retry(wait);
            return Err((standing(account.left), problem));
        }
        if !endless && account.running >= at_once {
            let message =
                format!("{at_once} requests of this user are being answered (wait for some)");
            let problem = Problem::new(Code::Busy, message).with_retry(1);
            return Err((standing(account.left), problem));
        }
        account.left -= 1.0;
        account.running += usize::from(!endless);
        let standing = standing(account.left);
        let place = Place {
            rates: self.clone(),
            user: (!endless).then(|| user.to_owned()),
        };
        Ok((standing, place))
    }

    /// Requests that a user has left in this minute.
    pub fn left(&self, user: &str) -> Option<u32> {
        let quota = self.0.shares.requests_a_minute?;
        let accounts = self.accounts();
        Some(accounts.get(user).map_or(quota, |a| a.left as u32))
    }

    fn accounts(&self) -> MutexGuard<'_, HashMap<String, Account>> {
        let accounts = self.0.accounts.lock();
        accounts.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(user) = &self.user
            && let Some(account) = self.rates.accounts().get_mut(user)
        {
            account.running -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operators_bound_is_a_number() {
        let bound = |text| Shares::from(text).map(|shares| shares.requests_a_minute);
        assert_eq!(bound(Some("600")), Ok(Some(600)));
        assert_eq!((bound(None), bound(Some(""))), (Ok(None), Ok(None)));
        for text in ["0", "-1", "many"] {
            assert_eq!(bound(Some(text)), Err(Unfit(text.into())));
        }
    }

    #[test]
    fn places_are_each_users_own_and_come_back() {
        let rates = Rates::new(Shares {
            requests_a_minute: None,
            at_once: 2,
        });
        let first = rates.take("ada", false).unwrap();
        let _second = rates.take("ada", false).unwrap();
        assert_eq!(rates.take("ada", false).unwrap_err().1.code(), Code::Busy);
        // Streams have their own seats.
        assert!(rates.take("ada", true).is_ok());
        assert!(rates.take("eve", false).is_ok());
        drop(first);
        assert!(rates.take("ada", false).is_ok());
    }
}
