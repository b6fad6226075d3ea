//! What a TIFF's first page holds and where: checked against the limits, ready to decode.

use super::directory::{Entry, File, bad, truncated};
use crate::codec::Limits;
use crate::error::{Error, Result};
use crate::image::{Color, SampleType, Shape};

/// Channels of one pixel that are believed.
const MAX_CHANNELS: u64 = 64;

/// How strips and tiles are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// As they are.
    None,
    /// LZW, highest bit first.
    Lzw,
    /// zlib.
    Deflate,
    /// Run lengths.
    PackBits,
}

impl Packing {
    /// Most bytes that come of one packed byte.
    fn most_expansion(self) -> u64 {
        match self {
            Packing::None => 1,
            Packing::Lzw => 4096,
            Packing::Deflate => 1040,
            Packing::PackBits => 64,
        }
    }
}

/// What samples were subtracted from before they were packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Predictor {
    /// Nothing.
    None,
    /// The sample of the pixel to the left.
    Horizontal,
    /// The same for floats, whose bytes stand apart.
    Float,
}

/// What a pixel's first channels mean.
#[derive(Clone, Debug, PartialEq)]
pub enum Meaning {
    /// Zero is black.
    Gray,
    /// Zero is white.
    InvertedGray,
    /// Red, green, blue.
    Rgb,
    /// An index into these colours.
    Palette(Vec<[u8; 3]>),
}

/// How the pixels lie in the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// The image as it is handed out.
    pub shape: Shape,
    /// Bits of a stored sample: 1, 2, 4, 8, 16, 32 (float) or 64 (float).
    pub bits: usize,
    /// Stored channels of a pixel.
    pub channels: usize,
    /// Meaning of the first channels.
    pub meaning: Meaning,
    /// The stored channel that is alpha.
    pub alpha: Option<usize>,
    /// Colours were multiplied by alpha.
    pub premultiplied: bool,
    /// Each channel has its own strips or tiles.
    pub planar: bool,
    /// Tiles: those at the right and the bottom are stored whole.
    pub tiled: bool,
    /// Rows of one strip or tile.
    pub chunk_rows: usize,
    /// Columns of one strip or tile.
    pub chunk_cols: usize,
    /// Strips or tiles side by side.
    pub across: usize,
    /// Strips or tiles above one another.
    pub down: usize,
    /// Position and length of each, by plane, row and column.
    pub chunks: Vec<(u64, u64)>,
    /// How they are packed.
    pub packing: Packing,
    /// Undone after unpacking.
    pub predictor: Predictor,
    /// The lowest bit of a byte comes first.
    pub reversed: bool,
    /// The high byte of a sample comes first.
    pub big: bool,
}

impl Layout {
    /// Channels stored together.
    pub fn channels_together(&self) -> usize {
        if self.planar { 1 } else { self.channels }
    }

    /// Planes stored apart.
    pub fn planes(&self) -> usize {
        if self.planar { self.channels } else { 1 }
    }

    /// Bytes of one row of a strip or tile.
    pub fn chunk_row_bytes(&self) -> usize {
        (self.chunk_cols * self.channels_together() * self.bits).div_ceil(8)
    }

    /// Bytes of one whole strip or tile.
    pub fn chunk_bytes(&self) -> usize {
        self.chunk_rows * self.chunk_row_bytes()
    }

    /// Rows stored in the strips or tiles of row `down`.
    pub fn stored_rows(&self, down: usize) -> usize {
        match self.tiled {
            true => self.chunk_rows,
            false => (self.shape.rows - down * self.chunk_rows).min(self.chunk_rows),
        }
    }

    /// Bytes of all strips or tiles that hold one image row.
    pub fn row_of_chunks_bytes(&self) -> usize {
        self.chunk_bytes() * self.across * self.planes()
    }

    /// Position and length of one strip or tile.
    pub fn chunk(&self, plane: usize, down: usize, across: usize) -> (u64, u64) {
        self.chunks[(plane * self.down + down) * self.across + across]
    }

    /// Whether rows lie in the file as they are handed out, but for the order of bytes.
    pub fn is_plain(&self) -> bool {
        self.packing == Packing::None && !self.tiled && self.is_copied() && !self.reversed
    }

    /// Whether unpacked samples are handed out as they are.
    pub fn is_copied(&self) -> bool {
        (!self.planar || self.channels == 1)
            && matches!(self.meaning, Meaning::Gray | Meaning::Rgb)
            && self.bits == self.shape.sample.bits()
            && self.channels == self.shape.channels()
            && !self.premultiplied
    }
}

/// Entries by tag, with defaults.
struct Tags<'f, 'r> {
    file: &'f mut File<'r>,
    entries: &'f [Entry],
}

impl Tags<'_, '_> {
    fn entry(&self, tag: u16) -> Option<Entry> {
        self.entries.iter().find(|e| e.tag == tag).copied()
    }

    fn numbers(&mut self, tag: u16, most: usize) -> Result<Option<Vec<u64>>> {
        match self.entry(tag) {
            Some(entry) => self.file.numbers(&entry, most).map(Some),
            None => Ok(None),
        }
    }

