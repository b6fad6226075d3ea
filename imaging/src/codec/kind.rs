//! The formats, told from a file's first bytes.

/// A file format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FormatKind {
    /// JPEG, baseline and progressive.
    Jpeg,
    /// PNG.
    Png,
    /// TIFF and BigTIFF.
    Tiff,
    /// WebP, lossy and lossless.
    WebP,
    /// Windows bitmap.
    Bmp,
    /// PBM, PGM, PPM, PAM and PFM.
    Pnm,
    /// GIF, first frame; read only.
    Gif,
}

impl FormatKind {
    /// All formats.
    pub const ALL: [FormatKind; 7] = [
        FormatKind::Jpeg,
        FormatKind::Png,
        FormatKind::Tiff,
        FormatKind::WebP,
        FormatKind::Bmp,
        FormatKind::Pnm,
        FormatKind::Gif,
    ];

    /// The format of a file that begins with these bytes (16 are enough).
    pub fn detect(start: &[u8]) -> Option<FormatKind> {
        let pnm = || {
            let (first, second, third) = (start.first()?, start.get(1)?, start.get(2)?);
            let known = *first == b'P' && matches!(second, b'1'..=b'7' | b'f' | b'F');
            (known && (third.is_ascii_whitespace() || *third == b'#')).then_some(FormatKind::Pnm)
        };
        match start {
            [0xFF, 0xD8, 0xFF, ..] => Some(FormatKind::Jpeg),
            [0x89, b'P', b'N', b'G', 0x0D, 0x0A, 0x1A, 0x0A, ..] => Some(FormatKind::Png),
            [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => Some(FormatKind::Tiff),
            [
                b'R',
                b'I',
                b'F',
                b'F',
                _,
                _,
                _,
                _,
                b'W',
                b'E',
                b'B',
                b'P',
                ..,
            ] => Some(FormatKind::WebP),
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(FormatKind::Gif),
            // The reserved field or the size of the second header tells a bitmap from a text.
            [b'B', b'M', ..] if start.get(15..18).is_none_or(|high| high == [0, 0, 0]) => {
                Some(FormatKind::Bmp)
            }
            _ => pnm(),
        }
    }

    /// File name extensions in lower case, the usual one first.
    pub fn extensions(self) -> &'static [&'static str] {
        match self {
            FormatKind::Jpeg => &["jpg", "jpeg", "jpe", "jfif"],
            FormatKind::Png => &["png"],
            FormatKind::Tiff => &["tif", "tiff", "btf", "tf8"],
            FormatKind::WebP => &["webp"],
            FormatKind::Bmp => &["bmp", "dib"],
            FormatKind::Pnm => &["pnm", "pbm", "pgm", "ppm", "pam", "pfm"],
            FormatKind::Gif => &["gif"],
        }
    }

    /// The format whose extension this is, in any case, without the dot.
    pub fn from_extension(extension: &str) -> Option<FormatKind> {
        let lower = extension.to_ascii_lowercase();
        FormatKind::ALL
            .into_iter()
            .find(|kind| kind.extensions().contains(&lower.as_str()))
    }

    /// `jpeg`, `png`, `tiff`, `webp`, `bmp`, `pnm`, `gif`.
    pub fn name(self) -> &'static str {
        match self {
            FormatKind::Jpeg => "jpeg",
            FormatKind::Png => "png",
            FormatKind::Tiff => "tiff",
            FormatKind::WebP => "webp",
            FormatKind::Bmp => "bmp",
            FormatKind::Pnm => "pnm",
            FormatKind::Gif => "gif",
        }
    }

    /// Whether files of this kind are usually decoded row by row ([`super::Header::streams`] tells
    /// of a certain file).
    pub fn streams(self) -> bool {
        !matches!(self, FormatKind::WebP | FormatKind::Gif)
    }
}

/// As [`FormatKind::streams`].
pub fn streams(kind: FormatKind) -> bool {
    kind.streams()
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
    fn extensions_belong_to_one_format() {
        for kind in FormatKind::ALL {
            for extension in kind.extensions() {
                assert_eq!(FormatKind::from_extension(extension), Some(kind));
            }
        }
        assert_eq!(FormatKind::from_extension("JPG"), Some(FormatKind::Jpeg));
        assert_eq!(FormatKind::from_extension("txt"), None);
    }
}
