//! Output formats with their options, in text form: `jpeg(quality=90, subsampling=420)`.

use super::table::{Keeps, Output, Writer};
use super::{FormatKind, Header, PageKind};
use crate::error::{Error, Result};
use crate::image::{SampleType, Shape};
use crate::op::nearest;
use std::fmt;

/// An option of an output format.
#[derive(Clone, Copy, Debug)]
pub struct Choice {
    /// Before the `=`.
    pub name: &'static str,
    /// What it may be.
    pub values: Values,
}

/// What an option may be.
#[derive(Clone, Copy, Debug)]
pub enum Values {
    /// A whole number.
    Number {
        /// The least.
        min: u16,
        /// The largest.
        max: u16,
        /// Where none is given.
        default: u16,
    },
    /// One of these.
    Words {
        /// All.
        words: &'static [&'static str],
        /// The position of the one that is taken where none is given.
        default: u16,
    },
    /// Given or not; where it is, the other options have no meaning and may not be given.
    Flag,
}

/// Most options of one format.
const MOST: usize = 4;

/// The options of a format, in the order of its [`Choice`]s: numbers, positions of words, 1 for a flag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Options([u16; MOST]);

impl Options {
    fn of(choices: &[Choice]) -> Options {
        let mut values = [0; MOST];
        for (value, choice) in values.iter_mut().zip(choices) {
            *value = match choice.values {
                Values::Number { default, .. } | Values::Words { default, .. } => default,
                Values::Flag => 0,
            };
        }
        Options(values)
    }

    /// A number.
    pub(super) fn number(&self, at: usize) -> u16 {
        self.0[at]
    }

    /// The one of `all` that stands where the word stands in its choice.
    pub(super) fn pick<T: Copy>(&self, at: usize, all: &[T]) -> T {
        all[usize::from(self.0[at])]
    }

    /// Whether a flag is given.
    pub(super) fn flag(&self, at: usize) -> bool {
        self.0[at] != 0
    }
}

/// An output format with its options.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Format {
    kind: FormatKind,
    options: Options,
}

fn wrong(message: String) -> Error {
    Error::Pipeline(message)
}

impl Choice {
    fn parse(&self, format: &str, value: &str) -> Result<u16> {
        let option = self.name;
        match self.values {
            Values::Number { min, max, .. } => {
                let number: i64 = value.parse().map_err(|_| {
                    wrong(format!(
                        "`{format}`: {option} = {value} is not a whole number"
                    ))
                })?;
                match u16::try_from(number) {
                    Ok(v) if (min..=max).contains(&v) => Ok(v),
                    _ => Err(wrong(format!(
                        "`{format}`: {option} = {value} is outside {min}..={max}"
                    ))),
                }
            }
            Values::Words { words, .. } => among(format, option, value, words),
            Values::Flag => among(format, option, value, &["false", "true"]),
        }
    }
}

fn among(format: &str, option: &str, value: &str, words: &[&str]) -> Result<u16> {
    if let Some(at) = words.iter().position(|w| *w == value) {
        return Ok(at as u16);
    }
    let near = nearest(value, words.iter().copied());
    let hint = near.map_or(String::new(), |n| format!("; did you mean `{n}`?"));
    let list = words.join(", ");
    Err(wrong(format!(
        "`{format}`: {option} = {value} is none of {list}{hint}"
    )))
}

impl Format {
    /// The format that files of this kind are written in, with default options (GIF: PNG).
    pub fn of(kind: FormatKind) -> Format {
        match &kind.codec().output {
            Output::Own(writer) => Format {
                kind,
                options: Options::of(writer.options),
            },
            Output::As(other) => Format::of(*other),
        }
    }

    /// The format that a file is written in where none is asked for: its own, and lossless where it is and the format
    /// is both.
    pub fn like(header: &Header) -> Format {
        let mut format = Format::of(header.kind);
        if header.lossless && format.kind == header.kind {
            let options = format.writer().options;
            if let Some(at) = options.iter().position(|choice| choice.name == "lossless") {
                format.options.0[at] = 1;
            }
        }
        format
    }

    /// Every format that can be written, with default options.
    pub fn all() -> impl Iterator<Item = Format> {
        let kinds = FormatKind::ALL.iter().copied();
        kinds
            .map(|kind| (kind, Format::of(kind)))
            .filter(|(kind, format)| format.kind == *kind)
            .map(|(_, format)| format)
    }

    /// The kind of file.
    pub fn kind(&self) -> FormatKind {
        self.kind
    }

