//! Output formats with their options, in text form: `jpeg(quality=90, subsampling=420)`.

use super::FormatKind;
use crate::error::{Error, Result};
use crate::image::{Color, SampleType, Shape};
use crate::op::nearest;
use std::fmt;

/// How many pixels share one pair of chroma samples in a JPEG.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Subsampling {
    /// Each its own.
    S444,
    /// Two side by side.
    S422,
    /// Two by two.
    #[default]
    S420,
}

/// Effort of the PNG encoder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PngCompression {
    /// Stored bytes.
    None,
    /// Quick.
    #[default]
    Fast,
    /// Between.
    Balanced,
    /// Small and slow.
    Best,
}

/// Compression of strips in a TIFF.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TiffCompression {
    /// Stored bytes.
    None,
    /// LZW.
    Lzw,
    /// Deflate (zlib), the default.
    #[default]
    Deflate,
    /// PackBits run lengths.
    PackBits,
}

/// An output format with its options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// Baseline JPEG.
    Jpeg {
        /// 1..=100.
        quality: u8,
        /// Chroma resolution.
        subsampling: Subsampling,
    },
    /// PNG.
    Png {
        /// Effort.
        compression: PngCompression,
    },
    /// TIFF in strips, BigTIFF where it grows beyond 4 GiB.
    Tiff {
        /// Of each strip.
        compression: TiffCompression,
    },
    /// Lossy WebP.
    WebP {
        /// 0..=100.
        quality: u8,
    },
    /// Lossless WebP.
    WebPLossless,
    /// BMP.
    Bmp,
    /// PGM, PPM, PAM or PFM by the image's kind.
    Pnm,
}

/// Name, and options with what they may be.
const FORMATS: &[(&str, &[(&str, &str)])] = &[
    ("jpeg", &[("quality", "90"), ("subsampling", "420")]),
    ("png", &[("compression", "fast")]),
    ("tiff", &[("compression", "deflate")]),
    ("webp", &[("quality", "80"), ("lossless", "false")]),
    ("bmp", &[]),
    ("pnm", &[]),
];

fn wrong(message: String) -> Error {
    Error::Pipeline(message)
}

fn word<T: Copy>(format: &str, option: &str, value: &str, words: &[(&str, T)]) -> Result<T> {
    if let Some((_, t)) = words.iter().find(|(w, _)| *w == value) {
        return Ok(*t);
    }
    let names: Vec<&str> = words.iter().map(|(w, _)| *w).collect();
    let near = nearest(value, names.iter().copied());
    let hint = near.map_or(String::new(), |n| format!("; did you mean `{n}`?"));
    let list = names.join(", ");
    Err(wrong(format!(
        "`{format}`: {option} = {value} is none of {list}{hint}"
    )))
}

fn whole(format: &str, option: &str, value: &str, min: u8, max: u8) -> Result<u8> {
    let number: i64 = value.parse().map_err(|_| {
        wrong(format!(
            "`{format}`: {option} = {value} is not a whole number"
        ))
    })?;
    match u8::try_from(number) {
        Ok(v) if (min..=max).contains(&v) => Ok(v),
        _ => Err(wrong(format!(
            "`{format}`: {option} = {value} is outside {min}..={max}"
        ))),
    }
}

impl Format {
    /// The format that files of this kind are written in, with default options (GIF: PNG).
    pub fn of(kind: FormatKind) -> Format {
        match kind {
            FormatKind::Jpeg => Format::Jpeg {
                quality: 90,
                subsampling: Subsampling::S420,
            },
            FormatKind::Png | FormatKind::Gif => Format::Png {
                compression: PngCompression::Fast,
            },
            FormatKind::Tiff => Format::Tiff {
                compression: TiffCompression::Deflate,
            },
            FormatKind::WebP => Format::WebP { quality: 80 },
            FormatKind::Bmp => Format::Bmp,
            FormatKind::Pnm => Format::Pnm,
        }
    }

    /// The kind of file.
    pub fn kind(&self) -> FormatKind {
        match self {
            Format::Jpeg { .. } => FormatKind::Jpeg,
            Format::Png { .. } => FormatKind::Png,
            Format::Tiff { .. } => FormatKind::Tiff,
            Format::WebP { .. } | Format::WebPLossless => FormatKind::WebP,
            Format::Bmp => FormatKind::Bmp,
            Format::Pnm => FormatKind::Pnm,
        }
    }

