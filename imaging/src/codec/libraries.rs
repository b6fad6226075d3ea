//! Libraries of the system that some files are read by. Everything else is read without them.

/// One such library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Library {
    /// Its name.
    pub name: &'static str,
    /// Its version, where it is there.
    pub version: Option<&'static str>,
    /// The files that need it.
    pub reads: &'static str,
    /// How it is installed.
    pub install: &'static str,
}

/// All of them, there or not.
pub fn libraries() -> Vec<Library> {
    vec![
        Library {
            name: "libtiff",
            version: super::tiff::library_version(),
            reads: "TIFFs of JPEG, fax, ZSTD, LZMA, WebP, LERC, LogLuv, ThunderScan and old LZW compression, and of YCbCr colours",
            install: "apt-get install libtiff-dev",
        },
        Library {
            name: "libheif",
            version: super::heif::version(),
            reads: "HEIC, and reads and writes AVIF",
            install: "apt-get install libheif1",
        },
    ]
}