    /// The extension of its files.
    pub fn extension(&self) -> &'static str {
        self.kind.extensions()[0]
    }

    /// Whether what the format holds comes back to the bit.
    pub fn is_exact(&self) -> bool {
        self.writer().exact || self.flag().is_some()
    }

    /// What is chosen.
    pub(super) fn options(&self) -> &Options {
        &self.options
    }

    /// The encoder. Formats are made of kinds that have one.
    pub(super) fn writer(&self) -> &'static Writer {
        match &self.kind.codec().output {
            Output::Own(writer) => writer,
            Output::As(other) => Format::of(*other).writer(),
        }
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
        let mut format = Format::named(&name.to_ascii_lowercase())?;
        let name = format.kind.name();
        let known = format.writer().options;
        let mut given = [false; MOST];
        for option in options.split(',').map(str::trim) {
            if option.is_empty() && options.trim().is_empty() {
                continue;
            }
            let (key, value) = match option.split_once('=') {
                Some((key, value)) => (key.trim(), value.trim()),
                None => (option, "true"),
            };
            let Some(at) = known.iter().position(|choice| choice.name == key) else {
                let names: Vec<&str> = known.iter().map(|choice| choice.name).collect();
                let hint = match nearest(key, names.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None if names.is_empty() => "it takes none".into(),
                    None => format!("it takes {}", names.join(", ")),
                };
                return Err(wrong(format!("`{name}` has no option `{key}` ({hint})")));
            };
            if std::mem::replace(&mut given[at], true) {
                return Err(wrong(format!("`{name}`: `{key}` is given twice")));
            }
            format.options.0[at] = known[at].parse(name, value)?;
        }
        if let Some(flag) = format.flag() {
            let other = (known.iter().enumerate()).find(|(at, _)| *at != flag && given[*at]);
            if let Some((_, other)) = other {
                return Err(wrong(format!(
                    "`{name}`: {} and {} exclude each other",
                    other.name, known[flag].name
                )));
            }
            // What has no meaning is always the same.
            let values = Options::of(known).0;
            for (at, value) in values.into_iter().enumerate().filter(|(at, _)| *at != flag) {
                format.options.0[at] = value;
            }
        }
        Ok(format)
    }

    /// The position of the flag that is given.
    fn flag(&self) -> Option<usize> {
        let known = self.writer().options.iter().enumerate();
        known
            .filter(|(at, choice)| matches!(choice.values, Values::Flag) && self.options.flag(*at))
            .map(|(at, _)| at)
            .next()
    }

    fn named(name: &str) -> Result<Format> {
        let kinds = FormatKind::ALL.iter().copied();
        let kind = kinds.into_iter().find(|kind| kind.name() == name);
        let kind = kind.or_else(|| FormatKind::from_extension(name));
        let Some(kind) = kind else {
            let list: Vec<&str> = Format::all().map(|format| format.kind.name()).collect();
            let near = nearest(name, list.iter().copied());
            let hint = near.map_or_else(
                || format!("there are {}", list.join(", ")),
                |n| format!("did you mean `{n}`?"),
            );
            return Err(wrong(format!("there is no format `{name}` ({hint})")));
        };
        match kind.codec().output {
            Output::Own(_) => Ok(Format::of(kind)),
            Output::As(other) => Err(wrong(format!(
                "`{}` is only read (write {} instead)",
                kind.name(),
                other.name()
            ))),
        }
    }

    /// Whether files hold several pictures, each with its own size.
    pub fn holds_pages(&self) -> bool {
        self.writer().pages == Some(PageKind::Pages)
    }

    /// Whether files hold the frames of an animation.
    pub fn holds_animation(&self) -> bool {
        self.writer().pages == Some(PageKind::Animation)
    }

    /// What files have room for beside the pixels.
    pub fn keeps(&self) -> Keeps {
        self.writer().keeps
    }

    /// Whether samples can be written in any type that a file may have them in.
    pub fn keeps_stored(&self) -> bool {
        self.writer().stored
    }

    /// Whether files hold any number of channels.
    pub fn holds_bands(&self) -> bool {
        !self.writer().bands.is_empty()
    }

    /// What the format stores for an image of that shape: docs/formats.md lists what each holds; rows are converted
    /// on their way.
    ///
    /// From 16 to 8 bits `v / 257` is rounded, from floats `255 v` or `65535 v` is rounded half to
    /// even after clamping to 0..=1.
    pub fn stored(&self, shape: Shape) -> Shape {
        self.writer().stored(shape)
    }

    /// What samples become where the format holds them with other channels, but not with these: alpha of 16 bits in
    /// JPEG XL as it is written here. None where they stay, or where the format has no such samples at all.
    pub fn narrowed(&self, shape: Shape) -> Option<SampleType> {
        let stored = self.stored(shape).sample;
        let mut held = self.writer().holds.iter().flat_map(|(_, samples)| *samples);
        let narrower = stored.bits() < shape.sample.bits();
        (narrower && held.any(|held| *held == shape.sample)).then_some(stored)
    }
}

/// The canonical text, with every option.
impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, known) = (self.kind.name(), self.writer().options);
        if let Some(flag) = self.flag() {
            return write!(f, "{name}({})", known[flag].name);
        }
        let said: Vec<String> = (known.iter().zip(self.options.0))
            .filter_map(|(choice, value)| match choice.values {
                Values::Number { .. } => Some(format!("{}={value}", choice.name)),
                Values::Words { words, .. } => {
                    Some(format!("{}={}", choice.name, words[usize::from(value)]))
                }
                Values::Flag => None,
            })
            .collect();
        match said.is_empty() {
            true => f.write_str(name),
            false => write!(f, "{name}({})", said.join(", ")),
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
            Format::parse("webp(quality=5)").unwrap()
        );
    }

    #[test]
    fn samples_that_a_format_has_but_not_with_these_channels_are_told() {
        use crate::image::Color;
        let narrowed = |name: &str, color, sample| {
            Format::parse(name)
                .unwrap()
                .narrowed(Shape::new(2, 2, color, sample))
        };
        let (eight, wide) = (Some(SampleType::U8), SampleType::U16);
        assert_eq!(narrowed("jxl", Color::Rgba, wide), eight);
        assert_eq!(narrowed("jxl", Color::GrayAlpha, wide), eight);
        assert_eq!(narrowed("jxl", Color::Rgb, wide), None);
        assert_eq!(narrowed("png", Color::Rgba, wide), None);
        // It has 8 bits alone, as everybody knows.
        assert_eq!(narrowed("webp", Color::Rgba, wide), None);
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
        assert!(message("dds").contains("only read"));
    }
}
