//! Links that let somebody without credentials get or put one object for a while.
//!
//! S3 and Google Cloud sign their own; for a local directory a gateway serves links signed here with
//! HMAC-SHA256: `…?expires=<unix seconds>&signature=<64 hexadecimal digits>`, and `bytes=<most>&` before it to put.

use crate::error::{Error, Result};
use chrono::{DateTime, SecondsFormat, Utc};
use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ring::hmac;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use url::Url;

/// The longest life of a link. S3 and Google Cloud refuse more.
pub const MAX_LIFE: Duration = Duration::from_secs(7 * 24 * 3600);

/// What stays as it is in a path; all else is percent-encoded.
pub(crate) const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Permission to get or put one object until a moment. Whoever has the URL has the permission.
#[derive(Clone, PartialEq, Eq)]
pub struct Link {
    /// `GET` or `PUT`.
    pub method: Method,
    /// The address with its signature.
    pub url: Url,
    /// Headers that must be sent with exactly these values, beside the `content-length` of the body that was asked
    /// for, which clients set themselves.
    pub headers: Vec<(String, String)>,
    /// When it ends; may be earlier than asked for.
    pub expires: SystemTime,
}

impl Link {
    /// When it ends, RFC 3339 in UTC.
    pub fn expires_text(&self) -> String {
        DateTime::<Utc>::from(self.expires).to_rfc3339_opts(SecondsFormat::Secs, true)
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut url = self.url.clone();
        url.set_query(None);
        f.debug_struct("Link")
            .field("method", &self.method)
            .field("url", &format_args!("{url}?…"))
            .field("expires", &self.expires_text())
            .finish_non_exhaustive()
    }
}

/// Until when links may live, whatever is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// When the credentials that sign end: links signed with them end then, too.
    pub credentials_end: Option<SystemTime>,
    /// Longest life where the end of the credentials is not known.
    pub longest: Option<Duration>,
}

impl Limits {
    /// How long a link made at `now` lives, in whole seconds.
    pub fn life(&self, asked: Duration, now: SystemTime) -> Result<Duration> {
        let mut life = asked.min(MAX_LIFE).min(self.longest.unwrap_or(MAX_LIFE));
        if let Some(end) = self.credentials_end {
            life = life.min(end.duration_since(now).unwrap_or_default());
        }
        match life.as_secs() {
            0 if asked.as_secs() == 0 => Err(Error::invalid("a link's life", "less than a second")),
            0 => Err(Error::Refused {
                what: "signing a link".into(),
                reason: "the store's credentials have expired (hint: renew them and start again)"
                    .into(),
            }),
            secs => Ok(Duration::from_secs(secs)),
        }
    }
}

/// Why a link is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// It was good once.
    #[error("the link has expired (hint: ask for the job's results again)")]
    Expired,
    /// It was not signed here, or not for this.
    #[error("the link's signature is not valid for this request")]
    Wrong,
}

/// What a link allows to do with its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To get it.
    Get,
    /// To put it, with at most so many bytes.
    Put {
        /// The most.
        max_bytes: u64,
    },
}

impl Access {
    fn method(self) -> Method {
        match self {
            Access::Get => Method::GET,
            Access::Put { .. } => Method::PUT,
        }
    }
}

/// Signs and checks links to a local store.
#[derive(Clone)]
pub struct LinkKey {
    key: hmac::Key,
    base: Url,
}

impl fmt::Debug for LinkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkKey")
            .field("base", &self.base.as_str())
            .finish_non_exhaustive()
    }
}

impl LinkKey {
    /// Links below `base`, such as `http://127.0.0.1:8080/v1/objects/`. The secret needs 32 bytes or more.
    pub fn new(secret: &[u8], mut base: Url) -> Result<LinkKey> {
        if secret.len() < 32 {
            return Err(Error::invalid(
                "the key of links",
                "needs at least 32 bytes",
            ));
        }
        if base.cannot_be_a_base() || base.query().is_some() || base.fragment().is_some() {
            return Err(Error::invalid(
                "the address of links",
                "expected http://host:port/path/",
            ));
        }
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        Ok(LinkKey {
            key: hmac::Key::new(hmac::HMAC_SHA256, secret),
            base,
        })
    }

    /// Signs a link to `name` that lives from `now` for `life`, at most [`MAX_LIFE`].
    pub fn sign(
        &self,
        access: Access,
        name: &str,
        life: Duration,
        now: SystemTime,
    ) -> Result<Link> {
        let life = Limits::default().life(life, now)?;
        let expires = unix(now).saturating_add(life.as_secs());
        let mut url = self.base.clone();
        url.set_path(&format!(
            "{}{}",
            self.base.path(),
            utf8_percent_encode(name, PATH)
        ));
        let tag = hmac::sign(&self.key, &signed_text(access, name, expires));
        let bytes = match access {
            Access::Get => String::new(),
            Access::Put { max_bytes } => format!("bytes={max_bytes}&"),
        };
        let signature = hex(tag.as_ref());
        url.set_query(Some(&format!(
            "{bytes}expires={expires}&signature={signature}"
        )));
        Ok(Link {
            method: access.method(),
            url,
            headers: Vec::new(),
            expires: UNIX_EPOCH + Duration::from_secs(expires),
        })
    }

    /// Checks a request for `name` (percent-decoded) with the link's query, and tells what it allows. A link
    /// for `GET` allows `HEAD`.
    pub fn verify(
        &self,
        method: &Method,
        name: &str,
        query: &str,
        now: SystemTime,
    ) -> std::result::Result<Access, LinkError> {
        let (mut bytes, mut expires, mut signature) = (None, None, None);
        for pair in query.split('&') {
            match pair.split_once('=') {
                Some(("bytes", value)) if bytes.is_none() => bytes = Some(value),
                Some(("expires", value)) if expires.is_none() => expires = Some(value),
                Some(("signature", value)) if signature.is_none() => signature = Some(value),
                _ => return Err(LinkError::Wrong),
            }
        }
        let (Some(expires), Some(signature)) = (expires, signature) else {
            return Err(LinkError::Wrong);
        };
        // Digits only: a number has one way to be written, also after signing.
        let number = |text: &str| {
            let canonical = |n: &u64| n.to_string() == text;
            text.parse::<u64>().ok().filter(canonical)
        };
        let access = match (method, bytes) {
            (&Method::GET | &Method::HEAD, None) => Access::Get,
            (&Method::PUT, Some(bytes)) => Access::Put {
                max_bytes: number(bytes).ok_or(LinkError::Wrong)?,
            },
            _ => return Err(LinkError::Wrong),
        };
        let (Some(expires), Some(signature)) = (number(expires), unhex(signature)) else {
            return Err(LinkError::Wrong);
        };
        // In constant time, and before anything is said about expiry.
        hmac::verify(&self.key, &signed_text(access, name, expires), &signature)
            .map_err(|_| LinkError::Wrong)?;
        let now = unix(now);
        if expires <= now {
            return Err(LinkError::Expired);
        }
        if expires - now > MAX_LIFE.as_secs() {
            return Err(LinkError::Wrong);
        }
        Ok(access)
    }
}

fn signed_text(access: Access, name: &str, expires: u64) -> Vec<u8> {
    let allowed = match access {
        Access::Get => "GET".to_owned(),
        Access::Put { max_bytes } => format!("PUT {max_bytes}"),
    };
    // The name comes last, since it alone may hold a line break.
    format!("sundog-link-1\n{allowed}\n{expires}\n{name}").into_bytes()
}

fn unix(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| match pair {
            [high, low] => Some(digit(*high)? * 16 + digit(*low)?),
            _ => None,
        })
        .collect()
}
