//! OpenID Connect: people sign in at a provider, and its tokens are good here. Nothing is kept: a token is its user until it
//! expires, and what a user may do is in the token's groups.
//!
//! A page draws state, nonce and the verifier of a proof key (RFC 7636), and goes to the provider; what it comes back with it
//! hands to [`Oidc::exchange`]. Programs show a token of the provider as they show one of the tokens file.

mod jwt;
mod provider;
mod roles;

pub use roles::{Members, Roles};

use super::User;
use crate::problem::{Code, Problem};
use jwt::{Signed, Wrong};
use provider::{Known, Provider};
use serde_json::{Map, Value};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use subtle::ConstantTimeEq as _;
use tokio::sync::Semaphore;
use url::Url;

/// How far clocks may differ.
const LEEWAY: Duration = Duration::from_secs(30);
/// Codes that are exchanged at once, whoever asks.
const EXCHANGES: usize = 16;

/// How a provider is used.
#[derive(Clone)]
pub struct Settings {
    /// Where it is, exactly as it calls itself.
    pub issuer: String,
    /// What it calls us; tokens must be made for this.
    pub client: String,
    /// What shows that it is we who exchange a code; none for a public client.
    pub secret: Option<String>,
    /// Other audiences whose tokens programs may show.
    pub audiences: Vec<String>,
    /// What is asked of it beside `openid`.
    pub scopes: Vec<String>,
    /// The claim that names users.
    pub user_claim: String,
    /// The claim that lists groups.
    pub groups_claim: String,
    /// What members of which groups may do.
    pub roles: Roles,
}

/// A provider whose users may come in. Clones share it.
#[derive(Clone)]
pub struct Oidc(Arc<Inner>);

struct Inner {
    settings: Settings,
    provider: Provider,
    exchanges: Semaphore,
}

impl fmt::Debug for Oidc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Oidc({})", self.0.settings.issuer)
    }
}

/// Where a page sends whoever signs in.
#[derive(Clone, Debug)]
pub struct Way {
    /// The provider, as it calls itself.
    pub issuer: String,
    /// Where people sign in.
    pub authorization: Url,
    /// What it calls us.
    pub client: String,
    /// What is asked of it, with spaces between.
    pub scope: String,
    /// It names itself in its answer, which must be the issuer.
    pub names_itself: bool,
}

/// What came of a sign-in.
#[derive(Debug)]
pub struct SignedIn {
    /// What requests show from now on.
    pub token: String,
    /// Whose it is.
    pub user: User,
}

fn unauthorized(message: impl Into<String>) -> Problem {
    Problem::new(Code::Unauthorized, message)
}

impl Oidc {
    /// Says what is wrong with settings; the provider is asked later.
    pub fn new(settings: Settings) -> Result<Oidc, String> {
        let issuer = provider::address(&settings.issuer)?;
        if issuer.query().is_some() || issuer.fragment().is_some() {
            return Err(format!("`{issuer}` is no issuer: it has a query"));
        }
        if settings.client.is_empty() {
            return Err("the name that the provider has for this client is missing".into());
        }
        if settings.roles.nobody() {
            return Err("no group may do anything, so nobody could come in".into());
        }
        Ok(Oidc(Arc::new(Inner {
            provider: Provider::new(&settings.issuer)?,
            exchanges: Semaphore::new(EXCHANGES),
            settings,
        })))
    }

    /// Whether a text has the form of a provider's tokens, which none of the tokens file's has.
    pub fn is_token(text: &str) -> bool {
        text.len() <= jwt::MAX_TOKEN && text.split('.').count() == 3
    }

    /// Where people sign in.
    pub async fn way(&self) -> Result<Way, Problem> {
        let (known, settings) = (self.0.provider.known().await?, &self.0.settings);
        let scopes = settings.scopes.iter().map(String::as_str);
        let scopes: Vec<&str> = ["openid"].into_iter().chain(scopes).collect();
        Ok(Way {
            issuer: settings.issuer.clone(),
            authorization: known.authorization.clone(),
            client: settings.client.clone(),
            scope: scopes.join(" "),
            names_itself: known.names_itself,
        })
    }

    /// Whose token a program shows.
    pub async fn user(&self, token: &str) -> Result<User, Problem> {
        let signed = self.signed(token).await?;
        let settings = &self.0.settings;
        let known = |audience: &str| {
            audience == settings.client || settings.audiences.iter().any(|a| a == audience)
        };
        if !audiences(&signed.claims).into_iter().any(known) {
            return Err(unauthorized("this token was made for somebody else"));
        }
        self.user_of(&signed)
    }

    /// Exchanges what a provider gave to a page. `verifier` and `nonce` are what the page drew before it went there.
    pub async fn exchange(
        &self,
        code: &str,
        redirect: &Url,
        verifier: &str,
        nonce: &str,
    ) -> Result<SignedIn, Problem> {
        let Ok(_place) = self.0.exchanges.try_acquire() else {
            let message = "too many sign in at once";
            return Err(Problem::new(Code::Busy, message));
        };
        let known = self.0.provider.known().await?;
        let token = self.redeem(&known, code, redirect, verifier).await?;
        let signed = self.signed(&token).await?;
        let (claims, client) = (&signed.claims, self.0.settings.client.as_str());
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        if !audiences(claims).contains(&client) {
            return Err(unauthorized("the provider's token is for somebody else"));
        }
        if claims.contains_key("azp") && text("azp") != Some(client) {
            let message = "the provider's token was made for another client";
            return Err(unauthorized(message));
        }
        let own = text("nonce").is_some_and(|own| own.as_bytes().ct_eq(nonce.as_bytes()).into());
        if !own {
            let message = "the provider's token is of another sign-in (hint: sign in again)";
            return Err(unauthorized(message));
        }
        let user = self.user_of(&signed)?;
        Ok(SignedIn { token, user })
    }

