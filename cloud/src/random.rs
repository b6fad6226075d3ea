//! Randomness from the operating system.

use ring::rand::{SecureRandom as _, SystemRandom};

/// Random bytes; all zero on a machine that has none to give.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // Nothing here depends on them being secret: they only keep clients and writers apart.
    let _ = SystemRandom::new().fill(&mut bytes);
    bytes
}

/// Uniform in 0..1.
pub(crate) fn fraction() -> f64 {
    f64::from(u32::from_le_bytes(bytes())) / (f64::from(u32::MAX) + 1.0)
}
