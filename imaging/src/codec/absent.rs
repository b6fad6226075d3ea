//! What stands in the places of what WebAssembly does not get: C libraries, which it cannot have, and readers of rare
//! formats, which would double what a page loads.
//!
//! JPEG, WebP, JPEG XL, JPEG 2000, DDS and OpenEXR are told from their first bytes and refused, libtiff and libheif are never
//! there, and zlib streams are unpacked and packed by zlib-rs: pixels are the same, packed bytes of TIFFs may differ.

use super::FormatKind;
use super::table::{Codec, Output, Reads};
use crate::error::Error;

macro_rules! absent {
    ($($module:ident: $title:literal, $media_type:literal, $extensions:expr, $detect:expr;)*) => {$(
        #[doc = concat!($title, ", refused.")]
        pub mod $module {
            use super::*;

            pub static CODEC: Codec = Codec {
                name: stringify!($module),
                title: $title,
                extensions: $extensions,
                media_type: $media_type,
                detect: $detect,
                probe: |_, _, _| Err(refused($title)),
                open: |_, _, _| Err(refused($title)),
                reads: Reads { samples: "none", coding: "none", pictures: "none" },
                needs: Some(|| None),
                streams: false,
                shrinks: false,
                output: Output::As(FormatKind::Png),
            };
        }
    )*};
}

absent! {
    jpeg: "JPEG", "image/jpeg", &["jpg", "jpeg", "jpe", "jfif"], |start| start.starts_with(&[0xFF, 0xD8, 0xFF]);
    webp: "WebP", "image/webp", &["webp"], |start| start.starts_with(b"RIFF") && start.get(8..12) == Some(b"WEBP");
    dds: "DDS", "image/vnd-ms.dds", &["dds"], |start| start.starts_with(b"DDS ");
    exr: "OpenEXR", "image/x-exr", &["exr"], |start| start.starts_with(&[0x76, 0x2F, 0x31, 0x01]);
    jxl: "JPEG XL", "image/jxl", &["jxl"],
        |start| start.starts_with(&[0xFF, 0x0A]) || start.starts_with(b"\0\0\0\x0CJXL \r\n\x87\n");
    jp2: "JPEG 2000", "image/jp2", &["jp2", "j2k", "j2c", "jpc", "jpf", "jpx"],
        |start| start.starts_with(b"\0\0\0\x0CjP  \r\n\x87\n") || start.starts_with(&[0xFF, 0x4F, 0xFF, 0x51]);
}

fn refused(title: &str) -> Error {
    Error::Decode(format!(
        "{title} files are not read in WebAssembly (the program on a machine reads them)"
    ))
}

/// Libraries that are loaded while a program runs: never there.
pub mod libloading {
    /// As of Unix.
    pub mod os {
        /// The same names as there.
        pub mod unix {
            pub const RTLD_LOCAL: i32 = 0;
            pub const RTLD_NOW: i32 = 0;

            /// There is none, so what calls one is left out of the program.
            pub enum Library {}

            /// What a symbol would be behind.
            pub type Symbol<T> = Box<T>;

            impl Library {
                /// Finds none.
                pub unsafe fn open(_file: Option<&str>, _flags: i32) -> Result<Library, ()> {
                    Err(())
                }

                /// Cannot be called.
                pub unsafe fn get<T>(&self, _name: &[u8]) -> Result<Symbol<T>, ()> {
                    match *self {}
                }
            }
        }
    }
}

/// Whole zlib streams.
pub mod libdeflater {
    use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

    /// Why a stream is not unpacked.
    pub enum DecompressionError {
        /// It is none.
        BadData,
        /// There is more in it than room.
        InsufficientSpace,
    }

    /// Unpacks.
    pub struct Decompressor;

    impl Decompressor {
        pub fn new() -> Decompressor {
            Decompressor
        }

        /// Bytes written.
        pub fn zlib_decompress(
            &mut self,
            packed: &[u8],
            out: &mut [u8],
        ) -> Result<usize, DecompressionError> {
            let mut inflater = Decompress::new(true);
            match inflater.decompress(packed, out, FlushDecompress::Finish) {
                Ok(Status::StreamEnd) => Ok(inflater.total_out() as usize),
                Ok(_) if inflater.total_out() == out.len() as u64 => {
                    Err(DecompressionError::InsufficientSpace)
                }
                _ => Err(DecompressionError::BadData),
            }
        }
    }

    /// How thoroughly.
    #[derive(Default)]
    pub struct CompressionLvl;

    /// Packs.
    pub struct Compressor;

    impl Compressor {
        pub fn new(_: CompressionLvl) -> Compressor {
            Compressor
        }

        /// The most that so many bytes become.
        pub fn zlib_compress_bound(&self, len: usize) -> usize {
            len + len / 1000 + 64
        }

        /// Bytes written, where they fit.
        pub fn zlib_compress(&mut self, bytes: &[u8], out: &mut [u8]) -> Result<usize, ()> {
            let mut packer = Compress::new(Compression::default(), true);
            match packer.compress(bytes, out, FlushCompress::Finish) {
                Ok(Status::StreamEnd) => Ok(packer.total_out() as usize),
                _ => Err(()),
            }
        }
    }
}
