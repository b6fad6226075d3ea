//! What JavaScript calls: numbers in, and an answer of bytes to be read from memory.
//!
//! A call answers 1, or 0 with what went wrong, in words, as its answer. Its bytes lie at [`answer`] until the next call.
//! What is handed over is first written into [`room`] for it, which the call then owns.

use crate::{Histograms, Side, Studio, registry, screen};
use imaging::codec::Format;
use imaging::{Error, Pipeline, Result, Rows};
use serde_json::{Value, json};
use std::cell::RefCell;

thread_local! {
    static STUDIO: RefCell<Studio> = RefCell::default();
    static ANSWER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Ends a call with its answer.
fn end(outcome: Result<Vec<u8>>) -> u32 {
    let (good, bytes) = match outcome {
        Ok(bytes) => (1, bytes),
        Err(error) => (0, error.to_string().into_bytes()),
    };
    ANSWER.with(|answer| *answer.borrow_mut() = bytes);
    good
}

fn studio<T>(work: impl FnOnce(&mut Studio) -> T) -> T {
    STUDIO.with(|studio| work(&mut studio.borrow_mut()))
}

/// The bytes that were written into a room.
///
/// # Safety
/// `at` is a room of `len` bytes that no other call took.
unsafe fn taken(at: *mut u8, len: usize) -> Vec<u8> {
    // SAFETY: `room` made it of a vector with exactly this capacity.
    unsafe { Vec::from_raw_parts(at, len, len) }
}

fn text(bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|_| Error::Pipeline("it is no text".into()))
}

fn described(rows: &Rows) -> Value {
    json!({
        "width": rows.shape.cols,
        "height": rows.shape.rows,
        "color": rows.shape.color.name(),
        "samples": rows.shape.sample.name(),
        "gray": rows.shape.color.is_gray(),
    })
}

/// Both sides, the file and what is to be said.
fn state(studio: &Studio) -> Result<Vec<u8>> {
    let header = studio.header();
    let warnings = studio.warnings().iter().map(|w| w.text.clone());
    let state = json!({
        "before": described(studio.rows(Side::Before)?),
        "after": described(studio.rows(Side::After)?),
        "format": header.map(|h| h.kind.name()),
        "pages": header.map_or(1, |h| h.pages),
        "warnings": warnings.collect::<Vec<String>>(),
    });
    Ok(state.to_string().into_bytes())
}

fn side(number: u32) -> Side {
    match number {
        0 => Side::Before,
        _ => Side::After,
    }
}

/// Room for `len` bytes, or 0 where there is none.
#[unsafe(no_mangle)]
pub extern "C" fn room(len: usize) -> *mut u8 {
    let mut bytes: Vec<u8> = Vec::new();
    if bytes.try_reserve_exact(len).is_err() || bytes.capacity() != len {
        return std::ptr::null_mut();
    }
    std::mem::ManuallyDrop::new(bytes).as_mut_ptr()
}

/// Where the answer to the latest call lies.
#[unsafe(no_mangle)]
pub extern "C" fn answer() -> *const u8 {
    ANSWER.with(|answer| answer.borrow().as_ptr())
}

/// How many bytes it has.
#[unsafe(no_mangle)]
pub extern "C" fn answer_len() -> usize {
    ANSWER.with(|answer| answer.borrow().len())
}

/// The operations and the formats, as JSON.
#[unsafe(no_mangle)]
pub extern "C" fn registry() -> u32 {
    let all = json!({"operations": registry::all(), "formats": registry::formats()});
    end(Ok(all.to_string().into_bytes()))
}

/// Opens a file.
///
/// # Safety
/// `at` is a room of `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn open(at: *mut u8, len: usize) -> u32 {
    // SAFETY: the caller's promise.
    let bytes = unsafe { taken(at, len) };
    end(studio(|studio| {
        studio.open(bytes)?;
        state(studio)
    }))
}

/// Takes pixels of red, green, blue and alpha.
///
/// # Safety
/// `at` is a room of `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn take(at: *mut u8, len: usize, cols: usize, rows: usize) -> u32 {
    // SAFETY: the caller's promise.
    let bytes = unsafe { taken(at, len) };
    end(studio(|studio| {
        studio.take(bytes, cols, rows)?;
        state(studio)
    }))
}

/// The steps of a pipeline's text with all their arguments, as JSON.
///
/// # Safety
/// `at` is a room of `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn parse(at: *mut u8, len: usize) -> u32 {
    // SAFETY: the caller's promise.
    let bytes = unsafe { taken(at, len) };
    let pipeline = text(bytes).and_then(|text| Pipeline::parse(&text));
    end(pipeline.map(|pipeline| pipeline.to_json().to_string().into_bytes()))
}

/// Runs a pipeline: a JSON text or list as in a job file.
///
/// # Safety
/// `at` is a room of `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn run(at: *mut u8, len: usize) -> u32 {
    // SAFETY: the caller's promise.
    let bytes = unsafe { taken(at, len) };
    end(studio(|studio| {
        let json: Value = serde_json::from_slice(&bytes)
            .map_err(|error| Error::Pipeline(format!("the pipeline is no JSON: {error}")))?;
        studio.run(Pipeline::from_json(&json)?)?;
        state(studio)
    }))
}

/// The pixels of side 0 (before) or 1 (after) for a canvas.
#[unsafe(no_mangle)]
pub extern "C" fn shown(of: u32) -> u32 {
    end(studio(|studio| Ok(screen::rgba(studio.rows(side(of))?))))
}

/// The samples of a side as they are in memory.
#[unsafe(no_mangle)]
pub extern "C" fn samples(of: u32) -> u32 {
    end(studio(|studio| {
        Ok(studio.rows(side(of))?.data.bytes().to_vec())
    }))
}

/// The histograms of a side, as JSON.
#[unsafe(no_mangle)]
pub extern "C" fn histograms(of: u32) -> u32 {
    end(studio(|studio| {
        let found = Histograms::of(studio.rows(side(of))?);
        serde_json::to_vec(&found).map_err(|error| Error::Encode(error.to_string()))
    }))
}

/// The result as a file of a format such as `png`.
///
/// # Safety
/// `at` is a room of `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn encode(at: *mut u8, len: usize) -> u32 {
    // SAFETY: the caller's promise.
    let bytes = unsafe { taken(at, len) };
    end(studio(|studio| {
        let format = text(bytes).and_then(|text| Format::parse(&text))?;
        studio.encode(&format)
    }))
}
