//! Who may do what: bearer tokens, of which only hashes are kept.
//!
//! A tokens file is TOML that nobody but its owner may write:
//!
//! ```toml
//! [[token]]
//! user = "ada"
//! sha256 = "…"      # of the token, as hexadecimal digits
//! admin = false
//! scopes = ["read", "submit"]          # both where not given
//! expires = 2027-01-31T00:00:00Z       # never where not given
//! ```

mod edit;
mod entrance;
mod file;
pub mod oidc;
mod own;

pub use edit::{Grant, add, grant, revoke};
pub use entrance::Entrance;
pub use file::{Listed, list};
pub use own::own_name;

use crate::problem::{Code, Problem};
use axum::extract::{FromRef, FromRequestParts};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;
use ring::digest;
use ring::rand::{SecureRandom as _, SystemRandom};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;
use subtle::ConstantTimeEq as _;

/// What a token begins with, so that scanners for secrets find it.
const PREFIX: &str = "sundog_";
/// Longer ones are not even hashed.
const MAX_TOKEN: usize = 200;

/// Why tokens cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The tokens file cannot be read or written.
    #[error("the tokens file {path}: {reason}")]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong, and the way out.
        reason: String,
    },
    /// Not a user's name.
    #[error(
        "`{0}` is no user's name: expected 1 to 100 letters, digits, `-`, `_` and `.`, not `.` first"
    )]
    Name(String),
    /// Not a user's name, in the environment.
    #[error("SUNDOG_USER: expected 1 to 100 letters, digits, `-`, `_` and `.`, not `.` first")]
    OwnName,
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random,
}

/// A user who showed a token. As an axum extractor it answers 401 without one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The name; owner of jobs and uploads.
    pub name: String,
    /// Whether the user may see to everybody's dead letters, and to what concerns all.
    pub admin: bool,
    /// Whether the token is good for looking.
    pub read: bool,
    /// Whether the token is good for making and changing.
    pub submit: bool,
    /// When the token ends.
    pub expires: Option<SystemTime>,
}

impl User {
    fn has_expired(&self) -> bool {
        self.expires.is_some_and(|end| end <= SystemTime::now())
    }

    /// What the token is good for, in words.
    pub fn scopes(&self) -> Vec<&'static str> {
        let all = [
            (self.read, "read"),
            (self.submit, "submit"),
            (self.admin, "admin"),
        ];
        all.into_iter()
            .filter_map(|(has, name)| has.then_some(name))
            .collect()
    }
}

/// A moment as RFC 3339 in UTC, to the second.
pub fn rfc3339(time: SystemTime) -> String {
    let time = jiff::Timestamp::try_from(time).unwrap_or_default();
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// One token of somebody's.
#[derive(Clone)]
struct Entry {
    user: User,
    sha256: [u8; 32],
}

/// The tokens that are accepted. Clones share them.
#[derive(Clone)]
pub struct Tokens(Arc<Source>);

enum Source {
    Fixed(Vec<Entry>),
    File(file::Watched),
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Source::Fixed(entries) => write!(f, "Tokens({} fixed)", entries.len()),
            Source::File(file) => write!(f, "Tokens({})", file.path().display()),
        }
    }
}

impl Tokens {
    /// The tokens of a file, which is read again when it changes. A file that is removed takes its tokens
    /// along; one that was changed and cannot be used any more leaves the old ones in force.
    pub fn file(path: &Path) -> Result<Tokens, Error> {
        Ok(Tokens(Arc::new(Source::File(file::Watched::open(path)?))))
    }

    /// None at all, where people come in by another way.
    pub fn none() -> Tokens {
        Tokens(Arc::new(Source::Fixed(Vec::new())))
    }

    /// One user with one token, for services within one process.
    pub fn single(user: &str, token: &str) -> Result<Tokens, Error> {
        let user = User {
            name: user_name(user)?,
            admin: true,
            read: true,
            submit: true,
            expires: None,
        };
        let sha256 = sha256(token);
        Ok(Tokens(Arc::new(Source::Fixed(vec![Entry {
            user,
            sha256,
        }]))))
    }

