//! Formats: probing headers against limits, decoding row by row, encoding row by row.
//!
//! Bytes come from outside and may be hostile: every decoder checks its header against [`Limits`]
//! before it allocates in proportion to the image, treats a truncated or corrupt file as an error,
//! and never panics. The format is told from the first bytes, never from a file's name.

#[cfg(target_arch = "wasm32")]
mod absent;
mod bmp;
mod convert;
mod deflate;
pub mod exif;
mod fits;
mod foreign;
mod format;
mod frames;
mod gif;
mod heif;
#[cfg(test)]
mod hostile;
#[cfg(not(target_arch = "wasm32"))]
mod jp2;
#[cfg(not(target_arch = "wasm32"))]
mod jpeg;
#[cfg(not(target_arch = "wasm32"))]
mod jxl;
mod keep;
mod kind;
mod libraries;
mod limits;
mod memory;
mod mend;
mod npy;
pub mod orientation;
mod page;
pub(crate) mod parallel;
mod png;
mod pnm;
mod range;
mod raw;
mod table;
mod tiff;
#[cfg(not(target_arch = "wasm32"))]
mod webp;
mod whole;

#[cfg(target_arch = "wasm32")]
use absent::{jp2, jpeg, jxl, webp};

pub use format::{Choice, Format, Options, Values};
pub use keep::KeepMetadata;
pub use kind::FormatKind;
pub use libraries::{Library, libraries};
pub use limits::Limits;
pub use memory::{MemoryFile, decode, encode};
pub use page::{page, variants};
pub use table::{Codec, Keeps, Output, Reads, Writer};

use crate::error::{Error, Result};
use crate::image::{Metadata, Rows, Shape, Stored};
use crate::metadata;
use crate::warning::Warning;
use crate::window::Band;
use std::io::{Read, Seek, SeekFrom, Write};

/// Where encoded bytes come from. Decoders buffer by themselves.
pub trait ReadSeek: Read + Seek + Send {}
impl<T: Read + Seek + Send> ReadSeek for T {}

/// Where encoded bytes go. Encoders buffer by themselves.
pub trait WriteSeek: Write + Seek + Send {}
impl<T: Write + Seek + Send> WriteSeek for T {}

/// A decoder that yields rows from the top.
pub trait RowSource: Send {
    /// Size and layout of the rows.
    fn shape(&self) -> Shape;

    /// ICC profile, EXIF and orientation.
    fn metadata(&self) -> &Metadata;

    /// Decodes the next `band.count` rows; `band.first` is the row after the last one read. With the
    /// last row the rest of the file is checked too.
    fn read(&mut self, band: &mut Band<'_>) -> Result<()>;

    /// Lets go of what is held for further rows: nothing is read after this.
    fn release(&mut self) {}

    /// Makes `row` the next row to be read without decoding those between, where the format allows;
    /// otherwise answers false and changes nothing.
    fn seek_row(&mut self, row: usize) -> Result<bool> {
        let _ = row;
        Ok(false)
    }

    /// Oddities of the file that cost no pixel (bytes left over before a marker, say), as far as they are known.
    fn warnings(&self) -> &[Warning] {
        &[]
    }
}

/// An encoder that takes rows from the top.
pub trait RowSink: Send {
    /// Encodes the next rows; `rows.first` is the row after the last one written.
    fn write(&mut self, rows: &Rows) -> Result<()>;

    /// Ends the file after all rows were written.
    fn finish(self: Box<Self>) -> Result<()>;

    /// Ends this page or frame after all its rows were written, and goes on to the next. Only formats of which
    /// [`Format::holds_pages`] or [`Format::holds_animation`] is true can.
    fn finish_page(self: Box<Self>) -> Result<Box<dyn NextPage>> {
        Err(Error::Encode("the format holds one image only".into()))
    }

    /// What became of samples that the format cannot hold; known when all rows were written.
    fn warnings(&self) -> Vec<Warning> {
        Vec::new()
    }
}

/// A file of several pages or frames between two of them.
pub trait NextPage: Send {
    /// Begins a page of that shape, which may differ from the others' (frames of an animation are all alike).
    fn begin(self: Box<Self>, shape: Shape, metadata: &Metadata) -> Result<Box<dyn RowSink>>;

