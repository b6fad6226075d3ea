//! Resampling rows: the two passes for each sample type.

use super::resample_axis::Axis;
use super::resample_bytes as bytes;
use crate::image::Element;

/// Samples that can be resampled.
pub trait Resample: Element {
    /// An axis with its weights in the form that the kernels want.
    type Weights: Send + Sync;

    /// The weights of an axis.
    fn weights(axis: &Axis) -> Self::Weights;

    /// Makes a row of pixels of `channels` samples from a wider or narrower one.
    fn horizontal(
        source: &[Self],
        target: &mut [Self],
        axis: &Axis,
        weights: &Self::Weights,
        channels: usize,
    );

    /// Makes row `y` from the rows of its range.
    fn vertical(
        rows: &[&[Self]],
        target: &mut [Self],
        axis: &Axis,
        weights: &Self::Weights,
        y: usize,
    );

    /// Multiplies colours by their alpha, the last of `channels`.
    fn premultiply(source: &[Self], target: &mut [Self], channels: usize);

    /// Divides colours by their alpha.
    fn unpremultiply(samples: &mut [Self], channels: usize);
}

impl Resample for u8 {
    type Weights = bytes::Weights;

    fn weights(axis: &Axis) -> bytes::Weights {
        bytes::Weights::new(axis)
    }

    fn horizontal(
        source: &[u8],
        target: &mut [u8],
        axis: &Axis,
        weights: &bytes::Weights,
        channels: usize,
    ) {
        bytes::horizontal(source, target, axis, weights, channels);
    }

    fn vertical(
        rows: &[&[u8]],
        target: &mut [u8],
        axis: &Axis,
        weights: &bytes::Weights,
        y: usize,
    ) {
        match axis.halves {
            true => bytes::mean(rows[0], rows[1], target),
            false => bytes::vertical(rows, target, weights.of(y)),
        }
    }

    fn premultiply(source: &[u8], target: &mut [u8], channels: usize) {
        for (t, s) in target
            .chunks_exact_mut(channels)
            .zip(source.chunks_exact(channels))
        {
            let alpha = u32::from(s[channels - 1]);
            for c in 0..channels - 1 {
                // Rounded division by 255.
                let product = u32::from(s[c]) * alpha + 128;
                t[c] = ((product + (product >> 8)) >> 8) as u8;
            }
            t[channels - 1] = s[channels - 1];
        }
    }

    fn unpremultiply(samples: &mut [u8], channels: usize) {
        for pixel in samples.chunks_exact_mut(channels) {
            let alpha = u32::from(pixel[channels - 1]);
            if alpha != 0 && alpha != 255 {
                for c in &mut pixel[..channels - 1] {
                    *c = (255 * u32::from(*c) / alpha).min(255) as u8;
                }
            }
        }
    }
}

macro_rules! float_passes {
    ($t:ty) => {
        type Weights = Vec<f32>;

        fn weights(axis: &Axis) -> Vec<f32> {
            axis.weights.iter().map(|&w| w as f32).collect()
        }

        fn horizontal(
            source: &[$t],
            target: &mut [$t],
            axis: &Axis,
            weights: &Vec<f32>,
            channels: usize,
        ) {
            match channels {
                1 => across::<$t, One>(source, target, axis, weights),
                2 => across::<$t, Two>(source, target, axis, weights),
                3 => across::<$t, Three>(source, target, axis, weights),
                _ => across::<$t, Four>(source, target, axis, weights),
            }
        }

        fn vertical(rows: &[&[$t]], target: &mut [$t], axis: &Axis, weights: &Vec<f32>, y: usize) {
            down(
                rows,
                target,
                &weights[y * axis.taps..y * axis.taps + rows.len()],
            );
        }
    };
}

impl Resample for u16 {
    float_passes!(u16);

    fn premultiply(source: &[u16], target: &mut [u16], channels: usize) {
        for (t, s) in target
            .chunks_exact_mut(channels)
            .zip(source.chunks_exact(channels))
        {
            let alpha = u32::from(s[channels - 1]);
            for c in 0..channels - 1 {
                t[c] = ((u64::from(s[c]) * u64::from(alpha) + 32767) / 65535) as u16;
            }
            t[channels - 1] = s[channels - 1];
        }
    }

    fn unpremultiply(samples: &mut [u16], channels: usize) {
        for pixel in samples.chunks_exact_mut(channels) {
            let alpha = u64::from(pixel[channels - 1]);
            for c in &mut pixel[..channels - 1] {
                let straight = (65535 * u64::from(*c)).checked_div(alpha);
                *c = straight.map_or(*c, |v| v.min(65535) as u16);
            }
        }
    }
}

impl Resample for f32 {
    float_passes!(f32);

    fn premultiply(source: &[f32], target: &mut [f32], channels: usize) {
        for (t, s) in target
            .chunks_exact_mut(channels)
            .zip(source.chunks_exact(channels))
        {
            for c in 0..channels - 1 {
                t[c] = s[c] * s[channels - 1];
            }
            t[channels - 1] = s[channels - 1];
        }
    }

    fn unpremultiply(samples: &mut [f32], channels: usize) {
        for pixel in samples.chunks_exact_mut(channels) {
            let alpha = pixel[channels - 1];
            if alpha > 0.0 {
                for c in &mut pixel[..channels - 1] {
                    *c /= alpha;
                }
            }
        }
    }
}

/// The number of channels as a type, so that loops over them unroll.
pub trait Channels {
    /// How many.
    const N: usize;
}

macro_rules! channels {
    ($($(#[$meta:meta])* $name:ident $n:literal),+) => {
        $($(#[$meta])* pub struct $name;
        impl Channels for $name {
            const N: usize = $n;
        })+
    };
}
channels!(
    /// 1.
    One 1,
    /// 2.
    Two 2,
    /// 3.
    Three 3,
    /// 4.
    Four 4
);

crate::simd! {
    fn across<T: Element, C: Channels>(source: &[T], target: &mut [T], axis: &Axis, weights: &[f32]) {
        for (i, t) in target.chunks_exact_mut(C::N).enumerate() {
            let range = axis.range(i);
            let taps = source[range.start * C::N..range.end * C::N].chunks_exact(C::N);
            let mut sums = [0.0f32; 4];
            for (tap, w) in taps.zip(&weights[i * axis.taps..]) {
                for c in 0..C::N {
                    sums[c] += tap[c].to_f32() * w;
                }
            }
            for c in 0..C::N {
                t[c] = T::saturate32(sums[c]);
            }
        }
    }
}

/// Samples of a row made at once, while their sums stay in registers.
const BLOCK: usize = 32;

crate::simd! {
    fn down<T: Element>(rows: &[&[T]], target: &mut [T], weights: &[f32]) {
        let mut at = 0;
        for t in target.chunks_mut(BLOCK) {
            let mut sums = [0.0f32; BLOCK];
            for (row, w) in rows.iter().zip(weights) {
                for (sum, v) in sums.iter_mut().zip(&row[at..at + t.len()]) {
                    *sum += v.to_f32() * w;
                }
            }
            for (t, sum) in t.iter_mut().zip(&sums) {
                *t = T::saturate32(*sum);
            }
            at += t.len();
        }
    }
}
