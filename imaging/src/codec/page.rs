//! docs/formats.md, made from the list of formats so that it cannot drift.

use super::format::{Choice, Values};
use super::table::{Output, Writer};
use super::{Format, FormatKind, PageKind};
use crate::image::{Color, SampleType};
use std::fmt::Write as _;

const COLORS: [Color; 4] = [Color::Gray, Color::GrayAlpha, Color::Rgb, Color::Rgba];

/// Every choice of words and flags that a format has, with its other options as they are.
pub fn variants(kind: FormatKind) -> Vec<Format> {
    let Output::Own(writer) = &kind.codec().output else {
        return Vec::new();
    };
    let mut texts = Vec::new();
    for Choice { name, values } in writer.options {
        match values {
            Values::Words { words, .. } => {
                texts.extend(
                    words
                        .iter()
                        .map(|word| format!("{}({name}={word})", kind.name())),
                );
            }
            Values::Flag => texts.push(format!("{}({name})", kind.name())),
            Values::Number { .. } => texts.push(kind.name().to_owned()),
        }
    }
    let mut all: Vec<Format> = texts
        .iter()
        .filter_map(|text| Format::parse(text).ok())
        .collect();
    if all.is_empty() {
        all.push(Format::of(kind));
    }
    let mut seen = Vec::new();
    all.retain(|format| {
        let new = !seen.contains(format);
        seen.push(format.clone());
        new
    });
    all
}

fn samples(held: &[SampleType]) -> String {
    let name = |sample: &SampleType| match sample {
        SampleType::U8 => "8",
        SampleType::U16 => "16",
        SampleType::F32 => "32f",
        SampleType::F64 => "64f",
    };
    match held.is_empty() {
        true => "-".into(),
        false => held.iter().map(name).collect::<Vec<_>>().join(", "),
    }
}

fn row(format: &Format, writer: &Writer) -> String {
    let mut line = format!("| `{format}` |");
    for color in COLORS {
        let held = writer.holds.iter().find(|(held, _)| *held == color);
        let _ = write!(line, " {} |", samples(held.map_or(&[], |(_, held)| *held)));
    }
    let pages = match writer.pages {
        Some(PageKind::Pages) => "pages",
        Some(PageKind::Animation) => "frames",
        None => "one",
    };
    let exact = if format.is_exact() { "yes" } else { "no" };
    let _ = write!(line, " {} | {pages} | {exact} |", samples(writer.bands));
    line
}

/// The page.
pub fn page() -> String {
    let mut page = String::from(
        "# Formats\n\n\
         <!-- Made by `sundog docs formats > docs/formats.md`; edit the formats' own files, not this page. -->\n\n\
         A file's format is told from its first bytes. What breaks a format's rules without costing a pixel is read with\n\
         a warning (`--strict` refuses it); pixels that are missing or damaged are an error.\n\n\
         ## Read\n\n\
         | format | extensions | samples | coding | several pictures |\n|---|---|---|---|---|\n",
    );
    for kind in FormatKind::ALL {
        let codec = kind.codec();
        let extensions = codec.extensions.join(", ");
        let _ = writeln!(
            page,
            "| {} | {extensions} | {} | {} | {} |",
            codec.title, codec.reads.samples, codec.reads.coding, codec.reads.pictures
        );
    }
    page.push_str(
        "\n## Written\n\n\
         `--format` takes what the first column shows; without it a file keeps its own format, and lossless WebP stays\n\
         lossless. Samples are of 8 or 16 bits, or floats (32f, 64f). What is not held is converted to the nearest that\n\
         is: alpha is blended, gray becomes RGB, floats are clipped to 0..1 with a warning that says how many were beyond.\n\
         Bands are any number of channels of data; formats without them refuse them. Formats with frames hold\n\
         animations, those with pages pictures of any size; the others hold one picture. Exact means that samples come\n\
         back to the bit. Stored types (signed, 32-bit, packed, half floats) are kept by TIFF, NumPy arrays and FITS while the\n\
         pipeline keeps the samples' units.\n\n\
         | written as | gray | gray+alpha | RGB | RGBA | bands | pictures | exact |\n|---|---|---|---|---|---|---|---|\n",
    );
    for kind in FormatKind::ALL {
        for format in variants(*kind) {
            let _ = writeln!(page, "{}", row(&format, format.writer()));
        }
    }
    let only: Vec<String> = (FormatKind::ALL.iter())
        .filter_map(|kind| match kind.codec().output {
            Output::Own(_) => None,
            Output::As(other) => Some(format!("{} (as {})", kind.codec().title, other.name())),
        })
        .collect();
    let _ = writeln!(
        page,
        "\nOnly read, and written as another format where none is asked for: {}.\n\n\
         HEIC and AVIF need libheif on the machine (`apt-get install libheif1`), TIFFs of some codings libtiff; `sundog doctor`\n\
         tells whether they are there.",
        only.join(", ")
    );
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::hostile::{picture, small};
    use crate::codec::{KeepMetadata, OpenOptions, decode, encode};
    use crate::image::{Buffer, Image};

    #[test]
    fn the_page_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/formats.md");
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            committed == page(),
            "run: sundog docs formats > docs/formats.md"
        );
    }

    /// Numbers of one range, whatever their type.
    fn values(image: &Image) -> Vec<f64> {
        crate::by_any_sample!(image.shape().sample, T => {
            use crate::image::Element;
            T::of(&image.rows.data).iter().map(|v| v.to_f64() / T::TOP).collect()
        })
    }

    fn far(a: &Image, b: &Image) -> f64 {
        let (a, b) = (values(a), values(b));
        let sum: f64 = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).sum();
        sum / a.len() as f64
    }

    #[test]
    fn every_cell_holds_what_it_says() {
        for kind in FormatKind::ALL {
            let there = kind.codec().needs.is_none_or(|version| version().is_some());
            if !there {
                continue;
            }
            for format in variants(*kind) {
                let writer = format.writer();
                let bands = (Color::Bands(5), writer.bands);
                for (color, samples) in writer.holds.iter().chain([&bands]) {
                    for sample in *samples {
                        let mut image = picture(23, 37, *color, *sample);
                        if *kind == FormatKind::Gif {
                            // Pixels are opaque or transparent.
                            for p in image.rows.data.bytes_mut().chunks_exact_mut(4) {
                                if *color == Color::Rgba {
                                    p[3] = if p[3] < 128 { 0 } else { 255 };
                                }
                            }
                        }
                        if let Buffer::F32(v) = &mut image.rows.data
                            && *kind == FormatKind::Hdr
                        {
                            v.iter_mut().for_each(|v| *v = v.abs());
                        }
                        assert_eq!(format.stored(image.shape()), image.shape());
                        let what = format!("{format} {color:?} {sample:?}");
                        let bytes = encode(&image, &format, KeepMetadata::None).expect(&what);
                        let again = decode(bytes, &small(), &OpenOptions::default()).expect(&what);
                        assert_eq!(again.shape(), image.shape(), "{what}");
                        match format.is_exact() {
                            true => assert!(again.rows == image.rows, "{what}"),
                            false => assert!(far(&again, &image) < 0.3, "{what}"),
                        }
                    }
                }
            }
        }
    }
}
