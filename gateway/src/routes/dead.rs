//! Messages that ran out of attempts: a user's own, or everybody's for an administrator.

use crate::run::Gateway;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use dispatcher::jobs::LOOK;
use http::StatusCode;
use serde_json::json;
use service::{Problem, User};

pub(super) async fn list(State(gateway): State<Gateway>, user: User) -> Result<Response, Problem> {
    let letters = match user.admin {
        true => gateway.jobs.dead_letters(LOOK).await?,
        false => gateway.jobs.dead_letters_of(&user.name, LOOK).await?,
    };
    Ok(axum::Json(json!({ "letters": letters })).into_response())
}

pub(super) async fn replay(
    State(gateway): State<Gateway>,
    user: User,
) -> Result<Response, Problem> {
    let n = match user.admin {
        true => gateway.jobs.replay(LOOK).await?,
        false => gateway.jobs.replay_of(&user.name, LOOK).await?,
    };
    let answer = axum::Json(json!({ "replayed": n }));
    Ok((StatusCode::ACCEPTED, answer).into_response())
}
