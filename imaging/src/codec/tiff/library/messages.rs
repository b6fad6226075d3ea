//! What libtiff says, which is never printed.

use crate::warning::{Warning, WarningKind};
use std::ffi::{CStr, c_char, c_int, c_void};

/// Texts kept at most.
const MOST: usize = 16;

unsafe extern "C" {
    fn vsnprintf(to: *mut c_char, room: usize, format: *const c_char, values: *mut c_void)
    -> c_int;
}

/// Errors and warnings of one handle.
#[derive(Default)]
pub struct Messages {
    /// The last error.
    pub error: Option<String>,
    /// A warning that means that pixels are missing.
    pub loss: Option<String>,
    warnings: Vec<String>,
}

impl Messages {
    fn take(&mut self, is_error: bool, module: &str, text: &str) {
        let text = text.trim_end_matches(['.', '\n', ' ']);
        // libjpeg goes on with gray where data end or break; only bytes to be skipped are harmless.
        let jpeg = module.contains("JPEGLib") && !text.contains("extraneous bytes");
        if jpeg || text.contains("remature EOF") {
            self.loss.get_or_insert_with(|| text.to_owned());
        }
        if is_error {
            self.error = Some(text.to_owned());
        }
        // Old ways of packing are told from new ones, and are as good.
        let old = text.starts_with("Old-style LZW") || text.contains("old-style JPEG");
        if !old && self.warnings.len() < MOST && !self.warnings.iter().any(|said| said == text) {
            self.warnings.push(text.to_owned());
        }
    }

    /// Forgets what was said so far.
    pub fn clear(&mut self) {
        *self = Messages::default();
    }

    /// What was said while all pixels were there.
    pub fn drain(&mut self) -> impl Iterator<Item = Warning> + '_ {
        self.warnings
            .drain(..)
            .map(|text| Warning::new(WarningKind::Damaged, format!("libtiff: {text}")))
    }
}

unsafe fn text_of(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: the caller's promise: a string of C.
    unsafe { CStr::from_ptr(text) }
        .to_string_lossy()
        .into_owned()
}

unsafe fn keep(
    is_error: bool,
    user: *mut c_void,
    module: *const c_char,
    format: *const c_char,
    values: *mut c_void,
) -> c_int {
    let mut text = [0u8; 512];
    // SAFETY: libtiff's own format and values; room for the end is counted in. `user` is the messages that were given
    // with this function, to which no reference lives while libtiff runs.
    unsafe {
        vsnprintf(text.as_mut_ptr().cast(), text.len(), format, values);
        let text = text_of(text.as_ptr().cast());
        (*user.cast::<Messages>()).take(is_error, &text_of(module), &text);
    }
    // Nothing else is to be called.
    1
}

pub unsafe extern "C" fn on_error(
    _: super::Tiff,
    user: *mut c_void,
    module: *const c_char,
    format: *const c_char,
    values: *mut c_void,
) -> c_int {
    // SAFETY: as libtiff promises.
    unsafe { keep(true, user, module, format, values) }
}

pub unsafe extern "C" fn on_warning(
    _: super::Tiff,
    user: *mut c_void,
    module: *const c_char,
    format: *const c_char,
    values: *mut c_void,
) -> c_int {
    // SAFETY: as libtiff promises.
    unsafe { keep(false, user, module, format, values) }
}