    /// The extension of its files.
    pub fn extension(&self) -> &'static str {
        self.kind().extensions()[0]
    }

    /// Parses `jpeg(quality=90, subsampling=420)`, `webp(lossless)`, `bmp`… Errors name the format
    /// or option, its range and the nearest valid name.
    pub fn parse(text: &str) -> Result<Format> {
        let text = text.trim();
        let (name, options) = match text.split_once('(') {
            None => (text, ""),
            Some((name, rest)) => match rest.strip_suffix(')') {
                Some(options) => (name.trim_end(), options),
                None => return Err(wrong(format!("`{text}` has no closing `)`"))),
            },
        };
        let lower = name.to_ascii_lowercase();
        let name = match FormatKind::from_extension(&lower) {
            Some(kind) if kind != FormatKind::Gif => kind.name(),
            Some(_) => return Err(wrong("`gif` is only read (write png instead)".into())),
            None => &lower,
        };
        let Some((name, known)) = FORMATS.iter().find(|(n, _)| *n == name) else {
            let near = nearest(name, FORMATS.iter().map(|(n, _)| *n));
            let list: Vec<&str> = FORMATS.iter().map(|(n, _)| *n).collect();
            let hint = near.map_or_else(
                || format!("there are {}", list.join(", ")),
                |n| format!("did you mean `{n}`?"),
            );
            return Err(wrong(format!("there is no format `{name}` ({hint})")));
        };
        let mut values: Vec<Option<&str>> = vec![None; known.len()];
        for option in options.split(',').map(str::trim) {
            if option.is_empty() && options.trim().is_empty() {
                continue;
            }
            let (key, value) = match option.split_once('=') {
                Some((key, value)) => (key.trim(), value.trim()),
                None => (option, "true"),
            };
            let Some(at) = known.iter().position(|(k, _)| *k == key) else {
                let names: Vec<&str> = known.iter().map(|(k, _)| *k).collect();
                let hint = match nearest(key, names.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None if names.is_empty() => "it takes none".into(),
                    None => format!("it takes {}", names.join(", ")),
                };
                return Err(wrong(format!("`{name}` has no option `{key}` ({hint})")));
            };
            if values[at].replace(value).is_some() {
                return Err(wrong(format!("`{name}`: `{key}` is given twice")));
            }
        }
        let value = |at: usize| values[at].unwrap_or(known[at].1);
        Ok(match *name {
            "jpeg" => Format::Jpeg {
                quality: whole(name, "quality", value(0), 1, 100)?,
                subsampling: word(name, "subsampling", value(1), SUBSAMPLINGS)?,
            },
            "png" => Format::Png {
                compression: word(name, "compression", value(0), PNG_WORDS)?,
            },
            "tiff" => Format::Tiff {
                compression: word(name, "compression", value(0), TIFF_WORDS)?,
            },
            "webp" => {
                let quality = whole(name, "quality", value(0), 0, 100)?;
                match word(
                    name,
                    "lossless",
                    value(1),
                    &[("true", true), ("false", false)],
                )? {
                    true if values[0].is_some() => {
                        return Err(wrong(
                            "`webp`: quality and lossless exclude each other".into(),
                        ));
                    }
                    true => Format::WebPLossless,
                    false => Format::WebP { quality },
                }
            }
            "bmp" => Format::Bmp,
            _ => Format::Pnm,
        })
    }

    /// Whether files hold several pictures, each with its own size.
    pub fn holds_pages(&self) -> bool {
        matches!(self, Format::Tiff { .. })
    }

    /// Whether files hold the frames of an animation.
    pub fn holds_animation(&self) -> bool {
        false
    }

    /// Whether files hold any number of channels.
    pub fn holds_bands(&self) -> bool {
        matches!(self, Format::Tiff { .. })
    }

    /// What the format stores for an image of that shape; rows are converted on their way:
    ///
    /// | format | stores | otherwise |
    /// |---|---|---|
    /// | jpeg | gray, RGB of 8 bits | alpha is dropped, 16 bits and floats become 8 |
    /// | png | all of 8 and 16 bits | floats become 16 bits |
    /// | tiff | everything | |
    /// | webp | RGB, RGBA of 8 bits | gray becomes RGB, 16 bits and floats become 8 |
    /// | bmp | gray, RGB, RGBA of 8 bits | gray with alpha becomes RGBA, 16 bits and floats become 8 |
    /// | pnm | gray, RGB (PGM, PPM), with alpha (PAM) of 8 and 16 bits; gray, RGB floats (PFM) | floats with alpha become 16 bits |
    ///
    /// From 16 to 8 bits `v / 257` is rounded, from floats `255 v` or `65535 v` is rounded half to
    /// even after clamping to 0..=1.
    pub fn stored(&self, shape: Shape) -> Shape {
        let (mut color, mut sample) = (shape.color, shape.sample);
        match self {
            Format::Jpeg { .. } => {
                color = if color.is_gray() {
                    Color::Gray
                } else {
                    Color::Rgb
                };
                sample = SampleType::U8;
            }
            Format::Png { .. } if sample.is_float() => sample = SampleType::U16,
            Format::Png { .. } | Format::Tiff { .. } => {}
            Format::WebP { .. } | Format::WebPLossless => {
                color = color.to_rgb();
                sample = SampleType::U8;
            }
            Format::Bmp => {
                if color == Color::GrayAlpha {
                    color = Color::Rgba;
                }
                sample = SampleType::U8;
            }
            Format::Pnm if sample.is_float() && color.has_alpha() => sample = SampleType::U16,
            Format::Pnm if sample == SampleType::F64 => sample = SampleType::F32,
            Format::Pnm => {}
        }
        Shape {
            color,
            sample,
            ..shape
        }
    }
}

