//! The list of formats: a line here and a file with its [`Codec`] make a format.

use super::foreign::{dds, exr, farbfeld, hdr, ico, qoi, tga};
use super::heif::{avif, heic};
use super::table::Codec;
use super::{bmp, fits, gif, jp2, jpeg, jxl, npy, png, pnm, tiff, webp};

macro_rules! formats {
    ($($(#[$about:meta])* $kind:ident = $codec:path;)*) => {
        /// A file format.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum FormatKind {
            $($(#[$about])* $kind,)*
        }

        impl FormatKind {
            /// All formats, in the order in which a file's first bytes are tried.
            pub const ALL: &'static [FormatKind] = &[$(FormatKind::$kind,)*];

            /// All that is known of the format.
            pub fn codec(self) -> &'static Codec {
                match self {
                    $(FormatKind::$kind => &$codec,)*
                }
            }
        }
    };
}

// Those with few certain bytes at their beginning come last.
formats! {
    /// JPEG, baseline and progressive.
    Jpeg = jpeg::CODEC;
    /// PNG.
    Png = png::CODEC;
    /// TIFF and BigTIFF.
    Tiff = tiff::CODEC;
    /// WebP, lossy and lossless.
    WebP = webp::CODEC;
    /// GIF.
    Gif = gif::CODEC;
    /// QOI.
    Qoi = qoi::CODEC;
    /// OpenEXR.
    Exr = exr::CODEC;
    /// Radiance HDR.
    Hdr = hdr::CODEC;
    /// DDS; read only.
    Dds = dds::CODEC;
    /// farbfeld.
    Farbfeld = farbfeld::CODEC;
    /// JPEG XL.
    Jxl = jxl::CODEC;
    /// AVIF.
    Avif = avif::CODEC;
    /// HEIC; read only.
    Heic = heic::CODEC;
    /// JPEG 2000; read only.
    Jp2 = jp2::CODEC;
    /// FITS.
    Fits = fits::CODEC;
    /// NumPy array.
    Npy = npy::CODEC;
    /// Windows bitmap.
    Bmp = bmp::CODEC;
    /// PBM, PGM, PPM, PAM and PFM.
    Pnm = pnm::CODEC;
    /// Windows icon.
    Ico = ico::CODEC;
    /// Targa.
    Tga = tga::CODEC;
}

impl FormatKind {
    /// So many bytes of a file's beginning are enough to tell its format.
    pub const DETECT_BYTES: usize = 64;

    /// The format of a file that begins with these bytes.
    pub fn detect(start: &[u8]) -> Option<FormatKind> {
        let all = FormatKind::ALL.iter().copied();
        all.into_iter().find(|kind| (kind.codec().detect)(start))
    }

    /// File name extensions in lower case, the usual one first.
    pub fn extensions(self) -> &'static [&'static str] {
        self.codec().extensions
    }

    /// The format whose extension this is, in any case, without the dot.
    pub fn from_extension(extension: &str) -> Option<FormatKind> {
        let lower = extension.to_ascii_lowercase();
        let mut all = FormatKind::ALL.iter().copied();
        all.find(|kind| kind.extensions().contains(&lower.as_str()))
    }

    /// As in `--format`: `jpeg`, `png`…
    pub fn name(self) -> &'static str {
        self.codec().name
    }

    /// The type of its files for browsers.
    pub fn media_type(self) -> &'static str {
        self.codec().media_type
    }

    /// Whether files of this kind are usually decoded row by row ([`super::Header::streams`] tells
    /// of a certain file).
    pub fn streams(self) -> bool {
        self.codec().streams
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_from_their_first_bytes() {
        let detect = FormatKind::detect;
        assert_eq!(
            detect(b"\xff\xd8\xff\xe0\0\x10JFIF"),
            Some(FormatKind::Jpeg)
        );
        assert_eq!(
            detect(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"),
            Some(FormatKind::Png)
        );
        assert_eq!(detect(b"MM\0*\0\0\0\x08"), Some(FormatKind::Tiff));
        assert_eq!(detect(b"II+\0\x08\0\0\0"), Some(FormatKind::Tiff));
        assert_eq!(detect(b"RIFF\x10\0\0\0WEBPVP8 "), Some(FormatKind::WebP));
        assert_eq!(detect(b"RIFF\x10\0\0\0WAVEfmt "), None);
        assert_eq!(detect(b"GIF89a\x01\0"), Some(FormatKind::Gif));
        assert_eq!(detect(b"P6\n1 1\n255\n"), Some(FormatKind::Pnm));
        assert_eq!(detect(b"Pf\n1 1\n-1\n"), Some(FormatKind::Pnm));
        assert_eq!(detect(b"PDF is not a picture"), None);
        assert_eq!(
            detect(b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0"),
            Some(FormatKind::Bmp)
        );
        assert_eq!(detect(b"BMW builds cars, not pictures"), None);
        assert_eq!(detect(b""), None);
    }

    #[test]
    fn names_and_extensions_belong_to_one_format() {
        for kind in FormatKind::ALL {
            assert!(kind.media_type().contains('/'));
            let same = FormatKind::ALL.iter().filter(|k| k.name() == kind.name());
            assert_eq!(same.count(), 1);
            for extension in kind.extensions() {
                assert_eq!(FormatKind::from_extension(extension), Some(*kind));
            }
        }
        assert_eq!(FormatKind::from_extension("JPG"), Some(FormatKind::Jpeg));
        assert_eq!(FormatKind::from_extension("txt"), None);
    }
}
