//! The parts of libjpeg's decoder that its binding keeps private, as its headers lay them out.

use mozjpeg_sys as sys;
use std::mem::{offset_of, size_of};
use std::os::raw::{c_int, c_uint, c_void};

pub type Cinfo = *mut sys::jpeg_decompress_struct;
pub type StartPass = unsafe extern "C-unwind" fn(Cinfo);
pub type DecodeMcu = unsafe extern "C-unwind" fn(Cinfo, *mut sys::JBLOCKROW) -> sys::boolean;

/// What every entropy decoder begins with.
#[repr(C)]
pub struct Entropy {
    pub start_pass: Option<StartPass>,
    pub decode_mcu: Option<DecodeMcu>,
    /// Set once the scan's data has ended too early.
    pub insufficient_data: sys::boolean,
}

/// `jpeg_decompress_struct` from its tables on.
#[repr(C)]
pub struct Tail {
    quant_tbl_ptrs: [*mut sys::JQUANT_TBL; 4],
    dc_huff_tbl_ptrs: [*mut sys::JHUFF_TBL; 4],
    pub ac_huff_tbl_ptrs: [*mut sys::JHUFF_TBL; 4],
    data_precision: c_int,
    comp_info: *mut sys::jpeg_component_info,
    pub progressive_mode: sys::boolean,
    pub arith_code: sys::boolean,
    arith: [[u8; 16]; 3],
    pub restart_interval: c_uint,
    saw_jfif: sys::boolean,
    jfif_version: [u8; 2],
    density_unit: u8,
    densities: [u16; 2],
    saw_adobe: sys::boolean,
    adobe_transform: u8,
    ccir601: sys::boolean,
    marker_list: *mut sys::jpeg_marker_struct,
    max_h_samp_factor: c_int,
    max_v_samp_factor: c_int,
    min_dct_scaled_size: c_int,
    total_imcu_rows: c_uint,
    sample_range_limit: *mut u8,
    comps_in_scan: c_int,
    pub cur_comp_info: [*mut sys::jpeg_component_info; 4],
    mcus_per_row: c_uint,
    mcu_rows_in_scan: c_uint,
    blocks_in_mcu: c_int,
    mcu_membership: [c_int; 10],
    pub ss: c_int,
    pub se: c_int,
    pub ah: c_int,
    pub al: c_int,
    /// A marker that was found and not yet dealt with, or 0.
    pub unread_marker: c_int,
    modules: [*mut c_void; 6],
    pub entropy: *mut Entropy,
    further_modules: [*mut c_void; 4],
}

const TAIL: usize = offset_of!(sys::jpeg_decompress_struct, quant_tbl_ptrs);

// What the binding does show must lie where it is expected, and nothing may be left over.
macro_rules! same_place {
    ($($field:ident),*) => {
        $(const _: () = assert!(
            TAIL + offset_of!(Tail, $field) == offset_of!(sys::jpeg_decompress_struct, $field)
        );)*
    };
}
same_place!(
    comp_info,
    density_unit,
    marker_list,
    max_h_samp_factor,
    max_v_samp_factor
);
const _: () = assert!(TAIL + size_of::<Tail>() == size_of::<sys::jpeg_decompress_struct>());

/// The private part of a decoder.
///
/// # Safety
/// `cinfo` must point at a decoder.
pub unsafe fn tail(cinfo: Cinfo) -> *mut Tail {
    // SAFETY: the assertions above say that the part lies within the struct.
    unsafe { cinfo.byte_add(TAIL).cast() }
}