const SUBSAMPLINGS: &[(&str, Subsampling)] = &[
    ("444", Subsampling::S444),
    ("422", Subsampling::S422),
    ("420", Subsampling::S420),
];
const PNG_WORDS: &[(&str, PngCompression)] = &[
    ("none", PngCompression::None),
    ("fast", PngCompression::Fast),
    ("balanced", PngCompression::Balanced),
    ("best", PngCompression::Best),
];
const TIFF_WORDS: &[(&str, TiffCompression)] = &[
    ("none", TiffCompression::None),
    ("lzw", TiffCompression::Lzw),
    ("deflate", TiffCompression::Deflate),
    ("packbits", TiffCompression::PackBits),
];

fn name_of<T: PartialEq>(value: &T, words: &[(&'static str, T)]) -> &'static str {
    words
        .iter()
        .find(|(_, t)| t == value)
        .map_or("", |(w, _)| w)
}

/// The canonical text, with every option.
impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Format::Jpeg {
                quality,
                subsampling,
            } => {
                let subsampling = name_of(subsampling, SUBSAMPLINGS);
                write!(f, "jpeg(quality={quality}, subsampling={subsampling})")
            }
            Format::Png { compression } => {
                write!(f, "png(compression={})", name_of(compression, PNG_WORDS))
            }
            Format::Tiff { compression } => {
                write!(f, "tiff(compression={})", name_of(compression, TIFF_WORDS))
            }
            Format::WebP { quality } => write!(f, "webp(quality={quality})"),
            Format::WebPLossless => f.write_str("webp(lossless)"),
            Format::Bmp => f.write_str("bmp"),
            Format::Pnm => f.write_str("pnm"),
        }
    }
}

impl std::str::FromStr for Format {
    type Err = Error;
    fn from_str(text: &str) -> Result<Format> {
        Format::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_canonical_after_a_round_trip() {
        for text in [
            "jpeg(quality=75, subsampling=444)",
            "png(compression=best)",
            "tiff(compression=lzw)",
            "webp(quality=80)",
            "webp(lossless)",
            "bmp",
            "pnm",
        ] {
            assert_eq!(Format::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Format::parse("JPG").unwrap(), Format::of(FormatKind::Jpeg));
        assert_eq!(
            Format::parse("tif()").unwrap(),
            Format::of(FormatKind::Tiff)
        );
        assert_eq!(
            Format::parse(" webp( quality = 5 )").unwrap(),
            Format::WebP { quality: 5 }
        );
    }

    #[test]
    fn errors_name_the_option_its_range_and_the_nearest_name() {
        let message = |text: &str| Format::parse(text).unwrap_err().to_string();
        assert_eq!(
            message("jpge"),
            "there is no format `jpge` (did you mean `jpeg`?)"
        );
        assert_eq!(
            message("jpeg(qualty=3)"),
            "`jpeg` has no option `qualty` (did you mean `quality`?)"
        );
        assert_eq!(
            message("jpeg(quality=0)"),
            "`jpeg`: quality = 0 is outside 1..=100"
        );
        assert_eq!(
            message("jpeg(quality=9.5)"),
            "`jpeg`: quality = 9.5 is not a whole number"
        );
        assert!(message("jpeg(subsampling=421)").contains("is none of 444, 422, 420"));
        assert!(message("png(compression=fats)").contains("did you mean `fast`?"));
        assert!(message("bmp(x=1)").contains("it takes none"));
        assert!(message("webp(lossless, quality=3)").contains("exclude"));
        assert!(message("jpeg(quality=3").contains("closing"));
        assert!(message("jpeg(quality=3,quality=4)").contains("twice"));
        assert!(message("jpeg(quality=3,)").contains("no option ``"));
        assert!(message("gif").contains("only read"));
    }
}