    fn number(&mut self, tag: u16) -> Result<Option<u64>> {
        Ok(self.numbers(tag, 1)?.and_then(|v| v.first().copied()))
    }

    fn number_or(&mut self, tag: u16, default: u64) -> Result<u64> {
        Ok(self.number(tag)?.unwrap_or(default))
    }
}

fn unsupported(what: impl std::fmt::Display) -> Error {
    Error::Decode(format!("{what} are not read"))
}

/// Reads what the directory says of the pixels.
pub fn read(file: &mut File<'_>, entries: &[Entry], limits: &Limits) -> Result<Layout> {
    let big = file.big;
    let mut tags = Tags { file, entries };
    let (Some(cols), Some(rows)) = (tags.number(256)?, tags.number(257)?) else {
        return Err(bad("it has no width or no height"));
    };
    let channels = tags.number_or(277, 1)?;
    if !(1..=MAX_CHANNELS).contains(&channels) {
        return Err(unsupported(format!("TIFFs of {channels} channels")));
    }
    let (bits, sample) = samples(&mut tags, channels as usize)?;
    let meaning = meaning(&mut tags, channels, bits)?;
    let colors = if meaning == Meaning::Rgb { 3 } else { 1 };
    if channels < colors {
        return Err(bad("RGB of fewer than three channels"));
    }
    let (alpha, premultiplied) = alpha(&mut tags, colors as usize, channels as usize)?;
    let gray = matches!(meaning, Meaning::Gray | Meaning::InvertedGray);
    let color = match (gray, alpha.is_some()) {
        (true, false) => Color::Gray,
        (true, true) => Color::GrayAlpha,
        (false, false) => Color::Rgb,
        (false, true) => Color::Rgba,
    };
    let shape = limits.shape(rows, cols, color, sample)?;
    let packing = match tags.number_or(259, 1)? {
        1 => Packing::None,
        5 => Packing::Lzw,
        8 | 32946 => Packing::Deflate,
        32773 => Packing::PackBits,
        6 | 7 => return Err(unsupported("TIFFs with JPEG compression")),
        2..=4 => return Err(unsupported("TIFFs with fax compression")),
        other => return Err(unsupported(format!("TIFFs of compression {other}"))),
    };
    let predictor = match tags.number_or(317, 1)? {
        _ if matches!(packing, Packing::None | Packing::PackBits) => Predictor::None,
        1 => Predictor::None,
        2 if bits >= 8 => Predictor::Horizontal,
        3 if bits >= 32 => Predictor::Float,
        other => return Err(bad(format!("predictor {other} for {bits} bits"))),
    };
    let planar = channels > 1 && tags.number_or(284, 1)? == 2;
    let reversed = tags.number_or(266, 1)? == 2;
    let tiled = tags.entry(322).is_some();
    let (chunk_cols, chunk_rows) = match tiled {
        true => (tags.number_or(322, 0)?, tags.number_or(323, 0)?),
        false => (cols, tags.number_or(278, u64::MAX)?.min(rows)),
    };
    if chunk_cols == 0 || chunk_rows == 0 {
        return Err(bad("strips or tiles without pixels"));
    }
    let mut layout = Layout {
        shape,
        bits,
        channels: channels as usize,
        meaning,
        alpha,
        premultiplied,
        planar,
        tiled,
        chunk_rows: 0,
        chunk_cols: 0,
        across: cols.div_ceil(chunk_cols) as usize,
        down: rows.div_ceil(chunk_rows) as usize,
        chunks: Vec::new(),
        packing,
        predictor,
        reversed,
        big,
    };
    // Tiles may stand out beyond the image, but not absurdly. Strips that are not packed are read row
    // by row, whatever their size.
    let held = [
        chunk_cols,
        chunk_rows,
        layout.across as u64,
        channels,
        bits as u64,
    ]
    .iter()
    .fold(1u128, |product, &n| product.saturating_mul(u128::from(n)))
        / 8;
    let whole = tiled || packing != Packing::None;
    if whole && held > 4 * shape.bytes() as u128 + (64 << 20) || held > isize::MAX as u128 / 4 {
        return Err(bad(format!(
            "strips or tiles of {chunk_cols}x{chunk_rows} pixels for an image of {cols}x{rows}"
        )));
    }
    layout.chunk_cols = chunk_cols as usize;
    layout.chunk_rows = chunk_rows as usize;
    layout.chunks = chunks(&mut tags, &layout)?;
    Ok(layout)
}