    /// Whose request this is, by its header.
    pub fn of(&self, headers: &HeaderMap) -> Result<User, Problem> {
        let unauthorized = |message| Problem::new(Code::Unauthorized, message);
        let user = shown(headers)?.and_then(|token| self.find(token));
        let user = user.ok_or_else(|| unauthorized("this token is not known here"))?;
        match user.has_expired() {
            true => Err(unauthorized(
                "this token has expired (hint: whoever serves this draws another one: sundog token add)",
            )),
            false => Ok(user),
        }
    }

    /// Whose token this is.
    pub fn user_of(&self, token: &str) -> Option<User> {
        self.find(token).filter(|user| !user.has_expired())
    }

    /// Whose token this is or was.
    fn find(&self, token: &str) -> Option<User> {
        if token.len() > MAX_TOKEN {
            return None;
        }
        let shown = sha256(token);
        let find = |entries: &[Entry]| {
            // All are looked at, so that the time tells nothing.
            let mut found = None;
            for entry in entries {
                if bool::from(entry.sha256.ct_eq(&shown)) {
                    found = Some(entry.user.clone());
                }
            }
            found
        };
        match &*self.0 {
            Source::Fixed(entries) => find(entries),
            Source::File(file) => find(&file.entries()),
        }
    }
}

/// The token that a request shows, if its header has the form of one.
fn shown(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut headers = headers.get_all(AUTHORIZATION).iter();
    let (Some(header), None) = (headers.next(), headers.next()) else {
        return Err(Problem::new(
            Code::Unauthorized,
            "a token is needed (hint: the header Authorization: Bearer sundog_…)",
        ));
    };
    let token = header.to_str().ok().and_then(|text| text.split_once(' '));
    let token = token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    Ok(token.map(|(_, token)| token.trim()))
}

impl<S: Send + Sync> FromRequestParts<S> for User
where
    Tokens: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<User, Problem> {
        match parts.extensions.get::<User>() {
            // Asked for before, at the entrance of an API.
            Some(user) => Ok(user.clone()),
            None => Tokens::from_ref(state).of(&parts.headers),
        }
    }
}

/// Draws a token: 256 random bits.
pub fn new_token() -> Result<String, Error> {
    let mut bytes = [0; 32];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| Error::Random)?;
    Ok(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)))
}

/// The hash of a token, as a tokens file holds it.
pub fn hash(token: &str) -> String {
    sha256(token).iter().map(|b| format!("{b:02x}")).collect()
}

fn sha256(token: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
    hash
}

/// The name if it can be a user's.
pub fn user_name(name: &str) -> Result<String, Error> {
    match cloud::queue::NodeId::new(name) {
        Ok(_) if !name.starts_with('.') => Ok(name.to_owned()),
        _ => Err(Error::Name(name.escape_debug().to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_drawn_and_known_by_their_hash_alone() {
        let (a, b) = (new_token().unwrap(), new_token().unwrap());
        assert_ne!(a, b);
        assert_eq!(a.len(), PREFIX.len() + 43);
        let tokens = Tokens::single("ada", &a).unwrap();
        assert_eq!(tokens.user_of(&a).unwrap().name, "ada");
        for wrong in [b.as_str(), "", &a[..a.len() - 1], &hash(&a)] {
            assert_eq!(tokens.user_of(wrong), None);
        }
        assert!(!format!("{tokens:?}").contains(&a));
    }

    #[test]
    fn names_of_users_are_plain() {
        for name in ["ada", "a.b-c_D9", "ada@"] {
            assert_eq!(user_name(name).is_ok(), !name.contains('@'), "{name}");
        }
        for name in [
            "",
            ".",
            "..",
            ".a",
            "a/b",
            "a b",
            "ä",
            "a\n",
            &"a".repeat(101),
        ] {
            assert!(user_name(name).is_err(), "{name}");
        }
    }
}
