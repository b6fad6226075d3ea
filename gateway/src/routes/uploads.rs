//! Announces files and hands out a link to put each.

use crate::names;
use crate::run::Gateway;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use dispatcher::jobs::{Upload, UploadedFile};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::{HeaderMap, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use service::api::{Fields, Id, Limit, Part, parts};
use service::body::Json;
use service::{Api, Code, Operation, Problem, User, idempotency};
use std::collections::BTreeMap;

/// Links that are signed at once; some stores ask a service for each.
const AT_ONCE: usize = 16;

pub(super) fn add(api: Api<Gateway>) -> Api<Gateway> {
    let upload = "Id of an upload.";
    let uploads = |operation: Operation| operation.tag("uploads");
    let example = json!({"files": [{"name": "photos/a.jpg", "bytes": 123_456}]});
    api.add(
        uploads(Operation::post("/v1/uploads", "announceUpload", "Announces files, and gets a link to put each"))
            .about("Each file is then sent to its link, with its method and headers. The same announcement with the same Idempotency-Key gives new links to the same places, so that an upload goes on where it was cut off; a `resumable` file goes on in its middle.")
            .idempotent()
            .body::<Announced>(example)
            .answer::<Announcement>(201, "places for the files"),
        announce,
    )
    .add(
        uploads(Operation::get("/v1/uploads", "listUploads", "Lists your uploads, the oldest first"))
            .query::<Which>()
            .answer::<UploadList>(200, "uploads of which something has arrived"),
        list,
    )
    .add(
        uploads(Operation::get("/v1/uploads/{id}", "getUpload", "Lists the files of an upload that have arrived"))
            .id(upload)
            .answer::<Arrived>(200, "the files"),
        one,
    )
    .add(
        uploads(Operation::delete("/v1/uploads/{id}", "deleteUpload", "Removes an upload with its files"))
            .id(upload)
            .answer_empty(204, "it is gone")
            .problem(409, "a job that has not ended takes it"),
        remove,
    )
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Which {
    /// At most so many.
    limit: Option<Limit>,
    /// Those that come after this one.
    after: Option<Id>,
    /// Fields of the entries, with commas between; all where not given.
    fields: Option<Fields>,
}

#[derive(Serialize, JsonSchema)]
struct UploadList {
    uploads: Vec<Part<Upload>>,
    /// The `after` of the next page, where there may be more.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct Arrived {
    upload: String,
    files: Vec<UploadedFile>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Announced {
    /// The files, each with a name of its own.
    #[schemars(length(min = 1))]
    files: Vec<File>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct File {
    /// A relative path of any letters, such as `photos/a.jpg`.
    #[schemars(length(min = 1, max = 700))]
    name: String,
    /// Its bytes.
    bytes: u64,
}

#[derive(Serialize, JsonSchema)]
struct Announcement {
    /// Its id.
    upload: String,
    /// What a job names to take all of it.
    inputs: [String; 1],
    files: Vec<Place>,
}

#[derive(Serialize, JsonSchema)]
struct Place {
    name: String,
    /// What a job names to take this file alone.
    input: String,
    method: String,
    url: String,
    headers: BTreeMap<String, String>,
    /// When the link ends, RFC 3339 in UTC.
    expires: String,
    /// Whether a file that was cut off goes on in its middle: `HEAD` of the link tells where, `PATCH` sends the rest. A store
    /// that signs its own links takes files as a whole.
    resumable: bool,
}

async fn list(
    State(gateway): State<Gateway>,
    user: User,
    which: Result<Query<Which>, QueryRejection>,
) -> Result<axum::Json<UploadList>, Problem> {
    let Query(which) = which.map_err(|error| super::wrong_query(&error))?;
    let limit = which.limit.map_or(usize::MAX, Limit::get);
    let after = which.after.as_ref().map(Id::as_str);
    let uploads = gateway.jobs.uploads(&user.name, limit, after).await?;
    let next = uploads.last().filter(|_| uploads.len() >= limit);
    let next = next.map(|last| last.upload.clone());
    let uploads = parts(uploads, which.fields.as_ref())?;
    Ok(axum::Json(UploadList { uploads, next }))
}

async fn one(
    State(gateway): State<Gateway>,
    user: User,
    Path(upload): Path<String>,
) -> Result<axum::Json<Arrived>, Problem> {
    let files = gateway.jobs.uploaded(&user.name, &upload).await?;
    match files.is_empty() {
        true => Err(missing()),
        false => Ok(axum::Json(Arrived { upload, files })),
    }
}

async fn remove(
    State(gateway): State<Gateway>,
    user: User,
    Path(upload): Path<String>,
) -> Result<StatusCode, Problem> {
    let whole = gateway.jobs.remove_upload(&user.name, &upload).await?;
    let parts = gateway.arriving.remove(&user.name, Some(&upload)).await?;
    match whole + parts {
        0 => Err(missing()),
        _ => Ok(StatusCode::NO_CONTENT),
    }
}

fn missing() -> Problem {
    Problem::not_found("there is no such upload, or nothing of it has arrived")
}

async fn announce(
    State(gateway): State<Gateway>,
    user: User,
    headers: HeaderMap,
    Json(announced): Json<Announced>,
) -> Result<Response, Problem> {
    check(&gateway, &announced)?;
    let bytes = announced.files.iter().map(|file| file.bytes).sum();
    let upload = match idempotency::id("upload", &user.name, &headers)? {
        Some(upload) => {
            let known = arrived(&gateway, &user.name, &upload).await?;
            gateway.room(&user.name, bytes, known).await?;
            same(&gateway, &upload, &announced).await?;
            upload
        }
        None => {
            gateway.room(&user.name, bytes, 0).await?;
            worker::batch::new_job_id()
        }
    };
    let own = super::objects::base(&gateway)?;
    let places = announced.files.into_iter().map(|file| {
        let (gateway, user, upload, own) = (&gateway, &user, &upload, own.as_str());
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
                resumable: link.url.as_str().starts_with(own),
                url: link.url.to_string(),
                headers: link.headers.into_iter().collect(),
            })
        }
    });
    let places: Vec<_> = places.collect();
    let files = stream::iter(places).buffered(AT_ONCE).try_collect().await?;
    let inputs = [format!("uploads/{upload}/")];
    let answer = Announcement {
        upload,
        inputs,
        files,
    };
    Ok((StatusCode::CREATED, axum::Json(answer)).into_response())
}

/// Bytes of an upload that are there already, also in part.
async fn arrived(gateway: &Gateway, owner: &str, upload: &str) -> Result<u64, Problem> {
    if gateway.jobs.rules.stored_bytes.is_none() {
        return Ok(0);
    }
    let files = gateway.jobs.uploaded(owner, upload).await?;
    let whole: u64 = files.iter().map(|file| file.bytes).sum();
    Ok(whole + gateway.arriving.bytes(owner, Some(upload)).await?)
}

/// Refuses other files under a key that stood for some before. What was announced is remembered for as long as
/// events are.
async fn same(gateway: &Gateway, upload: &str, announced: &Announced) -> Result<(), Problem> {
    const ANNOUNCED: &str = "announced";
    let files = announced.files.iter();
    let text: Vec<String> = files.map(|f| format!("{}\n{}", f.bytes, f.name)).collect();
    let print = idempotency::fingerprint(text.join("\n").as_bytes());
    let events = &gateway.jobs.events;
    match events.fields(upload).await?.get(ANNOUNCED) {
        Some(known) if *known != print => Err(Problem::new(
            Code::Conflict,
            "other files were announced with this Idempotency-Key (draw a new key)",
        )),
        Some(_) => Ok(()),
        None => Ok(events.set_fields(upload, &[(ANNOUNCED, &print)]).await?),
    }
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
