//! Announces files and hands out a link to put each.

use crate::names;
use crate::run::Gateway;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use service::body::Json;
use service::{Code, Problem, User};
use std::collections::BTreeMap;

/// Links that are signed at once; some stores ask a service for each.
const AT_ONCE: usize = 16;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Announced {
    files: Vec<File>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    bytes: u64,
}

#[derive(Serialize)]
struct Upload {
    upload: String,
    inputs: [String; 1],
    files: Vec<Place>,
}

#[derive(Serialize)]
struct Place {
    name: String,
    input: String,
    method: String,
    url: String,
    headers: BTreeMap<String, String>,
    expires: String,
}

pub(super) async fn announce(
    State(gateway): State<Gateway>,
    user: User,
    Json(announced): Json<Announced>,
) -> Result<Response, Problem> {
    check(&gateway, &announced)?;
    let upload = worker::batch::new_job_id();
    let places = announced.files.into_iter().map(|file| {
        let (gateway, user, upload) = (&gateway, &user, &upload);
        async move {
            let below = format!("{upload}/{}", file.name);
            let key = dispatcher::names::upload(&user.name, &below);
            let life = gateway.limits.upload_life;
            let kind = super::objects::media_type(&file.name);
            let store = &gateway.jobs.store;
            let link = store.link_put(&key, Some(kind), file.bytes, life).await?;
            Ok::<_, cloud::Error>(Place {
                input: format!("uploads/{below}"),
                name: file.name,
                method: link.method.to_string(),
                expires: link.expires_text(),
                url: link.url.to_string(),
                headers: link.headers.into_iter().collect(),
            })
        }
    });
    let places: Vec<_> = places.collect();
    let files = stream::iter(places).buffered(AT_ONCE).try_collect().await?;
    let inputs = [format!("uploads/{upload}/")];
    let answer = Upload {
        upload,
        inputs,
        files,
    };
    Ok((StatusCode::CREATED, axum::Json(answer)).into_response())
}

fn check(gateway: &Gateway, announced: &Announced) -> Result<(), Problem> {
    let (limits, files) = (gateway.limits, &announced.files);
    let large = |key: String, n: u64, what: &str, most: u64| {
        let message = format!("`{key}`: {n} {what} are more than {most}");
        Err(Problem::new(Code::TooLarge, message))
    };
    if files.is_empty() {
        return Err(Problem::invalid("files", "there are none"));
    }
    if files.len() > limits.files {
        let (n, most) = (files.len() as u64, limits.files as u64);
        return large("files".into(), n, "files", most);
    }
    let mut sum = 0u64;
    for (n, file) in files.iter().enumerate() {
        if file.bytes > limits.file_bytes {
            let key = format!("files[{n}].bytes");
            return large(key, file.bytes, "bytes", limits.file_bytes);
        }
        sum = sum.saturating_add(file.bytes);
    }
    if sum > limits.upload_bytes {
        return large("files".into(), sum, "bytes", limits.upload_bytes);
    }
    names::check_all(files.iter().map(|file| file.name.as_str()))
}
