//! The id of what a client may ask for twice, such as a job: from its owner and the client's key.

use crate::Problem;
use http::HeaderMap;
use ring::digest;

/// Longest key.
const MAX_KEY: usize = 255;
/// Digits of ids, as in a ULID.
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The id of a `what` that the header `Idempotency-Key` stands for, if there is one.
pub fn id(what: &str, owner: &str, headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let key = value.as_bytes();
    let fits = (1..=MAX_KEY).contains(&key.len()) && key.iter().all(u8::is_ascii_graphic);
    if !fits || values.next().is_some() {
        return Err(Problem::invalid(
            "Idempotency-Key",
            format!("expected one key of 1 to {MAX_KEY} visible characters"),
        ));
    }
    // Names of users hold no line break.
    let text = [format!("sundog-{what}-1\n{owner}\n").as_bytes(), key].concat();
    let hash = digest::digest(&digest::SHA256, &text);
    let digits = hash.as_ref().iter().map(|b| DIGITS[usize::from(b % 32)]);
    Ok(Some(digits.take(26).map(char::from).collect()))
}

/// What tells one request from another under the same key.
pub fn fingerprint(body: &[u8]) -> String {
    let hash = digest::digest(&digest::SHA256, body);
    hash.as_ref().iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_belong_to_owner_and_key() {
        let id = |owner: &str, key: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("idempotency-key", key.parse().unwrap());
            super::id("job", owner, &headers)
        };
        let first = id("ada", "k1").unwrap().unwrap();
        assert_eq!(first.len(), 26);
        assert_eq!(id("ada", "k1").unwrap().unwrap(), first);
        assert_ne!(id("ada", "k2").unwrap().unwrap(), first);
        assert_ne!(id("eve", "k1").unwrap().unwrap(), first);
        assert_eq!(super::id("job", "ada", &HeaderMap::new()).unwrap(), None);
        for key in ["", "a b", "\u{e4}", &"x".repeat(256)] {
            assert!(id("ada", key).is_err(), "{key}");
        }
    }
}
