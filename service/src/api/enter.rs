//! What happens to a request before its handler: who is it, may it, is it in its turn, and does it say anything
//! that would have no effect.

use super::operation::{Operation, Scope};
use crate::access::{Entrance, User};
use crate::audit::Act;
use crate::listen::Peer;
use crate::problem::{Code, Problem};
use crate::telemetry::request::RequestId;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, Method, header};
use percent_encoding::percent_decode_str;
use std::sync::Arc;

/// What one operation asks of requests.
#[derive(Debug)]
pub(super) struct Gate {
    entrance: Entrance,
    scope: Scope,
    /// Keys of its query; None: it checks its query itself.
    query: Option<Vec<String>>,
    body: bool,
    endless: bool,
    /// Its name in the audit.
    operation: &'static str,
}

impl Gate {
    pub(super) fn new(operation: &Operation, entrance: &Entrance) -> Gate {
        Gate {
            entrance: entrance.clone(),
            scope: operation.scope,
            // A link's signature covers its query, whose order counts.
            query: (operation.scope != Scope::Link && !operation.any_query)
                .then(|| operation.query_names()),
            body: operation.body.is_some(),
            endless: operation.endless,
            operation: operation.id,
        }
    }

    fn needs_token(&self) -> bool {
        matches!(self.scope, Scope::Read | Scope::Submit | Scope::Admin)
    }
}

pub(super) async fn enter(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    let user = match gate.needs_token() {
        true => Some(gate.entrance.who(request.headers()).await),
        false => None,
    };
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    if !changes && !matches!(user, Some(Err(_))) {
        return answer(&gate, user, request, next).await;
    }
    let who = user.as_ref().and_then(|user| user.as_ref().ok());
    let who = who.map(|user| user.name.clone());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let from = request.extensions().get::<Peer>();
    let from = from.map(|peer| peer.0);
    let id = request.extensions().get::<RequestId>().cloned();
    let response = answer(&gate, user, request, next).await;
    gate.entrance.audit().note(&Act {
        user: who.as_deref(),
        from,
        method: &method,
        path: &path,
        operation: gate.operation,
        status: response.status(),
        request: id.as_ref(),
    });
    response
}

async fn answer(
    gate: &Gate,
    user: Option<Result<User, Problem>>,
    mut request: Request,
    next: Next,
) -> Response {
    let user = match user {
        Some(Ok(user)) => user,
        Some(Err(problem)) => return problem.into_response(),
        None => {
            return match check(gate, &request) {
                Ok(()) => next.run(request).await,
                Err(problem) => problem.into_response(),
            };
        }
    };
    let taken = gate.entrance.rates().take(&user.name, gate.endless);
    let (standing, place) = match taken {
        Ok(taken) => taken,
        Err((standing, problem)) => return standing.tell(problem.into_response()),
    };
    let checked = may(gate.scope, &user).and_then(|()| check(gate, &request));
    let response = match checked {
        Ok(()) => {
            request.extensions_mut().insert(user);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    };
    // Until its head is made; bodies of lists are whole by then, and those that go on have seats of their own.
    drop(place);
    standing.tell(response)
}

/// Whether a user's token is good for this.
fn may(scope: Scope, user: &User) -> Result<(), Problem> {
    match scope {
        Scope::Admin if !user.admin => Err(Problem::new(
            Code::Forbidden,
            "only an administrator may do this (hint: sundog token add --admin)",
        )),
        Scope::Read if !user.read => Err(Problem::new(
            Code::Forbidden,
            "this token is not good for looking (hint: one with the scope read)",
        )),
        Scope::Submit if !user.submit => Err(Problem::new(
            Code::Forbidden,
            "this token is good for looking alone (hint: one with the scope submit)",
        )),
        _ => Ok(()),
    }
}

/// Refuses by name what would have no effect.
fn check(gate: &Gate, request: &Request) -> Result<(), Problem> {
    if let (Some(known), Some(query)) = (&gate.query, request.uri().query()) {
        check_query(known, query)?;
    }
    if !gate.body && has_body(request.headers()) {
        return Err(Problem::new(
            Code::Invalid,
            "this address takes no body (leave it out)",
        ));
    }
    Ok(())
}

fn check_query(known: &[String], query: &str) -> Result<(), Problem> {
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let name = pair.split_once('=').map_or(pair, |(name, _)| name);
        let name = percent_decode_str(name).decode_utf8_lossy();
        if known.iter().any(|known| *known == name) {
            continue;
        }
        let hint = match known {
            [] => "this address takes none".to_owned(),
            known => format!("there are {}", known.join(", ")),
        };
        let shown: String = name.escape_debug().take(100).collect();
        let message = format!("there is no such parameter ({hint})");
        return Err(Problem::invalid(shown, message));
    }
    Ok(())
}

