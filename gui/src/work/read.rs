//! Reads headers, and pictures no larger than asked for without holding the whole image.

use crate::picture::{Picture, append_rgba};
use crate::state::files::Header;
use imaging::codec::{self, Limits, OpenOptions, RowSource, orientation};
use imaging::comm::serial::Serial;
use imaging::executor::{Context, Stop, guarded, run_rows};
use imaging::window::Band;
use imaging::{Buffer, Color, Plan, Result, Rows, SampleType, Shape};
use std::path::Path;
use worker::source;

/// Bytes that the decoder of a thumbnail may hold.
const DECODER: usize = 256 << 20;
/// Samples decoded at once.
const BAND: usize = 1 << 20;

/// A file's header.
pub fn header(path: &Path) -> Result<codec::Header> {
    let mut file = source::open(path)?;
    guarded(|| codec::probe(&mut file, &Limits::default()))
}

/// What is shown of a header: the size as it is seen, upright.
pub fn told(header: &codec::Header) -> Header {
    let (width, height) = match header.orientation {
        5..=8 => (header.shape.rows, header.shape.cols),
        _ => (header.shape.cols, header.shape.rows),
    };
    Header {
        format: header.kind.name(),
        width: width as u32,
        height: height as u32,
        pages: header.pages,
    }
}

/// A picture whose longer side is about `side` at the most, upright.
pub fn thumbnail(path: &Path, side: usize) -> Result<Picture> {
    let header = header(path)?;
    if header.decoder_bytes > DECODER {
        return Err(imaging::Limit::Pixels.exceeded("too large for a thumbnail"));
    }
    let rows = reduced(path, &header, side, &Stop::default())?;
    guarded(|| Ok(Picture::of(&upright(rows, header.orientation)?)))
}

/// An image in 8 bits, made smaller by a whole number so that its longer side is `side` at the most; as stored, not
/// turned upright.
pub fn reduced(path: &Path, header: &codec::Header, side: usize, stop: &Stop) -> Result<Rows> {
    let longer = header.shape.rows.max(header.shape.cols);
    let mut shrink = 1;
    while shrink < 8 && longer / (2 * shrink) >= side {
        shrink *= 2;
    }
    let shrunk = header.shrunk(shrink as u32) != header.shape;
    guarded(|| {
        let options = OpenOptions {
            shrink: if shrunk { shrink as u32 } else { 1 },
            page: 0,
        };
        let file = source::open(path)?;
        let mut source = codec::open(Box::new(file), &Limits::default(), &options)?;
        boxes(&mut *source, side, stop)
    })
}

/// Means of squares of pixels, in 8 bits.
fn boxes(source: &mut dyn RowSource, side: usize, stop: &Stop) -> Result<Rows> {
    let shape = source.shape();
    let factor = shape.rows.max(shape.cols).div_ceil(side.max(1)).max(1);
    let color = match shape.color {
        Color::Bands(n) if n > 4 => Color::Bands(3),
        color => color,
    };
    let (channels, given) = (color.channels(), shape.channels());
    let small = Shape {
        rows: shape.rows.div_ceil(factor),
        cols: shape.cols.div_ceil(factor),
        color,
        sample: SampleType::U8,
    };
    let mut out = Vec::with_capacity(small.rows * small.row_len());
    let step = (BAND / shape.row_len().max(1))
        .clamp(1, 1024)
        .div_ceil(factor)
        * factor;
    let mut sums = vec![0_u32; small.row_len()];
    let mut band = Rows::zeroed(shape, 0..0);
    for first in (0..shape.rows).step_by(step) {
        stop.check()?;
        band.reset(first..(first + step).min(shape.rows));
        source.read(&mut Band::of(&mut band))?;
        let level = |at: usize| -> u32 {
            match &band.data {
                Buffer::U8(v) => u32::from(v[at]),
                Buffer::U16(v) => (u32::from(v[at]) + 128) / 257,
                Buffer::F32(v) => (v[at].clamp(0.0, 1.0) * 255.0).round() as u32,
                Buffer::F64(v) => (v[at].clamp(0.0, 1.0) * 255.0).round() as u32,
            }
        };
        for top in (0..band.count).step_by(factor) {
            sums.fill(0);
            let height = factor.min(band.count - top);
            for y in top..top + height {
                let row = y * shape.row_len();
                for x in 0..shape.cols {
                    let (from, to) = (row + x * given, x / factor * channels);
                    for c in 0..channels {
                        sums[to + c] += level(from + c);
                    }
                }
            }
            for x in 0..small.cols {
                let width = factor.min(shape.cols - x * factor);
                let count = (width * height) as u32;
                let mean = |sum: &u32| ((sum + count / 2) / count) as u8;
                out.extend(sums[x * channels..(x + 1) * channels].iter().map(mean));
            }
        }
    }
    Ok(Rows {
        shape: small,
        first: 0,
        count: small.rows,
        data: Buffer::U8(out),
    })
}

/// The rows turned upright.
pub fn upright(rows: Rows, turned: u8) -> Result<Rows> {
    let steps = orientation::steps(turned);
    if steps.is_empty() {
        return Ok(rows);
    }
    let plan = Plan::from_steps(&steps, rows.shape)?;
    let comm = Serial::default();
    run_rows(&mut Context::new(&comm), &plan, rows)
}

/// A whole image for the screen, upright; `None` where it has more than `most` pixels.
pub fn whole(
    path: &Path,
    header: &codec::Header,
    page: u32,
    most: usize,
    stop: &Stop,
) -> Result<Option<Picture>> {
    if header.shape.pixels() > most {
        return Ok(None);
    }
    guarded(|| {
        let options = OpenOptions { shrink: 1, page };
        let file = source::open(path)?;
        let mut source = codec::open(Box::new(file), &Limits::default(), &options)?;
        let shape = source.shape();
        let mut rgba = Vec::with_capacity(shape.pixels() * 4);
        let step = (BAND / shape.row_len().max(1)).clamp(1, 1024);
        let mut band = Rows::zeroed(shape, 0..0);
        for first in (0..shape.rows).step_by(step) {
            stop.check()?;
            band.reset(first..(first + step).min(shape.rows));
            source.read(&mut Band::of(&mut band))?;
            append_rgba(&band, &mut rgba);
        }
        let stored = Rows {
            shape: Shape::new(shape.rows, shape.cols, Color::Rgba, SampleType::U8),
            first: 0,
            count: shape.rows,
            data: Buffer::U8(rgba),
        };
        let turned = upright(stored, header.orientation)?;
        let (width, height) = (turned.shape.cols, turned.count);
        match turned.data {
            Buffer::U8(rgba) => Ok(Some(Picture {
                width,
                height,
                rgba,
            })),
            _ => unreachable!("turns keep the samples' type"),
        }
    })
}
