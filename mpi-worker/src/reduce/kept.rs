//! What is known after some consecutive files, and the file in which it is kept without loss.

use super::layout::{Layout, name};
use super::output::Output;
use super::partial::Partial;
use super::spool::{Room, Store};
use super::stripe::{self, Stripe};
use super::values::Block;
use super::{Job, Op, Results, numbers, picture};
use imaging::window::Band;
use imaging::{Error, Result, Rows, Shape};
use serde::{Deserialize, Serialize};
use std::io::{Read, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// The first bytes of a file of this version.
const MAGIC: &[u8; 8] = b"SUNDOGR1";
/// The longest header that is read.
const LONGEST_HEADER: u32 = 1 << 20;
/// Samples in one band of rows, about.
const BAND: usize = 1 << 16;
/// Doubles written or read at once.
const PIECE: usize = 1 << 15;

/// What is known after some consecutive files.
pub(super) struct Kept {
    op: Op,
    layout: Layout,
    room: Arc<Room>,
    pages: u64,
    integers: bool,
    sums: Sums,
}

enum Sums {
    /// Numbers and float images: two or four doubles for each index.
    Floats(Partial),
    /// Images of 8 and 16 bits: whole numbers, in bands of so many rows.
    Whole(Vec<Stripe<u64, u64>>, usize),
}

/// What stands before the numbers.
#[derive(Serialize, Deserialize)]
struct Header {
    op: Op,
    layout: Vec<u64>,
    pages: u64,
    integers: bool,
}

impl Kept {
    /// Of no file yet.
    pub(super) fn new(op: Op, layout: &Layout, room: &Arc<Room>) -> Result<Kept> {
        let sums = match layout.picture {
            Some(shape) if !shape.sample.is_float() => {
                let rows = picture::band_rows(shape, BAND);
                let stripes = (0..shape.rows.div_ceil(rows)).map(|_| Stripe::default());
                Sums::Whole(stripes.collect(), rows)
            }
            other => {
                let seen = other.filter(|shape| shape.color.has_alpha());
                let alpha = seen.map(|shape| shape.channels());
                Sums::Floats(Partial::new(op, layout.values, alpha, room)?)
            }
        };
        Ok(Kept {
            op,
            layout: layout.clone(),
            room: room.clone(),
            pages: 0,
            integers: true,
            sums,
        })
    }

    /// Folds in a page or a file of numbers, one of the job's members.
    pub(super) fn fold(&mut self, job: &Job<'_>, index: usize) -> Result<()> {
        match &mut self.sums {
            Sums::Floats(partial) => {
                let each = &mut |start, block: &Block| partial.fold(start, block);
                self.integers &= numbers::read(job, index, &mut Block::new(), each)?;
                partial.file_done();
            }
            Sums::Whole(stripes, rows) => {
                let Some(shape) = self.layout.picture else {
                    return Err(Error::Unsuitable("no images".into()));
                };
                stripe::check_count(self.op, shape, self.pages + 1)?;
                let image = Image { shape, rows: *rows };
                image.fold(stripes, job, index)?;
            }
        }
        self.pages += 1;
        Ok(())
    }

    /// Merges what is known of the files after those of this one.
    pub(super) fn merge(&mut self, next: &Kept) -> Result<()> {
        let strange = || Error::Unsuitable("results of different kinds do not merge".into());
        match (&mut self.sums, &next.sums) {
            (Sums::Floats(own), Sums::Floats(next)) => own.merge(next)?,
            (Sums::Whole(own, rows), Sums::Whole(next_stripes, _)) => {
                let shape = self.layout.picture.ok_or_else(strange)?;
                stripe::check_count(self.op, shape, self.pages + next.pages)?;
                let image = Image { shape, rows: *rows };
                for (at, (own, next)) in own.iter_mut().zip(next_stripes).enumerate() {
                    own.absorb(&self.room, self.op, image.samples(at), next)?;
                }
            }
            _ => return Err(strange()),
        }
        self.pages += next.pages;
        self.integers &= next.integers;
        Ok(())
    }

    /// Hands the results to an output, in order.
    pub(super) fn results(&self, output: &mut Output) -> Result<()> {
        match &self.sums {
            Sums::Floats(partial) => {
                partial.results(self.integers, &mut |results| output.push(results))
            }
            Sums::Whole(stripes, rows) => {
                let Some(shape) = self.layout.picture else {
                    return Err(Error::Unsuitable("no images".into()));
                };
                let image = Image { shape, rows: *rows };
                for (at, stripe) in stripes.iter().enumerate() {
                    let results: Results =
                        stripe.results(self.op, shape, self.pages, image.samples(at))?;
                    output.push(results)?;
                }
                Ok(())
            }
        }
    }

    /// Writes all that is known.
    pub(super) fn write(&self, to: &mut dyn Write) -> Result<()> {
        let header = Header {
            op: self.op,
            layout: self.layout.to_numbers(),
            pages: self.pages,
            integers: self.integers,
        };
        let header = serde_json::to_vec(&header).map_err(|e| Error::Io(e.to_string()))?;
        to.write_all(MAGIC)?;
        to.write_all(&(header.len() as u32).to_le_bytes())?;
        to.write_all(&header)?;
        let mut bytes = Vec::new();
        match &self.sums {
            Sums::Floats(partial) => {
                let mut buffer = Vec::new();
                for at in (0..partial.len()).step_by(PIECE) {
                    let n = PIECE.min(partial.len() - at);
                    let piece = partial.piece(at, n, &mut buffer)?;
                    bytes.clear();
                    bytes.extend(piece.iter().flat_map(|v| v.to_le_bytes()));
                    to.write_all(&bytes)?;
                }
            }
            Sums::Whole(stripes, rows) => {
                let Some(shape) = self.layout.picture else {
                    return Err(Error::Unsuitable("no images".into()));
                };
                let image = Image { shape, rows: *rows };
                let (narrow, wide) = widths(self.op, shape, self.pages);
                for (at, stripe) in stripes.iter().enumerate() {
                    let len = image.samples(at);
                    let stores = [(&stripe.sums, narrow), (&stripe.squares, wide)];
                    for (store, width) in stores {
                        let Some(store) = store else { continue };
                        whole(store, len, width, &mut bytes)?;
                        to.write_all(&bytes)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Reads what was written of a reduction by that operation over files of that layout.
    pub(super) fn read(path: &Path, op: Op, layout: &Layout, room: &Arc<Room>) -> Result<Kept> {
        let wrong = |what: &str| Error::Decode(format!("{}: {what}", path.display()));
        let io = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => wrong("a partial result is cut off"),
            _ => Error::Io(format!("{}: {error}", path.display())),
        };
        let mut file = std::io::BufReader::new(std::fs::File::open(path).map_err(io)?);
        let (mut magic, mut length) = ([0; 8], [0; 4]);
        file.read_exact(&mut magic).map_err(io)?;
        file.read_exact(&mut length).map_err(io)?;
        let length = u32::from_le_bytes(length);
        if magic != *MAGIC || length > LONGEST_HEADER {
            return Err(wrong("no partial result that this program reads"));
        }
        let mut header = vec![0; length as usize];
        file.read_exact(&mut header).map_err(io)?;
        let header: Header = serde_json::from_slice(&header).map_err(|e| wrong(&e.to_string()))?;
        if header.op != op || header.layout != layout.to_numbers() {
            return Err(wrong("a partial result of another reduction"));
        }
        let mut kept = Kept::new(op, layout, room)?;
        (kept.pages, kept.integers) = (header.pages, header.integers);
        let mut bytes = Vec::new();
        match &mut kept.sums {
            Sums::Floats(partial) => {
                let len = partial.len();
                let mut piece = Vec::new();
                for at in (0..len).step_by(PIECE) {
                    bytes.resize(8 * PIECE.min(len - at), 0);
                    file.read_exact(&mut bytes).map_err(io)?;
                    piece.clear();
                    let (doubles, _) = bytes.as_chunks();
                    piece.extend(doubles.iter().map(|&b| f64::from_le_bytes(b)));
                    partial.receive(at, &piece, header.pages as usize)?;
                }
            }
            Sums::Whole(stripes, rows) => {
                let shape = layout.picture.ok_or_else(|| wrong("no images"))?;
                let image = Image { shape, rows: *rows };
                let (narrow, wide) = widths(op, shape, header.pages);
                for (at, stripe) in stripes.iter_mut().enumerate() {
                    let len = image.samples(at);
                    stripe.make(room, op, len)?;
                    stripe.images = header.pages as usize;
                    for (store, width) in [(&mut stripe.sums, narrow), (&mut stripe.squares, wide)]
                    {
                        let Some(store) = store else { continue };
                        bytes.resize(len * width, 0);
                        file.read_exact(&mut bytes).map_err(io)?;
                        store.edit(0, len, true, &mut Vec::new(), |all| {
                            for (value, bytes) in all.iter_mut().zip(bytes.chunks_exact(width)) {
                                let mut full = [0; 8];
                                full[..width].copy_from_slice(bytes);
                                *value = u64::from_le_bytes(full);
                            }
                        })?;
                    }
                }
            }
        }
        Ok(kept)
    }
}

/// Bytes of a sum and of a sum of squares: as many as the greatest ones of so many pages need.
fn widths(op: Op, shape: Shape, pages: u64) -> (usize, usize) {
    let top = stripe::top(shape);
    let weight = if shape.color.has_alpha() { top } else { 1 };
    let most = match op {
        Op::Min | Op::Max => top,
        _ => top.saturating_mul(weight).saturating_mul(pages),
    };
    let squares = (top * top).saturating_mul(weight).saturating_mul(pages);
    let width = |most: u64| match most {
        0..=0xff => 1,
        0x100..=0xffff => 2,
        0x1_0000..=0xffff_ffff => 4,
        _ => 8,
    };
    (width(most), width(squares))
}

/// The first `width` bytes of each number.
fn whole(store: &Store<u64>, len: usize, width: usize, bytes: &mut Vec<u8>) -> Result<()> {
    let mut buffer = Vec::new();
    bytes.clear();
    for value in store.read(0, len, &mut buffer)? {
        bytes.extend_from_slice(&value.to_le_bytes()[..width]);
    }
    Ok(())
}

/// An image in bands of rows.
#[derive(Clone, Copy)]
struct Image {
    shape: Shape,
    /// Rows of one band, the last being shorter.
    rows: usize,
}

impl Image {
    fn range(self, band: usize) -> Range<usize> {
        band * self.rows..((band + 1) * self.rows).min(self.shape.rows)
    }

    fn samples(self, band: usize) -> usize {
        self.range(band).len() * self.shape.row_len()
    }

    fn fold(self, stripes: &mut [Stripe<u64, u64>], job: &Job<'_>, index: usize) -> Result<()> {
        let member = &job.members[index];
        let mut source = picture::source(&job.opener, job.request, job.layout, member)?;
        let mut rows = Rows::zeroed(self.shape, self.range(0));
        let (mut sums, mut squares) = (Vec::new(), Vec::new());
        let (op, step) = (job.request.op, stripe::weighted(self.shape));
        for (at, stripe) in stripes.iter_mut().enumerate() {
            job.stop.check()?;
            let range = self.range(at);
            rows.data.resize(range.len() * self.shape.row_len());
            (rows.first, rows.count) = (range.start, range.len());
            let read = source.read(&mut Band::of(&mut rows));
            read.map_err(|error| name(&member.path, error))?;
            let buffers = (&mut sums, &mut squares);
            stripe.fold_any(&job.room, op, &rows.data, step, buffers)?;
        }
        Ok(())
    }
}
