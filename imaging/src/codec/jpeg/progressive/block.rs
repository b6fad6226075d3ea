//! A block's coefficients as sets: bit `k` of a mask is the `k`-th coefficient in zigzag order.

/// Coefficients by rows, as libjpeg stores them.
pub type Block = [i16; 64];

/// Where each coefficient of the zigzag order lies; beyond the last one, runs of corrupt data end on
/// the last, as libjpeg lets them.
pub static PLACES: [u8; 80] = places();

const fn places() -> [u8; 80] {
    let mut places = [63; 80];
    let (mut row, mut col, mut k) = (0usize, 0usize, 0);
    while k < 64 {
        places[k] = (8 * row + col) as u8;
        let upwards = (row + col) % 2 == 0;
        if upwards && col == 7 || !upwards && row < 7 && col == 0 {
            row += 1;
        } else if upwards && row == 0 || !upwards && row == 7 {
            col += 1;
        } else if upwards {
            (row, col) = (row - 1, col + 1);
        } else {
            (row, col) = (row + 1, col - 1);
        }
        k += 1;
    }
    places
}

/// What a refinement does to a block.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Change {
    /// Coefficients that grow by one step away from zero.
    pub grown: u64,
    /// Coefficients that become one step above zero.
    pub plus: u64,
    /// Coefficients that become one step below zero.
    pub minus: u64,
}

/// How masks are worked on; all ways give the same.
pub trait Masks {
    /// The coefficients other than zero.
    ///
    /// # Safety
    /// The processor must have the features that the implementation names.
    unsafe fn used(block: &Block) -> u64;
    /// The bits below place `end`, at most 64.
    ///
    /// # Safety
    /// As for `used`.
    unsafe fn below(mask: u64, end: u32) -> u64;
    /// The place of the bit before which `count` are set; 64 or more where there is none.
    ///
    /// # Safety
    /// As for `used`.
    unsafe fn nth(mask: u64, count: u32) -> u32;
    /// The set bits of the mask whose number among them is set in `chosen`.
    ///
    /// # Safety
    /// As for `used`.
    unsafe fn chosen(mask: u64, chosen: u64) -> u64;
    /// Changes the block; a step is `1 << low`, and a bit that is set already is not added again.
    ///
    /// # Safety
    /// As for `used`.
    unsafe fn change(block: &mut Block, change: Change, low: u32);
}

/// Plain code.
pub struct Plain;

/// The zigzag mask of each byte of a mask by rows.
static ZIGZAG: [[u64; 256]; 8] = zigzag();

const fn zigzag() -> [[u64; 256]; 8] {
    let mut table = [[0; 256]; 8];
    let mut k = 0;
    while k < 64 {
        let (row, col) = (PLACES_HERE[k] / 8, PLACES_HERE[k] % 8);
        let mut byte = 0;
        while byte < 256 {
            if byte >> col & 1 == 1 {
                table[row as usize][byte] |= 1 << k;
            }
            byte += 1;
        }
        k += 1;
    }
    table
}

const PLACES_HERE: [u8; 80] = places();

/// Bit `i` tells whether coefficient `i` of a row is other than zero.
#[inline(always)]
fn used_of_row(row: &[i16]) -> usize {
    let mut mask = 0;
    for (i, value) in row.iter().enumerate() {
        mask |= usize::from(*value != 0) << i;
    }
    mask
}

impl Masks for Plain {
    #[inline(always)]
    unsafe fn used(block: &Block) -> u64 {
        let rows = block.chunks_exact(8).map(used_of_row);
        rows.zip(&ZIGZAG)
            .fold(0, |mask, (row, table)| mask | table[row])
    }

    #[inline(always)]
    unsafe fn below(mask: u64, end: u32) -> u64 {
        if end < 64 {
            mask & ((1 << end) - 1)
        } else {
            mask
        }
    }

    #[inline(always)]
    unsafe fn nth(mut mask: u64, count: u32) -> u32 {
        // Short runs, the most frequent ones, without a jump.
        for skipped in 0..3 {
            let next = mask & mask.wrapping_sub(1);
            mask = if skipped < count { next } else { mask };
        }
        for _ in 3..count {
            mask &= mask.wrapping_sub(1);
        }
        mask.trailing_zeros()
    }

    #[inline(always)]
    unsafe fn chosen(mut mask: u64, mut chosen: u64) -> u64 {
        let mut set = 0;
        while chosen != 0 && mask != 0 {
            let lowest = mask & mask.wrapping_neg();
            set |= lowest & (chosen & 1).wrapping_neg();
            mask ^= lowest;
            chosen >>= 1;
        }
        set
    }

