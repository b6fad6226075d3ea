//! Writing: a part for each page, rows from the lowest, planes one after the other.

use super::header::BLOCK;
use crate::codec::raw::Raw;
use crate::codec::table::Target;
use crate::codec::{NextPage, RowSink, WriteSeek};
use crate::error::Result;
use crate::image::{Color, Metadata, Rows, Shape};
use std::io::SeekFrom;

const KNOWN: [Raw; 8] = [
    Raw::U8,
    Raw::I8,
    Raw::U16,
    Raw::I16,
    Raw::U32,
    Raw::I32,
    Raw::F32,
    Raw::F64,
];

pub(super) fn create(target: Target<'_>) -> Result<Box<dyn RowSink>> {
    begin(target.output, 0, target.shape, target.metadata)
}

/// Begins a part at `at`.
fn begin(
    mut output: Box<dyn WriteSeek>,
    at: u64,
    shape: Shape,
    metadata: &Metadata,
) -> Result<Box<dyn RowSink>> {
    let raw = Raw::written(shape.sample, metadata.stored, &KNOWN);
    // Stored type, bits, and what readers add.
    let (stored, bits, zero) = match raw {
        Raw::I8 => (Raw::U8, 8, -128i64),
        Raw::U16 => (Raw::I16, 16, 32768),
        Raw::I16 => (Raw::I16, 16, 0),
        Raw::U32 => (Raw::I32, 32, 2147483648),
        Raw::I32 => (Raw::I32, 32, 0),
        Raw::F32 => (Raw::F32, -32, 0),
        Raw::F64 => (Raw::F64, -64, 0),
        _ => (Raw::U8, 8, 0),
    };
    let planes = shape.channels();
    let mut cards = vec![match at {
        0 => card("SIMPLE", "T"),
        _ => text("XTENSION", "IMAGE"),
    }];
    cards.push(card("BITPIX", bits));
    cards.push(card("NAXIS", if planes == 1 { 2 } else { 3 }));
    cards.push(card("NAXIS1", shape.cols));
    cards.push(card("NAXIS2", shape.rows));
    if planes > 1 {
        cards.push(card("NAXIS3", planes));
    }
    match at {
        0 => cards.push(card("EXTEND", "T")),
        _ => cards.extend([card("PCOUNT", 0), card("GCOUNT", 1)]),
    }
    if zero != 0 {
        cards.extend([card("BSCALE", 1), card("BZERO", zero)]);
    }
    match shape.color {
        Color::Rgb => cards.push(text("CTYPE3", "RGB")),
        Color::Rgba => cards.push(text("CTYPE3", "RGBA")),
        _ => {}
    }
    cards.push(format!("{:<80}", "END"));
    let mut header = cards.concat().into_bytes();
    header.resize(header.len().next_multiple_of(BLOCK as usize), b' ');
    output.write_all(&header)?;
    Ok(Box::new(Sink {
        output,
        shape,
        stored,
        zero: zero as f64,
        start: at + header.len() as u64,
        bytes: Vec::new(),
    }))
}

fn card(key: &str, value: impl std::fmt::Display) -> String {
    format!("{:<80}", format!("{key:<8}= {value:>20}"))
}

fn text(key: &str, value: &str) -> String {
    format!("{:<80}", format!("{key:<8}= '{value:<8}'"))
}

struct Sink {
    output: Box<dyn WriteSeek>,
    shape: Shape,
    stored: Raw,
    zero: f64,
    start: u64,
    bytes: Vec<u8>,
}

impl Sink {
    /// Fills up the last block and answers where the next begins.
    fn pad(&mut self) -> Result<u64> {
        let data = self.shape.rows * self.shape.row_len() * self.stored.bytes();
        let end = self.start + data as u64;
        let next = end.next_multiple_of(BLOCK);
        self.output.seek(SeekFrom::Start(end))?;
        self.output.write_all(&vec![0; (next - end) as usize])?;
        Ok(next)
    }
}

impl RowSink for Sink {
    fn write(&mut self, rows: &Rows) -> Result<()> {
        let shape = self.shape;
        let channels = shape.channels();
        let range = rows.range();
        for plane in 0..channels {
            self.bytes.clear();
            crate::by_any_sample!(shape.sample, T => {
                for y in range.clone().rev() {
                    let row = rows.row::<T>(y)[plane..].iter().step_by(channels);
                    if self.zero == 0.0 {
                        self.stored.write(row, true, &mut self.bytes);
                    } else {
                        let moved: Vec<f64> = row.map(|v| crate::Element::to_f64(*v) - self.zero).collect();
                        self.stored.write(moved.iter(), true, &mut self.bytes);
                    }
                }
            });
            let from = plane * shape.rows + (shape.rows - range.end);
            let at = self.start + (from * shape.cols * self.stored.bytes()) as u64;
            self.output.seek(SeekFrom::Start(at))?;
            self.output.write_all(&self.bytes)?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        self.pad()?;
        Ok(self.output.flush()?)
    }

    fn finish_page(mut self: Box<Self>) -> Result<Box<dyn NextPage>> {
        let at = self.pad()?;
        Ok(Box::new(Next {
            output: self.output,
            at,
        }))
    }
}

struct Next {
    output: Box<dyn WriteSeek>,
    at: u64,
}

impl NextPage for Next {
    fn begin(self: Box<Self>, shape: Shape, metadata: &Metadata) -> Result<Box<dyn RowSink>> {
        begin(self.output, self.at, shape, metadata)
    }

    fn end(mut self: Box<Self>) -> Result<()> {
        Ok(self.output.flush()?)
    }
}
