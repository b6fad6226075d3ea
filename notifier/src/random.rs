//! Randomness from the operating system.

use ring::rand::{SecureRandom as _, SystemRandom};

/// The system gives no randomness, which it always should.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no randomness")]
pub struct NoRandomness;

/// Fit for secrets.
pub fn bytes<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map(|()| bytes).map_err(|_| NoRandomness)
}

/// Uniform in 0..1; only spreads things in time.
pub fn fraction() -> f64 {
    let bytes = bytes::<4>().unwrap_or_default();
    f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
}
