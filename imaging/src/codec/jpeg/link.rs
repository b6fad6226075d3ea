//! The seam to libjpeg: its errors and warnings become ours.
//!
//! libjpeg reports an error by a function that must not return. Ours unwinds (the library is built
//! for that, and its functions are declared `C-unwind`) to [`guarded`], without a panic message.
//! All that libjpeg allocates lives in its own pools, which are freed when the decoder or encoder
//! is dropped, so nothing is lost on the way.

use crate::error::{Error, Result};
use crate::{Warning, WarningKind};
use mozjpeg_sys as sys;
use std::os::raw::c_int;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// What libjpeg said, shared with its callbacks by `client_data`.
pub(super) struct Report {
    /// The error that ended the work.
    pub failure: Option<Error>,
    /// Oddities that cost no pixel.
    pub warnings: Vec<Warning>,
    /// Whether the file's header is being read, where stray bytes are harmless.
    pub in_header: bool,
    /// Whether libjpeg decodes (and does not encode).
    pub decodes: bool,
}

/// The payload that unwinds out of libjpeg.
struct Abort;

/// No file needs more scans; each costs a walk over all of the image.
const MAX_SCANS: c_int = 200;
const MAX_WARNINGS: usize = 16;

/// Runs calls into libjpeg and turns its failure into an error.
///
/// # Safety
/// `report` must be valid, and be the `client_data` of the object that `work` uses.
pub(super) unsafe fn guarded<T>(report: *mut Report, work: impl FnOnce() -> T) -> Result<T> {
    // SAFETY: the caller's promise; no other reference to the report lives here.
    if let Some(error) = unsafe { (*report).failure.clone() } {
        return Err(error);
    }
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(value) => Ok(value),
        Err(payload) if payload.is::<Abort>() => {
            // SAFETY: as above.
            let failure = unsafe { (*report).failure.clone() };
            Err(failure.unwrap_or_else(|| Error::Decode("libjpeg gave up".into())))
        }
        Err(payload) => resume_unwind(payload),
    }
}

/// Leaves libjpeg with this error.
///
/// # Safety
/// As for the callbacks: called from within [`guarded`], on an object whose `client_data` is a [`Report`].
pub(super) unsafe fn abort(cinfo: &mut sys::jpeg_common_struct, error: Error) -> ! {
    // SAFETY: the caller's promise.
    unsafe {
        (*cinfo.client_data.cast::<Report>())
            .failure
            .get_or_insert(error)
    };
    resume_unwind(Box::new(Abort))
}

/// Sets our callbacks on libjpeg's standard ones.
pub(super) fn install(errors: &mut sys::jpeg_error_mgr) {
    // SAFETY: only fills the struct.
    unsafe { sys::jpeg_std_error(errors) };
    errors.error_exit = Some(error_exit);
    errors.emit_message = Some(emit_message);
    errors.output_message = Some(output_message);
}

/// libjpeg's text for the message at hand.
unsafe fn text(cinfo: &mut sys::jpeg_common_struct) -> String {
    // libjpeg writes up to 200 bytes; the binding's type is too short.
    type Formatter = unsafe extern "C-unwind" fn(*mut sys::jpeg_common_struct, *mut u8);
    let mut buffer = [0u8; 256];
    // SAFETY: the error manager was set by `install`; a pointer has the layout of a reference.
    unsafe {
        if let Some(format) = (*cinfo.err).format_message {
            let format: Formatter = std::mem::transmute(format);
            format(cinfo, buffer.as_mut_ptr());
        }
    }
    let end = buffer.iter().position(|b| *b == 0).unwrap_or(buffer.len());
    String::from_utf8_lossy(&buffer[..end]).into_owned()
}

unsafe extern "C-unwind" fn error_exit(cinfo: &mut sys::jpeg_common_struct) {
    // SAFETY: libjpeg calls this from within `guarded`.
    unsafe {
        let said = text(cinfo);
        let decodes = (*cinfo.client_data.cast::<Report>()).decodes;
        abort(cinfo, wrong(decodes, &said))
    }
}

fn wrong(decodes: bool, said: &str) -> Error {
    match decodes {
        true => Error::Decode(format!("not a sound JPEG: {said}")),
        false => Error::Encode(format!("this is no image for JPEG: {said}")),
    }
}

unsafe extern "C-unwind" fn emit_message(cinfo: &mut sys::jpeg_common_struct, level: c_int) {
    if level >= 0 {
        return; // A trace.
    }
    // SAFETY: as for `error_exit`; the parameters are plain integers in a union.
    unsafe {
        let code = (*cinfo.err).msg_code as sys::J_MESSAGE_CODE;
        let marker = (*cinfo.err).msg_parm._bindgen_data_[1];
        let said = text(cinfo);
        let report = &mut *cinfo.client_data.cast::<Report>();
        let harmless = match code {
            sys::JWRN_EXTRANEOUS_DATA => report.in_header || marker == 0xD9,
            sys::JWRN_JFIF_MAJOR | sys::JWRN_ADOBE_XFORM => true,
            _ => false,
        };
        if !harmless {
            let decodes = report.decodes;
            abort(cinfo, wrong(decodes, &said));
        }
        if report.warnings.len() < MAX_WARNINGS {
            report
                .warnings
                .push(Warning::new(WarningKind::Damaged, said));
        }
    }
}

/// Nothing is ever printed.
unsafe extern "C-unwind" fn output_message(_cinfo: &mut sys::jpeg_common_struct) {}

/// Counts the scans of a progressive file.
pub(super) unsafe extern "C-unwind" fn count_scans(cinfo: &mut sys::jpeg_common_struct) {
    // SAFETY: set on decoders only, whose struct begins with the common one.
    unsafe {
        let decoder = (cinfo as *mut sys::jpeg_common_struct).cast::<sys::jpeg_decompress_struct>();
        if (*decoder).input_scan_number > MAX_SCANS {
            abort(
                cinfo,
                Error::Decode(format!("not a sound JPEG: more than {MAX_SCANS} scans")),
            );
        }
    }
}