/// Bits of a stored sample, and the type it is handed out as.
fn samples(tags: &mut Tags<'_, '_>, channels: usize) -> Result<(usize, SampleType)> {
    let bits = tags.numbers(258, channels)?.unwrap_or_else(|| vec![1]);
    let formats = tags.numbers(339, channels)?.unwrap_or_else(|| vec![1]);
    let same = |v: &[u64]| v.windows(2).all(|pair| pair[0] == pair[1]);
    if !same(&bits) || !same(&formats) {
        return Err(unsupported("TIFFs whose channels differ in their samples"));
    }
    let bits = bits.first().copied().unwrap_or(1);
    let format = formats.first().copied().unwrap_or(1);
    let sample = match (format, bits) {
        (1 | 4, 1 | 2 | 4 | 8) => SampleType::U8,
        (1 | 4, 16) => SampleType::U16,
        (3, 32 | 64) => SampleType::F32,
        (2, _) => return Err(unsupported("TIFFs of signed samples")),
        (3, _) => return Err(unsupported(format!("TIFFs of {bits}-bit floats"))),
        _ => return Err(unsupported(format!("TIFFs of {bits}-bit samples"))),
    };
    Ok((bits as usize, sample))
}

fn meaning(tags: &mut Tags<'_, '_>, channels: u64, bits: usize) -> Result<Meaning> {
    let default = if channels >= 3 { 2 } else { 1 };
    match tags.number_or(262, default)? {
        0 => Ok(Meaning::InvertedGray),
        1 => Ok(Meaning::Gray),
        2 => Ok(Meaning::Rgb),
        3 if bits > 8 || channels != 1 => Err(unsupported("palettes of more than 256 colours")),
        3 => palette(tags, 1 << bits).map(Meaning::Palette),
        4 => Err(unsupported("TIFFs that are transparency masks")),
        5 => Err(unsupported("CMYK TIFFs")),
        6 => Err(unsupported("YCbCr TIFFs")),
        8..=10 => Err(unsupported("Lab TIFFs")),
        other => Err(unsupported(format!(
            "TIFFs of photometric interpretation {other}"
        ))),
    }
}

fn palette(tags: &mut Tags<'_, '_>, colors: usize) -> Result<Vec<[u8; 3]>> {
    let values = tags.numbers(320, 3 * colors)?.unwrap_or_default();
    if values.len() < 3 * colors {
        return Err(bad(format!("a palette of fewer than {colors} colours")));
    }
    // Some writers forget to scale 8 bits to 16.
    let shift = if values.iter().all(|&v| v < 256) {
        0
    } else {
        8
    };
    let value = |at: usize| (values[at] >> shift) as u8;
    Ok((0..colors)
        .map(|i| [value(i), value(colors + i), value(2 * colors + i)])
        .collect())
}

/// The channel that is alpha, and whether colours were multiplied by it. An extra channel of no
/// stated meaning counts as alpha when it is the only one, as most readers have it.
fn alpha(tags: &mut Tags<'_, '_>, colors: usize, channels: usize) -> Result<(Option<usize>, bool)> {
    let extra = channels - colors;
    if extra == 0 {
        return Ok((None, false));
    }
    let kinds = tags.numbers(338, extra)?.unwrap_or_default();
    let stated = kinds.iter().position(|&kind| kind == 1 || kind == 2);
    Ok(match stated {
        Some(at) => (Some(colors + at), kinds[at] == 1),
        None if extra == 1 => (Some(colors), false),
        None => (None, false),
    })
}

/// Positions and lengths of all strips or tiles, each of them within the file.
fn chunks(tags: &mut Tags<'_, '_>, layout: &Layout) -> Result<Vec<(u64, u64)>> {
    let count = (layout.across * layout.planes())
        .checked_mul(layout.down)
        .ok_or_else(truncated)?;
    let (at, len) = if layout.tiled { (324, 325) } else { (273, 279) };
    let few = || bad("fewer strips or tiles than the image needs");
    // Some writers give tiles under the names for strips.
    let offsets = match tags.numbers(at, count)? {
        Some(offsets) => offsets,
        None => tags.numbers(273, count)?.ok_or_else(few)?,
    };
    let lengths = match tags.numbers(len, count)? {
        Some(lengths) => Some(lengths),
        None => tags.numbers(279, count)?,
    };
    if offsets.len() < count || lengths.as_ref().is_some_and(|l| l.len() < count) {
        return Err(few());
    }
    if lengths.is_none() && layout.packing != Packing::None {
        return Err(bad("packed strips or tiles of unknown length"));
    }
    let per_plane = layout.across * layout.down;
    let mut chunks = Vec::with_capacity(count);
    for (i, &offset) in offsets.iter().enumerate() {
        let rows = layout.stored_rows(i % per_plane / layout.across);
        let needed = (rows * layout.chunk_row_bytes()) as u64;
        let length = match (&lengths, layout.packing) {
            (Some(lengths), Packing::None) if lengths[i] < needed => {
                return Err(bad(format!(
                    "a strip or tile of {} bytes where {needed} are needed",
                    lengths[i]
                )));
            }
            (_, Packing::None) => needed,
            (Some(lengths), _) => lengths[i],
            (None, _) => 0,
        };
        tags.file.check(offset, length)?;
        if length.saturating_mul(layout.packing.most_expansion()) + 4096 < needed {
            return Err(bad(format!(
                "a strip or tile of {length} bytes cannot unpack to {needed}"
            )));
        }
        chunks.push((offset, length));
    }
    Ok(chunks)
}
