//! Where a reader stands in all jobs of a user, and the bounded text of it that a client comes back with.
//!
//! The text lists the cursors of jobs that are under way, at most [`LISTED`] of them, and sums up all others in
//! one hash. A client that comes back gets what it missed of the listed jobs and of those that are newer than all
//! it knew. If the hash says that something happened to any other job, it is told to start over: it may learn
//! too much, but it never misses anything.

use cloud::events::Cursor;
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

/// Jobs whose cursors are in the text.
const LISTED: usize = 16;
/// Longest text that is read.
const LONGEST: usize = 4096;

/// When a job was submitted, and its id: the order in which jobs came into being.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Born {
    /// RFC 3339 in UTC with milliseconds, so that texts sort by time.
    pub submitted: String,
    /// The job.
    pub job: String,
}

/// Where a reader stands in one job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The last event it has.
    pub cursor: Cursor,
    /// When the job was submitted.
    pub submitted: String,
    /// Whether that event is the job's end.
    pub ended: bool,
}

/// Where a reader stands in all jobs of a user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    jobs: BTreeMap<String, Place>,
    /// Jobs that have not ended.
    open: BTreeSet<Born>,
    newest: Born,
    sum: u64,
}

impl Places {
    /// Every job with its place.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Place)> {
        self.jobs.iter()
    }

    /// The place in one job.
    pub fn get(&self, job: &str) -> Option<&Place> {
        self.jobs.get(job)
    }

    /// The youngest job that was ever known.
    pub fn newest(&self) -> &Born {
        &self.newest
    }

    /// Moves to another place in a job.
    pub fn set(&mut self, job: &str, place: Place) {
        self.remove(job);
        let born = Born {
            submitted: place.submitted.clone(),
            job: job.to_owned(),
        };
        if !place.ended {
            self.open.insert(born.clone());
        }
        self.newest = self.newest.clone().max(born);
        self.sum ^= hash(job, place.cursor);
        self.jobs.insert(job.to_owned(), place);
    }

    /// Forgets a job.
    pub fn remove(&mut self, job: &str) -> Option<Place> {
        let place = self.jobs.remove(job)?;
        self.sum ^= hash(job, place.cursor);
        self.open.remove(&Born {
            submitted: place.submitted.clone(),
            job: job.to_owned(),
        });
        Some(place)
    }

    /// The same places as known by someone for whom `newest` is the youngest job: without any younger ones.
    pub fn until(&self, newest: &Born) -> Places {
        let mut places = Places {
            newest: newest.clone(),
            ..Places::default()
        };
        for (job, place) in &self.jobs {
            let born = Born {
                submitted: place.submitted.clone(),
                job: job.clone(),
            };
            if born <= *newest {
                places.set(job, place.clone());
            }
        }
        places
    }

    /// What a client comes back with.
    pub fn marks(&self) -> Marks {
        let mut rest = self.sum;
        let mut listed = BTreeMap::new();
        for born in self.open.iter().rev().take(LISTED) {
            if let Some(place) = self.jobs.get(&born.job) {
                rest ^= hash(&born.job, place.cursor);
                listed.insert(born.job.clone(), place.cursor);
            }
        }
        Marks {
            newest: self.newest.clone(),
            rest,
            listed,
        }
    }

    /// Whether the jobs that the marks do not list are as they were then.
    pub fn agree(&self, marks: &Marks) -> bool {
        let known = self.until(&marks.newest);
        let mut rest = known.sum;
        for job in marks.listed.keys() {
            if let Some(place) = known.jobs.get(job) {
                rest ^= hash(job, place.cursor);
            }
        }
        rest == marks.rest
    }
}

/// Only has to be the same in every process, and to differ where places differ.
fn hash(job: &str, cursor: Cursor) -> u64 {
    let digest = digest(&SHA256, format!("{job} {cursor}").as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&digest.as_ref()[..8]);
    u64::from_le_bytes(first)
}

/// The id of an event in the stream of all jobs: `SUBMITTED~JOB~HASH~JOB=CURSOR~…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marks {
    /// The youngest job that is known.
    pub newest: Born,
    /// Sum of all places that are not listed.
    pub rest: u64,
    /// Places in jobs that are under way.
    pub listed: BTreeMap<String, Cursor>,
}

impl fmt::Display for Marks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Born { submitted, job } = &self.newest;
        write!(f, "{submitted}~{job}~{:x}", self.rest)?;
        for (job, cursor) in &self.listed {
            write!(f, "~{job}={cursor}")?;
        }
        Ok(())
    }
}

/// The text is not one that this service gave out.
#[derive(Debug, PartialEq, Eq)]
pub struct NotMarks;

impl FromStr for Marks {
    type Err = NotMarks;

    fn from_str(text: &str) -> Result<Marks, NotMarks> {
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_.:=~".contains(c);
        if text.len() > LONGEST || !text.chars().all(fits) {
            return Err(NotMarks);
        }
        let mut parts = text.split('~');
        let (Some(submitted), Some(job), Some(rest)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(NotMarks);
        };
        let mut listed = BTreeMap::new();
        for part in parts {
            let (job, cursor) = part.split_once('=').ok_or(NotMarks)?;
            listed.insert(job.to_owned(), cursor.parse().map_err(|_| NotMarks)?);
        }
        if listed.len() > LISTED {
            return Err(NotMarks);
        }
        Ok(Marks {
            newest: Born {
                submitted: submitted.to_owned(),
                job: job.to_owned(),
            },
            rest: u64::from_str_radix(rest, 16).map_err(|_| NotMarks)?,
            listed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(seq: u64, second: usize, ended: bool) -> Place {
        Place {
            cursor: Cursor { seq, history: 7 },
            submitted: format!("2026-11-20T10:00:{second:02}.000Z"),
            ended,
        }
    }

    fn many(jobs: usize, open: usize) -> Places {
        let mut places = Places::default();
        for n in 0..jobs {
            places.set(&format!("job{n}"), place(9, n, n < jobs - open));
        }
        places
    }

    #[test]
    fn marks_come_back_from_their_text_and_are_bounded() {
        for (jobs, open) in [(0, 0), (1, 1), (3, 1), (50, 50)] {
            let marks = many(jobs, open).marks();
            assert_eq!(marks.listed.len(), open.min(LISTED));
            let text = marks.to_string();
            assert!(text.len() < 2000, "{}", text.len());
            assert_eq!(text.parse::<Marks>(), Ok(marks));
        }
        let long = "x".repeat(LONGEST + 1);
        for text in ["", "12", "a~b~zz", "a~b~1~c", "a~b~1~c=x", "a~b~1\n", &long] {
            assert_eq!(text.parse::<Marks>(), Err(NotMarks), "{text}");
        }
    }

    #[test]
    fn only_a_change_outside_the_list_breaks_the_agreement() {
        let then = many(20, 4);
        let marks = then.marks();
        let mut now = then.clone();
        assert!(now.agree(&marks));
        // Listed jobs go on, and end; new ones begin.
        now.set("job19", place(12, 19, true));
        now.set("job99", place(1, 59, false));
        assert!(now.agree(&marks));
        // One that had ended is tried again, or lost.
        let mut other = now.clone();
        other.set("job3", place(10, 3, false));
        assert!(!other.agree(&marks));
        now.remove("job3");
        assert!(!now.agree(&marks));
    }

    #[test]
    fn the_sum_depends_on_the_places_alone() {
        let mut places = many(5, 2);
        places.set("job0", place(20, 0, false));
        places.set("job0", place(9, 0, true));
        places.remove("job9");
        assert_eq!(places, many(5, 2));
    }
}
