//! The name of a request, by which a client's answer, the log and the audit find each other.

use http::{HeaderMap, HeaderName, HeaderValue};
use ring::rand::{SecureRandom as _, SystemRandom};

/// Where it is told.
pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// Longest name that is taken over.
const LONGEST: usize = 64;

/// A request's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(String);

impl RequestId {
    /// The name that a client or a proxy gave, or a new one.
    pub fn of(headers: &HeaderMap) -> RequestId {
        let given = headers.get(HEADER).and_then(|value| value.to_str().ok());
        let plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
        let given = given.filter(|t| (1..=LONGEST).contains(&t.len()) && t.bytes().all(plain));
        match given {
            Some(given) => RequestId(given.to_owned()),
            None => RequestId::draw(),
        }
    }

    fn draw() -> RequestId {
        let mut bytes = [0; 8];
        // Names alone: where the system gives no random numbers, they are alike.
        let _ = SystemRandom::new().fill(&mut bytes);
        RequestId(bytes.iter().map(|b| format!("{b:02x}")).collect())
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As a header's value.
    pub fn value(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.0).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_over_where_they_are_plain() {
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(HEADER, text.parse().unwrap());
            RequestId::of(&headers).0
        };
        assert_eq!(of("a-1_b.C"), "a-1_b.C");
        for odd in ["", "a b", "a\"b", &"x".repeat(65)] {
            let name = of(odd);
            assert!(name.len() == 16 && name != odd, "{name}");
        }
        assert_ne!(of(""), of(""));
    }
}