    #[inline(always)]
    unsafe fn change(block: &mut Block, change: Change, low: u32) {
        let Change {
            mut grown,
            plus,
            minus,
        } = change;
        while grown != 0 {
            let value = &mut block[usize::from(PLACES[grown.trailing_zeros() as usize])];
            let fresh = !(*value >> low) & 1;
            *value = value.wrapping_add((((*value >> 15) | 1) & fresh.wrapping_neg()) << low);
            grown &= grown - 1;
        }
        let mut new = plus | minus;
        while new != 0 {
            let k = new.trailing_zeros();
            let sign = if plus >> k & 1 == 1 { 1 } else { -1 };
            block[usize::from(PLACES[k as usize])] = sign << low;
            new &= new - 1;
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub use x86::Wide;

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Block, Change, Masks, PLACES_HERE};
    use std::arch::x86_64::*;

    /// AVX-512 F and BW with BMI2: a block is two registers.
    pub struct Wide;

    /// Word `k`: the place of the `k`-th coefficient.
    static TO_ZIGZAG: [i16; 64] = to_zigzag();
    /// Word `i`: the zigzag number of the coefficient at place `i`.
    static TO_ROWS: [i16; 64] = to_rows();

    const fn to_zigzag() -> [i16; 64] {
        let mut words = [0; 64];
        let mut k = 0;
        while k < 64 {
            words[k] = PLACES_HERE[k] as i16;
            k += 1;
        }
        words
    }

    const fn to_rows() -> [i16; 64] {
        let mut words = [0; 64];
        let mut k = 0;
        while k < 64 {
            words[PLACES_HERE[k] as usize] = k as i16;
            k += 1;
        }
        words
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn load(words: &[i16; 64]) -> [__m512i; 2] {
        // SAFETY: 32 words each.
        unsafe {
            [
                _mm512_loadu_si512(words.as_ptr().cast()),
                _mm512_loadu_si512(words.as_ptr().add(32).cast()),
            ]
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn ordered(words: [__m512i; 2], order: &[i16; 64]) -> [__m512i; 2] {
        load(order).map(|order| _mm512_permutex2var_epi16(words[0], order, words[1]))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn used(block: &Block) -> u64 {
        let [low, high] = ordered(load(block), &TO_ZIGZAG);
        u64::from(_mm512_test_epi16_mask(low, low))
            | u64::from(_mm512_test_epi16_mask(high, high)) << 32
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn change(block: &mut Block, change: Change, low: u32) {
        let words = ordered(load(block), &TO_ZIGZAG);
        let step = _mm512_set1_epi16(1 << low);
        let back = _mm512_set1_epi16(-1 << low);
        let part = |half: usize, words: __m512i| {
            let of = |mask: u64| (mask >> (32 * half)) as u32;
            let fresh = _mm512_mask_testn_epi16_mask(of(change.grown), words, step);
            let below = _mm512_movepi16_mask(words);
            let words = _mm512_mask_add_epi16(words, fresh & !below, words, step);
            let words = _mm512_mask_add_epi16(words, fresh & below, words, back);
            let words = _mm512_mask_mov_epi16(words, of(change.plus), step);
            _mm512_mask_mov_epi16(words, of(change.minus), back)
        };
        let [low, high] = ordered([part(0, words[0]), part(1, words[1])], &TO_ROWS);
        // SAFETY: 32 words each.
        unsafe {
            _mm512_storeu_si512(block.as_mut_ptr().cast(), low);
            _mm512_storeu_si512(block.as_mut_ptr().add(32).cast(), high);
        }
    }

    #[inline]
    #[target_feature(enable = "bmi2")]
    fn chosen(mask: u64, chosen: u64) -> u64 {
        _pdep_u64(chosen, mask)
    }

    #[inline]
    #[target_feature(enable = "bmi2")]
    fn below(mask: u64, end: u32) -> u64 {
        _bzhi_u64(mask, end)
    }

    impl Masks for Wide {
        #[inline(always)]
        unsafe fn used(block: &Block) -> u64 {
            // SAFETY: the caller's promise.
            unsafe { used(block) }
        }

        #[inline(always)]
        unsafe fn below(mask: u64, end: u32) -> u64 {
            // SAFETY: as above.
            unsafe { below(mask, end) }
        }

        #[inline(always)]
        unsafe fn nth(mask: u64, count: u32) -> u32 {
            // SAFETY: as above.
            unsafe { chosen(mask, 1 << count) }.trailing_zeros()
        }

        #[inline(always)]
        unsafe fn chosen(mask: u64, choice: u64) -> u64 {
            // SAFETY: as above.
            unsafe { chosen(mask, choice) }
        }

        #[inline(always)]
        unsafe fn change(block: &mut Block, c: Change, low: u32) {
            // SAFETY: as above.
            unsafe { change(block, c, low) }
        }
    }
}
