//! Decoding row by row.

use super::header::{Coding, Head, bad};
use crate::codec::limits::read_full;
use crate::codec::{ReadSeek, RowSource};
use crate::error::{Error, Result};
use crate::image::{Metadata, SampleType, Shape};
use crate::window::Band;
use std::io::{BufRead, BufReader, Seek, SeekFrom};

/// Rows of one file.
pub(super) struct Source {
    input: BufReader<Box<dyn ReadSeek>>,
    head: Head,
    raw: Vec<u8>,
    metadata: Metadata,
    next: usize,
}

impl Source {
    /// A source of a file that is long enough.
    pub fn new(mut input: BufReader<Box<dyn ReadSeek>>, head: Head) -> Result<Source> {
        if let Some(row) = head.row_bytes() {
            // Known to be whole before the first row is handed out: each rank may read only its own.
            let end = input.seek(SeekFrom::End(0))?;
            let needed = row
                .saturating_mul(head.shape.rows as u64)
                .saturating_add(head.start);
            if end < needed {
                return Err(Error::Decode(format!(
                    "truncated PNM: {end} of {needed} bytes are there"
                )));
            }
            input.seek(SeekFrom::Start(head.start))?;
        }
        let raw = vec![0; head.row_bytes().unwrap_or(0) as usize];
        let metadata = Metadata {
            orientation: 1,
            ..Metadata::default()
        };
        Ok(Source {
            input,
            head,
            raw,
            metadata,
            next: 0,
        })
    }

    fn place(&mut self, row: usize) -> Result<()> {
        if let Some(bytes) = self.head.row_bytes() {
            let row = match self.head.coding {
                Coding::Float { .. } => self.head.shape.rows - 1 - row,
                _ => row,
            };
            self.input
                .seek(SeekFrom::Start(self.head.start + row as u64 * bytes))?;
        }
        Ok(())
    }

    /// The next number of a text file. Comments may stand between numbers.
    fn text(&mut self) -> Result<u32> {
        let (mut value, mut digits) = (0u32, 0);
        loop {
            let Some(&byte) = self.input.fill_buf()?.first() else {
                return match digits {
                    0 => Err(Error::Decode(
                        "truncated PNM: the file ends too early".into(),
                    )),
                    _ => Ok(value),
                };
            };
            match byte {
                b'0'..=b'9' if digits < 9 => {
                    value = value * 10 + u32::from(byte - b'0');
                    digits += 1;
                    self.input.consume(1);
                    if self.head.coding == Coding::TextBits {
                        return Ok(value);
                    }
                }
                b'#' if digits == 0 => {
                    self.input.skip_until(b'\n')?;
                }
                c if c.is_ascii_whitespace() => {
                    self.input.consume(1);
                    if digits > 0 {
                        return Ok(value);
                    }
                }
                _ => return Err(bad("a sample is no number")),
            }
        }
    }

    fn sample(&mut self) -> Result<u32> {
        let value = self.text()?;
        match value <= self.head.max {
            true => Ok(value),
            false => Err(bad(format!(
                "a sample is {value}, more than {}",
                self.head.max
            ))),
        }
    }

    fn row(&mut self, band: &mut Band<'_>, y: usize) -> Result<()> {
        let max = self.head.max;
        match self.head.coding {
            Coding::TextBits | Coding::Text => {
                let black_is_one = self.head.coding == Coding::TextBits;
                for x in 0..band.shape.row_len() {
                    let value = self.sample()?;
                    match band.shape.sample {
                        SampleType::U8 if black_is_one => {
                            band.row::<u8>(y)[x] = 255 * (1 - value as u8)
                        }
                        SampleType::U8 => band.row::<u8>(y)[x] = scale(value, max, 255) as u8,
                        _ => band.row::<u16>(y)[x] = scale(value, max, 65535) as u16,
                    }
                }
            }
            Coding::Bits => {
                read_full(&mut self.input, &mut self.raw, "PNM")?;
                for (x, out) in band.row::<u8>(y).iter_mut().enumerate() {
                    let bit = self.raw[x / 8] >> (7 - x % 8) & 1;
                    *out = 255 * (1 - bit);
                }
            }
            Coding::Binary if band.shape.sample == SampleType::U8 => {
                let row = band.row::<u8>(y);
                read_full(&mut self.input, row, "PNM")?;
                if max != 255 {
                    within(row.iter().map(|v| u32::from(*v)), max)?;
                    row.iter_mut()
                        .for_each(|v| *v = scale(u32::from(*v), max, 255) as u8);
                }
            }
            Coding::Binary => {
                let row = band.row::<u16>(y);
                read_full(&mut self.input, bytemuck::cast_slice_mut(row), "PNM")?;
                row.iter_mut().for_each(|v| *v = u16::from_be(*v));
                if max != 65535 {
                    within(row.iter().map(|v| u32::from(*v)), max)?;
                    row.iter_mut()
                        .for_each(|v| *v = scale(u32::from(*v), max, 65535) as u16);
                }
            }
            Coding::Float { big } => {
                self.place(y)?;
                let row = band.row::<f32>(y);
                read_full(&mut self.input, bytemuck::cast_slice_mut(row), "PNM")?;
                for v in row {
                    let bits = v.to_bits();
                    *v = f32::from_bits(if big {
                        u32::from_be(bits)
                    } else {
                        u32::from_le(bits)
                    });
                }
            }
        }
        Ok(())
    }
}

fn within(mut values: impl Iterator<Item = u32>, max: u32) -> Result<()> {
    match values.find(|v| *v > max) {
        Some(v) => Err(bad(format!("a sample is {v}, more than {max}"))),
        None => Ok(()),
    }
}

fn scale(value: u32, max: u32, top: u32) -> u32 {
    (value * top + max / 2) / max
}

impl RowSource for Source {
    fn shape(&self) -> Shape {
        self.head.shape
    }

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn read(&mut self, band: &mut Band<'_>) -> Result<()> {
        for y in band.range() {
            self.row(band, y)?;
        }
        self.next = band.range().end;
        Ok(())
    }

    fn seek_row(&mut self, row: usize) -> Result<bool> {
        if self.head.row_bytes().is_none() || row >= self.head.shape.rows {
            return Ok(row == self.next);
        }
        self.place(row)?;
        self.next = row;
        Ok(true)
    }
}
