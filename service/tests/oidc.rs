//! Sign-ins at a provider, and what an attacker tries: tokens that nobody signed, or somebody else, or for somebody else, or long ago.

#![allow(clippy::unwrap_used)]

use axum::extract::State;
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};
use service::access::oidc::{Members, Oidc, Roles, Settings};
use service::{Code, Problem};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};
use url::Url;

/// A provider that signs whatever it is told to.
struct Fake {
    issuer: String,
    key: Ed25519KeyPair,
    other: Ed25519KeyPair,
    /// What it answers when a code is exchanged, and what it was told then.
    next: Arc<Mutex<String>>,
    told: Arc<Mutex<HashMap<String, String>>>,
}

fn coded(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn sign(key: &Ed25519KeyPair, header: &Value, claims: &Value) -> String {
    let signed = format!("{}.{}", coded(header), coded(claims));
    let mac = URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes()));
    format!("{signed}.{mac}")
}

impl Fake {
    async fn start() -> Fake {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let key = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        let other = Ed25519KeyPair::from_seed_unchecked(&[8; 32]).unwrap();
        let own = json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/auth"),
            "token_endpoint": format!("{issuer}/token"),
            "jwks_uri": format!("{issuer}/keys"),
        });
        let keys = json!({"keys": [
            {"kty": "OKP", "crv": "Ed25519", "kid": "k", "use": "sig",
             "x": URL_SAFE_NO_PAD.encode(key.public_key().as_ref())},
            {"kty": "OKP", "crv": "Ed25519", "kid": "enc", "use": "enc",
             "x": URL_SAFE_NO_PAD.encode(other.public_key().as_ref())},
            {"kty": "strange", "kid": 3},
        ]});
        let (next, told) = (Arc::<Mutex<String>>::default(), Arc::default());
        type Shared = (Arc<Mutex<String>>, Arc<Mutex<HashMap<String, String>>>);
        let exchange = async |State((next, told)): State<Shared>, body: Bytes| {
            *told.lock().unwrap() = url::form_urlencoded::parse(&body).into_owned().collect();
            axum::Json(json!({"id_token": *next.lock().unwrap()}))
        };
        let router = axum::Router::new()
            .route(
                "/.well-known/openid-configuration",
                get(async move || axum::Json(own)),
            )
            .route("/keys", get(async move || axum::Json(keys)))
            .route("/token", post(exchange))
            .with_state((Arc::clone(&next), Arc::clone(&told)));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Fake {
            issuer,
            key,
            other,
            next,
            told,
        }
    }

    fn oidc(&self) -> Oidc {
        Oidc::new(self.settings()).unwrap()
    }

    fn settings(&self) -> Settings {
        let members = |group: &str| Members::of(vec![group.to_owned()]);
        Settings {
            issuer: self.issuer.clone(),
            client: "sundog".into(),
            secret: None,
            audiences: vec!["robots".into()],
            scopes: vec!["groups".into()],
            user_claim: "sub".into(),
            groups_claim: "groups".into(),
            roles: Roles {
                admin: members("ops"),
                read: members("*"),
                submit: members("staff"),
            },
        }
    }

    /// A token as it should be, with some claims otherwise; null takes one away.
    fn token(&self, claims: Value) -> String {
        sign(
            &self.key,
            &json!({"alg": "EdDSA", "kid": "k"}),
            &self.claims(claims),
        )
    }

    fn claims(&self, other: Value) -> Value {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let now = now.as_secs();
        let mut claims = json!({
            "iss": self.issuer, "aud": "sundog", "sub": "ada", "groups": ["staff", "x"],
            "iat": now, "exp": now + 300, "nonce": "n0",
        });
        for (name, value) in other.as_object().unwrap() {
            match value {
                Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
                value => claims[name] = value.clone(),
            }
        }
        claims
    }
}

