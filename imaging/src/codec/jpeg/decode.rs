//! Decoding by libjpeg, a few scanlines at a time.

use super::header::Head;
use super::link::{Report, abort, count_scans, guarded, install};
use super::progressive::Scans;
use crate::codec::{ReadSeek, RowSource};
use crate::color::Cmyk;
use crate::error::{Error, Result};
use crate::image::{Color, Metadata, Shape};
use crate::window::Band;
use crate::{Warning, WarningKind};
use mozjpeg_sys as sys;
use std::io::SeekFrom;
use std::os::raw::{c_int, c_long};

const BUFFER: usize = 64 << 10;

/// All that libjpeg and its callbacks hold pointers to. It never moves, and is reached through raw
/// pointers only while libjpeg knows it.
#[repr(C)]
struct State {
    // First, so that the callbacks' `client_data` may point at the whole.
    report: Report,
    errors: sys::jpeg_error_mgr,
    progress: sys::jpeg_progress_mgr,
    source: sys::jpeg_source_mgr,
    scans: Scans,
    /// Whether components come in several scans.
    apart: bool,
    input: Box<dyn ReadSeek>,
    buffer: Vec<u8>,
}

pub(super) struct Decoder {
    cinfo: *mut sys::jpeg_decompress_struct,
    state: *mut State,
    metadata: Metadata,
    shape: Shape,
    cmyk: bool,
    /// How inks become colours, where the file says it.
    inks: Option<Cmyk>,
    /// One row of CMYK.
    row: Vec<u8>,
    next: usize,
}

// SAFETY: both pointers are owned by this value alone, libjpeg keeps no thread-bound state in them,
// and the input inside is Send.
unsafe impl Send for Decoder {}

impl Decoder {
    /// Starts decoding a file whose header was read and is within the limits.
    pub fn new(input: Box<dyn ReadSeek>, head: Head, shrink: u32) -> Result<Decoder> {
        Decoder::with(input, head, shrink, Scans::new(true))
    }

    /// As [`Decoder::new`], with a choice of entropy decoding.
    pub fn with(
        mut input: Box<dyn ReadSeek>,
        head: Head,
        shrink: u32,
        scans: Scans,
    ) -> Result<Decoder> {
        input.seek(SeekFrom::Start(0))?;
        // SAFETY: plain C structs, for which zeros are valid (null pointers, first enum variants).
        let (errors, progress, source, cinfo) = unsafe {
            (
                std::mem::zeroed(),
                std::mem::zeroed(),
                std::mem::zeroed(),
                std::mem::zeroed(),
            )
        };
        let state = Box::into_raw(Box::new(State {
            report: Report {
                failure: None,
                warnings: head.warnings,
                in_header: true,
                decodes: true,
            },
            errors,
            progress,
            source,
            scans,
            apart: head.whole,
            input,
            buffer: vec![0; BUFFER],
        }));
        let mut metadata = head.metadata;
        let cmyk = head.sampling.len() == 4;
        let profile = metadata.icc.as_deref().filter(|_| cmyk);
        let inks = profile.and_then(Cmyk::new);
        if inks.is_some() {
            metadata.icc = Some(Cmyk::profile());
        }
        let mut decoder = Decoder {
            cinfo: Box::into_raw(Box::new(cinfo)),
            state,
            metadata,
            shape: head.shape,
            cmyk,
            inks,
            row: Vec::new(),
            next: 0,
        };
        // SAFETY: all pointers were just made and live as long as the decoder.
        unsafe {
            let (cinfo, state) = (decoder.cinfo, decoder.state);
            install(&mut (*state).errors);
            (*cinfo).common.err = &raw mut (*state).errors;
            (*cinfo).common.client_data = state.cast();
            guarded(&raw mut (*state).report, || {
                sys::jpeg_create_decompress(cinfo);
                (*state).progress.progress_monitor = Some(between_steps);
                (*cinfo).common.progress = &raw mut (*state).progress;
                (*state).source.init_source = Some(nothing);
                (*state).source.term_source = Some(nothing);
                (*state).source.fill_input_buffer = Some(fill);
                (*state).source.skip_input_data = Some(skip);
                (*state).source.resync_to_restart = Some(sys::jpeg_resync_to_restart);
                (*cinfo).src = &raw mut (*state).source;
                sys::jpeg_read_header(&mut *cinfo, 1);
            })?;
            decoder.start(shrink)?;
        }
        Ok(decoder)
    }

    /// How entropy decoding is done.
    #[cfg(test)]
    pub fn scans(&self) -> &Scans {
        // SAFETY: no call into libjpeg is under way while `self` is borrowed.
        unsafe { &(*self.state).scans }
    }

