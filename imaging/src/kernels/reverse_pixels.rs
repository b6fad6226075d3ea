//! Copying a row of pixels in reverse order.

/// The pixels of `source`, each of `pixel` bytes, from the last to the first. Both slices hold the
/// same number of whole pixels.
pub fn reverse_pixels(source: &[u8], target: &mut [u8], pixel: usize) {
    debug_assert_eq!(source.len(), target.len());
    match pixel {
        1 => reverse::<One>(source, target),
        2 => reverse::<Two>(source, target),
        3 => three(source, target),
        4 => reverse::<Four>(source, target),
        6 => reverse::<Six>(source, target),
        8 => reverse::<Eight>(source, target),
        12 => reverse::<Twelve>(source, target),
        16 => reverse::<Sixteen>(source, target),
        _ => {
            for (t, s) in (target.chunks_exact_mut(pixel)).zip(source.chunks_exact(pixel).rev()) {
                t.copy_from_slice(s);
            }
        }
    }
}

trait Pixel {
    type Bytes: bytemuck::Pod;
}

macro_rules! pixels {
    ($($name:ident $n:literal),+) => {
        $(struct $name;
        impl Pixel for $name {
            type Bytes = [u8; $n];
        })+
    };
}
pixels!(One 1, Two 2, Three 3, Four 4, Six 6, Eight 8, Twelve 12, Sixteen 16);

crate::simd! {
    fn reverse<P: Pixel>(source: &[u8], target: &mut [u8]) {
        let source: &[P::Bytes] = bytemuck::cast_slice(source);
        let target: &mut [P::Bytes] = bytemuck::cast_slice_mut(target);
        for (t, s) in target.iter_mut().zip(source.iter().rev()) {
            *t = *s;
        }
    }
}

fn three(source: &[u8], target: &mut [u8]) {
    #[cfg_attr(not(target_arch = "x86_64"), expect(unused_mut))]
    let mut done = 0;
    #[cfg(target_arch = "x86_64")]
    {
        use crate::simd::{Level, level};
        if level() >= Level::Avx512 && std::arch::is_x86_feature_detected!("avx512vbmi") {
            // SAFETY: the level and the check above say that the processor has these features.
            done = unsafe { x86::three_vbmi(source, target) };
        } else if level() >= Level::Sse41 {
            // SAFETY: the level includes SSSE3.
            done = unsafe { x86::three_ssse3(source, target) };
        }
    }
    let left = source.len() - 3 * done;
    reverse::<Three>(&source[..left], &mut target[3 * done..]);
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    /// Writes the first pixels of `target`, 21 at a time; how many, is returned. The byte after each
    /// group is written as well; it belongs to a later group or to the rest.
    // SAFETY: callers check for AVX-512 F, BW and VBMI. One pixel more than a group is left at each
    // step, so loads begin at or after the first byte and stores end before the last.
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    pub unsafe fn three_vbmi(source: &[u8], target: &mut [u8]) -> usize {
        let pixels = source.len().min(target.len()) / 3;
        let order: [u8; 64] = std::array::from_fn(|i| match i {
            63 => 0,
            // One byte before the group is loaded too.
            _ => (1 + (20 - i / 3) * 3 + i % 3) as u8,
        });
        // SAFETY: `order` has 64 bytes.
        let order = unsafe { _mm512_loadu_si512(order.as_ptr().cast()) };
        let mut done = 0;
        while done + 22 <= pixels {
            let at = 3 * (pixels - done - 21) - 1;
            // SAFETY: at + 64 = 3 (pixels - done) and 3 done + 64 < 3 pixels.
            unsafe {
                let v = _mm512_loadu_si512(source.as_ptr().add(at).cast());
                let v = _mm512_permutexvar_epi8(order, v);
                _mm512_storeu_si512(target.as_mut_ptr().add(3 * done).cast(), v);
            }
            done += 21;
        }
        done
    }

    /// As [`three_vbmi`], 5 pixels at a time.
    // SAFETY: callers check for SSSE3; bounds as above.
    #[target_feature(enable = "ssse3")]
    pub unsafe fn three_ssse3(source: &[u8], target: &mut [u8]) -> usize {
        let pixels = source.len().min(target.len()) / 3;
        let order = _mm_setr_epi8(13, 14, 15, 10, 11, 12, 7, 8, 9, 4, 5, 6, 1, 2, 3, 0);
        let mut done = 0;
        while done + 6 <= pixels {
            let at = 3 * (pixels - done - 5) - 1;
            // SAFETY: at + 16 = 3 (pixels - done) and 3 done + 16 < 3 pixels.
            unsafe {
                let v = _mm_loadu_si128(source.as_ptr().add(at).cast());
                _mm_storeu_si128(
                    target.as_mut_ptr().add(3 * done).cast(),
                    _mm_shuffle_epi8(v, order),
                );
            }
            done += 5;
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_come_back_to_front() {
        for pixel in [1, 2, 3, 4, 6, 8, 12, 16] {
            for count in [0, 1, 2, 5, 6, 7, 21, 22, 23, 64, 85, 301] {
                let source: Vec<u8> = (0..pixel * count)
                    .map(|i| (i * 7 + i / 256) as u8)
                    .collect();
                let expected: Vec<u8> = source.chunks(pixel).rev().flatten().copied().collect();
                let mut got = vec![0; source.len()];
                reverse_pixels(&source, &mut got, pixel);
                assert_eq!(got, expected, "{count} pixels of {pixel} bytes");
                #[cfg(target_arch = "x86_64")]
                if pixel == 3 && crate::simd::best() >= crate::simd::Level::Sse41 {
                    // SAFETY: the processor was found to have SSSE3.
                    let done = unsafe { x86::three_ssse3(&source, &mut got) };
                    assert_eq!(got[..3 * done], expected[..3 * done]);
                }
            }
        }
    }
}
