//! The strips of one page that is written: how high, of which samples, and how rows become bytes of them.

use super::bits;
use crate::image::{Element, Rows, SampleType, Shape, Stored};
use crate::warning::{Warning, WarningKind};

/// Bytes of rows in one strip, at least one row.
pub const STRIP: usize = 256 << 10;

/// What strips are made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Strips {
    /// Rows as they are given.
    pub shape: Shape,
    /// Samples as they are written.
    pub stored: Stored,
}

impl Strips {
    /// Strips of samples like those of the file that the image is from, where those given still have its units; else
    /// like those given.
    pub fn new(shape: Shape, wanted: Option<Stored>) -> Strips {
        let float = shape.sample.is_float();
        let stored = match wanted {
            Some(Stored::Float(bits @ (16 | 32 | 64))) if float => Stored::Float(bits),
            Some(Stored::Float(24)) if float => Stored::Float(32),
            Some(Stored::Signed(..=8)) if float => Stored::Signed(8),
            Some(Stored::Signed(9..=16)) if float => Stored::Signed(16),
            Some(Stored::Signed(17..=32)) if float => Stored::Signed(32),
            Some(Stored::Unsigned(17..=32)) if float => Stored::Unsigned(32),
            Some(Stored::Unsigned(bits @ 9..=15)) if shape.sample == SampleType::U16 => {
                Stored::Unsigned(bits)
            }
            _ => Stored::of(shape.sample),
        };
        Strips { shape, stored }
    }

    /// Whether rows are written as they are given.
    pub fn is_copied(self) -> bool {
        self.stored == Stored::of(self.shape.sample)
    }

    /// Bytes of a row as it is written.
    pub fn row_bytes(self) -> usize {
        (self.shape.row_len() * usize::from(self.stored.bits())).div_ceil(8)
    }

    /// Bytes of all rows as they are written.
    pub fn bytes(self) -> usize {
        self.shape.rows * self.row_bytes()
    }

    /// Rows of a strip.
    pub fn rows(self) -> usize {
        (STRIP / self.row_bytes().max(1)).clamp(1, self.shape.rows.max(1))
    }

    /// Appends row `y` of `rows` as it is written, in the machine's order of bytes.
    pub fn narrow(self, rows: &Rows, y: usize, out: &mut Vec<u8>, clipped: &mut Clipped) {
        match self.shape.sample {
            SampleType::U8 => out.extend_from_slice(rows.row::<u8>(y)),
            SampleType::U16 => {
                let bits = usize::from(self.stored.bits());
                let top = (1u32 << bits) - 1;
                let row = rows.row::<u16>(y).iter();
                let values = row.map(|&v| (u32::from(v) * top + 32767) / 65535);
                bits::pack(values, bits, out);
            }
            SampleType::F32 => self.floats(rows.row::<f32>(y), out, clipped),
            SampleType::F64 => self.floats(rows.row::<f64>(y), out, clipped),
        }
    }

    fn floats<T: Element>(self, row: &[T], out: &mut Vec<u8>, clipped: &mut Clipped) {
        let values = row.iter().map(|v| v.to_f64());
        match self.stored {
            Stored::Float(16) => values.for_each(|v| {
                let fits = !v.is_finite() || v.abs() < 65520.0;
                if !fits {
                    clipped.count(v);
                }
                let v = if fits { v } else { v.clamp(-65504.0, 65504.0) };
                out.extend_from_slice(&bits::to_half(v).to_ne_bytes());
            }),
            Stored::Float(32) => {
                values.for_each(|v| out.extend_from_slice(&(v as f32).to_ne_bytes()));
            }
            Stored::Float(_) => values.for_each(|v| out.extend_from_slice(&v.to_ne_bytes())),
            whole => {
                let (low, high) = range(whole);
                let bytes = usize::from(whole.bits() / 8);
                values.for_each(|v| {
                    let near = v.round_ties_even();
                    if !(low..=high).contains(&near) {
                        clipped.count(v);
                    }
                    // Not a number becomes 0.
                    let number = near.clamp(low, high) as i64;
                    let all = number.to_ne_bytes();
                    out.extend_from_slice(match cfg!(target_endian = "big") {
                        true => &all[8 - bytes..],
                        false => &all[..bytes],
                    });
                });
            }
        }
    }
}

/// The least and the greatest number of whole numbers stored so.
fn range(stored: Stored) -> (f64, f64) {
    let bits = i32::from(stored.bits());
    let power = |bits: i32| (1u64 << bits) as f64;
    match stored {
        Stored::Signed(_) => (-power(bits - 1), power(bits - 1) - 1.0),
        _ => (0.0, power(bits) - 1.0),
    }
}

/// Samples that did not fit.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clipped {
    count: u64,
    low: f64,
    high: f64,
}

impl Clipped {
    fn count(&mut self, value: f64) {
        if self.count == 0 {
            (self.low, self.high) = (value, value);
        }
        self.count += 1;
        self.low = self.low.min(value);
        self.high = self.high.max(value);
    }

    /// What is told of them.
    pub fn warning(&self, stored: Stored) -> Option<Warning> {
        let (low, high) = match stored {
            Stored::Float(_) => (-65504.0, 65504.0),
            whole => range(whole),
        };
        (self.count > 0).then(|| {
            let text = format!(
                "{} samples from {} to {} do not fit into {stored}, which holds {low} to {high}: clipped",
                self.count, self.low, self.high
            );
            Warning::new(WarningKind::Range, text)
        })
    }
}