    /// Ends the file.
    fn end(self: Box<Self>) -> Result<()>;
}

/// What several pictures in one file are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PageKind {
    /// Pictures of their own, each with its size.
    #[default]
    Pages,
    /// Frames of an animation, already composed, with one size.
    Animation,
}

/// What a file's header says.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    /// The format.
    pub kind: FormatKind,
    /// Size and layout as decoded: palettes are expanded to RGB or RGBA, CMYK becomes RGB, gray of
    /// 1, 2 and 4 bits becomes 8 bits.
    pub shape: Shape,
    /// Bits of one stored sample (of a palette's index for palettes).
    pub bits: u8,
    /// EXIF orientation of the stored pixels, 1..=8; not applied by the decoder.
    pub orientation: u8,
    /// Whether an ICC profile is there, as far as the header says.
    pub has_icc: bool,
    /// Pages or frames in the file, thumbnails and reduced copies not counted (at least 1).
    pub pages: u32,
    /// What they are.
    pub page_kind: PageKind,
    /// Whether an animation has a picture beside its frames, for programs that show none: it is the page after the last.
    pub still: bool,
    /// The type of samples in the file where the shape's type does not say it.
    pub stored: Option<Stored>,
    /// Whether the file holds its pixels exactly, of formats that can do both.
    pub lossless: bool,
    /// Whether rows are decoded one after the other without the whole image in memory.
    pub streams: bool,
    /// Whether [`RowSource::seek_row`] works, so that each rank can decode only its own rows.
    pub seekable: bool,
    /// Bytes that the decoder holds beside the rows it hands out.
    pub decoder_bytes: usize,
}

impl Header {
    /// The shape when opened with [`OpenOptions::shrink`].
    pub fn shrunk(&self, shrink: u32) -> Shape {
        let by = |n: usize| n.div_ceil(shrink.max(1) as usize);
        match self.kind.codec().shrinks {
            true => Shape {
                rows: by(self.shape.rows),
                cols: by(self.shape.cols),
                ..self.shape
            },
            false => self.shape,
        }
    }

    /// Whether each of `ranks` ranks that share the image decodes its own rows; else one hands them out. Each of them
    /// holds a decoder then, and where strips are so high that several ranks need the same one, all of them would
    /// unpack it.
    pub fn decodes_apart(&self, ranks: usize) -> bool {
        const SMALL: usize = 8 << 20;
        let all = self.decoder_bytes.saturating_mul(ranks);
        self.seekable && (self.decoder_bytes <= SMALL || all <= self.shape.bytes())
    }
}

/// How to decode.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenOptions {
    /// Decode at 1/1, 1/2, 1/4 or 1/8 of the size, which is quicker: JPEG only, others ignore it.
    pub shrink: u32,
    /// The page or frame to decode, from 0.
    pub page: u32,
}

impl Default for OpenOptions {
    fn default() -> Self {
        OpenOptions { shrink: 1, page: 0 }
    }
}

/// Tells the format from the first bytes and goes back to the beginning.
pub fn detect(input: &mut dyn ReadSeek) -> Result<FormatKind> {
    let most = FormatKind::DETECT_BYTES;
    let mut start = Vec::with_capacity(most);
    input.seek(SeekFrom::Start(0))?;
    (&mut *input).take(most as u64).read_to_end(&mut start)?;
    input.seek(SeekFrom::Start(0))?;
    if start.is_empty() {
        return Err(Error::Decode("the file is empty".into()));
    }
    FormatKind::detect(&start).ok_or_else(|| {
        let names = FormatKind::ALL.iter().map(|kind| kind.codec().title);
        let names: Vec<&str> = names.collect();
        Error::Decode(format!(
            "no image format that is known here ({})",
            names.join(", ")
        ))
    })
}

