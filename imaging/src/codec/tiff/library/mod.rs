//! libtiff, for what our own reader does not unpack: faxes, JPEG, ZSTD, LZMA, WebP, LERC, LogLuv and more.
//!
//! It is loaded while the program runs, never linked: libtiff brings libjpeg, libwebp and libdeflate of its own, and
//! symbols of the same names that are linked into this program would take their place in it. `RTLD_DEEPBIND` keeps the
//! two apart. Where it is missing, files that need it are refused with the way out, and all others are read.

mod handle;
mod messages;

pub use handle::Handle;

#[cfg(target_arch = "wasm32")]
use crate::codec::absent::libloading;
use crate::error::{Error, Result};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::OnceLock;

/// `TIFF *`.
pub type Tiff = *mut c_void;
type ReadWrite = unsafe extern "C" fn(*mut c_void, *mut c_void, isize) -> isize;
type Seek = unsafe extern "C" fn(*mut c_void, u64, c_int) -> u64;
type Close = unsafe extern "C" fn(*mut c_void) -> c_int;
type Size = unsafe extern "C" fn(*mut c_void) -> u64;
type Map = unsafe extern "C" fn(*mut c_void, *mut *mut c_void, *mut u64) -> c_int;
type Unmap = unsafe extern "C" fn(*mut c_void, *mut c_void, u64);
/// The last is a `va_list`: a pointer, or an array or struct that is passed as one, on all machines of ours.
pub type Handler =
    unsafe extern "C" fn(Tiff, *mut c_void, *const c_char, *const c_char, *mut c_void) -> c_int;

macro_rules! functions {
    ($($name:ident($symbol:literal): $kind:ty;)*) => {
        /// The functions of libtiff that are used.
        pub struct Library {
            $($name: $kind,)*
            /// Its version's number.
            pub version: String,
            // Keeps the code in memory.
            _code: libloading::os::unix::Library,
        }

        impl Library {
            fn of(code: libloading::os::unix::Library) -> Option<Library> {
                // SAFETY: the types are those of tiffio.h, libtiff 4.5 and later.
                unsafe {
                    $(let $name = *code.get::<$kind>(concat!($symbol, "\0").as_bytes()).ok()?;)*
                    Some(Library { $($name,)* version: String::new(), _code: code })
                }
            }
        }
    };
}

functions! {
    get_version("TIFFGetVersion"): unsafe extern "C" fn() -> *const c_char;
    is_configured("TIFFIsCODECConfigured"): unsafe extern "C" fn(u16) -> c_int;
    options_alloc("TIFFOpenOptionsAlloc"): unsafe extern "C" fn() -> *mut c_void;
    options_free("TIFFOpenOptionsFree"): unsafe extern "C" fn(*mut c_void);
    options_memory("TIFFOpenOptionsSetMaxSingleMemAlloc"): unsafe extern "C" fn(*mut c_void, isize);
    options_errors("TIFFOpenOptionsSetErrorHandlerExtR"): unsafe extern "C" fn(*mut c_void, Handler, *mut c_void);
    options_warnings("TIFFOpenOptionsSetWarningHandlerExtR"): unsafe extern "C" fn(*mut c_void, Handler, *mut c_void);
    open("TIFFClientOpenExt"): unsafe extern "C" fn(*const c_char, *const c_char, *mut c_void, ReadWrite, ReadWrite, Seek, Close, Size, Map, Unmap, *mut c_void) -> Tiff;
    close("TIFFClose"): unsafe extern "C" fn(Tiff);
    set_directory("TIFFSetSubDirectory"): unsafe extern "C" fn(Tiff, u64) -> c_int;
    tile_size("TIFFTileSize64"): unsafe extern "C" fn(Tiff) -> u64;
    scanline_size("TIFFScanlineSize64"): unsafe extern "C" fn(Tiff) -> u64;
    read_strip("TIFFReadEncodedStrip"): unsafe extern "C" fn(Tiff, u32, *mut c_void, isize) -> isize;
    read_tile("TIFFReadEncodedTile"): unsafe extern "C" fn(Tiff, u32, *mut c_void, isize) -> isize;
    read_scanline("TIFFReadScanline"): unsafe extern "C" fn(Tiff, *mut c_void, u32, u16) -> c_int;
    read_rgba_strip("TIFFReadRGBAStripExt"): unsafe extern "C" fn(Tiff, u32, *mut u32, c_int) -> c_int;
    read_rgba_tile("TIFFReadRGBATileExt"): unsafe extern "C" fn(Tiff, u32, u32, *mut u32, c_int) -> c_int;
    set_field("TIFFSetField"): unsafe extern "C" fn(Tiff, u32, ...) -> c_int;
}

