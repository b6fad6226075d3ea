//! Samples as ordered keys, for filters that only compare: the same order on every machine.

use crate::image::Element;

/// An integer key: sorts by itself.
pub trait Key: Ord + Ordered<Key = Self> {}

/// A value with a key that sorts as it does.
pub trait Ordered: Copy + Default + Send + Sync + std::fmt::Debug + 'static {
    /// The key's type.
    type Key: Key;
    /// The value's key.
    fn key(self) -> Self::Key;
    /// The value of a key.
    fn of_key(key: Self::Key) -> Self;
}

/// A sample type with a total order.
pub trait Ranked: Element + Ordered {}

impl<T: Element + Ordered> Ranked for T {}

macro_rules! integer {
    ($t:ty) => {
        impl Key for $t {}

        impl Ordered for $t {
            type Key = $t;
            #[inline(always)]
            fn key(self) -> $t {
                self
            }
            #[inline(always)]
            fn of_key(key: $t) -> $t {
                key
            }
        }
    };
}
integer!(u8);
integer!(u16);
integer!(i32);

/// IEEE 754's total order: negative zero sorts below zero, and not-a-number beyond infinity, so that
/// the result never depends on the order of comparisons.
impl Ordered for f32 {
    type Key = i32;
    #[inline(always)]
    fn key(self) -> i32 {
        let bits = self.to_bits() as i32;
        bits ^ (((bits >> 31) as u32) >> 1) as i32
    }
    #[inline(always)]
    fn of_key(key: i32) -> f32 {
        f32::from_bits((key ^ (((key >> 31) as u32) >> 1) as i32) as u32)
    }
}

/// Which of two keys wins.
pub trait Pick: 'static {
    /// The winner.
    fn pick<K: Ord>(a: K, b: K) -> K;
}

/// The smaller wins.
pub struct Least;

/// The greater wins.
pub struct Greatest;

impl Pick for Least {
    #[inline(always)]
    fn pick<K: Ord>(a: K, b: K) -> K {
        a.min(b)
    }
}

impl Pick for Greatest {
    #[inline(always)]
    fn pick<K: Ord>(a: K, b: K) -> K {
        a.max(b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn float_keys_sort_as_the_floats_and_come_back() {
        let sorted = [
            f32::NEG_INFINITY,
            -1.5,
            -1e-40,
            -0.0,
            0.0,
            1e-40,
            0.25,
            1.0,
            f32::INFINITY,
            f32::NAN,
        ];
        assert!(sorted.windows(2).all(|w| w[0].key() < w[1].key()));
        for v in sorted {
            assert_eq!(f32::of_key(v.key()).to_bits(), v.to_bits());
        }
    }
}
