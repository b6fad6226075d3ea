//! One page of a file open in libtiff.

use super::messages::{Messages, on_error, on_warning};
use super::{Library, Tiff, get};
use crate::codec::ReadSeek;
use crate::codec::tiff::layout::{Layout, Unpacked};
use crate::error::{Error, Result};
use crate::warning::Warning;
use std::ffi::{c_int, c_void};
use std::io::SeekFrom;
use std::panic::{AssertUnwindSafe, catch_unwind};

const ORIENTATION: u32 = 274;
const JPEG_COLOR_MODE: u32 = 65538;
const JPEG_COLOR_MODE_RGB: c_int = 1;
const SGILOG_DATA_FORMAT: u32 = 65560;
const SGILOG_FLOAT: c_int = 0;

/// All that libtiff's callbacks hold pointers to. It never moves, and is reached through raw pointers only while
/// libtiff runs.
struct State {
    input: Box<dyn ReadSeek>,
    len: u64,
    at: u64,
    failure: Option<Error>,
    messages: Messages,
}

/// A directory of a file, set up to be unpacked.
pub struct Handle {
    library: &'static Library,
    tiff: Tiff,
    state: *mut State,
}

// SAFETY: both pointers are owned by this value alone, libtiff keeps no thread-bound state in them, and the input
// inside is Send.
unsafe impl Send for Handle {}

impl Handle {
    /// Opens the directory at `at`. libtiff may ask for at most `memory` bytes at a time.
    pub fn open(
        mut input: Box<dyn ReadSeek>,
        at: u64,
        layout: &Layout,
        memory: usize,
    ) -> Result<Handle> {
        let library = get().ok_or_else(|| Error::Decode("libtiff is not there".into()))?;
        let len = input.seek(SeekFrom::End(0))?;
        let state = Box::into_raw(Box::new(State {
            input,
            len,
            at: 0,
            failure: None,
            messages: Messages::default(),
        }));
        let mut handle = Handle {
            library,
            tiff: std::ptr::null_mut(),
            state,
        };
        // SAFETY: the state lives as long as the handle; options are used before they are freed. `m`: without a
        // mapping of the file; `h`: the first directory is not read; `c`: a strip stays whole, as we count them.
        unsafe {
            let messages = (&raw mut (*state).messages).cast();
            let options = (library.options_alloc)();
            if options.is_null() {
                return Err(Error::Io("out of memory".into()));
            }
            (library.options_memory)(options, memory.min(isize::MAX as usize) as isize);
            (library.options_errors)(options, on_error, messages);
            (library.options_warnings)(options, on_warning, messages);
            handle.tiff = (library.open)(
                c"TIFF".as_ptr(),
                c"rmhc".as_ptr(),
                state.cast(),
                read,
                write,
                seek,
                close,
                size,
                map,
                unmap,
                options,
            );
            (library.options_free)(options);
            if handle.tiff.is_null() || (library.set_directory)(handle.tiff, at) != 1 {
                return Err(handle.error());
            }
            let tiff = handle.tiff;
            match layout.packing.by_library() {
                Some(Unpacked::JpegRgb) => {
                    (library.set_field)(tiff, JPEG_COLOR_MODE, JPEG_COLOR_MODE_RGB);
                }
                Some(Unpacked::Luminance) => {
                    (library.set_field)(tiff, SGILOG_DATA_FORMAT, SGILOG_FLOAT);
                }
                // Pixels are wanted as they lie in the file.
                _ => {
                    (library.set_field)(tiff, ORIENTATION, 1 as c_int);
                }
            }
            // What libtiff says of tags is judged by our own reader.
            (*state).messages.clear();
        }
        handle.agrees(layout)?;
        Ok(handle)
    }

    /// Both must see rows of the same length.
    fn agrees(&self, layout: &Layout) -> Result<()> {
        if layout.packing.by_library() == Some(Unpacked::Rgba) {
            return Ok(());
        }
        // SAFETY: the handle is open.
        let (found, known) = unsafe {
            match layout.tiled {
                true => ((self.library.tile_size)(self.tiff), layout.chunk_bytes()),
                false => (
                    (self.library.scanline_size)(self.tiff),
                    layout.chunk_row_bytes(),
                ),
            }
        };
        match found == known as u64 {
            true => Ok(()),
            false => Err(Error::Decode(format!(
                "not a sound TIFF file: strips or tiles of {known} bytes, or {found} as libtiff counts"
            ))),
        }
    }

    /// Unpacks strip or tile `number`, which must fill `out`.
    pub fn chunk(&mut self, tiled: bool, number: usize, out: &mut [u8]) -> Result<()> {
        let read = match tiled {
            true => self.library.read_tile,
            false => self.library.read_strip,
        };
        let room = out.len() as isize;
        // SAFETY: `out` has that much room, and libtiff writes no more.
        let got = unsafe { read(self.tiff, number as u32, out.as_mut_ptr().cast(), room) };
        self.judge(got == room)
    }

