//! What the files have in common: numbers or images, and their shape.

use super::Request;
use super::files::{Content, Opener, sniff};
use super::npy::Npy;
use super::text::Text;
use imaging::codec::{Header, OpenOptions, probe, probe_page};
use imaging::executor::Stop;
use imaging::{Color, Error, Metadata, Result, SampleType, Shape};
use std::path::Path;

/// The shape of every file.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// Values per file.
    pub values: usize,
    /// Lengths of the dimensions, as stored.
    pub dims: Vec<usize>,
    /// Of images, as stored.
    pub picture: Option<Shape>,
    /// EXIF orientation of the stored pixels, 1..=8.
    pub orientation: u8,
}

const COLORS: [Color; 4] = [Color::Gray, Color::GrayAlpha, Color::Rgb, Color::Rgba];
const SAMPLES: [SampleType; 4] = [
    SampleType::U8,
    SampleType::U16,
    SampleType::F32,
    SampleType::F64,
];
/// In the kind's number: what is beyond the colours is so many bands.
const SAMPLE_STEP: usize = 1 << 20;

impl Layout {
    fn of_numbers(dims: Vec<usize>) -> Layout {
        Layout {
            values: dims.iter().product(),
            dims,
            picture: None,
            orientation: 1,
        }
    }

    /// For the other ranks.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let place = |shape: Shape| {
            let color = match shape.color {
                Color::Bands(n) => COLORS.len() + usize::from(n),
                color => COLORS.iter().position(|&c| c == color).unwrap_or_default(),
            };
            let sample = SAMPLES.iter().position(|&s| s == shape.sample);
            SAMPLE_STEP * sample.unwrap_or_default() + color + 1
        };
        let kind = self.picture.map_or(0, place);
        let mut numbers = vec![kind as u64, u64::from(self.orientation)];
        numbers.extend(self.dims.iter().map(|&n| n as u64));
        numbers.iter().flat_map(|n| n.to_le_bytes()).collect()
    }

    /// The way back from [`Layout::to_bytes`].
    pub(crate) fn from_bytes(bytes: &[u8]) -> Layout {
        let (chunks, _) = bytes.as_chunks();
        let numbers: Vec<usize> = chunks
            .iter()
            .map(|&b| u64::from_le_bytes(b) as usize)
            .collect();
        let (kind, orientation) = match numbers[..] {
            [kind, orientation, ..] => (kind, orientation),
            _ => (0, 1),
        };
        let dims: Vec<usize> = numbers.iter().skip(2).copied().collect();
        match (kind, &dims[..]) {
            (1.., [rows, cols, ..]) => {
                let color = (kind - 1) % SAMPLE_STEP;
                let bands = || Color::Bands((color - COLORS.len()) as u16);
                let color = COLORS.get(color).copied().unwrap_or_else(bands);
                let sample = SAMPLES[(kind - 1) / SAMPLE_STEP];
                let shape = Shape::new(*rows, *cols, color, sample);
                Layout::of_picture(shape, orientation as u8)
            }
            _ => Layout::of_numbers(dims),
        }
    }

    fn of_picture(shape: Shape, orientation: u8) -> Layout {
        let mut dims = vec![shape.rows, shape.cols];
        if shape.channels() > 1 {
            dims.push(shape.channels());
        }
        Layout {
            values: shape.rows * shape.row_len(),
            dims,
            picture: Some(shape),
            orientation,
        }
    }

    /// The shape in words.
    pub fn describe(&self) -> String {
        match self.picture {
            Some(shape) => format!(
                "{}x{} {} of {} bits",
                shape.cols,
                shape.rows,
                shape.color.name(),
                shape.sample.bits()
            ),
            None => describe(&self.dims),
        }
    }
}

/// The shape of numbers in words.
pub fn describe(dims: &[usize]) -> String {
    match dims {
        [] => "a single value".into(),
        [1] => "1 value".into(),
        [n] => format!("{n} values"),
        _ => {
            dims.iter()
                .map(usize::to_string)
                .collect::<Vec<_>>()
                .join("x")
                + " values"
        }
    }
}

/// The error for a file of another shape than the first.
pub fn differs(path: &Path, shape: &str, first: &Path, expected: &str) -> Error {
    Error::Unsuitable(format!(
        "{}: {shape}, but {} has {expected} (all files must have the same shape)",
        path.display(),
        first.display()
    ))
}

