//! Checks signed requests as S3 and Google Cloud Storage do, from their published algorithms.
//!
//! - AWS Signature Version 4 for S3, in the `Authorization` header and in the query:
//!   <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html>
//! - Google Cloud Storage V4 signing with RSA-SHA256:
//!   <https://cloud.google.com/storage/docs/authentication/signatures>

use crate::links::{hex, unhex};
use chrono::{DateTime, NaiveDateTime, Utc};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use ring::{digest, hmac, signature};
use std::collections::BTreeMap;

const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
const PATH: &AsciiSet = &UNRESERVED.remove(b'/');

/// What of a request is signed.
#[derive(Clone, Debug)]
pub struct Signed<'a> {
    /// The method.
    pub method: &'a str,
    /// The path as sent, percent-encoded.
    pub path: &'a str,
    /// The query as sent, without `?`.
    pub query: &'a str,
    /// Headers, names in lower case.
    pub headers: &'a BTreeMap<String, String>,
    /// The body.
    pub body: &'a [u8],
}

/// Why a request is refused.
pub type Refusal = &'static str;

/// The decoded pairs of a query.
pub fn pairs(query: &str) -> Vec<(String, String)> {
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let parts = query.split('&').filter(|pair| !pair.is_empty());
    parts
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

fn canonical_request(
    request: &Signed<'_>,
    signed: &str,
    without: &str,
    payload: &str,
    host: Option<&str>,
) -> Result<String, Refusal> {
    let decoded = percent_decode_str(request.path).decode_utf8_lossy();
    let path = utf8_percent_encode(&decoded, PATH);
    let encode = |text: &str| utf8_percent_encode(text, UNRESERVED).to_string();
    let mut query: Vec<String> = pairs(request.query)
        .iter()
        .filter(|(name, _)| name != without)
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
        .collect();
    query.sort();
    let mut headers = String::new();
    for name in signed.split(';') {
        let value = match (name, host) {
            ("host", Some(host)) => host,
            _ => request
                .headers
                .get(name)
                .ok_or("a signed header is missing")?,
        };
        let words: Vec<&str> = value.split_whitespace().collect();
        headers.push_str(&format!("{name}:{}\n", words.join(" ")));
    }
    if !signed.split(';').any(|name| name == "host") {
        return Err("the host is not signed");
    }
    let query = query.join("&");
    let method = request.method;
    Ok(format!(
        "{method}\n{path}\n{query}\n{headers}\n{signed}\n{payload}"
    ))
}

fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn time(text: &str) -> Result<DateTime<Utc>, Refusal> {
    NaiveDateTime::parse_from_str(text, "%Y%m%dT%H%M%SZ")
        .map(|time| time.and_utc())
        .map_err(|_| "the date cannot be read")
}

/// The times between which a presigned request is good.
fn in_time(date: &str, expires: &str, now: DateTime<Utc>) -> Result<(), Refusal> {
    let begin = time(date)?;
    let seconds: i64 = expires.parse().map_err(|_| "the life cannot be read")?;
    if !(1..=604_800).contains(&seconds) {
        return Err("the life is not between 1 second and 7 days");
    }
    if now < begin - chrono::Duration::minutes(15) {
        return Err("the request is from the future");
    }
    if now >= begin + chrono::Duration::seconds(seconds) {
        return Err("the request has expired");
    }
    Ok(())
}

/// Checks a request to S3, signed in its header or in its query.
pub fn verify_aws(
    request: &Signed<'_>,
    key_id: &str,
    secret: &str,
    now: DateTime<Utc>,
) -> Result<(), Refusal> {
    let query: BTreeMap<String, String> = pairs(request.query).into_iter().collect();
    let (credential, signed, given, date, payload);
    if let Some(given_signature) = query.get("X-Amz-Signature") {
        let field = |name: &str| {
            query
                .get(name)
                .map(String::as_str)
                .ok_or("a field of the query is missing")
        };
        if field("X-Amz-Algorithm")? != "AWS4-HMAC-SHA256" {
            return Err("another algorithm");
        }
        (credential, signed) = (field("X-Amz-Credential")?, field("X-Amz-SignedHeaders")?);
        (given, date) = (given_signature.as_str(), field("X-Amz-Date")?);
        payload = "UNSIGNED-PAYLOAD";
        in_time(date, field("X-Amz-Expires")?, now)?;
    } else {
        let header = |name: &str| {
            request
                .headers
                .get(name)
                .map(String::as_str)
                .ok_or("the request is not signed")
        };
        let fields = header("authorization")?
            .strip_prefix("AWS4-HMAC-SHA256 ")
            .ok_or("another algorithm")?;
        let fields: BTreeMap<&str, &str> = fields
            .split(',')
            .filter_map(|field| field.trim().split_once('='))
            .collect();
        let field = |name: &str| {
            fields
                .get(name)
                .copied()
                .ok_or("a field of the header is missing")
        };
        (credential, signed) = (field("Credential")?, field("SignedHeaders")?);
        (given, date) = (field("Signature")?, header("x-amz-date")?);
        payload = header("x-amz-content-sha256")?;
        if (now - time(date)?).abs() > chrono::Duration::minutes(15) {
            return Err("the clocks differ by more than 15 minutes");
        }
        if payload != "UNSIGNED-PAYLOAD" && payload != sha256(request.body) {
            return Err("the body is not the one that was signed");
        }
    }
    let (id, scope) = credential
        .split_once('/')
        .ok_or("the credential cannot be read")?;
    if id != key_id {
        return Err("an unknown key");
    }
    let parts: Vec<&str> = scope.split('/').collect();
    let [day, region, "s3", "aws4_request"] = parts[..] else {
        return Err("the credential is for something else");
    };
    if !date.starts_with(day) {
        return Err("the credential is for another day");
    }
    let canonical = canonical_request(request, signed, "X-Amz-Signature", payload, None)?;
    let text = format!(
        "AWS4-HMAC-SHA256\n{date}\n{scope}\n{}",
        sha256(canonical.as_bytes())
    );
    let mut key = hmac::Key::new(hmac::HMAC_SHA256, format!("AWS4{secret}").as_bytes());
    for part in [day, region, "s3", "aws4_request"] {
        key = hmac::Key::new(
            hmac::HMAC_SHA256,
            hmac::sign(&key, part.as_bytes()).as_ref(),
        );
    }
    let given = unhex(given).ok_or("the signature cannot be read")?;
    hmac::verify(&key, text.as_bytes(), &given).map_err(|_| "the signature does not match")
}

/// Checks a presigned request to Google Cloud Storage. `public_key` is a PKCS #1 RSA public key.
pub fn verify_google(
    request: &Signed<'_>,
    email: &str,
    public_key: &[u8],
    now: DateTime<Utc>,
) -> Result<(), Refusal> {
    let query: BTreeMap<String, String> = pairs(request.query).into_iter().collect();
    let field = |name: &str| {
        query
            .get(name)
            .map(String::as_str)
            .ok_or("the request is not signed")
    };
    let given = field("X-Goog-Signature")?;
    if field("X-Goog-Algorithm")? != "GOOG4-RSA-SHA256" {
        return Err("another algorithm");
    }
    let date = field("X-Goog-Date")?;
    in_time(date, field("X-Goog-Expires")?, now)?;
    let (id, scope) = field("X-Goog-Credential")?
        .split_once('/')
        .ok_or("the credential cannot be read")?;
    let day = scope.split('/').next().unwrap_or_default();
    if id != email || !date.starts_with(day) || !scope.ends_with("/storage/goog4_request") {
        return Err("the credential is for something else");
    }
    // Requests to the test's server are signed for the service's own name.
    let host = Some("storage.googleapis.com");
    let signed = field("X-Goog-SignedHeaders")?;
    let canonical = canonical_request(
        request,
        signed,
        "X-Goog-Signature",
        "UNSIGNED-PAYLOAD",
        host,
    )?;
    let text = format!(
        "GOOG4-RSA-SHA256\n{date}\n{scope}\n{}",
        sha256(canonical.as_bytes())
    );
    let given = unhex(given).ok_or("the signature cannot be read")?;
    verify_rsa(public_key, text.as_bytes(), &given)
}

/// Checks an RSA-SHA256 signature.
pub fn verify_rsa(public_key: &[u8], text: &[u8], given: &[u8]) -> Result<(), Refusal> {
    signature::UnparsedPublicKey::new(&signature::RSA_PKCS1_2048_8192_SHA256, public_key)
        .verify(text, given)
        .map_err(|_| "the signature does not match")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the documentation, "Authenticating Requests: Using Query Parameters".
    #[test]
    fn the_published_example_is_accepted_and_nothing_else() {
        let query = "X-Amz-Algorithm=AWS4-HMAC-SHA256\
            &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
            &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
            &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
        let headers = BTreeMap::from([(
            "host".to_owned(),
            "examplebucket.s3.amazonaws.com".to_owned(),
        )]);
        let check = |method: &str, path: &str, query: &str, now: &str| {
            let request = Signed {
                method,
                path,
                query,
                headers: &headers,
                body: b"",
            };
            let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
            verify_aws(&request, "AKIAIOSFODNN7EXAMPLE", secret, time(now).unwrap())
        };
        let now = "20130524T120000Z";
        assert_eq!(check("GET", "/test.txt", query, now), Ok(()));
        assert!(check("PUT", "/test.txt", query, now).is_err());
        assert!(check("GET", "/test.tx", query, now).is_err());
        assert!(check("GET", "/test.txt", &query.replace("86400", "86401"), now).is_err());
        assert_eq!(
            check("GET", "/test.txt", query, "20130525T000000Z"),
            Err("the request has expired")
        );
    }
}
