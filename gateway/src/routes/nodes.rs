//! Which nodes work, what they did lately, and how many there are to be.

use crate::run::Gateway;
use axum::extract::{Request, State};
use dispatcher::jobs::Nodes;
use dispatcher::scale::{Scale, Scaled};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use service::api::Scope;
use service::{Api, Code, Operation, Problem, User, body};

pub(super) fn add(api: Api<Gateway>) -> Api<Gateway> {
    api.add(
        Operation::get("/v1/nodes", "listNodes", "Lists the nodes that work, and what they did lately")
            .about("Each says its state (working, draining, quarantined and why), slots, load and what it has in hand; `series` is of the last 15 minutes.")
            .tag("nodes")
            .answer::<Answer>(200, "nodes, as they describe themselves"),
        nodes,
    )
    .add(
        Operation::put("/v1/scale", "scale", "Sets how many workers there are")
            .about("A `sundog serve` starts and drains its own; a cluster's gateway runs the program of its operator.")
            .tag("nodes")
            .scope(Scope::Admin)
            .body::<Wish>(json!({"workers": 4}))
            .answer::<Scaled>(200, "they are asked for")
            .problem(409, "nothing is known that starts workers, or it failed"),
        scale,
    )
}

/// What nodes there are, and for those who may change it how many there are to be.
#[derive(Serialize, JsonSchema)]
struct Answer {
    #[serde(flatten)]
    nodes: Nodes,
    #[serde(skip_serializing_if = "Option::is_none")]
    workers: Option<Workers>,
}

/// How many workers were asked for last, where that is known, and how many there may be.
#[derive(Serialize, JsonSchema)]
struct Workers {
    wanted: Option<usize>,
    most: usize,
}

impl Workers {
    fn of(scale: &dyn Scale) -> Workers {
        Workers {
            wanted: scale.wanted(),
            most: scale.most(),
        }
    }
}

async fn nodes(State(gateway): State<Gateway>, user: User) -> Result<axum::Json<Answer>, Problem> {
    let nodes = gateway.jobs.nodes().await?;
    let workers = may(&gateway, &user).ok().map(Workers::of);
    Ok(axum::Json(Answer { nodes, workers }))
}

/// A wish for workers.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Wish {
    /// How many; at least one.
    workers: usize,
}

async fn scale(
    State(gateway): State<Gateway>,
    user: User,
    request: Request,
) -> Result<axum::Json<Scaled>, Problem> {
    let scale = may(&gateway, &user)?;
    let bytes = body::json_bytes(request, &gateway).await?;
    let wish: Wish = body::parse(&bytes)?;
    let scaled = scale.scale(wish.workers).await?;
    tracing::info!(user = %user.name, workers = wish.workers, "workers were asked for");
    Ok(axum::Json(scaled))
}

/// What starts workers, for administrators: it costs machines, or takes them from others.
fn may<'a>(gateway: &'a Gateway, user: &User) -> Result<&'a dyn Scale, Problem> {
    if !user.admin {
        return Err(Problem::new(
            Code::Forbidden,
            "only an administrator changes the number of workers (hint: sundog token add NAME --admin)",
        ));
    }
    gateway.scale.as_deref().ok_or_else(|| {
        Problem::new(
            Code::Conflict,
            "this gateway knows no program that starts workers (hint: SUNDOG_SCALE_COMMAND, see docs/deploy.md)",
        )
    })
}