fn has_body(headers: &HeaderMap) -> bool {
    let none = HeaderValue::from_static("0");
    headers.contains_key(header::TRANSFER_ENCODING)
        || headers
            .get(header::CONTENT_LENGTH)
            .is_some_and(|length| *length != none)
}

#[cfg(test)]
mod tests {
    use super::super::{Api, Operation, Scope};
    use crate::access::{Entrance, Tokens, User};
    use crate::rates::Shares;
    use axum::Extension;
    use axum::body::Body;
    use http::{Request, StatusCode};
    use schemars::JsonSchema;
    use tower::ServiceExt as _;

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "its fields are names of keys")]
    struct Which {
        limit: Option<u32>,
    }

    fn router(shares: Shares) -> axum::Router {
        let tokens = Tokens::single("ada", "swordfish").unwrap();
        let entrance = Entrance::new(tokens, shares);
        let list = Operation::get("/list", "list", "Lists").query::<Which>();
        let open = Operation::get("/open", "open", "Opens").scope(Scope::Open);
        let act = Operation::post("/act", "act", "Acts");
        Api::<()>::new(&entrance)
            .add(list, async |Extension(user): Extension<User>| user.name)
            .add(open, async || "open")
            .add(act, async || "done")
            .into_router()
    }

    async fn call(
        router: &axum::Router,
        method: &str,
        path: &str,
        body: &str,
    ) -> (StatusCode, String) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", "Bearer swordfish")
            .header("content-length", body.len())
            .body(Body::from(body.to_owned()))
            .unwrap();
        let answer = router.clone().oneshot(request).await.unwrap();
        let status = answer.status();
        let body = axum::body::to_bytes(answer.into_body(), 10_000).await;
        (status, String::from_utf8(body.unwrap().to_vec()).unwrap())
    }

    #[tokio::test]
    async fn what_has_no_effect_is_refused_by_name() {
        let router = router(Shares::default());
        let (status, body) = call(&router, "GET", "/list?limit=3", "").await;
        assert_eq!((status, body.as_str()), (StatusCode::OK, "ada"));
        for (path, key) in [
            ("/list?limt=3", "\"key\":\"limt\""),
            ("/list?limit=3&%6corder", "\"key\":\"lorder\""),
            ("/open?x=1", "\"key\":\"x\""),
        ] {
            let (status, body) = call(&router, "GET", path, "").await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{path}");
            assert!(body.contains(key), "{body}");
        }
        assert_eq!(call(&router, "POST", "/act", "").await.0, StatusCode::OK);
        let (status, body) = call(&router, "POST", "/act", "{}").await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
    }

    #[tokio::test]
    async fn requests_beyond_the_rate_are_told_when_to_come_again() {
        let shares = Shares {
            requests_a_minute: Some(2),
            ..Shares::default()
        };
        let router = router(shares);
        let ask = async || {
            let request = Request::get("/list")
                .header("authorization", "Bearer swordfish")
                .body(Body::empty());
            let answer = router.clone().oneshot(request.unwrap()).await.unwrap();
            let header = |name: &str| {
                let value = answer.headers().get(name);
                value.map(|value| value.to_str().unwrap().to_owned())
            };
            (
                answer.status().as_u16(),
                header("ratelimit"),
                header("ratelimit-policy"),
                header("retry-after"),
            )
        };
        let policy = || Some("\"requests\";q=2;w=60".to_owned());
        let left = |r: u32, t: u32| Some(format!("\"requests\";r={r};t={t}"));
        assert_eq!(ask().await, (200, left(1, 30), policy(), None));
        assert_eq!(ask().await, (200, left(0, 60), policy(), None));
        let (status, standing, _, retry) = ask().await;
        assert_eq!((status, standing), (429, left(0, 60)));
        let retry: u32 = retry.unwrap().parse().unwrap();
        assert!((29..=30).contains(&retry), "{retry}");
        // Nobody is counted who is not known.
        let strange = Request::get("/list").body(Body::empty()).unwrap();
        let answer = router.clone().oneshot(strange).await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        let open = Request::get("/open").body(Body::empty()).unwrap();
        let answer = router.clone().oneshot(open).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
    }
}
