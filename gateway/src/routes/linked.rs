//! What is asked of lists that hold links.

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use schemars::JsonSchema;
use serde::Deserialize;
use service::Problem;
use service::api::{Fields, Limit, Number};
use std::time::Duration;

/// The query of such a list.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Linked {
    /// Seconds that links live; an hour by default, a week at most.
    #[serde(default = "hour")]
    #[schemars(range(min = 1, max = 604800))]
    expires: u64,
    /// At most so many.
    limit: Option<Limit>,
    /// Those with numbers above this one; they count from 0.
    after: Option<Number>,
    /// Fields of the entries, with commas between; all where not given.
    fields: Option<Fields>,
}

fn hour() -> u64 {
    3600
}

/// What is wanted of such a list.
pub(super) struct Wanted {
    /// How long links live.
    pub(super) life: Duration,
    /// How many entries.
    pub(super) limit: Option<usize>,
    /// Above which number.
    pub(super) after: Option<u64>,
    /// Which fields of them.
    pub(super) fields: Option<Fields>,
}

impl Linked {
    /// What a request wants, if it is sound.
    pub(super) fn wanted(query: Result<Query<Linked>, QueryRejection>) -> Result<Wanted, Problem> {
        let Query(query) = query.map_err(|error| super::wrong_query(&error))?;
        let week = cloud::links::MAX_LIFE.as_secs();
        if !(1..=week).contains(&query.expires) {
            let message = format!("{} seconds are outside 1..={week}", query.expires);
            return Err(Problem::invalid("expires", message));
        }
        Ok(Wanted {
            life: Duration::from_secs(query.expires),
            limit: query.limit.map(Limit::get),
            after: query.after.map(Number::get),
            fields: query.fields,
        })
    }
}