    unsafe fn start(&mut self, shrink: u32) -> Result<()> {
        let (cinfo, state) = (self.cinfo, self.state);
        // SAFETY: made in `new`.
        let found = unsafe {
            (*state).report.in_header = false;
            (
                (*cinfo).image_height as usize,
                (*cinfo).image_width as usize,
                (*cinfo).num_components,
            )
        };
        let components = match (self.shape.color, self.cmyk) {
            (Color::Gray, _) => 1,
            (_, false) => 3,
            _ => 4,
        };
        if found != (self.shape.rows, self.shape.cols, components) {
            return Err(Error::Decode(
                "not a sound JPEG: two headers that differ".into(),
            ));
        }
        // SAFETY: as above.
        unsafe {
            guarded(&raw mut (*state).report, || {
                (*cinfo).out_color_space = match components {
                    1 => sys::JCS_GRAYSCALE,
                    3 => sys::JCS_RGB,
                    _ => sys::JCS_CMYK,
                };
                (*cinfo).scale_num = 1;
                (*cinfo).scale_denom = shrink;
                sys::jpeg_start_decompress(&mut *cinfo);
            })?;
            self.shape.rows = (*cinfo).output_height as usize;
            self.shape.cols = (*cinfo).output_width as usize;
        }
        if self.cmyk {
            self.row = vec![0; 4 * self.shape.cols];
        }
        Ok(())
    }

    /// Fills whole rows of bytes.
    fn scanlines(&mut self, rows: &mut [u8], row_bytes: usize) -> Result<()> {
        const AT_ONCE: usize = 16;
        let (cinfo, state) = (self.cinfo, self.state);
        for batch in rows.chunks_mut(AT_ONCE * row_bytes) {
            let count = batch.len() / row_bytes;
            let mut pointers = [std::ptr::null_mut::<u8>(); AT_ONCE];
            for (pointer, row) in pointers.iter_mut().zip(batch.chunks_exact_mut(row_bytes)) {
                *pointer = row.as_mut_ptr();
            }
            // SAFETY: each pointer has room for one output row, whose length was checked to be that
            // of libjpeg's output; the other pointers live as long as the decoder.
            unsafe {
                guarded(&raw mut (*state).report, || {
                    let mut done = 0;
                    while done < count {
                        let lines = pointers.as_mut_ptr().add(done);
                        let left = (count - done) as u32;
                        done += sys::jpeg_read_scanlines(&mut *cinfo, lines, left) as usize;
                    }
                })?;
            }
        }
        Ok(())
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // SAFETY: both were made by Box::into_raw; libjpeg's destroy only frees its pools, and does
        // so for an object that was never or only partly created too.
        unsafe {
            sys::jpeg_destroy_decompress(&mut *self.cinfo);
            drop(Box::from_raw(self.cinfo));
            drop(Box::from_raw(self.state));
        }
    }
}

impl RowSource for Decoder {
    fn shape(&self) -> Shape {
        self.shape
    }

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn read(&mut self, band: &mut Band<'_>) -> Result<()> {
        let (shape, rows) = (self.shape, band.count);
        assert!(
            band.shape == shape && band.first == self.next,
            "rows are read in order"
        );
        assert!(band.range().end <= shape.rows, "rows beyond the image");
        let samples = band.samples::<u8>();
        if self.cmyk {
            let mut row = std::mem::take(&mut self.row);
            for out in samples.chunks_exact_mut(shape.row_len()) {
                let width = row.len();
                self.scanlines(&mut row, width)?;
                match &self.inks {
                    Some(inks) => {
                        row.iter_mut().for_each(|ink| *ink = 255 - *ink);
                        inks.pixels(&row, out);
                    }
                    None => rgb_of_inverted_cmyk(&row, out),
                }
            }
            self.row = row;
        } else {
            self.scanlines(samples, shape.row_len())?;
        }
        self.next += rows;
        if self.next == shape.rows && rows > 0 {
            let (cinfo, state) = (self.cinfo, self.state);
            // SAFETY: both live as long as the decoder.
            unsafe {
                guarded(&raw mut (*state).report, || {
                    sys::jpeg_finish_decompress(&mut *cinfo)
                })?;
            }
        }
        Ok(())
    }

    fn warnings(&self) -> &[crate::Warning] {
        // SAFETY: no call into libjpeg is under way while `self` is borrowed.
        unsafe { &(*self.state).report.warnings }
    }
}

