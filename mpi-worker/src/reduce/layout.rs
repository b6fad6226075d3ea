//! What the files have in common: numbers or images, and their shape.

use super::Request;
use super::files::{Content, Opened, Opener, sniff};
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
        let numbers = self.to_numbers();
        numbers.iter().flat_map(|n| n.to_le_bytes()).collect()
    }

    /// All of it as numbers.
    pub(crate) fn to_numbers(&self) -> Vec<u64> {
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
        numbers
    }

    /// The way back from [`Layout::to_bytes`].
    pub(crate) fn from_bytes(bytes: &[u8]) -> Layout {
        let (chunks, _) = bytes.as_chunks();
        let numbers: Vec<u64> = chunks.iter().map(|&b| u64::from_le_bytes(b)).collect();
        Layout::from_numbers(&numbers)
    }

    /// The way back from [`Layout::to_numbers`].
    pub(crate) fn from_numbers(numbers: &[u64]) -> Layout {
        let numbers: Vec<usize> = numbers.iter().map(|&n| n as usize).collect();
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
    let Some((path, others)) = request.files.split_first() else {
        return Err(Error::Pipeline(
            "no files to reduce: name at least one".into(),
        ));
    };
    let mut found = first(opener, request, path, stop)?;
    for other in others {
        let pages = like(
            opener,
            request,
            other,
            (path, &found.layout, found.text),
            stop,
        )?;
        found.pages.push(pages);
    }
    Ok(found)
}

/// What the first file is, which all others are compared with.
pub fn first(opener: &Opener, request: &Request, path: &Path, stop: &Stop) -> Result<Found> {
    stop.check()?;
    let mut file = opener.open(path)?;
    let mut found = Found {
        layout: Layout::of_numbers(Vec::new()),
        metadata: Metadata::default(),
        header: None,
        text: false,
        picture: None,
        pages: vec![1],
    };
    match sniff(&mut file, path)? {
        Content::Text => {
            let mut text = Text::new(file, path);
            found.text = true;
            found.header = text.header()?;
            let values = text.count()?;
            let columns = found.header.as_ref();
            found.layout = match columns.map(|h| h.split([',', ';']).count()) {
                Some(columns) if columns > 1 && values.is_multiple_of(columns) => {
                    Layout::of_numbers(vec![values / columns, columns])
                }
                _ => Layout::of_numbers(vec![values]),
            };
        }
        Content::Npy => {
            found.layout = Layout::of_numbers(Npy::new(file, path)?.header().shape.clone());
        }
        Content::Image => {
            let header = picture(&mut file, request, path, stop)?;
            // It may only be opened again when this one is closed.
            drop(file);
            found.pages = vec![header.pages.max(1)];
            found.layout = Layout::of_picture(header.shape, header.orientation.clamp(1, 8));
            found.metadata = metadata(opener, request, path).map_err(|error| name(path, error))?;
            found.picture = Some(header);
        }
    }
    Ok(found)
}

/// Makes sure that a file is like the first one, whether that is text or not; its pages.
pub fn like(
    opener: &Opener,
    request: &Request,
    path: &Path,
    (first, layout, text): (&Path, &Layout, bool),
    stop: &Stop,
) -> Result<u32> {
    stop.check()?;
    let mut file = opener.open(path)?;
    let content = sniff(&mut file, path)?;
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
    match content {
        Content::Text => Ok(1),
        Content::Npy => {
            let dims = Npy::new(file, path)?.header().shape.clone();
            // Beside text any shape of as many values may do, which is seen when it is read.
            match text || dims == layout.dims {
                true => Ok(1),
                false => Err(differs(path, &describe(&dims), first, &layout.describe())),
            }
        }
        Content::Image => {
            let header = picture(&mut file, request, path, stop)?;
            let orientation = header.orientation.clamp(1, 8);
            let found = Layout::of_picture(header.shape, orientation);
            if found.dims != layout.dims || found.picture != layout.picture {
                return Err(differs(path, &found.describe(), first, &layout.describe()));
            }
            if orientation != layout.orientation {
                return Err(Error::Unsuitable(format!(
                    "{}: EXIF orientation {orientation}, but {} has {} (hint: `sundog run` turns images upright)",
                    path.display(),
                    first.display(),
                    layout.orientation
                )));
            }
            Ok(header.pages.max(1))
        }
    }
}

/// The header of an image whose pages are all alike.
fn picture(file: &mut Opened, request: &Request, path: &Path, stop: &Stop) -> Result<Header> {
    let named = |error: Error| name(path, error);
    let header = probe(file, &request.limits).map_err(named)?;
    for page in 1..header.pages.max(1) {
        stop.check()?;
        let other = probe_page(file, &request.limits, page).map_err(named)?;
        if other.shape != header.shape {
            let orientation = header.orientation.clamp(1, 8);
            let shown = |h: &Header| Layout::of_picture(h.shape, orientation).describe();
            return Err(Error::Unsuitable(format!(
                "{}: page {} has {}, but its first has {} (all pages must have the same shape)",
                path.display(),
                page + 1,
                shown(&other),
                shown(&header)
            )));
        }
    }
    Ok(header)
}

/// What rank 0 learns of the files before anything is computed.
pub struct Found {
    /// What all of them have in common.
    pub layout: Layout,
    /// Of the first image.
    pub metadata: Metadata,
    /// The first line of the first file where it is text and names columns.
    pub header: Option<String>,
    /// Whether the first file is text.
    pub text: bool,
    /// The header of the first file where it is an image.
    pub picture: Option<Header>,
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