/// Looks at the first bytes of every file. Text is not read to its end except for the first file;
/// where its shape differs, that is found while it is read.
pub fn find(opener: &Opener, request: &Request, stop: &Stop) -> Result<Found> {
    let mut common: Option<Found> = None;
    let mut all_pages = Vec::with_capacity(request.files.len());
    let first = request.files.first().map_or(Path::new(""), |p| p.as_path());
    let mut text_before = false;
    for path in &request.files {
        stop.check()?;
        let named = |error: Error| name(path, error);
        let mut file = opener.open(path)?;
        let content = sniff(&mut file, path)?;
        if let Some(Found { layout, .. }) = &common {
            let image = content == Content::Image;
            if image != layout.picture.is_some() {
                let (what, other) = match image {
                    true => ("an image", "numbers"),
                    false => ("no image that is known here", "an image"),
                };
                return Err(Error::Unsuitable(format!(
                    "{}: {what}, but {} is {other}",
                    path.display(),
                    first.display()
                )));
            }
        }
        let (mut header, mut pages) = (None, 1);
        let found = match content {
            Content::Text if common.is_some() => {
                text_before = true;
                all_pages.push(1);
                continue;
            }
            Content::Text => {
                text_before = true;
                let mut text = Text::new(file, path);
                header = text.header()?;
                let values = text.count()?;
                match header.as_ref().map(|h| h.split([',', ';']).count()) {
                    Some(columns) if columns > 1 && values.is_multiple_of(columns) => {
                        Layout::of_numbers(vec![values / columns, columns])
                    }
                    _ => Layout::of_numbers(vec![values]),
                }
            }
            Content::Npy => Layout::of_numbers(Npy::new(file, path)?.header().shape.clone()),
            Content::Image => {
                let header = probe(&mut file, &request.limits).map_err(named)?;
                pages = header.pages.max(1);
                for page in 1..pages {
                    stop.check()?;
                    let other = probe_page(&mut file, &request.limits, page).map_err(named)?;
                    if other.shape != header.shape {
                        let orientation = header.orientation.clamp(1, 8);
                        let shown =
                            |h: &Header| Layout::of_picture(h.shape, orientation).describe();
                        return Err(Error::Unsuitable(format!(
                            "{}: page {} has {}, but its first has {} (all pages must have the same shape)",
                            path.display(),
                            page + 1,
                            shown(&other),
                            shown(&header)
                        )));
                    }
                }
                // The next one may only be opened when this one is closed.
                drop(file);
                let orientation = header.orientation.clamp(1, 8);
                Layout::of_picture(header.shape, orientation)
            }
        };
        all_pages.push(pages);
        let Some(Found { layout, .. }) = &common else {
            let metadata = match found.picture {
                Some(_) => metadata(opener, request, path).map_err(named)?,
                None => Metadata::default(),
            };
            common = Some(Found {
                layout: found,
                metadata,
                header,
                pages: Vec::new(),
            });
            continue;
        };
        let same = match text_before {
            true => found.picture == layout.picture,
            false => found.dims == layout.dims && found.picture == layout.picture,
        };
        if !same {
            return Err(differs(path, &found.describe(), first, &layout.describe()));
        }
        if found.orientation != layout.orientation {
            return Err(Error::Unsuitable(format!(
                "{}: EXIF orientation {}, but {} has {} (hint: `sundog run` turns images upright)",
                path.display(),
                found.orientation,
                first.display(),
                layout.orientation
            )));
        }
    }
    match common {
        Some(found) => Ok(Found {
            pages: all_pages,
            ..found
        }),
        None => Err(Error::Pipeline(
            "no files to reduce: name at least one".into(),
        )),
    }
}

/// What rank 0 learns of the files before anything is computed.
pub struct Found {
    /// What all of them have in common.
    pub layout: Layout,
    /// Of the first image.
    pub metadata: Metadata,
    /// The first line of the first text where it names columns.
    pub header: Option<String>,
    /// Pages of each file; 1 for numbers.
    pub pages: Vec<u32>,
}

/// The metadata of the first image, which goes with the result.
fn metadata(opener: &Opener, request: &Request, path: &Path) -> Result<Metadata> {
    let file = Box::new(opener.open(path)?);
    let source = imaging::codec::open(file, &request.limits, &OpenOptions::default())?;
    Ok(source.metadata().clone())
}

/// Puts the file's name before a message.
pub fn name(path: &Path, error: Error) -> Error {
    let with = |text: String| match text.contains(&*path.to_string_lossy()) {
        true => text,
        false => format!("{}: {text}", path.display()),
    };
    match error {
        Error::Decode(text) => Error::Decode(with(text)),
        Error::Limit { limit, text } => limit.exceeded(with(text)),
        Error::Unsuitable(text) => Error::Unsuitable(with(text)),
        Error::Io(text) => Error::Io(with(text)),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_ranks_learn_the_layout() {
        let picture = Shape::new(3, 4, Color::Rgba, SampleType::U16);
        for layout in [
            Layout::of_numbers(vec![7]),
            Layout::of_numbers(vec![]),
            Layout::of_numbers(vec![2, 3, 4]),
            Layout::of_picture(picture, 6),
            Layout::of_picture(Shape::new(1, 9, Color::Gray, SampleType::F32), 1),
        ] {
            assert_eq!(Layout::from_bytes(&layout.to_bytes()), layout);
        }
    }
}