/// Reads headers only, of the first page, and checks them against the limits.
pub fn probe(input: &mut dyn ReadSeek, limits: &Limits) -> Result<Header> {
    probe_page(input, limits, 0)
}

fn check_page(page: u32, pages: u32) -> Result<()> {
    match page < pages.max(1) {
        true => Ok(()),
        false => Err(no_page(page, pages)),
    }
}

fn no_page(page: u32, pages: u32) -> Error {
    Error::Decode(format!(
        "there is no page {} (the file has {pages})",
        page.saturating_add(1)
    ))
}

/// Frames of an animation have one size.
fn same_size(format: &str, first: Shape, next: Shape) -> Result<()> {
    match (first.rows, first.cols) == (next.rows, next.cols) {
        true => Ok(()),
        false => Err(Error::Encode(format!(
            "a frame of {}x{} cannot follow one of {}x{} in a {format} (write tiff, whose pages may differ)",
            next.cols, next.rows, first.cols, first.rows
        ))),
    }
}

/// As [`probe`], of any page.
pub fn probe_page(input: &mut dyn ReadSeek, limits: &Limits, page: u32) -> Result<Header> {
    let kind = detect(input)?;
    limits.file(input)?;
    let header = (kind.codec().probe)(input, limits, page)?;
    check_page(page, header.pages.saturating_add(header.still.into()))?;
    input.seek(SeekFrom::Start(0))?;
    Ok(header)
}

/// Opens a decoder; nothing in proportion to the image is allocated before the limits were checked.
pub fn open(
    mut input: Box<dyn ReadSeek>,
    limits: &Limits,
    options: &OpenOptions,
) -> Result<Box<dyn RowSource>> {
    let kind = detect(&mut *input)?;
    limits.file(&mut *input)?;
    (kind.codec().open)(input, limits, options)
}

/// Opens an encoder for rows of `shape`, which are converted to what the format can hold (see
/// [`Format::stored`]).
pub fn create(
    output: Box<dyn WriteSeek>,
    format: &Format,
    shape: Shape,
    metadata: &Metadata,
    keep: KeepMetadata,
) -> Result<Box<dyn RowSink>> {
    let plan = convert::Plan {
        format: format.clone(),
        keep,
        background: metadata.background,
    };
    let (stored, metadata) = prepared(&plan, shape, metadata)?;
    let sink = (format.writer().create)(table::Target {
        output,
        options: format.options(),
        shape: stored,
        metadata: &metadata,
    })?;
    Ok(convert::before(sink, shape, stored, plan))
}

/// What an image of that shape is stored as, and what is kept beside its pixels.
fn prepared(plan: &convert::Plan, shape: Shape, metadata: &Metadata) -> Result<(Shape, Metadata)> {
    let format = &plan.format;
    if shape.pixels() == 0 {
        return Err(Error::Encode(format!(
            "an image of {}x{} pixels cannot be written",
            shape.cols, shape.rows
        )));
    }
    if shape.color.bands().is_some() && !format.holds_bands() {
        return Err(no_bands(format.kind().name(), shape));
    }
    let metadata = metadata::sized(plan.keep.filter(metadata), shape);
    let metadata = metadata::fit(metadata, format.kind(), &mut Vec::new());
    Ok((format.stored(shape), metadata))
}

fn no_bands(format: &str, shape: Shape) -> Error {
    Error::Encode(format!(
        "{format} cannot hold {} bands (write tiff, or choose one or three of them: select(bands=[[1, 2, 3]]))",
        shape.channels()
    ))
}

/// Bytes that the decoder holds beside the rows it hands out.
pub fn decoder_memory(header: &Header) -> usize {
    header.decoder_bytes
}

/// Bytes that the encoder holds beside the rows it is given, of which `shape` is the image.
pub fn encoder_memory(format: &Format, shape: Shape) -> usize {
    const BUFFERS: usize = 256 << 10;
    let stored = format.stored(shape);
    let own = (format.writer().memory)(format.options(), stored);
    let converted = if stored == shape {
        0
    } else {
        convert::BAND_BYTES + stored.row_bytes()
    };
    own + converted + BUFFERS
}