// SAFETY: functions and a handle that is never used after loading.
unsafe impl Send for Library {}
// SAFETY: as above.
unsafe impl Sync for Library {}

const FILE: &str = if cfg!(target_os = "macos") {
    "libtiff.6.dylib"
} else {
    "libtiff.so.6"
};

/// The library, loaded once; none where this machine has not got it in version 4.5 or later.
pub fn get() -> Option<&'static Library> {
    static LIBRARY: OnceLock<Option<Library>> = OnceLock::new();
    LIBRARY.get_or_init(load).as_ref()
}

fn load() -> Option<Library> {
    use libloading::os::unix::{Library as Code, RTLD_LOCAL, RTLD_NOW};
    // Of dlfcn.h; other C libraries keep libraries apart by themselves, or do not know it.
    let apart = if cfg!(all(target_os = "linux", target_env = "gnu")) {
        8
    } else {
        0
    };
    // SAFETY: libtiff and what it needs do nothing when they are loaded.
    let code = unsafe { Code::open(Some(FILE), RTLD_NOW | RTLD_LOCAL | apart) }.ok()?;
    let mut library = Library::of(code)?;
    // SAFETY: it takes nothing and answers a string that stays.
    let text = unsafe { CStr::from_ptr((library.get_version)()) }.to_string_lossy();
    let number = text
        .lines()
        .next()
        .and_then(|line| line.split_whitespace().last());
    library.version = number.unwrap_or("").to_owned();
    Some(library)
}

/// An error unless this machine's libtiff unpacks files of that compression and photometric interpretation.
pub fn check(compression: u64, photometric: u64) -> Result<()> {
    refusal(get(), compression, photometric).map_or(Ok(()), Err)
}

fn refusal(library: Option<&Library>, compression: u64, photometric: u64) -> Option<Error> {
    let kind = match compression {
        1 | 8 | 32773 | 32946 if photometric == 6 => "YCbCr colours".to_owned(),
        _ => format!("{} compression", compression_name(compression)),
    };
    let Some(library) = library else {
        return Some(Error::Decode(format!(
            "TIFFs of {kind} are read by libtiff 4.5 or later, which is not there (apt-get install libtiff-dev)"
        )));
    };
    let known = u16::try_from(compression)
        // SAFETY: it looks the number up in a table.
        .is_ok_and(|number| unsafe { (library.is_configured)(number) } == 1);
    (!known).then(|| {
        Error::Decode(format!(
            "TIFFs of {kind} are not read (libtiff {} does not know it)",
            library.version
        ))
    })
}

fn compression_name(compression: u64) -> String {
    let name = match compression {
        2 | 32771 => "fax (CCITT RLE)",
        3 => "fax (CCITT group 3)",
        4 => "fax (CCITT group 4)",
        5 => "LZW",
        6 => "old JPEG",
        7 => "JPEG",
        32766 => "NeXT",
        32809 => "ThunderScan",
        32909 => "PixarLog",
        33004 => "JPEG 2000",
        34661 => "JBIG",
        34676 | 34677 => "LogLuv",
        34887 => "LERC",
        34925 => "LZMA",
        50000 => "ZSTD",
        50001 => "WebP",
        other => return format!("unknown ({other})"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_the_library_files_are_refused_with_the_way_out() {
        let text =
            |compression, photometric| refusal(None, compression, photometric).unwrap().to_string();
        assert!(text(4, 0).contains("fax (CCITT group 4)"));
        assert!(text(50000, 1).contains("ZSTD compression are read by libtiff"));
        assert!(text(1, 6).contains("YCbCr colours"));
        assert!(text(7, 6).contains("apt-get install libtiff-dev"));
    }

    #[test]
    fn what_libtiff_is_built_without_is_refused() {
        let Some(library) = get() else { return };
        assert!(library.version.starts_with("4."), "{}", library.version);
        assert!(refusal(Some(library), 4, 0).is_none());
        let text = refusal(Some(library), 33004, 1).unwrap().to_string();
        assert!(text.contains("JPEG 2000"), "{text}");
        assert!(refusal(Some(library), 1 << 40, 1).is_some());
    }
}
