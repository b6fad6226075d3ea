//! Medians of images with alpha: colours count as much as they are seen.

use super::Job;
use super::keys::{of_float, of_float32, to_float, to_float32};
use super::median::{Meaning, floats, keep, read_image, select};
use super::output::Output;
use super::select::Key;
use crate::atomic::Digested;
use imaging::comm::Comm;
use imaging::{Result, SampleType};

/// Keys that hold the value in their upper half and its weight in the lower one.
#[derive(Clone, Copy)]
pub struct Weighing<K> {
    /// The weight of a key.
    pub weight: fn(K) -> f64,
    /// Whether its value is no number.
    pub is_nan: fn(K) -> bool,
    /// The result where nothing is seen.
    pub nothing: K,
    /// What no number becomes.
    pub nan: K,
}

impl<K: Key> Weighing<K> {
    /// The keys between which half of the weight lies: the same one twice unless it is split evenly. Weights are added
    /// in the order of the keys, so the files' order makes no difference.
    pub fn middle(&self, column: &mut [K]) -> (K, K) {
        column.sort_unstable();
        let seen = || {
            column
                .iter()
                .copied()
                .filter(|&key| (self.weight)(key) > 0.0)
        };
        if seen().any(self.is_nan) {
            return (self.nan, self.nan);
        }
        let total: f64 = seen().map(self.weight).sum();
        let (mut below, mut low) = (0.0, None);
        for key in seen() {
            below += (self.weight)(key);
            if 2.0 * below >= total {
                let low = *low.get_or_insert(key);
                if 2.0 * below > total {
                    return (low, key);
                }
            }
        }
        match low {
            Some(low) => (low, low),
            None => (self.nothing, self.nothing),
        }
    }
}

/// Finds the medians of images with alpha and writes them.
pub fn run(
    comm: &dyn Comm,
    job: &Job<'_>,
    output: Option<Output>,
) -> Result<(bool, Option<Digested>)> {
    match job.layout.picture.map(|shape| shape.sample) {
        Some(SampleType::U8) => {
            fn both(v: u8, weight: u8) -> u16 {
                u16::from(v) << 8 | u16::from(weight)
            }
            let kept = keep::<u16>(comm, job, |job, i| read_image(job, i, both))?;
            let meaning = Meaning::<u16, u16> {
                key: &|_, v| v,
                poison: None,
                weighing: Some(Weighing {
                    weight: |key| f64::from(key & 0xff),
                    is_nan: |_| false,
                    nothing: 0,
                    nan: 0,
                }),
                results: &|a, b| floats(a, b, |key| f64::from(key >> 8)),
            };
            Ok((true, select(comm, job, &kept, &meaning, output)?))
        }
        Some(SampleType::U16) => {
            fn both(v: u16, weight: u16) -> u32 {
                u32::from(v) << 16 | u32::from(weight)
            }
            let kept = keep::<u32>(comm, job, |job, i| read_image(job, i, both))?;
            let meaning = Meaning::<u32, u32> {
                key: &|_, v| v,
                poison: None,
                weighing: Some(Weighing {
                    weight: |key| f64::from(key & 0xffff),
                    is_nan: |_| false,
                    nothing: 0,
                    nan: 0,
                }),
                results: &|a, b| floats(a, b, |key| f64::from(key >> 16)),
            };
            Ok((true, select(comm, job, &kept, &meaning, output)?))
        }
        Some(SampleType::F32) => {
            fn both(v: f32, weight: f32) -> u64 {
                u64::from(of_float32(v)) << 32 | u64::from(weight.to_bits())
            }
            let kept = keep::<u64>(comm, job, |job, i| read_image(job, i, both))?;
            let meaning = Meaning::<u64, u64> {
                key: &|_, v| v,
                poison: None,
                weighing: Some(Weighing {
                    weight: |key| weight(f64::from(f32::from_bits(key as u32))),
                    is_nan: |key| to_float32((key >> 32) as u32).is_nan(),
                    nothing: both(0.0, 0.0),
                    nan: both(f32::NAN, 0.0),
                }),
                results: &|a, b| floats(a, b, |key| f64::from(to_float32((key >> 32) as u32))),
            };
            Ok((false, select(comm, job, &kept, &meaning, output)?))
        }
        _ => {
            fn both(v: f64, weight: f64) -> u128 {
                u128::from(of_float(v)) << 64 | u128::from(weight.to_bits())
            }
            let kept = keep::<u128>(comm, job, |job, i| read_image(job, i, both))?;
            let meaning = Meaning::<u128, u128> {
                key: &|_, v| v,
                poison: None,
                weighing: Some(Weighing {
                    weight: |key| weight(f64::from_bits(key as u64)),
                    is_nan: |key| to_float((key >> 64) as u64).is_nan(),
                    nothing: both(0.0, 0.0),
                    nan: both(f64::NAN, 0.0),
                }),
                results: &|a, b| floats(a, b, |key| to_float((key >> 64) as u64)),
            };
            Ok((false, select(comm, job, &kept, &meaning, output)?))
        }
    }
}

/// What counts of an alpha that is a float.
pub fn weight(alpha: f64) -> f64 {
    match alpha > 0.0 && alpha.is_finite() {
        true => alpha,
        false => 0.0,
    }
}
