//! Signed uploads to S3 of exactly so many bytes, by Signature Version 4 in the query:
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html>
//!
//! The store's own signer refuses to sign `content-length`, without which S3 takes any number.

use crate::error::{Error, Result};
use crate::links::hex;
use object_store::aws::AwsCredential;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ring::{digest, hmac};
use std::collections::BTreeMap;
use url::{Position, Url};

const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

const CREDENTIAL: &str = "X-Amz-Credential";
const DATE: &str = "X-Amz-Date";
const HEADERS: &str = "X-Amz-SignedHeaders";
const TOKEN: &str = "X-Amz-Security-Token";
const SIGNATURE: &str = "X-Amz-Signature";

/// Signs a signed address for `PUT` again, with the length of the body beside the headers that were signed.
pub(super) fn sign(
    signed: &Url,
    headers: &[(String, String)],
    bytes: u64,
    credential: &AwsCredential,
) -> Result<Url> {
    let mut query: BTreeMap<String, String> = signed.query_pairs().into_owned().collect();
    query.remove(SIGNATURE);
    let field = |name: &str| {
        query.get(name).cloned().ok_or_else(|| Error::Refused {
            what: "signing a link".into(),
            reason: format!("the store's signer gave no {name}"),
        })
    };
    let date = field(DATE)?;
    let scope = field(CREDENTIAL)?;
    let scope = scope.split_once('/').map_or("", |(_, scope)| scope);

    let mut sent: BTreeMap<String, String> = headers
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), words(value)))
        .collect();
    let host = &signed[Position::BeforeHost..Position::AfterPort];
    sent.insert("host".into(), host.into());
    sent.insert("content-length".into(), bytes.to_string());
    let names = Vec::from_iter(sent.keys().map(String::as_str)).join(";");

    // The credential may be a newer one than that of the first signature.
    query.insert(CREDENTIAL.into(), format!("{}/{scope}", credential.key_id));
    query.insert(HEADERS.into(), names.clone());
    query.remove(TOKEN);
    if let Some(token) = &credential.token {
        query.insert(TOKEN.into(), token.clone());
    }
    let encode = |text: &str| utf8_percent_encode(text, UNRESERVED).to_string();
    let mut pairs: Vec<String> = (query.iter())
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
        .collect();
    pairs.sort();
    let query = pairs.join("&");

    let sent: String = (sent.iter())
        .map(|(name, value)| format!("{name}:{value}\n"))
        .collect();
    let path = signed.path();
    let request = format!("PUT\n{path}\n{query}\n{sent}\n{names}\nUNSIGNED-PAYLOAD");
    let request = hex(digest::digest(&digest::SHA256, request.as_bytes()).as_ref());
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{request}");
    let mut key = hmac_of(
        format!("AWS4{}", credential.secret_key).as_bytes(),
        scope.split('/').next().unwrap_or_default(),
    );
    for part in scope.split('/').skip(1) {
        key = hmac_of(key.as_ref(), part);
    }
    let signature = hex(hmac_of(key.as_ref(), &text).as_ref());
    let mut url = signed.clone();
    url.set_query(Some(&format!("{query}&{SIGNATURE}={signature}")));
    Ok(url)
}

fn hmac_of(key: &[u8], text: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
}

/// A header's value as it is signed.
fn words(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}
