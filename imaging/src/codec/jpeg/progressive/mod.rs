//! Faster entropy decoding of progressive files, in the place of libjpeg's own.
//!
//! libjpeg reads markers and sets up its scans. For the AC coefficients of a Huffman-coded scan its
//! decoder of one block is then exchanged for ours; scans with restart markers stay with libjpeg.
//! Pixels, errors and the place in the input are the same.

mod band;
mod bits;
mod block;
mod codes;
mod layout;

use super::decode::scans;
use band::Band;
use bits::{Bits, Kept};
use block::{Block, Masks, Plain};
use codes::Codes;
use layout::{Cinfo, DecodeMcu, StartPass, tail};
use mozjpeg_sys as sys;

/// What our decoding knows from one call to the next.
pub(super) struct Scans {
    /// Whether libjpeg's decoder is still to be looked at.
    waiting: bool,
    start_pass: Option<StartPass>,
    bits: Kept,
    band: Band,
}

impl Scans {
    /// With `ours` false, libjpeg decodes all by itself.
    pub fn new(ours: bool) -> Scans {
        Scans {
            waiting: ours,
            start_pass: None,
            bits: Kept::default(),
            band: Band {
                first: 1,
                last: 0,
                low: 0,
                ended: 0,
                codes: Codes::new(),
            },
        }
    }

    /// Whether ours is in use.
    #[cfg(test)]
    pub fn attached(&self) -> bool {
        self.start_pass.is_some()
    }

    /// Gets between libjpeg and its entropy decoder, if that is one to be improved. To be called
    /// when the first scan was set up, which never is one of AC coefficients.
    ///
    /// # Safety
    /// `cinfo` must be a decoder that has begun decompression, of which `scans` tells these.
    pub unsafe fn attach(&mut self, cinfo: Cinfo) {
        if !std::mem::take(&mut self.waiting) {
            return;
        }
        // SAFETY: the caller's promise: the entropy decoder exists.
        unsafe {
            let tail = tail(cinfo);
            if (*tail).progressive_mode != 0 && (*tail).arith_code == 0 {
                let entropy = (*tail).entropy;
                self.start_pass = (*entropy).start_pass.replace(start_pass);
            }
        }
    }
}

/// Sets a scan up.
unsafe extern "C-unwind" fn start_pass(cinfo: Cinfo) {
    // SAFETY: libjpeg calls this with the decoder that it was set for; its own function checks the
    // scan's parameters and tables and does not return if they are wrong.
    unsafe {
        let scans = scans(cinfo);
        if let Some(libjpegs) = (*scans).start_pass {
            libjpegs(cinfo);
        }
        let tail = tail(cinfo);
        if (*tail).ss == 0 || (*tail).restart_interval != 0 {
            return;
        }
        let refines = (*tail).ah != 0;
        let band = &mut (*scans).band;
        band.first = (*tail).ss as u32;
        band.last = (*tail).se as u32;
        band.low = (*tail).al as u32;
        band.ended = 0;
        (*scans).bits = Kept::default();
        let number = (*(*tail).cur_comp_info[0]).ac_tbl_no as usize;
        let table = (*tail).ac_huff_tbl_ptrs[number];
        band.codes.build(&*table, if refines { 1 } else { 15 });
        (*(*tail).entropy).decode_mcu = Some(if refines { refiner() } else { begin });
    }
}

fn refiner() -> DecodeMcu {
    #[cfg(target_arch = "x86_64")]
    match crate::simd::level() {
        crate::simd::Level::Avx512 => return refine_avx512,
        crate::simd::Level::Avx2 => return refine_avx2,
        _ => {}
    }
    refine
}

unsafe extern "C-unwind" fn begin(cinfo: Cinfo, blocks: *mut sys::JBLOCKROW) -> sys::boolean {
    // SAFETY: libjpeg gives the decoder and a block, and calls within a scan only.
    unsafe {
        let scans = scans(cinfo);
        if (*scans).band.ended > 0 {
            (*scans).band.ended -= 1;
        } else if (*(*tail(cinfo)).entropy).insufficient_data == 0 {
            let mut bits = Bits::resume(cinfo, (*scans).bits);
            (*scans)
                .band
                .begin(&mut bits, &mut *(*blocks).cast::<Block>());
            (*scans).bits = bits.keep();
        }
    }
    1
}

#[inline(always)]
unsafe fn refine_by<M: Masks>(cinfo: Cinfo, blocks: *mut sys::JBLOCKROW) -> sys::boolean {
    // SAFETY: as for `begin`; the features are the caller's promise.
    unsafe {
        let scans = scans(cinfo);
        if (*(*tail(cinfo)).entropy).insufficient_data == 0 {
            let mut bits = Bits::resume(cinfo, (*scans).bits);
            let block = &mut *(*blocks).cast::<Block>();
            (*scans).band.refine::<M>(&mut bits, block);
            (*scans).bits = bits.keep();
        }
    }
    1
}

unsafe extern "C-unwind" fn refine(cinfo: Cinfo, blocks: *mut sys::JBLOCKROW) -> sys::boolean {
    // SAFETY: as for `begin`; plain code needs no feature.
    unsafe { refine_by::<Plain>(cinfo, blocks) }
}

// SAFETY: chosen by `refiner` only where the level says that the processor has these features.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
unsafe extern "C-unwind" fn refine_avx2(cinfo: Cinfo, blocks: *mut sys::JBLOCKROW) -> sys::boolean {
    // SAFETY: as for `begin`.
    unsafe { refine_by::<Plain>(cinfo, blocks) }
}

// SAFETY: as for `refine_avx2`.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,bmi1,bmi2,popcnt")]
unsafe extern "C-unwind" fn refine_avx512(
    cinfo: Cinfo,
    blocks: *mut sys::JBLOCKROW,
) -> sys::boolean {
    // SAFETY: as for `begin`.
    unsafe { refine_by::<block::Wide>(cinfo, blocks) }
}

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;
