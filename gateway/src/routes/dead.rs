//! Messages that ran out of attempts: a user's own, or everybody's for an administrator.

use crate::run::Gateway;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse as _, Response};
use dispatcher::jobs::{DeadLetter, LOOK};
use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use service::api::{Cursor, Fields, Limit, Part, parts};
use service::{Api, Operation, Problem, User};

pub(super) fn add(api: Api<Gateway>) -> Api<Gateway> {
    api.add(
        Operation::get(
            "/v1/dead-letters",
            "listDeadLetters",
            "Lists images that ran out of attempts",
        )
        .about("Your own; everybody's for an administrator.")
        .tag("jobs")
        .query::<Which>()
        .answer::<Letters>(200, "what was given up, and why"),
        list,
    )
    .add(
        Operation::post(
            "/v1/dead-letters/replay",
            "replayDeadLetters",
            "Tries images again that ran out of attempts",
        )
        .about("Your own; everybody's for an administrator.")
        .tag("jobs")
        .answer::<Replayed>(202, "how many are tried again"),
        replay,
    )
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Which {
    /// At most so many; 1000 where not given.
    limit: Option<Limit>,
    /// Those that come after a page: its `next`.
    after: Option<Cursor>,
    /// Fields of the entries, with commas between; all where not given.
    fields: Option<Fields>,
}

#[derive(Serialize, JsonSchema)]
struct Letters {
    letters: Vec<Part<DeadLetter>>,
    /// The `after` of the next page, where there may be more.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct Replayed {
    /// Images that are tried again.
    replayed: usize,
}

async fn list(
    State(gateway): State<Gateway>,
    user: User,
    which: Result<Query<Which>, QueryRejection>,
) -> Result<axum::Json<Letters>, Problem> {
    let Query(which) = which.map_err(|error| super::wrong_query(&error))?;
    let most = which.limit.map_or(usize::from(LOOK), Limit::get);
    let most = u16::try_from(most).unwrap_or(u16::MAX);
    let owner = (!user.admin).then_some(user.name.as_str());
    let after = which.after.as_ref().map(Cursor::as_str);
    let found = gateway.jobs.some_dead_letters(owner, most, after);
    let (letters, next) = found.await?;
    let letters = parts(letters, which.fields.as_ref())?;
    Ok(axum::Json(Letters { letters, next }))
}

async fn replay(State(gateway): State<Gateway>, user: User) -> Result<Response, Problem> {
    let replayed = match user.admin {
        true => gateway.jobs.replay(LOOK).await?,
        false => gateway.jobs.replay_of(&user.name, LOOK).await?,
    };
    let answer = axum::Json(Replayed { replayed });
    Ok((StatusCode::ACCEPTED, answer).into_response())
}
