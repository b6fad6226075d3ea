//! Images as inputs: bands of rows, or for floats a run of values.

use super::files::Opener;
use super::layout::{Layout, describe, differs, name};
use super::values::{BLOCK, Block, Source};
use super::{Member, Request, visible};
use imaging::codec::{OpenOptions, RowSource, open};
use imaging::window::Band;
use imaging::{Buffer, Element, Error, Result, Rows, Shape};
use std::path::{Path, PathBuf};

/// Opens an image of the expected shape.
pub fn source(
    opener: &Opener,
    request: &Request,
    layout: &Layout,
    member: &Member,
) -> Result<Box<dyn RowSource>> {
    let path = &member.path;
    let file = Box::new(opener.open(path)?);
    let options = OpenOptions {
        page: member.page,
        ..OpenOptions::default()
    };
    let source = open(file, &request.limits, &options);
    let source = source.map_err(|error| name(path, error))?;
    let shape = source.shape();
    match Some(shape) == layout.picture {
        true => Ok(source),
        false => {
            let first = request.files.first().map_or(Path::new(""), |p| p.as_path());
            let dims = [shape.cols, shape.rows, shape.channels()];
            Err(differs(path, &describe(&dims), first, &layout.describe()))
        }
    }
}

/// Rows that fill about this many samples, at least one.
pub fn band_rows(shape: Shape, samples: usize) -> usize {
    (samples / shape.row_len().max(1)).clamp(1, shape.rows.max(1))
}

/// The values of an image of floats.
pub struct Floats {
    source: Box<dyn RowSource>,
    path: PathBuf,
    rows: Rows,
    /// Values of `rows` handed over, and rows read before it.
    at: usize,
    read: usize,
}

impl Floats {
    /// The values of this image.
    pub fn new(source: Box<dyn RowSource>, path: &Path) -> Floats {
        let shape = source.shape();
        Floats {
            source,
            path: path.to_owned(),
            rows: Rows::zeroed(shape, 0..0),
            at: 0,
            read: 0,
        }
    }
}

impl Source for Floats {
    fn next(&mut self, block: &mut Block) -> Result<()> {
        block.clear();
        block.integers = false;
        let shape = self.source.shape();
        if self.at == self.rows.data.len() {
            let end = (self.read + band_rows(shape, 4 * BLOCK)).min(shape.rows);
            if end == self.read {
                return Ok(());
            }
            let mut rows = Rows::zeroed(shape, self.read..end);
            let read = self.source.read(&mut Band::of(&mut rows));
            read.map_err(|error| name(&self.path, error))?;
            (self.rows, self.at, self.read) = (rows, 0, end);
        }
        let n = BLOCK.min(self.rows.data.len() - self.at);
        let part = self.at..self.at + n;
        match &self.rows.data {
            Buffer::F32(samples) => block.hi.extend(samples[part].iter().map(|v| v.to_f64())),
            Buffer::F64(samples) => block.hi.extend_from_slice(&samples[part]),
            Buffer::U8(_) | Buffer::U16(_) => {
                return Err(Error::Decode(format!("{}: no floats", self.path.display())));
            }
        }
        self.at += n;
        if shape.color.has_alpha() {
            // Rows are whole pixels, and so is what is handed over at once.
            for pixel in block.hi.chunks_exact(shape.channels()) {
                let seen = visible::weight(pixel[pixel.len() - 1]);
                block.weights.extend(pixel[1..].iter().map(|_| seen));
                block.weights.push(1.0);
            }
        }
        Ok(())
    }
}
