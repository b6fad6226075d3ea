//! Signatures of deliveries: HMAC-SHA256 over `<timestamp>.<body>`, keyed with the webhook's secret as text.

use ring::digest::{SHA256, digest};
use ring::hmac;

/// The header's value: `v1=` and hexadecimal digits.
pub fn signature(secret: &str, timestamp: u64, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let mut context = hmac::Context::with_key(&key);
    context.update(format!("{timestamp}.").as_bytes());
    context.update(body);
    format!("v1={}", hex(context.sign().as_ref()))
}

/// The id of a delivery: the same whenever the same event goes to the same webhook.
pub fn delivery_id(hook: &str, job: &str, key: &str) -> String {
    let digest = digest(&SHA256, format!("{hook}\n{job}\n{key}").as_bytes());
    hex(&digest.as_ref()[..16])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::hmac::Mac as _;

    #[test]
    fn signatures_are_what_another_implementation_computes() {
        let body = br#"{"event":"job_finished"}"#;
        let mut mac = ::hmac::Hmac::<sha2::Sha256>::new_from_slice(b"sundog_secret").unwrap();
        mac.update(b"1700000000.");
        mac.update(body);
        let expected: String = mac
            .finalize()
            .into_bytes()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let signed = signature("sundog_secret", 1_700_000_000, body);
        assert_eq!(signed, format!("v1={expected}"));
        // printf '1700000000.{}' | openssl dgst -sha256 -hmac key
        assert_eq!(signature("key", 1_700_000_000, b"{}").len(), 3 + 64);
    }

    #[test]
    fn deliveries_have_ids_of_their_own() {
        let id = delivery_id("h", "j", "k");
        assert_eq!(id, delivery_id("h", "j", "k"));
        for (hook, job, key) in [("x", "j", "k"), ("h", "x", "k"), ("h", "j", "x")] {
            assert_ne!(id, delivery_id(hook, job, key));
        }
    }
}
