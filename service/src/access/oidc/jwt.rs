//! Signatures of JSON Web Tokens (RFC 7515, 7517, 7518), by ring: which keys a provider has, and whether one of them made
//! a token. Only signatures of key pairs are known, so that neither `none` nor a public key taken for a shared secret can pass.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm};
use serde::Deserialize;
use serde_json::{Map, Value};

/// Longer ones are not even looked at.
pub(super) const MAX_TOKEN: usize = 16 << 10;

/// Why a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// It is no signed token.
    Form,
    /// It is signed in a way that is not accepted.
    Algorithm,
    /// None of the keys is the one that it names.
    Key,
    /// The key that it names did not sign it.
    Signature,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    /// Extensions that must be understood; none is.
    crit: Option<Value>,
}

/// What a token says, once its signature was checked.
#[derive(Debug)]
pub(super) struct Signed {
    /// `typ` of its head, in lower case.
    pub(super) kind: String,
    pub(super) claims: Map<String, Value>,
}

/// How a kind of signature is checked.
enum Method {
    Rsa(&'static signature::RsaParameters),
    Curve(&'static str, &'static dyn VerificationAlgorithm),
    Edwards,
}

fn method(alg: &str) -> Option<Method> {
    Some(match alg {
        "RS256" => Method::Rsa(&signature::RSA_PKCS1_2048_8192_SHA256),
        "RS384" => Method::Rsa(&signature::RSA_PKCS1_2048_8192_SHA384),
        "RS512" => Method::Rsa(&signature::RSA_PKCS1_2048_8192_SHA512),
        "PS256" => Method::Rsa(&signature::RSA_PSS_2048_8192_SHA256),
        "PS384" => Method::Rsa(&signature::RSA_PSS_2048_8192_SHA384),
        "PS512" => Method::Rsa(&signature::RSA_PSS_2048_8192_SHA512),
        "ES256" => Method::Curve("P-256", &signature::ECDSA_P256_SHA256_FIXED),
        "ES384" => Method::Curve("P-384", &signature::ECDSA_P384_SHA384_FIXED),
        "EdDSA" | "Ed25519" => Method::Edwards,
        _ => return None,
    })
}

/// A key of a provider, as RFC 7517 has it; other kinds of keys are left out.
#[derive(Clone, Debug, Deserialize)]
struct Key {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// The keys that a provider signs with.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys(Vec<Key>);

impl Keys {
    /// Those of a JWK set.
    pub(super) fn read(set: &Value) -> Option<Keys> {
        let keys = set.get("keys")?.as_array()?.iter();
        let keys = keys.filter_map(|key| Key::deserialize(key).ok());
        let signs = |key: &Key| {
            key.purpose
                .as_deref()
                .is_none_or(|purpose| purpose == "sig")
        };
        Some(Keys(keys.filter(signs).collect()))
    }

    /// What a token says that one of these keys signed.
    pub(super) fn check(&self, token: &str) -> Result<Signed, Wrong> {
        if token.len() > MAX_TOKEN {
            return Err(Wrong::Form);
        }
        let (signed, mac) = token.rsplit_once('.').ok_or(Wrong::Form)?;
        let (head, body) = signed.split_once('.').ok_or(Wrong::Form)?;
        let header: Header = json(head)?;
        let mac = decode(mac)?;
        let method = method(&header.alg).ok_or(Wrong::Algorithm)?;
        if header.crit.is_some() {
            return Err(Wrong::Algorithm);
        }
        let named = |key: &&Key| {
            let id = header.kid.is_none() || key.kid == header.kid;
            let alg = key.alg.as_ref().is_none_or(|alg| *alg == header.alg);
            id && alg && key.fits(&method)
        };
        let mut keys = self.0.iter().filter(named).peekable();
        if keys.peek().is_none() {
            return Err(Wrong::Key);
        }
        let made = keys.any(|key| key.made(&method, signed.as_bytes(), &mac).is_some());
        if !made {
            return Err(Wrong::Signature);
        }
        Ok(Signed {
            kind: header.typ.unwrap_or_default().to_ascii_lowercase(),
            claims: json(body)?,
        })
    }
}

impl Key {
    fn fits(&self, method: &Method) -> bool {
        let curve = self.crv.as_deref();
        match method {
            Method::Rsa(_) => self.kty == "RSA",
            Method::Curve(name, _) => self.kty == "EC" && curve == Some(name),
            Method::Edwards => self.kty == "OKP" && curve == Some("Ed25519"),
        }
    }

    fn made(&self, method: &Method, signed: &[u8], mac: &[u8]) -> Option<()> {
        let part = |text: &Option<String>| decode(text.as_deref()?).ok();
        match method {
            Method::Rsa(parameters) => {
                let (n, e) = (part(&self.n)?, part(&self.e)?);
                let key = RsaPublicKeyComponents { n, e };
                key.verify(parameters, signed, mac).ok()
            }
            Method::Curve(_, algorithm) => {
                // An uncompressed point.
                let point = [vec![4], part(&self.x)?, part(&self.y)?].concat();
                let key = UnparsedPublicKey::new(*algorithm, point);
                key.verify(signed, mac).ok()
            }
            Method::Edwards => {
                let key = UnparsedPublicKey::new(&signature::ED25519, part(&self.x)?);
                key.verify(signed, mac).ok()
            }
        }
    }
}

fn decode(text: &str) -> Result<Vec<u8>, Wrong> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| Wrong::Form)
}

fn json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, Wrong> {
    serde_json::from_slice(&decode(text)?).map_err(|_| Wrong::Form)
}
