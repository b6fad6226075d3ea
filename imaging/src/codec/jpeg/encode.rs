//! Encoding by libjpeg, a few scanlines at a time: baseline, standard Huffman tables, exact DCT.

use super::Subsampling;
use super::link::{Report, abort, guarded, install};
use super::side;
use super::thumbnail::{self, Thumbnail};
use crate::codec::{RowSink, WriteSeek};
use crate::error::{Error, Result};
use crate::image::{Color, Metadata, Rows, Shape};
use mozjpeg_sys as sys;
use std::os::raw::c_int;

const BUFFER: usize = 64 << 10;

/// All that libjpeg and its callbacks hold pointers to; see the decoder's.
#[repr(C)]
struct State {
    // First, so that the callbacks' `client_data` may point at the whole.
    report: Report,
    errors: sys::jpeg_error_mgr,
    target: sys::jpeg_destination_mgr,
    output: Box<dyn WriteSeek>,
    buffer: Vec<u8>,
}

pub(super) struct Encoder {
    cinfo: *mut sys::jpeg_compress_struct,
    state: *mut State,
    shape: Shape,
    next: usize,
    thumbnail: Option<Thumbnail>,
}

// SAFETY: both pointers are owned by this value alone, libjpeg keeps no thread-bound state in them,
// and the output inside is Send.
unsafe impl Send for Encoder {}

impl Encoder {
    pub fn new(
        mut output: Box<dyn WriteSeek>,
        quality: u8,
        subsampling: Subsampling,
        shape: Shape,
        metadata: &Metadata,
    ) -> Result<Encoder> {
        if shape.rows.max(shape.cols) > 65500 {
            return Err(Error::Encode(format!(
                "{}x{} is too large for JPEG, which holds 65500 pixels each way (tiff and png hold more)",
                shape.cols, shape.rows
            )));
        }
        let mut metadata = metadata.clone();
        let wanted = metadata.thumbnail && thumbnail::possible(shape);
        let block = metadata.exif.as_mut().filter(|_| wanted);
        let thumbnail = block.and_then(|block| Thumbnail::new(block, shape));
        let metadata = &metadata;
        let segments = side::segments(metadata)?;
        let begins = output.stream_position()?;
        // SAFETY: plain C structs, for which zeros are valid (null pointers, first enum variants).
        let (errors, target, cinfo) =
            unsafe { (std::mem::zeroed(), std::mem::zeroed(), std::mem::zeroed()) };
        let state = Box::into_raw(Box::new(State {
            report: Report {
                failure: None,
                warnings: Vec::new(),
                in_header: false,
                decodes: false,
            },
            errors,
            target,
            output,
            buffer: vec![0; BUFFER],
        }));
        let mut encoder = Encoder {
            cinfo: Box::into_raw(Box::new(cinfo)),
            state,
            shape,
            next: 0,
            thumbnail,
        };
        // SAFETY: all pointers were just made and live as long as the encoder.
        unsafe {
            let (cinfo, state) = (encoder.cinfo, encoder.state);
            install(&mut (*state).errors);
            (*cinfo).common.err = &raw mut (*state).errors;
            (*cinfo).common.client_data = state.cast();
            guarded(&raw mut (*state).report, || {
                sys::jpeg_create_compress(cinfo);
                (*state).target.init_destination = Some(begin);
                (*state).target.empty_output_buffer = Some(empty);
                (*state).target.term_destination = Some(end);
                let cinfo = &mut *cinfo;
                cinfo.dest = &raw mut (*state).target;
                cinfo.image_width = shape.cols as u32;
                cinfo.image_height = shape.rows as u32;
                cinfo.input_components = shape.channels() as c_int;
                cinfo.in_color_space = match shape.color {
                    Color::Gray => sys::JCS_GRAYSCALE,
                    _ => sys::JCS_RGB,
                };
                let fastest = sys::JCP_FASTEST as c_int;
                sys::jpeg_c_set_int_param(cinfo, sys::JINT_COMPRESS_PROFILE, fastest);
                sys::jpeg_set_defaults(cinfo);
                sys::jpeg_set_quality(cinfo, c_int::from(quality), 1);
                if shape.color == Color::Rgb {
                    let (h, v) = match subsampling {
                        Subsampling::S444 => (1, 1),
                        Subsampling::S422 => (2, 1),
                        Subsampling::S420 => (2, 2),
                    };
                    (*cinfo.comp_info).h_samp_factor = h;
                    (*cinfo.comp_info).v_samp_factor = v;
                }
                if let Some(resolution) = &metadata.resolution {
                    let (unit, x, y) = resolution.in_jfif();
                    cinfo.density_unit = unit;
                    cinfo.X_density = x;
                    cinfo.Y_density = y;
                }
                sys::jpeg_start_compress(cinfo, 1);
                if let Some(thumbnail) = &mut encoder.thumbnail {
                    // EXIF comes first, so that all that was written is in the buffer; then marker and length.
                    let written = BUFFER - (*state).target.free_in_buffer;
                    thumbnail.lies_at(begins + written as u64 + 4);
                }
                for (marker, body) in &segments {
                    sys::jpeg_write_marker(cinfo, *marker, body.as_ptr(), body.len() as u32);
                }
            })?;
        }
        Ok(encoder)
    }
}

