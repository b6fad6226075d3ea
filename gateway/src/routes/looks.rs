//! How results look beside their inputs: histograms and thumbnails, of any format that is read here.

use crate::run::Gateway;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use dispatcher::names;
use http::header;
use imaging::codec::{self, Format, KeepMetadata, Limits, OpenOptions, orientation};
use imaging::comm::serial::Serial;
use imaging::executor::{Context, guarded, run_rows};
use imaging::{Image, Metadata, Pipeline, Plan, Rows, Shape};
use preview::{Histograms, screen};
use protocol::TaskReceipt;
use protocol::state::TaskState;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use service::{Api, Code, Operation, Problem, User};
use std::io::Cursor;
use tokio::sync::Semaphore;

/// Bytes of a file that is looked at.
const MOST_BYTES: u64 = 256 << 20;
/// Longest side of a thumbnail.
const SIDE: usize = 320;
/// Pictures are decoded one after the other: what a gateway is for comes first.
static LOOKING: Semaphore = Semaphore::const_new(1);

pub(super) fn add(api: Api<Gateway>) -> Api<Gateway> {
    let of = |operation: Operation| {
        let number = json!({"type": "integer", "minimum": 0, "maximum": u32::MAX});
        operation.tag("results").id("Id of a job.").path(
            "number",
            "Number of an image in the job, from 0.",
            number,
        )
    };
    api.add(
        of(Operation::get(
            "/v1/jobs/{id}/results/{number}/histogram",
            "getHistogram",
            "Counts the brightness of an image before and after",
        ))
        .answer::<Both>(200, "256 counts of brightness, red, green and blue of both"),
        histogram,
    )
    .add(
        of(Operation::get(
            "/v1/jobs/{id}/results/{number}/thumbnail",
            "getThumbnail",
            "Makes a small picture of an image, whatever its format is",
        ))
        .query::<Side>()
        .answer_as(200, "at most 320 pixels wide and high", "image/png"),
        thumbnail,
    )
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Which {
    Before,
    After,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Side {
    /// The input or the output.
    side: Which,
}

/// Both sides; an input that is no upload is not fetched for this.
#[derive(Serialize, JsonSchema)]
struct Both {
    #[schemars(with = "Option<Counts>")]
    before: Option<Histograms>,
    #[schemars(with = "Counts")]
    after: Histograms,
}

/// How many pixels have each value from 0 to 255.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it describes what another crate writes")]
struct Counts {
    /// Brightness, as the operation `grayscale` computes it.
    luma: Vec<u64>,
    red: Vec<u64>,
    green: Vec<u64>,
    blue: Vec<u64>,
}

async fn histogram(
    State(gateway): State<Gateway>,
    user: User,
    Path((id, number)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let receipt = task(&gateway, &user.name, &id, &number).await?;
    let before = match place(&user.name, &id, &receipt, Which::Before) {
        Some(name) => Some(look(&gateway, name, receipt.page, Histograms::of).await?),
        None => None,
    };
    let Some(name) = place(&user.name, &id, &receipt, Which::After) else {
        return Err(Problem::not_found("this task has no output"));
    };
    let after = look(&gateway, name, None, Histograms::of).await?;
    Ok(axum::Json(Both { before, after }).into_response())
}

async fn thumbnail(
    State(gateway): State<Gateway>,
    user: User,
    Path((id, number)): Path<(String, String)>,
    side: Result<Query<Side>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(side) = side.map_err(|error| super::wrong_query(&error))?;
    let receipt = task(&gateway, &user.name, &id, &number).await?;
    let Some(name) = place(&user.name, &id, &receipt, side.side) else {
        return Err(Problem::not_found(match side.side {
            Which::Before => "the input is no upload, so it is not shown here",
            Which::After => "this task has no output",
        }));
    };
    let page = match side.side {
        Which::Before => receipt.page,
        Which::After => None,
    };
    let png = look(&gateway, name, page, small).await?;
    let named = [
        (header::CONTENT_TYPE, "image/png"),
        // A result is never another one, but for a retry.
        (header::CACHE_CONTROL, "private, max-age=600"),
    ];
    Ok((named, png?).into_response())
}

/// The receipt of a task that has an output.
async fn task(
    gateway: &Gateway,
    owner: &str,
    id: &str,
    number: &str,
) -> Result<TaskReceipt, Problem> {
    let wanted: Option<u64> = number.parse().ok();
    let before = wanted.and_then(|wanted| wanted.checked_sub(1));
    let receipts = gateway.jobs.some_tasks(owner, id, 1, before).await?;
    let found = receipts
        .into_iter()
        .find(|receipt| Some(receipt.task) == wanted);
    let number: String = number.escape_debug().take(20).collect();
    match found {
        Some(receipt) if receipt.state == TaskState::Succeeded => Ok(receipt),
        _ => Err(Problem::not_found(format!(
            "task {number} of this job has no result (yet)"
        ))),
    }
}

/// The object of a side: the first output, or an upload of the same owner.
fn place(owner: &str, id: &str, receipt: &TaskReceipt, side: Which) -> Option<String> {
    match side {
        Which::After => {
            let outputs = names::outputs_of(id, receipt);
            outputs.into_iter().next().map(|(name, _)| name)
        }
        Which::Before => names::uploaded(owner, &receipt.input),
    }
}

/// Decodes an object, upright, and does something with it.
async fn look<T: Send + 'static>(
    gateway: &Gateway,
    name: String,
    page: Option<u32>,
    work: fn(&Rows) -> T,
) -> Result<T, Problem> {
    let _turn = LOOKING.acquire().await;
    let bytes = gateway.jobs.store.get(&name, MOST_BYTES).await?;
    let page = page.map_or(0, |page| page.saturating_sub(1));
    let work = move || guarded(|| decoded(bytes.to_vec(), page).map(|rows| work(&rows)));
    let done = tokio::task::spawn_blocking(work).await;
    match done {
        Ok(Ok(made)) => Ok(made),
        Ok(Err(error)) => Err(Problem::new(
            Code::Invalid,
            format!("it cannot be shown: {error}"),
        )),
        Err(error) => Err(Problem::internal(&error)),
    }
}

fn decoded(bytes: Vec<u8>, page: u32) -> imaging::Result<Rows> {
    let limits = Limits {
        max_pixels: 64_000_000,
        max_bytes: 1 << 30,
        ..Limits::default()
    };
    let header = codec::probe_page(&mut Cursor::new(&bytes[..]), &limits, page)?;
    let options = OpenOptions { shrink: 1, page };
    let image = codec::decode(bytes, &limits, &options)?;
    let turns = orientation::steps(header.orientation);
    run(&Plan::from_steps(&turns, header.shape)?, image.rows)
}

fn run(plan: &Plan, rows: Rows) -> imaging::Result<Rows> {
    let comm = Serial::default();
    run_rows(&mut Context::new(&comm), plan, rows)
}

/// A PNG of 8 bits that fits into a square, never enlarged.
fn small(rows: &Rows) -> Result<Vec<u8>, Problem> {
    let made = || {
        let shown = imaging::Buffer::U8(screen::rgba(rows));
        let shape = Shape {
            color: imaging::Color::Rgba,
            sample: imaging::SampleType::U8,
            ..rows.shape
        };
        let mut rows = Image::new(shape, shown).rows;
        if shape.rows.max(shape.cols) > SIDE {
            let pipeline = Pipeline::parse(&format!("thumbnail(size={SIDE})"))?;
            rows = run(&Plan::new(&pipeline, shape)?, rows)?;
        }
        let metadata = Metadata::default();
        let image = Image { rows, metadata };
        codec::encode(&image, &Format::parse("png")?, KeepMetadata::None)
    };
    made().map_err(|error: imaging::Error| Problem::new(Code::Invalid, error.to_string()))
}
