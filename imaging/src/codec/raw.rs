//! Samples of any type as files of arrays have them, in either byte order.

use super::Header;
use crate::image::{Element, SampleType, Shape, Stored};

/// The type of a stored sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Raw {
    Bool,
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F16,
    F32,
    F64,
}

impl Raw {
    /// Bytes of one sample.
    pub fn bytes(self) -> usize {
        match self {
            Raw::Bool | Raw::U8 | Raw::I8 => 1,
            Raw::U16 | Raw::I16 | Raw::F16 => 2,
            Raw::U32 | Raw::I32 | Raw::F32 => 4,
            Raw::U64 | Raw::I64 | Raw::F64 => 8,
        }
    }

    /// What samples are computed in.
    pub fn sample(self) -> SampleType {
        match self {
            Raw::Bool | Raw::U8 => SampleType::U8,
            Raw::U16 => SampleType::U16,
            Raw::I8 | Raw::I16 | Raw::F16 | Raw::F32 => SampleType::F32,
            Raw::U32 | Raw::I32 | Raw::U64 | Raw::I64 | Raw::F64 => SampleType::F64,
        }
    }

    /// The type in the file, where it is not the one computed in and can be written again.
    pub fn stored(self) -> Option<Stored> {
        match self {
            Raw::I8 => Some(Stored::Signed(8)),
            Raw::I16 => Some(Stored::Signed(16)),
            Raw::I32 => Some(Stored::Signed(32)),
            Raw::U32 => Some(Stored::Unsigned(32)),
            Raw::F16 => Some(Stored::Float(16)),
            Raw::Bool => Some(Stored::Unsigned(1)),
            Raw::U8 | Raw::U16 | Raw::U64 | Raw::I64 | Raw::F32 | Raw::F64 => None,
        }
    }

    /// The type to write for samples of `sample` that came from a file of `stored`, among those of a format.
    pub fn written(sample: SampleType, stored: Option<Stored>, known: &[Raw]) -> Raw {
        let kept = known
            .iter()
            .find(|raw| raw.sample() == sample && raw.stored().is_some() && raw.stored() == stored);
        kept.copied().unwrap_or(match sample {
            SampleType::U8 => Raw::U8,
            SampleType::U16 => Raw::U16,
            SampleType::F32 => Raw::F32,
            SampleType::F64 => Raw::F64,
        })
    }

    /// The number that these bytes stand for.
    #[inline(always)]
    fn value(self, b: &[u8], big: bool) -> f64 {
        macro_rules! number {
            ($t:ty, $n:literal) => {{
                let mut raw = [0; $n];
                raw.copy_from_slice(&b[..$n]);
                match big {
                    true => <$t>::from_be_bytes(raw),
                    false => <$t>::from_le_bytes(raw),
                }
            }};
        }
        match self {
            Raw::Bool => f64::from(u8::from(b[0] != 0)) * 255.0,
            Raw::U8 => f64::from(b[0]),
            Raw::I8 => f64::from(b[0] as i8),
            Raw::U16 => f64::from(number!(u16, 2)),
            Raw::I16 => f64::from(number!(i16, 2)),
            Raw::U32 => f64::from(number!(u32, 4)),
            Raw::I32 => f64::from(number!(i32, 4)),
            Raw::U64 => number!(u64, 8) as f64,
            Raw::I64 => number!(i64, 8) as f64,
            Raw::F16 => half::f16::from_bits(number!(u16, 2)).to_f64(),
            Raw::F32 => f64::from(number!(f32, 4)),
            Raw::F64 => number!(f64, 8),
        }
    }

    /// Puts samples at every `step`th place of `out`.
    pub fn read<T: Element>(
        self,
        bytes: &[u8],
        big: bool,
        change: impl Fn(f64) -> f64,
        out: &mut [T],
        step: usize,
    ) {
        let places = out.iter_mut().step_by(step);
        for (to, from) in places.zip(bytes.chunks_exact(self.bytes())) {
            *to = T::saturate(change(self.value(from, big)));
        }
    }

    /// Appends samples. Numbers beyond an integer's range are the nearest, NaN is 0.
    pub fn write<'t, T: Element>(
        self,
        samples: impl Iterator<Item = &'t T>,
        big: bool,
        out: &mut Vec<u8>,
    ) {
        macro_rules! all {
            ($change:expr) => {
                for sample in samples {
                    let number = $change(sample.to_f64());
                    match big {
                        true => out.extend(number.to_be_bytes()),
                        false => out.extend(number.to_le_bytes()),
                    }
                }
            };
        }
        let whole = f64::round_ties_even;
        match self {
            Raw::Bool => all!(|v: f64| u8::from(v >= 127.5)),
            Raw::U8 => all!(|v| whole(v) as u8),
            Raw::I8 => all!(|v| whole(v) as i8),
            Raw::U16 => all!(|v| whole(v) as u16),
            Raw::I16 => all!(|v| whole(v) as i16),
            Raw::U32 => all!(|v| whole(v) as u32),
            Raw::I32 => all!(|v| whole(v) as i32),
            Raw::U64 => all!(|v| whole(v) as u64),
            Raw::I64 => all!(|v| whole(v) as i64),
            Raw::F16 => all!(|v| half::f16::from_f64(v).to_bits()),
            Raw::F32 => all!(|v: f64| v as f32),
            Raw::F64 => all!(|v: f64| v),
        }
    }
}

/// A header of an array that is read row by row, wherever rows lie.
pub(super) fn header(kind: super::FormatKind, shape: Shape, raw: Raw, pages: u32) -> Header {
    Header {
        kind,
        shape,
        bits: (raw.bytes() * 8) as u8,
        orientation: 1,
        has_icc: false,
        pages,
        page_kind: super::PageKind::Pages,
        still: false,
        stored: raw.stored(),
        lossless: true,
        streams: true,
        seekable: true,
        decoder_bytes: 2 * raw.bytes() * shape.row_len() + (64 << 10),
    }
}
