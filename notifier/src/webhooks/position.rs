//! Where a webhook stands and its last results, as they are stored.

use super::delivery::{Outcome, Report};
use crate::places::{Born, Place, Places};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// Results that are kept.
const KEPT: usize = 100;

/// As stored beside the webhook.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Position {
    /// Version of this format: 1.
    pub version: u32,
    /// The youngest job that was known.
    #[serde(default)]
    newest: Born,
    /// Where it stands in every job.
    #[serde(default)]
    jobs: BTreeMap<String, Stored>,
    /// The last results, the newest last.
    #[serde(default)]
    pub deliveries: VecDeque<Report>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Stored {
    at: String,
    #[serde(default)]
    submitted: String,
    #[serde(default)]
    ended: bool,
}

impl Position {
    /// At these places.
    pub fn new(places: &Places, deliveries: VecDeque<Report>) -> Position {
        let stored = |place: &Place| Stored {
            at: place.cursor.to_string(),
            submitted: place.submitted.clone(),
            ended: place.ended,
        };
        Position {
            version: protocol::VERSION,
            newest: places.newest().clone(),
            jobs: places
                .iter()
                .map(|(job, place)| (job.clone(), stored(place)))
                .collect(),
            deliveries,
        }
    }

    /// The places.
    pub fn places(&self) -> Places {
        let mut places = Places::default().until(&self.newest);
        for (job, stored) in &self.jobs {
            if let Ok(cursor) = stored.at.parse() {
                let place = Place {
                    cursor,
                    submitted: stored.submitted.clone(),
                    ended: stored.ended,
                };
                places.set(job, place);
            }
        }
        places
    }

    /// Whether this delivery has come to its end.
    pub fn is_settled(&self, delivery: &str) -> bool {
        let mut all = self.deliveries.iter();
        all.any(|report| report.delivery == delivery && report.outcome != Outcome::Retrying)
    }

    /// Notes what came of a delivery, in place of what was noted before.
    pub fn note(&mut self, report: Report) {
        self.deliveries.retain(|r| r.delivery != report.delivery);
        self.deliveries.push_back(report);
        while self.deliveries.len() > KEPT {
            self.deliveries.pop_front();
        }
    }
}
