//! Signing in at a provider of OpenID Connect: where the page goes, and what it gets for what it comes back with.
//!
//! Nothing is kept between the two, and nothing is redirected: the page draws state, nonce and verifier, and they stay in the
//! tab that began.

use crate::run::Gateway;
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use service::access::oidc::{SignedIn, Way};
use service::body::Json;
use service::{Api, Operation, Problem, Scope};

pub(super) fn add(api: Api<Gateway>) -> Api<Gateway> {
    let login = |operation: Operation| operation.tag("account").scope(Scope::Open);
    let example = json!({
        "code": "SplxlOBeZQQYbYS6WxSbIA",
        "verifier": "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        "nonce": "n-0S6_WzA2MjkS3fYtyLAw",
    });
    api.add(
        login(Operation::get("/v1/login", "getLogin", "Tells where people sign in"))
            .answer::<Places>(200, "the provider, where there is one")
            .problem(503, "the provider does not answer"),
        way,
    )
    .add(
        login(Operation::post("/v1/login", "login", "Exchanges what a provider gave to a browser for a token"))
            .about("The code of an authorization with a proof key (RFC 7636, S256); the token is the provider's ID token, which programs may show as well.")
            .body::<Code>(example)
            .answer::<Token>(200, "the token, for as long as the provider says")
            .problem(401, "the provider does not accept the code, or its token is not for this")
            .problem(403, "none of the user's groups may come in")
            .problem(404, "nobody signs in here")
            .problem(429, "too many sign in at once")
            .problem(503, "the provider does not answer"),
        exchange,
    )
}

/// Where people sign in.
#[derive(Serialize, JsonSchema)]
struct Places {
    /// The provider of OpenID Connect; missing where people have tokens alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    oidc: Option<Place>,
}

/// A provider of OpenID Connect.
#[derive(Serialize, JsonSchema)]
struct Place {
    issuer: String,
    authorization_endpoint: String,
    client_id: String,
    scope: String,
    /// Where browsers come back to.
    redirect_uri: String,
    /// The provider tells its issuer when it sends browsers back, and another one is to be refused.
    issuer_is_told: bool,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Code {
    /// What the provider gave to the browser.
    #[schemars(length(min = 1, max = 4096))]
    code: String,
    /// What the proof key was made of.
    #[schemars(regex(pattern = "^[A-Za-z0-9._~-]{43,128}$"))]
    verifier: String,
    /// What was drawn for this sign-in.
    #[schemars(regex(pattern = "^[A-Za-z0-9_-]{16,128}$"))]
    nonce: String,
}

impl Code {
    fn check(&self) -> Result<(), Problem> {
        let plain = |text: &str, more: &str| {
            let fits = |c: char| c.is_ascii_alphanumeric() || more.contains(c);
            text.chars().all(fits)
        };
        if !(1..=4096).contains(&self.code.chars().count()) {
            return Err(Problem::invalid("code", "expected 1 to 4096 characters"));
        }
        if !(43..=128).contains(&self.verifier.len()) || !plain(&self.verifier, "._~-") {
            let message = "expected 43 to 128 letters, digits, `.`, `_`, `~` and `-`";
            return Err(Problem::invalid("verifier", message));
        }
        if !(16..=128).contains(&self.nonce.len()) || !plain(&self.nonce, "_-") {
            let message = "expected 16 to 128 letters, digits, `_` and `-`";
            return Err(Problem::invalid("nonce", message));
        }
        Ok(())
    }
}

#[derive(Serialize, JsonSchema)]
struct Token {
    token: String,
    user: String,
    /// When it ends, RFC 3339 in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
}

async fn way(State(gateway): State<Gateway>) -> Result<axum::Json<Places>, Problem> {
    let Some(oidc) = gateway.entrance.oidc() else {
        return Ok(axum::Json(Places { oidc: None }));
    };
    let Way {
        issuer,
        authorization,
        client,
        scope,
        names_itself,
    } = oidc.way().await?;
    Ok(axum::Json(Places {
        oidc: Some(Place {
            issuer,
            authorization_endpoint: authorization.into(),
            client_id: client,
            scope,
            redirect_uri: gateway.public.to_string(),
            issuer_is_told: names_itself,
        }),
    }))
}

async fn exchange(
    State(gateway): State<Gateway>,
    Json(code): Json<Code>,
) -> Result<axum::Json<Token>, Problem> {
    code.check()?;
    let Some(oidc) = gateway.entrance.oidc() else {
        return Err(Problem::not_found("nobody signs in here (use a token)"));
    };
    let exchanged = oidc.exchange(&code.code, &gateway.public, &code.verifier, &code.nonce);
    let SignedIn { token, user } = exchanged.await?;
    tracing::info!(user = user.name, "somebody signed in");
    Ok(axum::Json(Token {
        token,
        expires: user.expires.map(service::access::rfc3339),
        user: user.name,
    }))
}