    /// Unpacks image row `y` into `out`, which has a row's bytes; rows must be read in order.
    pub fn row(&mut self, y: usize, out: &mut [u8]) -> Result<()> {
        // SAFETY: a row has that many bytes, as was checked when the handle was opened.
        let done = unsafe {
            (self.library.read_scanline)(self.tiff, out.as_mut_ptr().cast(), y as u32, 0)
        };
        self.judge(done == 1)
    }

    /// Fills `raster` with the strip or tile whose first pixel is (x, y), as RGBA with the last row first.
    pub fn colors(&mut self, tiled: bool, x: usize, y: usize, raster: &mut [u32]) -> Result<()> {
        let to = raster.as_mut_ptr();
        // SAFETY: the raster has room for a whole strip or tile; 1: errors end it.
        let done = unsafe {
            match tiled {
                true => (self.library.read_rgba_tile)(self.tiff, x as u32, y as u32, to, 1),
                false => (self.library.read_rgba_strip)(self.tiff, y as u32, to, 1),
            }
        };
        self.judge(done == 1)
    }

    fn judge(&mut self, done: bool) -> Result<()> {
        // SAFETY: libtiff does not run.
        let state = unsafe { &mut *self.state };
        match done && state.failure.is_none() && state.messages.loss.is_none() {
            true => Ok(()),
            false => Err(self.error()),
        }
    }

    /// What was said about pixels since the last call.
    pub fn warnings(&mut self) -> Vec<Warning> {
        // SAFETY: libtiff does not run.
        unsafe { &mut *self.state }.messages.drain().collect()
    }

    fn error(&self) -> Error {
        // SAFETY: libtiff does not run.
        let state = unsafe { &*self.state };
        if let Some(failure) = &state.failure {
            return failure.clone();
        }
        let messages = &state.messages;
        let text = messages.error.as_deref().or(messages.loss.as_deref());
        Error::Decode(format!(
            "not a sound TIFF file: {}",
            text.unwrap_or("libtiff cannot unpack its strips or tiles")
        ))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: both were made in `open`; libtiff calls back while it closes, so the state goes last.
        unsafe {
            if !self.tiff.is_null() {
                (self.library.close)(self.tiff);
            }
            drop(Box::from_raw(self.state));
        }
    }
}

/// Reads up to `count` bytes at the state's place; fewer at the file's end.
unsafe extern "C" fn read(state: *mut c_void, to: *mut c_void, count: isize) -> isize {
    // SAFETY: the pointer given to libtiff in `open`, and room for `count` bytes, which libtiff may not have
    // initialised: they are before a reference is made to them.
    let (state, out) = unsafe {
        let count = count.max(0) as usize;
        std::ptr::write_bytes(to.cast::<u8>(), 0, count);
        (
            &mut *state.cast::<State>(),
            std::slice::from_raw_parts_mut(to.cast::<u8>(), count),
        )
    };
    let work = || -> std::io::Result<usize> {
        if state.at >= state.len {
            return Ok(0);
        }
        state.input.seek(SeekFrom::Start(state.at))?;
        let mut done = 0;
        while done < out.len() {
            match state.input.read(&mut out[done..]) {
                Ok(0) => break,
                Ok(got) => done += got,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    };
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(done)) => {
            state.at += done as u64;
            done as isize
        }
        Ok(Err(error)) => {
            state.failure.get_or_insert(error.into());
            -1
        }
        Err(_) => {
            let failure = Error::Io("reading the file failed".into());
            state.failure.get_or_insert(failure);
            -1
        }
    }
}

unsafe extern "C" fn write(_: *mut c_void, _: *mut c_void, _: isize) -> isize {
    -1
}

unsafe extern "C" fn seek(state: *mut c_void, offset: u64, whence: c_int) -> u64 {
    // SAFETY: the pointer given to libtiff in `open`.
    let state = unsafe { &mut *state.cast::<State>() };
    let from = match whence {
        1 => state.at,
        2 => state.len,
        _ => 0,
    };
    // Backwards where the offset is negative.
    state.at = from.wrapping_add(offset);
    state.at
}

unsafe extern "C" fn close(_: *mut c_void) -> c_int {
    0
}

unsafe extern "C" fn size(state: *mut c_void) -> u64 {
    // SAFETY: the pointer given to libtiff in `open`.
    unsafe { (*state.cast::<State>()).len }
}

unsafe extern "C" fn map(_: *mut c_void, _: *mut *mut c_void, _: *mut u64) -> c_int {
    0
}

unsafe extern "C" fn unmap(_: *mut c_void, _: *mut c_void, _: u64) {}
