//! Whole samples added to whole sums: the loops that fold images of 8 and 16 bits.

use imaging::{Element, simd};

/// An 8- or 16-bit sample.
pub trait Sample: Element {
    fn widen(self) -> u32;
}

impl Sample for u8 {
    #[inline(always)]
    fn widen(self) -> u32 {
        u32::from(self)
    }
}

impl Sample for u16 {
    #[inline(always)]
    fn widen(self) -> u32 {
        u32::from(self)
    }
}

/// What sums are kept in.
pub trait Lane: bytemuck::Pod + Send + Sync {
    fn plus(self, sample: u32) -> Self;
    fn plus_square(self, sample: u32) -> Self;
    fn plus_wide(self, value: u64) -> Self;
    fn least(self, other: Self) -> Self;
    fn greatest(self, other: Self) -> Self;
    fn merged(self, other: Self) -> Self;
    fn widest(self) -> u64;
    fn of(sample: u32) -> Self;
}

macro_rules! lane {
    ($t:ty) => {
        impl Lane for $t {
            #[inline(always)]
            fn plus(self, sample: u32) -> $t {
                self.wrapping_add(sample as $t)
            }
            #[inline(always)]
            fn plus_square(self, sample: u32) -> $t {
                // 65535 squared fits 32 bits.
                self.wrapping_add(sample.wrapping_mul(sample) as $t)
            }
            #[inline(always)]
            fn plus_wide(self, value: u64) -> $t {
                self.wrapping_add(value as $t)
            }
            #[inline(always)]
            fn least(self, other: $t) -> $t {
                self.min(other)
            }
            #[inline(always)]
            fn greatest(self, other: $t) -> $t {
                self.max(other)
            }
            #[inline(always)]
            fn merged(self, other: $t) -> $t {
                self.wrapping_add(other)
            }
            fn widest(self) -> u64 {
                u64::from(self)
            }
            #[inline(always)]
            fn of(sample: u32) -> $t {
                sample as $t
            }
        }
    };
}
lane!(u32);
lane!(u64);

simd! {
    /// Adds samples to sums.
    pub fn add<T: Sample, A: Lane>(sums: &mut [A], samples: &[T]) {
        for (sum, sample) in sums.iter_mut().zip(samples) {
            *sum = sum.plus(sample.widen());
        }
    }
}

simd! {
    /// Adds their squares.
    pub fn add_squares<T: Sample, A: Lane>(sums: &mut [A], samples: &[T]) {
        for (sum, sample) in sums.iter_mut().zip(samples) {
            *sum = sum.plus_square(sample.widen());
        }
    }
}

simd! {
    /// Keeps the lesser of each.
    pub fn keep_least<T: Sample, A: Lane>(kept: &mut [A], samples: &[T]) {
        for (kept, sample) in kept.iter_mut().zip(samples) {
            *kept = kept.least(A::of(sample.widen()));
        }
    }
}

simd! {
    /// Keeps the greater of each.
    pub fn keep_greatest<T: Sample, A: Lane>(kept: &mut [A], samples: &[T]) {
        for (kept, sample) in kept.iter_mut().zip(samples) {
            *kept = kept.greatest(A::of(sample.widen()));
        }
    }
}

/// Adds colours times alpha, or their squares, and alpha as it is; `step` samples are a pixel.
pub fn add_weighted<T: Sample, A: Lane>(sums: &mut [A], samples: &[T], step: usize, squares: bool) {
    for (sums, pixel) in sums.chunks_exact_mut(step).zip(samples.chunks_exact(step)) {
        let weight = u64::from(pixel[step - 1].widen());
        for (sum, sample) in sums.iter_mut().zip(&pixel[..step - 1]) {
            let sample = u64::from(sample.widen());
            let value = if squares { sample * sample } else { sample };
            *sum = sum.plus_wide(value * weight);
        }
        let alpha = if squares { weight * weight } else { weight };
        sums[step - 1] = sums[step - 1].plus_wide(alpha);
    }
}

/// Keeps the least or greatest of each sample; colours of pixels that are wholly transparent leave what is kept.
pub fn keep_visible<T: Sample, A: Lane>(kept: &mut [A], samples: &[T], step: usize, least: bool) {
    let keep = |kept: &mut A, sample: &T| {
        let sample = A::of(sample.widen());
        *kept = if least {
            kept.least(sample)
        } else {
            kept.greatest(sample)
        };
    };
    for (kept, pixel) in kept.chunks_exact_mut(step).zip(samples.chunks_exact(step)) {
        let seen = pixel[step - 1].widen() > 0;
        let from = if seen { 0 } else { step - 1 };
        kept.iter_mut()
            .zip(pixel)
            .skip(from)
            .for_each(|(k, s)| keep(k, s));
    }
}
