//! What is asked of lists that hold links.

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use schemars::JsonSchema;
use serde::Deserialize;
use service::Problem;
use service::api::{Limit, Number};
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
}

fn hour() -> u64 {
    3600
}

/// How long links live, how many are wanted, and above which number.
pub(super) type Wanted = (Duration, Option<usize>, Option<u64>);

impl Linked {
    /// What a request wants, if it is sound.
    pub(super) fn wanted(query: Result<Query<Linked>, QueryRejection>) -> Result<Wanted, Problem> {
        let Query(query) = query.map_err(|error| super::wrong_query(&error))?;
        let week = cloud::links::MAX_LIFE.as_secs();
        if !(1..=week).contains(&query.expires) {
            let message = format!("{} seconds are outside 1..={week}", query.expires);
            return Err(Problem::invalid("expires", message));
        }
        Ok((
            Duration::from_secs(query.expires),
            query.limit.map(Limit::get),
            query.after.map(Number::get),
        ))
    }
}