#[tokio::test]
async fn a_token_of_the_provider_is_its_user_with_the_roles_of_its_groups() {
    let fake = Fake::start().await;
    let oidc = fake.oidc();
    let user = async |claims: Value| oidc.user(&fake.token(claims)).await.unwrap();
    let ada = user(json!({})).await;
    assert_eq!(
        (ada.name.as_str(), ada.scopes()),
        ("ada", vec!["read", "submit"])
    );
    assert!(ada.expires.is_some());
    let admin = user(json!({"groups": ["ops"]})).await;
    assert_eq!(admin.scopes(), ["read", "submit", "admin"]);
    let guest = user(json!({"groups": null})).await;
    assert_eq!(guest.scopes(), ["read"]);
    let robot = user(json!({"aud": ["else", "robots"], "groups": "staff"})).await;
    assert!(robot.submit);
    // Names of two users are two names.
    let odd = user(json!({"sub": "auth0|a_b"})).await;
    assert_eq!(odd.name, "auth0_7ca_5fb");
    assert_eq!(user(json!({"sub": "../x"})).await.name, "_2e._2fx");
}

#[tokio::test]
async fn tokens_that_are_not_the_providers_are_refused() {
    let fake = Fake::start().await;
    let oidc = fake.oidc();
    let good = fake.token(json!({}));
    assert!(oidc.user(&good).await.is_ok());
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let claims = fake.claims(json!({}));
    let signed_by = |key: &Ed25519KeyPair, header: Value| sign(key, &header, &claims);
    let (head, rest) = good.split_once('.').unwrap();
    let (body, mac) = rest.split_once('.').unwrap();
    let evil = coded(&fake.claims(json!({"sub": "root", "groups": ["ops"]})));
    let none = coded(&json!({"alg": "none"}));
    let hs = json!({"alg": "HS256", "kid": "k"});
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(fake.other.public_key().as_ref())});
    let mut cases = vec![
        ("its body is another's", format!("{head}.{evil}.{mac}")),
        ("nobody signed it", format!("{none}.{body}.")),
        (
            "nobody signed it, with a signature",
            format!("{none}.{body}.{mac}"),
        ),
        (
            "`None`",
            format!("{}.{body}.", coded(&json!({"alg": "None"}))),
        ),
        ("its signature is gone", format!("{head}.{body}.")),
        ("it is signed by a shared secret", {
            // The public key taken for one.
            let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, fake.key.public_key().as_ref());
            let signed = format!("{}.{evil}", coded(&hs));
            let mac = ring::hmac::sign(&key, signed.as_bytes());
            format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac))
        }),
        (
            "another signed it",
            signed_by(&fake.other, json!({"alg": "EdDSA", "kid": "k"})),
        ),
        (
            "a key that is not for signatures",
            signed_by(&fake.other, json!({"alg": "EdDSA", "kid": "enc"})),
        ),
        (
            "a key of nobody",
            signed_by(&fake.other, json!({"alg": "EdDSA", "kid": "x"})),
        ),
        (
            "a key of no name that is another's",
            signed_by(&fake.other, json!({"alg": "EdDSA"})),
        ),
        (
            "a key that it brings itself",
            signed_by(&fake.other, json!({"alg": "EdDSA", "jwk": jwk})),
        ),
        (
            "an algorithm of another kind of key",
            signed_by(&fake.key, json!({"alg": "RS256", "kid": "k"})),
        ),
        (
            "an extension",
            signed_by(
                &fake.key,
                json!({"alg": "EdDSA", "kid": "k", "crit": ["b64"]}),
            ),
        ),
        (
            "a sign-out",
            signed_by(
                &fake.key,
                json!({"alg": "EdDSA", "kid": "k", "typ": "logout+jwt"}),
            ),
        ),
        ("no token", "a.b.c".to_owned()),
        ("empty parts", "..".to_owned()),
    ];
    for (what, claims) in [
        ("another provider", json!({"iss": "https://else.example"})),
        (
            "the provider with a slash",
            json!({"iss": format!("{}/", fake.issuer)}),
        ),
        ("no provider", json!({"iss": null})),
        ("another client", json!({"aud": "else"})),
        ("no audience", json!({"aud": null})),
        (
            "an audience of another form",
            json!({"aud": {"sundog": true}}),
        ),
        ("expired", json!({"exp": now - 31})),
        ("never expires", json!({"exp": null})),
        (
            "an end of another form",
            json!({"exp": format!("{}", now + 300)}),
        ),
        ("not yet", json!({"nbf": now + 60})),
        ("a beginning of another form", json!({"nbf": "now"})),
        ("made later", json!({"iat": now + 60})),
        ("no user", json!({"sub": null})),
        ("an empty user", json!({"sub": ""})),
        ("a user of another form", json!({"sub": 7})),
        ("a sign-out by its claim", json!({"events": {}})),
    ] {
        cases.push((what, fake.token(claims)));
    }
    for (what, token) in cases {
        let refused = oidc.user(&token).await;
        let code = refused.as_ref().err().map(Problem::code);
        assert_eq!(code, Some(Code::Unauthorized), "{what}: {refused:?}");
    }
}

