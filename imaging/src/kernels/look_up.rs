//! Looking bytes up in a table of 256, in registers where the processor can.

#[cfg(target_arch = "x86_64")]
use crate::simd::{Level, level};

/// `target[i] = table[source[i]]`.
pub fn look_up(source: &[u8], target: &mut [u8], table: &[u8; 256]) {
    debug_assert_eq!(source.len(), target.len());
    #[cfg(target_arch = "x86_64")]
    {
        if level() >= Level::Avx512 && std::arch::is_x86_feature_detected!("avx512vbmi") {
            // SAFETY: the level and the check above say that the processor has these features.
            return unsafe { x86::vbmi(source, target, table) };
        }
        if level() >= Level::Avx2 {
            // SAFETY: the level says that the processor has AVX2.
            return unsafe { x86::avx2(source, target, table) };
        }
    }
    one_by_one(source, target, table);
}

fn one_by_one(source: &[u8], target: &mut [u8], table: &[u8; 256]) {
    for (t, s) in target.iter_mut().zip(source) {
        *t = table[*s as usize];
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    /// The table lies in four registers; two permutations of 128 entries each and a blend.
    // SAFETY: callers check for AVX-512 F, BW and VBMI. Loads and stores stay inside the slices: tails
    // are masked.
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    pub unsafe fn vbmi(source: &[u8], target: &mut [u8], table: &[u8; 256]) {
        let len = source.len().min(target.len());
        let quarter = |i: usize| {
            // SAFETY: 64 bytes at 64 * i of 256.
            unsafe { _mm512_loadu_si512(table.as_ptr().add(64 * i).cast()) }
        };
        let (a, b, c, d) = (quarter(0), quarter(1), quarter(2), quarter(3));
        let map = |v: __m512i| {
            let low = _mm512_permutex2var_epi8(a, v, b);
            let high = _mm512_permutex2var_epi8(c, v, d);
            _mm512_mask_blend_epi8(_mm512_movepi8_mask(v), low, high)
        };
        let mut i = 0;
        while i + 64 <= len {
            // SAFETY: i + 64 <= len of both.
            unsafe {
                let v = _mm512_loadu_si512(source.as_ptr().add(i).cast());
                _mm512_storeu_si512(target.as_mut_ptr().add(i).cast(), map(v));
            }
            i += 64;
        }
        if i < len {
            let mask = (1u64 << (len - i)) - 1;
            // SAFETY: the mask admits only the bytes before `len`.
            unsafe {
                let v = _mm512_maskz_loadu_epi8(mask, source.as_ptr().add(i).cast());
                _mm512_mask_storeu_epi8(target.as_mut_ptr().add(i).cast(), mask, map(v));
            }
        }
    }

    /// Sixteen shuffles of 16 entries each: a byte is found by the one that matches its upper half.
    // SAFETY: callers check for AVX2. Whole vectors are touched only while they fit; the rest goes byte by byte.
    #[target_feature(enable = "avx2")]
    pub unsafe fn avx2(source: &[u8], target: &mut [u8], table: &[u8; 256]) {
        let len = source.len().min(target.len());
        let mut parts = [_mm256_setzero_si256(); 16];
        for (i, part) in parts.iter_mut().enumerate() {
            // SAFETY: 16 bytes at 16 * i of 256.
            let entries = unsafe { _mm_loadu_si128(table.as_ptr().add(16 * i).cast()) };
            *part = _mm256_broadcastsi128_si256(entries);
        }
        let above = _mm256_set1_epi8(0x70);
        let mut i = 0;
        while i + 64 <= len {
            // SAFETY: i + 64 <= len of both.
            unsafe {
                let x = _mm256_loadu_si256(source.as_ptr().add(i).cast());
                let y = _mm256_loadu_si256(source.as_ptr().add(i + 32).cast());
                let (mut p, mut q) = (_mm256_setzero_si256(), _mm256_setzero_si256());
                for (k, &part) in parts.iter().enumerate() {
                    // Below 16 only where the upper half is k; all else gets its top bit set, which
                    // the shuffle answers with zero.
                    let upper = _mm256_set1_epi8((k << 4) as i8);
                    let a = _mm256_adds_epu8(_mm256_xor_si256(x, upper), above);
                    let b = _mm256_adds_epu8(_mm256_xor_si256(y, upper), above);
                    p = _mm256_or_si256(p, _mm256_shuffle_epi8(part, a));
                    q = _mm256_or_si256(q, _mm256_shuffle_epi8(part, b));
                }
                _mm256_storeu_si256(target.as_mut_ptr().add(i).cast(), p);
                _mm256_storeu_si256(target.as_mut_ptr().add(i + 32).cast(), q);
            }
            i += 64;
        }
        super::one_by_one(&source[i..len], &mut target[i..len], table);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_hold_the_same_table() {
        let table: [u8; 256] = std::array::from_fn(|i| (i * 167 + 13) as u8);
        for len in [0, 1, 15, 63, 64, 65, 127, 130, 1000] {
            let source: Vec<u8> = (0..len).map(|i| (i * 31 + len) as u8).collect();
            let (mut expected, mut got) = (vec![0; len], vec![0; len]);
            one_by_one(&source, &mut expected, &table);
            look_up(&source, &mut got, &table);
            assert_eq!(got, expected);
            #[cfg(target_arch = "x86_64")]
            if crate::simd::best() >= Level::Avx2 {
                got.fill(0);
                // SAFETY: the processor was found to have AVX2.
                unsafe { x86::avx2(&source, &mut got, &table) };
                assert_eq!(got, expected);
            }
        }
    }
}