    /// The ID token for a code.
    async fn redeem(
        &self,
        known: &Known,
        code: &str,
        redirect: &Url,
        verifier: &str,
    ) -> Result<String, Problem> {
        let settings = &self.0.settings;
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect.as_str()),
            ("code_verifier", verifier),
            ("client_id", &settings.client),
        ];
        let mut request = self.0.provider.http.post(known.token.clone());
        match &settings.secret {
            Some(secret) if known.secret_in_body => form.push(("client_secret", secret)),
            Some(secret) => {
                // RFC 6749, 2.3.1: both in the form of forms.
                let coded = |text: &str| {
                    let coded = url::form_urlencoded::byte_serialize(text.as_bytes());
                    coded.collect::<String>()
                };
                request = request.basic_auth(coded(&settings.client), Some(coded(secret)));
            }
            None => {}
        }
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let request = request
            .header("content-type", "application/x-www-form-urlencoded")
            .header("accept", "application/json")
            .body(body);
        let away = |reason: String| {
            let issuer = &settings.issuer;
            tracing::warn!(%issuer, reason, "a code could not be exchanged");
            let message = "the provider of sign-ins cannot be reached (the log tells why)";
            Problem::new(Code::Unavailable, message)
        };
        let answer = request.send().await;
        let answer = answer.map_err(|error| away(provider::cause(&error)))?;
        let status = answer.status();
        let bytes = provider::body(answer).await.map_err(away)?;
        let answer: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        if !status.is_success() {
            let error = answer.get("error").and_then(Value::as_str);
            let error = error.unwrap_or("no reason").escape_debug().to_string();
            tracing::info!(%status, error, "the provider refuses a code");
            let message = "the provider does not accept this sign-in (hint: sign in again)";
            return Err(unauthorized(message));
        }
        let token = answer.get("id_token").and_then(Value::as_str);
        let token = token.ok_or_else(|| away("its answer has no id_token".into()))?;
        Ok(token.to_owned())
    }

    /// What a token says that the provider signed, that is of now, and of this provider.
    async fn signed(&self, token: &str) -> Result<Signed, Problem> {
        let known = self.0.provider.known().await?;
        let mut checked = known.keys.check(token);
        if matches!(checked, Err(Wrong::Key))
            && let Some(known) = self.0.provider.again().await
        {
            checked = known.keys.check(token);
        }
        let signed = checked.map_err(|wrong| {
            unauthorized(match wrong {
                Wrong::Form => "this token is not known here",
                Wrong::Algorithm => "this token is signed in a way that is not accepted",
                Wrong::Key | Wrong::Signature => "this token is not signed by the provider",
            })
        })?;
        self.of_now(&signed)?;
        Ok(signed)
    }

    fn of_now(&self, signed: &Signed) -> Result<(), Problem> {
        let claims = &signed.claims;
        let issuer = claims.get("iss").and_then(Value::as_str);
        if issuer != Some(&self.0.settings.issuer) {
            return Err(unauthorized("this token is of another provider"));
        }
        // What tells of a sign-out is no permission.
        if claims.contains_key("events") || signed.kind.starts_with("logout") {
            return Err(unauthorized("this token is no user's"));
        }
        let now = SystemTime::now();
        match seconds(claims, "exp")? {
            Some(end) if end + LEEWAY > now => {}
            Some(_) => return Err(unauthorized("this token has expired (hint: sign in again)")),
            None => {
                return Err(unauthorized(
                    "this token never expires, so it is not accepted",
                ));
            }
        }
        for name in ["nbf", "iat"] {
            if seconds(claims, name)?.is_some_and(|begin| begin > now + LEEWAY) {
                return Err(unauthorized(
                    "this token is not good yet (is the clock right?)",
                ));
            }
        }
        Ok(())
    }

    fn user_of(&self, signed: &Signed) -> Result<User, Problem> {
        let (claims, settings) = (&signed.claims, &self.0.settings);
        let name = claims.get(&settings.user_claim).and_then(Value::as_str);
        let name = name.and_then(roles::user_name).ok_or_else(|| {
            let claim = &settings.user_claim;
            unauthorized(format!("the token's claim `{claim}` names no user"))
        })?;
        let verified = claims.get("email_verified");
        if settings.user_claim == "email" && verified != Some(&Value::Bool(true)) {
            let message = "the provider has not verified this address";
            return Err(unauthorized(message));
        }
        let groups = roles::groups(claims.get(&settings.groups_claim));
        let expires = seconds(claims, "exp")?;
        let roles = &settings.roles;
        let admin = roles.admin.has(&groups);
        let submit = admin || roles.submit.has(&groups);
        let read = submit || roles.read.has(&groups);
        let user = User {
            admin,
            read,
            submit,
            name,
            expires,
        };
        match read {
            true => Ok(user),
            false => Err(Problem::new(
                Code::Forbidden,
                "none of your groups may come in here (hint: ask whoever serves this)",
            )),
        }
    }
}

/// For whom a token was made.
fn audiences(claims: &Map<String, Value>) -> Vec<&str> {
    match claims.get("aud") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// A claim that is a moment. One of another form is refused, not left out.
fn seconds(claims: &Map<String, Value>, name: &str) -> Result<Option<SystemTime>, Problem> {
    let Some(value) = claims.get(name) else {
        return Ok(None);
    };
    let seconds = value.as_f64().filter(|s| (0.0..1e11).contains(s));
    let moment = seconds.map(|s| UNIX_EPOCH + Duration::from_secs_f64(s));
    match moment {
        Some(moment) => Ok(Some(moment)),
        None => Err(unauthorized(format!("the token's `{name}` is no moment"))),
    }
}
