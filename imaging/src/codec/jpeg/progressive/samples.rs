//! Test support: progressive files by scripts of all kinds.

use crate::codec::hostile::picture;
use crate::image::{Color, SampleType};
use mozjpeg_sys as sys;
use std::os::raw::{c_int, c_ulong, c_void};

/// Components, first and last coefficient, high and low bit.
type Scan = (&'static [c_int], c_int, c_int, c_int, c_int);

/// As most encoders do it.
const USUAL: &[Scan] = &[
    (&[0, 1, 2], 0, 0, 0, 1),
    (&[0], 1, 5, 0, 2),
    (&[2], 1, 63, 0, 1),
    (&[1], 1, 63, 0, 1),
    (&[0], 6, 63, 0, 2),
    (&[0], 1, 63, 2, 1),
    (&[0, 1, 2], 0, 0, 1, 0),
    (&[2], 1, 63, 1, 0),
    (&[1], 1, 63, 1, 0),
    (&[0], 1, 63, 1, 0),
];
/// Bit by bit, and bands that are refined apart.
const DEEP: &[Scan] = &[
    (&[0], 0, 0, 0, 0),
    (&[0], 1, 63, 0, 5),
    (&[0], 1, 63, 5, 4),
    (&[0], 1, 20, 4, 3),
    (&[0], 21, 63, 4, 3),
    (&[0], 63, 63, 3, 2),
    (&[0], 1, 62, 3, 2),
    (&[0], 1, 63, 2, 1),
    (&[0], 1, 1, 1, 0),
    (&[0], 2, 63, 1, 0),
];
/// Bands alone.
const BANDS: &[Scan] = &[
    (&[0], 0, 0, 0, 0),
    (&[1, 2], 0, 0, 0, 0),
    (&[0], 1, 2, 0, 0),
    (&[0], 3, 63, 0, 0),
    (&[1], 1, 63, 0, 0),
    (&[2], 1, 8, 0, 0),
    (&[2], 9, 63, 0, 0),
];
/// Ends before the last bit is known.
const UNFINISHED: &[Scan] = &[
    (&[0, 1, 2], 0, 0, 0, 0),
    (&[0], 1, 63, 0, 2),
    (&[1], 1, 30, 0, 1),
    (&[0], 1, 63, 2, 1),
];
const INKS: &[Scan] = &[
    (&[0, 1, 2, 3], 0, 0, 0, 1),
    (&[0], 1, 63, 0, 1),
    (&[1], 1, 63, 0, 2),
    (&[2], 1, 63, 0, 1),
    (&[3], 1, 63, 0, 1),
    (&[1], 1, 63, 2, 1),
    (&[3], 1, 63, 1, 0),
    (&[0, 1, 2, 3], 0, 0, 1, 0),
    (&[2], 1, 63, 1, 0),
    (&[1], 1, 63, 1, 0),
    (&[0], 1, 63, 1, 0),
];

#[derive(Clone, Copy)]
pub struct Script {
    pub name: &'static str,
    scans: &'static [Scan],
    components: usize,
    /// Sampling factors of the first component.
    sampling: (c_int, c_int),
    quality: c_int,
    /// MCUs between restart markers.
    restarts: u32,
}

const USUAL_420: Script = Script {
    name: "usual",
    scans: USUAL,
    components: 3,
    sampling: (2, 2),
    quality: 90,
    restarts: 0,
};
pub const SCRIPTS: &[Script] = &[
    USUAL_420,
    Script {
        sampling: (1, 1),
        quality: 100,
        ..USUAL_420
    },
    Script {
        sampling: (2, 1),
        quality: 30,
        ..USUAL_420
    },
    Script {
        name: "restarts",
        restarts: 3,
        ..USUAL_420
    },
    Script {
        name: "deep",
        scans: DEEP,
        components: 1,
        sampling: (1, 1),
        quality: 97,
        ..USUAL_420
    },
    Script {
        name: "bands",
        scans: BANDS,
        sampling: (1, 2),
        ..USUAL_420
    },
    Script {
        name: "unfinished",
        scans: UNFINISHED,
        ..USUAL_420
    },
    Script {
        name: "inks",
        scans: INKS,
        components: 4,
        sampling: (1, 1),
        ..USUAL_420
    },
];

unsafe extern "C" {
    fn free(memory: *mut c_void);
}

/// A progressive file of this size.
pub fn encoded(script: Script, rows: usize, cols: usize) -> Vec<u8> {
    let color = match script.components {
        1 => Color::Gray,
        3 => Color::Rgb,
        _ => Color::Rgba,
    };
    let image = picture(rows, cols, color, SampleType::U8);
    let pixels = image.rows.data.bytes();
    let scans: Vec<sys::jpeg_scan_info> = script
        .scans
        .iter()
        .map(|&(components, first, last, high, low)| {
            let mut scan = sys::jpeg_scan_info {
                comps_in_scan: components.len() as c_int,
                Ss: first,
                Se: last,
                Ah: high,
                Al: low,
                ..Default::default()
            };
            scan.component_index[..components.len()].copy_from_slice(components);
            scan
        })
        .collect();
    // SAFETY: the standard error manager ends the process on an error; all pointers outlive their
    // use; rows are as long as the size says; the memory was allocated by libjpeg with malloc.
    unsafe {
        let (mut errors, mut cinfo): (sys::jpeg_error_mgr, sys::jpeg_compress_struct) =
            (std::mem::zeroed(), std::mem::zeroed());
        sys::jpeg_std_error(&mut errors);
        cinfo.common.err = &raw mut errors;
        sys::jpeg_create_compress(&mut cinfo);
        let (mut memory, mut size) = (std::ptr::null_mut::<u8>(), 0 as c_ulong);
        sys::jpeg_mem_dest(&mut cinfo, &raw mut memory, &raw mut size);
        cinfo.image_width = cols as u32;
        cinfo.image_height = rows as u32;
        cinfo.input_components = script.components as c_int;
        cinfo.in_color_space = match script.components {
            1 => sys::JCS_GRAYSCALE,
            3 => sys::JCS_RGB,
            _ => sys::JCS_CMYK,
        };
        let fastest = sys::JCP_FASTEST as c_int;
        sys::jpeg_c_set_int_param(&mut cinfo, sys::JINT_COMPRESS_PROFILE, fastest);
        sys::jpeg_set_defaults(&mut cinfo);
        sys::jpeg_set_quality(&mut cinfo, script.quality, 1);
        (*cinfo.comp_info).h_samp_factor = script.sampling.0;
        (*cinfo.comp_info).v_samp_factor = script.sampling.1;
        cinfo.restart_interval = script.restarts;
        cinfo.scan_info = scans.as_ptr();
        cinfo.num_scans = scans.len() as c_int;
        sys::jpeg_start_compress(&mut cinfo, 1);
        for row in pixels.chunks_exact(cols * script.components) {
            let line = row.as_ptr();
            sys::jpeg_write_scanlines(&mut cinfo, &line, 1);
        }
        sys::jpeg_finish_compress(&mut cinfo);
        sys::jpeg_destroy_compress(&mut cinfo);
        let file = std::slice::from_raw_parts(memory, size as usize).to_vec();
        free(memory.cast());
        file
    }
}