/// CMYK as Adobe stores it (255 is no ink) to RGB: `c * k / 255`, rounded.
fn rgb_of_inverted_cmyk(cmyk: &[u8], rgb: &mut [u8]) {
    for (from, to) in cmyk.chunks_exact(4).zip(rgb.chunks_exact_mut(3)) {
        let k = u32::from(from[3]);
        for c in 0..3 {
            // k less the ink's part of it, with the rounding that printing programs agree on.
            let ink = (255 - u32::from(from[c])) * k + 128;
            to[c] = (k - ((ink + (ink >> 8)) >> 8)) as u8;
        }
    }
}

/// The state's part for entropy decoding.
///
/// # Safety
/// `cinfo` must be a decoder made by [`Decoder::with`].
pub(super) unsafe fn scans(cinfo: *mut sys::jpeg_decompress_struct) -> *mut Scans {
    // SAFETY: `client_data` is the state made there.
    unsafe { &raw mut (*(*cinfo).common.client_data.cast::<State>()).scans }
}

/// Called between any two steps of reading a file of several scans.
unsafe extern "C-unwind" fn between_steps(cinfo: &mut sys::jpeg_common_struct) {
    // SAFETY: set on decoders only, whose struct begins with the common one; called first when the
    // first scan was set up.
    unsafe {
        count_scans(cinfo);
        let cinfo: *mut sys::jpeg_common_struct = cinfo;
        (*scans(cinfo.cast())).attach(cinfo.cast());
    }
}

unsafe extern "C-unwind" fn nothing(_cinfo: &mut sys::jpeg_decompress_struct) {}

/// Reads the next piece of the file. An end here is too early, since libjpeg stops at the end marker; where all pixels
/// were there before it, the marker is put in. libjpeg warns, and so gives up, if it needs further pixels after that.
unsafe extern "C-unwind" fn fill(cinfo: &mut sys::jpeg_decompress_struct) -> sys::boolean {
    // SAFETY: `client_data` is the state made in `new`; no other reference to it lives.
    unsafe {
        let state = cinfo.common.client_data.cast::<State>();
        let input = &mut (*state).input;
        let buffer = &mut (*state).buffer;
        let got = loop {
            match input.read(buffer) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => abort(&mut cinfo.common, error.into()),
                Ok(0) if (*state).report.in_header || !may_end(cinfo, (*state).apart) => abort(
                    &mut cinfo.common,
                    Error::Decode("truncated JPEG: the file ends before the image does".into()),
                ),
                Ok(0) => {
                    let text = "the JPEG has no end marker; its pixels are all there";
                    let warnings = &mut (*state).report.warnings;
                    if warnings.iter().all(|known| known.text != text) {
                        warnings.push(Warning::new(WarningKind::Damaged, text));
                    }
                    buffer[..2].copy_from_slice(&[0xFF, 0xD9]);
                    break 2;
                }
                Ok(got) => break got,
            }
        };
        (*state).source.next_input_byte = buffer.as_ptr();
        (*state).source.bytes_in_buffer = got;
    }
    1
}

/// Whether the scan at hand may be the last: of a file with several, those before gave all but its own pixels.
///
/// # Safety
/// `cinfo` must be a decoder whose header was read.
unsafe fn may_end(cinfo: &sys::jpeg_decompress_struct, apart: bool) -> bool {
    let components = cinfo.num_components.max(0) as usize;
    if cinfo.coef_bits.is_null() {
        // Each component on its own, or all at once.
        return !apart || cinfo.input_scan_number >= cinfo.num_components;
    }
    // SAFETY: libjpeg keeps how exact each coefficient is for each component.
    let exact =
        unsafe { std::slice::from_raw_parts(cinfo.coef_bits.cast::<[c_int; 64]>(), components) };
    exact.iter().all(|bits| bits.iter().all(|bit| *bit == 0))
}

unsafe extern "C-unwind" fn skip(cinfo: &mut sys::jpeg_decompress_struct, count: c_long) {
    let Ok(count) = usize::try_from(count) else {
        return;
    };
    // SAFETY: as for `fill`; the pointer moves within the buffer.
    unsafe {
        let state = cinfo.common.client_data.cast::<State>();
        let source = &raw mut (*state).source;
        let held = count.min((*source).bytes_in_buffer);
        (*source).next_input_byte = (*source).next_input_byte.add(held);
        (*source).bytes_in_buffer -= held;
        if count > held
            && let Err(error) = (*state)
                .input
                .seek(SeekFrom::Current((count - held) as i64))
        {
            abort(&mut cinfo.common, error.into());
        }
    }
}
