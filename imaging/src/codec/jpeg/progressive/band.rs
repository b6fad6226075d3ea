//! A block's coefficients in one scan: ITU-T T.81 annex G.
//!
//! What libjpeg makes of data that no encoder writes is kept, too.

use super::bits::Bits;
use super::block::{Block, Change, Masks, PLACES};
use super::codes::Codes;
use mozjpeg_sys as sys;

/// The scan's band of coefficients and where it stands.
pub struct Band {
    /// First and last coefficient in zigzag order: 1 to 63.
    pub first: u32,
    pub last: u32,
    /// The bit that the scan gives (and, if it is the band's first scan, all above).
    pub low: u32,
    /// Blocks from this one on that have no further new coefficient in the band.
    pub ended: u32,
    pub codes: Codes,
}

impl Band {
    /// The band's first scan.
    #[inline(always)]
    pub fn begin(&mut self, bits: &mut Bits, block: &mut Block) {
        let mut k = self.first;
        while k <= self.last {
            let (run, value) = match bits.coefficient(&self.codes) {
                Some(found) => found,
                None => {
                    let symbol = bits.symbol(&self.codes);
                    match (symbol >> 4, symbol & 15) {
                        (15, 0) => {
                            k += 16;
                            continue;
                        }
                        (run, 0) => {
                            self.ended = ended(bits, run) - 1;
                            return;
                        }
                        (run, size) => (run, bits.value(size)),
                    }
                }
            };
            k += run;
            // At most 63 and a run of 15.
            block[usize::from(PLACES[k as usize % 80])] = (value << self.low) as i16;
            k += 1;
        }
    }

    /// A scan that gives one more bit.
    ///
    /// # Safety
    /// The processor must have the features that `M` names.
    #[inline(always)]
    pub unsafe fn refine<M: Masks>(&mut self, bits: &mut Bits, block: &mut Block) {
        let band = !0 >> (63 - self.last) & !0 << self.first;
        // SAFETY: the caller's promise.
        let used = unsafe { M::used(block) } & band;
        // One bit for each used coefficient that was passed.
        let (mut more, mut passed) = (0, 0);
        let mut change = Change::default();
        let mut ahead = band;
        if self.ended == 0 {
            while ahead != 0 {
                let (run, value) = match bits.coefficient(&self.codes) {
                    Some(found) => found,
                    None => {
                        let symbol = bits.symbol(&self.codes);
                        match (symbol >> 4, symbol & 15) {
                            (15, 0) => (15, 0),
                            (run, 0) => {
                                self.ended = ended(bits, run);
                                break;
                            }
                            (run, size) => {
                                if size != 1 {
                                    bits.warn(sys::JWRN_HUFF_BAD_CODE);
                                }
                                (run, 2 * bits.bit() as i32 - 1)
                            }
                        }
                    }
                };
                // SAFETY: the caller's promise.
                let found = unsafe { M::nth(ahead & !used, run) };
                // A run that is too long ends right after the band.
                let at = found.min(self.last + 1);
                // SAFETY: as above.
                let before = unsafe { M::below(ahead, at) };
                let count = (before & used).count_ones();
                more |= bits.many(count) << passed;
                passed += count;
                // Signs are as good as random: no jump may depend on them.
                let here = 1 << at.min(63);
                change.plus |= here & u64::from(value > 0).wrapping_neg();
                change.minus |= here & u64::from(value < 0).wrapping_neg();
                ahead &= !(before | here);
            }
        }
        if self.ended > 0 {
            let count = (ahead & used).count_ones();
            more |= bits.many(count) << (passed & 63);
            self.ended -= 1;
        }
        if more != 0 {
            // SAFETY: the caller's promise.
            change.grown = unsafe { M::chosen(used, more) };
        }
        if change != Change::default() {
            // SAFETY: as above.
            unsafe { M::change(block, change, self.low) };
        }
    }
}

/// How many blocks end here, this one included.
#[inline(always)]
fn ended(bits: &mut Bits, run: u32) -> u32 {
    match run {
        0 => 1,
        _ => (1 << run) + bits.number(run),
    }
}