impl RowSink for Encoder {
    fn write(&mut self, rows: &Rows) -> Result<()> {
        assert!(
            rows.shape == self.shape && rows.first == self.next,
            "rows are written in order"
        );
        assert!(rows.range().end <= self.shape.rows, "rows beyond the image");
        let (cinfo, state) = (self.cinfo, self.state);
        let pointers: Vec<*const u8> = rows.range().map(|y| rows.row::<u8>(y).as_ptr()).collect();
        // SAFETY: each pointer is one row of the shape that libjpeg was told.
        unsafe {
            guarded(&raw mut (*state).report, || {
                let mut done = 0;
                while done < pointers.len() {
                    let left = (pointers.len() - done) as u32;
                    let lines = pointers.as_ptr().add(done);
                    done += sys::jpeg_write_scanlines(&mut *cinfo, lines, left) as usize;
                }
            })?;
        }
        self.next += rows.count;
        if let Some(thumbnail) = &mut self.thumbnail {
            thumbnail.add(rows);
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<()> {
        let (cinfo, state) = (self.cinfo, self.state);
        // SAFETY: both live until `self` is dropped at the end.
        unsafe {
            guarded(&raw mut (*state).report, || {
                sys::jpeg_finish_compress(&mut *cinfo)
            })?;
            if let Some(thumbnail) = &self.thumbnail {
                thumbnail.write(&mut *(*state).output)?;
            }
            Ok((*state).output.flush()?)
        }
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // SAFETY: both were made by Box::into_raw; destroy only frees libjpeg's pools.
        unsafe {
            sys::jpeg_destroy_compress(&mut *self.cinfo);
            drop(Box::from_raw(self.cinfo));
            drop(Box::from_raw(self.state));
        }
    }
}

unsafe extern "C-unwind" fn begin(cinfo: &mut sys::jpeg_compress_struct) {
    // SAFETY: `client_data` is the state made in `new`; no other reference to it lives.
    unsafe {
        let state = cinfo.common.client_data.cast::<State>();
        let buffer = &mut (*state).buffer;
        (*state).target.next_output_byte = buffer.as_mut_ptr();
        (*state).target.free_in_buffer = buffer.len();
    }
}

/// Called with the whole buffer filled, whatever `free_in_buffer` says.
unsafe extern "C-unwind" fn empty(cinfo: &mut sys::jpeg_compress_struct) -> sys::boolean {
    // SAFETY: as for `begin`.
    unsafe {
        flush(cinfo, BUFFER);
        begin(cinfo);
    }
    1
}

unsafe extern "C-unwind" fn end(cinfo: &mut sys::jpeg_compress_struct) {
    // SAFETY: as for `begin`.
    unsafe {
        let state = cinfo.common.client_data.cast::<State>();
        let used = BUFFER - (*state).target.free_in_buffer;
        flush(cinfo, used);
    }
}

unsafe fn flush(cinfo: &mut sys::jpeg_compress_struct, used: usize) {
    // SAFETY: as for `begin`.
    unsafe {
        let state = cinfo.common.client_data.cast::<State>();
        let buffer = &(*state).buffer;
        if let Err(error) = (*state).output.write_all(&buffer[..used]) {
            abort(&mut cinfo.common, error.into());
        }
    }
}