#[tokio::test]
async fn a_code_is_exchanged_for_the_sign_in_that_began_it() {
    let fake = Fake::start().await;
    let oidc = fake.oidc();
    let redirect: Url = "http://127.0.0.1:1/".parse().unwrap();
    let exchange = async |token: String, nonce: &str| {
        *fake.next.lock().unwrap() = token;
        oidc.exchange("code", &redirect, "verifier", nonce).await
    };
    let good = fake.token(json!({}));
    let done = exchange(good.clone(), "n0").await.unwrap();
    assert_eq!((done.token, done.user.name.as_str()), (good.clone(), "ada"));
    let told = fake.told.lock().unwrap().clone();
    let said = |name: &str| told[name].as_str();
    assert_eq!((said("code"), said("code_verifier")), ("code", "verifier"));
    assert_eq!(said("redirect_uri"), redirect.as_str());
    assert_eq!(said("grant_type"), "authorization_code");
    for (what, token, nonce) in [
        ("another sign-in's", good.clone(), "n1"),
        ("of no sign-in", fake.token(json!({"nonce": null})), "n0"),
        (
            "of no sign-in, asked with none",
            fake.token(json!({"nonce": null})),
            "",
        ),
        ("for robots", fake.token(json!({"aud": "robots"})), "n0"),
        (
            "by another client",
            fake.token(json!({"azp": "else"})),
            "n0",
        ),
        ("none", String::new(), "n0"),
        ("expired", fake.token(json!({"exp": 1})), "n0"),
        (
            "another provider's",
            fake.token(json!({"iss": "https://else.example"})),
            "n0",
        ),
    ] {
        let refused = exchange(token, nonce).await;
        let code = refused.as_ref().err().map(Problem::code);
        assert_eq!(code, Some(Code::Unauthorized), "{what}: {refused:?}");
    }
}

#[tokio::test]
async fn a_provider_that_calls_itself_otherwise_is_not_believed() {
    let fake = Fake::start().await;
    let mut settings = fake.settings();
    settings.issuer = fake.issuer.replace("127.0.0.1", "localhost");
    let oidc = Oidc::new(settings.clone()).unwrap();
    let refused = oidc.user(&fake.token(json!({}))).await;
    assert_eq!(refused.unwrap_err().code(), Code::Unavailable);
    for issuer in [
        "http://idp.example",
        "ftp://127.0.0.1",
        "idp",
        "https://idp.example/?x=1",
    ] {
        settings.issuer = issuer.into();
        assert!(Oidc::new(settings.clone()).is_err(), "{issuer}");
    }
    settings.issuer = "https://idp.example".into();
    settings.roles = Roles::default();
    assert!(Oidc::new(settings).unwrap_err().contains("nobody"));
}

#[tokio::test]
async fn addresses_name_users_only_where_they_were_verified() {
    let fake = Fake::start().await;
    let mut settings = fake.settings();
    settings.user_claim = "email".into();
    let oidc = Oidc::new(settings).unwrap();
    let user = async |verified: Value| {
        let claims = json!({"email": "ada@x.example", "email_verified": verified});
        oidc.user(&fake.token(claims)).await
    };
    assert_eq!(user(json!(true)).await.unwrap().name, "ada_40x.example");
    for other in [json!(false), json!("true"), Value::Null] {
        assert!(user(other).await.is_err());
    }
}
