//! Rows on their way to an encoder, converted to what it stores.

use super::RowSink;
use crate::error::Result;
use crate::image::{Color, Element, Rows, SampleType, Shape};

/// Most bytes converted at a time (at least one row).
pub(super) const BAND_BYTES: usize = 256 << 10;

/// A sink that takes rows of `given` and hands rows of `stored` to `sink`; both are of one size.
pub(super) fn before(sink: Box<dyn RowSink>, given: Shape, stored: Shape) -> Box<dyn RowSink> {
    match given == stored {
        true => sink,
        false => Box::new(Converting { sink, stored }),
    }
}

struct Converting {
    sink: Box<dyn RowSink>,
    stored: Shape,
}

impl RowSink for Converting {
    fn write(&mut self, rows: &Rows) -> Result<()> {
        let step = (BAND_BYTES / self.stored.row_bytes().max(1)).max(1);
        for at in rows.range().step_by(step) {
            let mut part = Rows::zeroed(self.stored, at..(at + step).min(rows.range().end));
            convert(rows, &mut part);
            self.sink.write(&part)?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.sink.finish()
    }
}

/// Fills `to` from the same rows of `from`, converting samples and channels.
pub(super) fn convert(from: &Rows, to: &mut Rows) {
    crate::by_sample!(from.shape.sample, A => crate::by_sample!(to.shape.sample, B => {
        pixels::<A, B>(from, to)
    }))
}

fn pixels<A: Narrow, B: Narrow>(from: &Rows, to: &mut Rows) {
    let (source, target) = (from.shape, to.shape);
    for y in to.range() {
        let input = from.row::<A>(y);
        let at = (y - to.first) * target.row_len();
        let mut buffer = to.data.as_mut();
        let output = &mut B::of_mut(&mut buffer)[at..at + target.row_len()];
        if source.color == target.color {
            for (o, i) in output.iter_mut().zip(input) {
                *o = cast(*i);
            }
            continue;
        }
        let inputs = input.chunks_exact(source.channels());
        for (o, i) in output.chunks_exact_mut(target.channels()).zip(inputs) {
            pixel(source.color, target.color, i, o);
        }
    }
}

fn pixel<A: Narrow, B: Narrow>(source: Color, target: Color, from: &[A], to: &mut [B]) {
    let colors = target.color_channels();
    for c in 0..colors {
        to[c] = cast(from[if source.is_gray() { 0 } else { c }]);
    }
    if target.has_alpha() {
        to[colors] = match source.has_alpha() {
            true => cast(from[source.color_channels()]),
            false => B::saturate(B::TOP),
        };
    }
}

/// How a sample becomes one of another type.
trait Narrow: Element {
    fn eight(self) -> u8;
    fn sixteen(self) -> u16;
}

impl Narrow for u8 {
    fn eight(self) -> u8 {
        self
    }
    fn sixteen(self) -> u16 {
        u16::from(self) * 257
    }
}

impl Narrow for u16 {
    fn eight(self) -> u8 {
        ((u32::from(self) + 128) / 257) as u8
    }
    fn sixteen(self) -> u16 {
        self
    }
}

impl Narrow for f32 {
    fn eight(self) -> u8 {
        u8::saturate32(self * 255.0)
    }
    fn sixteen(self) -> u16 {
        u16::saturate32(self * 65535.0)
    }
}

#[inline(always)]
fn cast<A: Narrow, B: Element>(value: A) -> B {
    match B::TYPE {
        SampleType::U8 => B::saturate32(f32::from(value.eight())),
        SampleType::U16 => B::saturate32(f32::from(value.sixteen())),
        SampleType::F32 => match A::TYPE {
            SampleType::F32 => B::saturate32(value.to_f32()),
            _ => B::saturate((value.to_f64() / A::TOP) as f32 as f64),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Buffer;

    fn one(color: Color, data: Buffer, to: Color, sample: SampleType) -> Buffer {
        let cols = data.len() / color.channels();
        let shape = Shape::new(1, cols, color, data.sample());
        let from = Rows {
            shape,
            first: 0,
            count: 1,
            data,
        };
        let mut rows = Rows::zeroed(Shape::new(1, cols, to, sample), 0..1);
        convert(&from, &mut rows);
        rows.data
    }

    #[test]
    fn sixteen_bits_become_eight_by_exact_rounding() {
        let all: Vec<u16> = (0..=u16::MAX).collect();
        let Buffer::U8(out) = one(Color::Gray, Buffer::U16(all), Color::Gray, SampleType::U8)
        else {
            panic!()
        };
        for (v, o) in out.iter().enumerate() {
            assert_eq!(f64::from(*o), (v as f64 / 257.0).round());
        }
    }

    #[test]
    fn floats_are_clamped_and_rounded() {
        let floats = Buffer::F32(vec![-1.0, 0.5, 1.0, 7.0, f32::NAN]);
        let out = one(Color::Gray, floats, Color::Gray, SampleType::U8);
        assert_eq!(out, Buffer::U8(vec![0, 128, 255, 255, 0]));
    }

    #[test]
    fn channels_are_spread_or_dropped() {
        let pixel = Buffer::U8(vec![1, 2, 3, 4]);
        assert_eq!(
            one(Color::Rgba, pixel, Color::Rgb, SampleType::U8),
            Buffer::U8(vec![1, 2, 3])
        );
        let pixel = Buffer::U8(vec![7, 9]);
        assert_eq!(
            one(Color::GrayAlpha, pixel.clone(), Color::Rgba, SampleType::U8),
            Buffer::U8(vec![7, 7, 7, 9])
        );
        assert_eq!(
            one(Color::GrayAlpha, pixel, Color::Gray, SampleType::U16),
            Buffer::U16(vec![7 * 257])
        );
    }
}
