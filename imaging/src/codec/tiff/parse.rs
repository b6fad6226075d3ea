//! From a directory's tags to a layout, checked against the limits.

use super::directory::{Directory, File, bad};
use super::layout::{Layout, Meaning, Packing, Predictor, Unpacked};
use super::tags::Tags;
use super::{chunks, library, nested};
use crate::codec::Limits;
use crate::error::{Error, Result};
use crate::image::{Color, SampleType, Stored};

const SGILOG: [u64; 2] = [34676, 34677];
const LOG_LUMINANCE: u64 = 32844;
const LOG_LUV: u64 = 32845;

fn unsupported(what: impl std::fmt::Display) -> Error {
    Error::Decode(format!("{what} are not read"))
}

/// Reads what the directory says of the pixels.
pub fn layout(file: &mut File<'_>, directory: &Directory, limits: &Limits) -> Result<Layout> {
    let big = file.big;
    let mut tags = Tags::new(file, directory);
    tags.check()?;
    let (Some(cols), Some(rows)) = (tags.number(256)?, tags.number(257)?) else {
        return Err(bad("it has no width or no height"));
    };
    let channels = channels(&mut tags)?;
    if !(1..=u64::from(u16::MAX)).contains(&channels) {
        return Err(bad(format!("{channels} channels")));
    }
    let compression = tags.number_or(259, 1)?;
    let photometric = photometric(&mut tags, channels, compression)?;
    let packing = packing(&mut tags, compression, photometric)?;
    let mut channels = channels as usize;
    let stored = match packing.by_library() {
        Some(Unpacked::Luminance) => Stored::Float(32),
        _ => stored(&mut tags, channels, photometric)?,
    };
    let mut meaning = meaning(&mut tags, photometric, channels, stored, packing)?;
    if packing == Packing::Library(Unpacked::Rgba) {
        (meaning, channels) = (Meaning::Rgb, 3);
    }
    if channels < meaning.colors() {
        return Err(bad(format!(
            "{channels} channels where the colour needs {}",
            meaning.colors()
        )));
    }
    let extra = extra(&mut tags, &meaning, channels)?;
    let rgb_bands = extra.is_bands && meaning == Meaning::Rgb;
    if extra.is_bands {
        meaning = Meaning::Bands;
    }
    let color = match (&meaning, extra.alpha.is_some()) {
        (Meaning::Bands, _) => Color::Bands(channels as u16),
        (Meaning::Gray | Meaning::InvertedGray, false) => Color::Gray,
        (Meaning::Gray | Meaning::InvertedGray, true) => Color::GrayAlpha,
        (_, false) => Color::Rgb,
        (_, true) => Color::Rgba,
    };
    let sample = match &meaning {
        Meaning::Xyz => SampleType::F32,
        _ => stored.sample(),
    };
    let shape = limits.shape(rows, cols, color, sample)?;
    let whole_colors = packing == Packing::Library(Unpacked::Rgba);
    let planar = channels > 1 && !whole_colors && tags.number_or(284, 1)? == 2;
    let tiled = tags.entry(322).is_some();
    let (chunk_cols, chunk_rows) = match tiled {
        true => (tags.number_or(322, 0)?, tags.number_or(323, 0)?),
        false => (cols, tags.number_or(278, u64::MAX)?.min(rows)),
    };
    if chunk_cols == 0 || chunk_rows == 0 {
        return Err(bad("strips or tiles without pixels"));
    }
    let bits = u64::from(stored.bits());
    let mut layout = Layout {
        shape,
        stored,
        channels,
        meaning,
        alpha: extra.alpha,
        inks: None,
        premultiplied: extra.premultiplied,
        rgb_bands,
        planar,
        tiled,
        chunk_rows: 0,
        chunk_cols: 0,
        across: cols.div_ceil(chunk_cols) as usize,
        down: rows.div_ceil(chunk_rows) as usize,
        chunks: Vec::new(),
        absent: None,
        sparse: false,
        packing,
        compression: compression as u16,
        predictor: predictor(&mut tags, packing, bits)?,
        reversed: packing.by_library().is_none() && tags.number_or(266, 1)? == 2,
        big,
    };
    // Tiles may stand out beyond the image, but not absurdly. Strips that are not packed are read row
    // by row, whatever their size.
    let held = [
        chunk_cols,
        chunk_rows,
        layout.across as u64,
        channels as u64,
        bits,
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
    chunks::find(&mut tags, &mut layout)?;
    Ok(layout)
}

/// Channels of a pixel; where they are not told, as many as bits are told of, or as the colour needs.
fn channels(tags: &mut Tags<'_, '_>) -> Result<u64> {
    if let Some(channels) = tags.number(277)? {
        return Ok(channels);
    }
    let told = tags.entry(258).map_or(1, |bits| bits.count);
    Ok(match tags.number(262)? {
        Some(2 | 6) if told <= 1 => 3,
        _ => told.max(1),
    })
}

/// What samples mean, by its number in the file.
fn photometric(tags: &mut Tags<'_, '_>, channels: u64, compression: u64) -> Result<u64> {
    let default = match compression {
        2..=4 | 32771 => 0,
        _ if channels >= 3 => 2,
        _ => 1,
    };
    tags.number_or(262, default)
}

fn packing(tags: &mut Tags<'_, '_>, compression: u64, photometric: u64) -> Result<Packing> {
    let ours = match compression {
        0 | 1 => Some(Packing::None),
        5 if !chunks::is_old_lzw(tags)? => Some(Packing::Lzw),
        8 | 32946 => Some(Packing::Deflate),
        32773 => Some(Packing::PackBits),
        _ => None,
    };
    if let Some(nested) = nested::of(compression, photometric) {
        return Ok(Packing::Nested(nested));
    }
    let unpacked = match (compression, photometric) {
        (7, 6) => Unpacked::JpegRgb,
        (_, 6) => Unpacked::Rgba,
        (_, LOG_LUMINANCE | LOG_LUV) if SGILOG.contains(&compression) => Unpacked::Luminance,
        _ => match ours {
            Some(packing) => return Ok(packing),
            None => Unpacked::Stored,
        },
    };
    library::check(compression, photometric)?;
    Ok(Packing::Library(unpacked))
}

fn predictor(tags: &mut Tags<'_, '_>, packing: Packing, bits: u64) -> Result<Predictor> {
    if !matches!(packing, Packing::Lzw | Packing::Deflate) {
        return Ok(Predictor::None);
    }
    match tags.number_or(317, 1)? {
        1 => Ok(Predictor::None),
        2 if matches!(bits, 8 | 16 | 32 | 64) => Ok(Predictor::Horizontal),
        3 if matches!(bits, 16 | 24 | 32 | 64) => Ok(Predictor::Float),
        other => Err(bad(format!("predictor {other} for {bits} bits"))),
    }
}

/// The type of stored samples.
fn stored(tags: &mut Tags<'_, '_>, channels: usize, photometric: u64) -> Result<Stored> {
    let bits = tags.numbers(258, channels)?.unwrap_or_else(|| vec![1]);
    let formats = tags.numbers(339, channels)?.unwrap_or_else(|| vec![1]);
    let same = |v: &[u64]| v.windows(2).all(|pair| pair[0] == pair[1]);
    // Of L*a*b* some say that a and b are signed: the photometric interpretation does already.
    let lab = matches!(photometric, 8 | 9);
    if !same(&bits) || !same(&formats) && !lab {
        return Err(unsupported("TIFFs whose channels differ in their samples"));
    }
    let bits = bits.first().copied().unwrap_or(1);
    let format = match formats.first().copied().unwrap_or(1) {
        _ if lab || photometric == 3 => 1,
        format => format,
    };
    match (format, bits) {
        (1 | 4, 1..=16 | 24 | 32 | 64) => Ok(Stored::Unsigned(bits as u8)),
        (2, 2..=16 | 24 | 32 | 64) => Ok(Stored::Signed(bits as u8)),
        (3, 16 | 24 | 32 | 64) => Ok(Stored::Float(bits as u8)),
        (3, _) => Err(unsupported(format!("TIFFs of {bits}-bit floats"))),
        (5 | 6, _) => Err(unsupported("TIFFs of complex numbers")),
        _ => Err(unsupported(format!("TIFFs of {bits}-bit samples"))),
    }
}

fn meaning(
    tags: &mut Tags<'_, '_>,
    photometric: u64,
    channels: usize,
    stored: Stored,
    packing: Packing,
) -> Result<Meaning> {
    let inks = matches!(stored, Stored::Unsigned(..=16) | Stored::Float(..=32));
    let lab = matches!(stored, Stored::Unsigned(8 | 16));
    match photometric {
        0 => Ok(Meaning::InvertedGray),
        1 | 4 => Ok(Meaning::Gray),
        // Raw samples behind a grid of colour filters.
        32803 | 34892 if channels == 1 => Ok(Meaning::Gray),
        2 => Ok(Meaning::Rgb),
        3 => match stored {
            Stored::Unsigned(bits @ ..=16) => palette(tags, 1 << bits).map(Meaning::Palette),
            _ => Err(bad(format!("a palette for samples of {stored}"))),
        },
        5 if channels >= 4 && inks => Ok(Meaning::Cmyk),
        5 => Ok(Meaning::Bands),
        6 => match packing.by_library() {
            Some(Unpacked::JpegRgb) if channels == 1 => Ok(Meaning::Gray),
            _ => Ok(Meaning::Rgb),
        },
        8 | 9 if !lab => Err(unsupported(format!("Lab TIFFs of {stored}"))),
        8 | 9 if channels < 3 => Ok(Meaning::Gray),
        8 => Ok(Meaning::CieLab),
        9 => Ok(Meaning::IccLab),
        LOG_LUMINANCE => Ok(Meaning::Gray),
        LOG_LUV if packing.by_library() == Some(Unpacked::Luminance) => Ok(Meaning::Xyz),
        other => Err(unsupported(format!(
            "TIFFs of photometric interpretation {other}"
        ))),
    }
}

fn palette(tags: &mut Tags<'_, '_>, colors: usize) -> Result<Vec<[u16; 3]>> {
    let values = tags.numbers(320, 3 * colors)?.unwrap_or_default();
    if values.len() < 3 * colors {
        return Err(bad(format!("a palette of fewer than {colors} colours")));
    }
    // Some writers forget to scale 8 bits to 16.
    let scale = if values.iter().all(|&v| v < 256) {
        257
    } else {
        1
    };
    let value = |at: usize| (values[at] * scale) as u16;
    Ok((0..colors)
        .map(|i| [value(i), value(colors + i), value(2 * colors + i)])
        .collect())
}

/// Channels beyond the colour.
struct Extra {
    alpha: Option<usize>,
    premultiplied: bool,
    /// They are data: all channels stay as they are.
    is_bands: bool,
}

/// Types 1 and 2 are alpha, all others data. A single extra channel of which nothing is said counts as alpha,
/// as most readers have it.
fn extra(tags: &mut Tags<'_, '_>, meaning: &Meaning, channels: usize) -> Result<Extra> {
    let colors = meaning.colors();
    let extra = channels - colors;
    let mut found = Extra {
        alpha: None,
        premultiplied: false,
        is_bands: *meaning == Meaning::Bands,
    };
    if extra == 0 || found.is_bands {
        return Ok(found);
    }
    let kinds = tags.numbers(338, extra)?;
    match kinds.as_deref() {
        None | Some([]) if extra == 1 => found.alpha = Some(colors),
        Some(&[kind @ (1 | 2)]) if extra == 1 => {
            found.alpha = Some(colors);
            found.premultiplied = kind == 1;
        }
        _ => found.is_bands = true,
    }
    Ok(found)
}
