//! libheif, loaded while the program runs, as libtiff is: where it is missing, files that need it are refused with
//! the way out, and all others are read.

#[cfg(target_arch = "wasm32")]
use crate::codec::absent::libloading;
use crate::error::{Error, Result};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::OnceLock;

/// `heif_context *`, `heif_image_handle *`, `heif_image *`, `heif_encoder *`.
pub type Object = *mut c_void;

/// `heif_error`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Status {
    pub code: c_int,
    pub subcode: c_int,
    pub message: *const c_char,
}

/// `heif_writer`.
#[repr(C)]
pub struct HeifWriter {
    pub version: c_int,
    pub write: unsafe extern "C" fn(Object, *const c_void, usize, *mut c_void) -> Status,
}

impl Status {
    /// No error.
    pub const OK: Status = Status {
        code: 0,
        subcode: 0,
        message: c"".as_ptr(),
    };

    /// What libheif says, where it is an error.
    pub fn said(self) -> std::result::Result<(), String> {
        if self.code == 0 {
            return Ok(());
        }
        if self.message.is_null() {
            return Err(format!("error {}", self.code));
        }
        // SAFETY: libheif gives a string that lives as long as the context.
        let text = unsafe { CStr::from_ptr(self.message) };
        Err(text.to_string_lossy().trim_end().to_string())
    }
}

macro_rules! functions {
    ($($name:ident($symbol:literal): $kind:ty;)*) => {
        /// The functions of libheif that are used.
        pub struct Library {
            $(pub $name: $kind,)*
            // Keeps the code in memory.
            _code: libloading::os::unix::Library,
        }

        impl Library {
            fn of(code: libloading::os::unix::Library) -> Option<Library> {
                // SAFETY: the types are those of libheif/heif.h, 1.11 and later.
                unsafe {
                    $(let $name = *code.get::<$kind>(concat!($symbol, "\0").as_bytes()).ok()?;)*
                    Some(Library { $($name,)* _code: code })
                }
            }
        }
    };
}

functions! {
    version("heif_get_version"): unsafe extern "C" fn() -> *const c_char;
    context("heif_context_alloc"): unsafe extern "C" fn() -> Object;
    free("heif_context_free"): unsafe extern "C" fn(Object);
    read("heif_context_read_from_memory_without_copy"): unsafe extern "C" fn(Object, *const c_void, usize, *const c_void) -> Status;
    primary("heif_context_get_primary_image_handle"): unsafe extern "C" fn(Object, *mut Object) -> Status;
    release_handle("heif_image_handle_release"): unsafe extern "C" fn(Object);
    width("heif_image_handle_get_width"): unsafe extern "C" fn(Object) -> c_int;
    height("heif_image_handle_get_height"): unsafe extern "C" fn(Object) -> c_int;
    has_alpha("heif_image_handle_has_alpha_channel"): unsafe extern "C" fn(Object) -> c_int;
    bits("heif_image_handle_get_luma_bits_per_pixel"): unsafe extern "C" fn(Object) -> c_int;
    profile_size("heif_image_handle_get_raw_color_profile_size"): unsafe extern "C" fn(Object) -> usize;
    profile("heif_image_handle_get_raw_color_profile"): unsafe extern "C" fn(Object, *mut c_void) -> Status;
    blocks("heif_image_handle_get_list_of_metadata_block_IDs"): unsafe extern "C" fn(Object, *const c_char, *mut u32, c_int) -> c_int;
    block_size("heif_image_handle_get_metadata_size"): unsafe extern "C" fn(Object, u32) -> usize;
    block("heif_image_handle_get_metadata"): unsafe extern "C" fn(Object, u32, *mut c_void) -> Status;
    decode("heif_decode_image"): unsafe extern "C" fn(Object, *mut Object, c_int, c_int, *const c_void) -> Status;
    image_width("heif_image_get_width"): unsafe extern "C" fn(Object, c_int) -> c_int;
    image_height("heif_image_get_height"): unsafe extern "C" fn(Object, c_int) -> c_int;
    image_bits("heif_image_get_bits_per_pixel_range"): unsafe extern "C" fn(Object, c_int) -> c_int;
    plane("heif_image_get_plane_readonly"): unsafe extern "C" fn(Object, c_int, *mut c_int) -> *const u8;
    release_image("heif_image_release"): unsafe extern "C" fn(Object);
    encoder("heif_context_get_encoder_for_format"): unsafe extern "C" fn(Object, c_int, *mut Object) -> Status;
    release_encoder("heif_encoder_release"): unsafe extern "C" fn(Object);
    quality("heif_encoder_set_lossy_quality"): unsafe extern "C" fn(Object, c_int) -> Status;
    image("heif_image_create"): unsafe extern "C" fn(c_int, c_int, c_int, c_int, *mut Object) -> Status;
    add_plane("heif_image_add_plane"): unsafe extern "C" fn(Object, c_int, c_int, c_int, c_int) -> Status;
    plane_mut("heif_image_get_plane"): unsafe extern "C" fn(Object, c_int, *mut c_int) -> *mut u8;
    set_profile("heif_image_set_raw_color_profile"): unsafe extern "C" fn(Object, *const c_char, *const c_void, usize) -> Status;
    encode("heif_context_encode_image"): unsafe extern "C" fn(Object, Object, Object, *const c_void, *mut Object) -> Status;
    add_exif("heif_context_add_exif_metadata"): unsafe extern "C" fn(Object, Object, *const c_void, c_int) -> Status;
    write("heif_context_write"): unsafe extern "C" fn(Object, *const HeifWriter, *mut c_void) -> Status;
}

// SAFETY: functions and a handle that is never used after loading.
unsafe impl Send for Library {}
// SAFETY: as above.
unsafe impl Sync for Library {}

const FILE: &str = if cfg!(target_os = "macos") {
    "libheif.1.dylib"
} else {
    "libheif.so.1"
};

/// The library, loaded once; none where this machine has not got it.
pub fn get() -> Option<&'static Library> {
    static LIBRARY: OnceLock<Option<Library>> = OnceLock::new();
    LIBRARY.get_or_init(load).as_ref()
}

fn load() -> Option<Library> {
    use libloading::os::unix::{Library as Code, RTLD_LOCAL, RTLD_NOW};
    // Of dlfcn.h, as for libtiff: what libheif brings and what is linked here stay apart.
    let apart = if cfg!(all(target_os = "linux", target_env = "gnu")) {
        8
    } else {
        0
    };
    // SAFETY: libheif and what it needs only register their codecs when they are loaded.
    let code = unsafe { Code::open(Some(FILE), RTLD_NOW | RTLD_LOCAL | apart) }.ok()?;
    Library::of(code)
}

/// The version, where it is there.
pub fn version() -> Option<&'static str> {
    // SAFETY: it takes nothing and answers a string that stays.
    let text = get().map(|library| unsafe { CStr::from_ptr((library.version)()) });
    text.and_then(|text| text.to_str().ok())
}

/// The library, or an error that says how to get it.
pub fn needed(title: &str) -> Result<&'static Library> {
    get().ok_or_else(|| missing(title))
}

fn missing(title: &str) -> Error {
    Error::Decode(format!(
        "{title} files are read and written by libheif, which is not there (apt-get install libheif1)"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_the_library_files_are_refused_with_the_way_out() {
        let text = missing("HEIC").to_string();
        assert!(text.contains("HEIC") && text.contains("apt-get install libheif1"));
        assert_eq!(get().is_some(), version().is_some());
    }
}
