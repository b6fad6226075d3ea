//! Rows on their way to an encoder, converted to what it stores.

use super::range::Clipped;
use super::{Format, KeepMetadata, NextPage, RowSink, prepared};
use crate::error::{Error, Result};
use crate::image::{Color, Element, Metadata, Rows, SampleType, Shape};
use crate::kernels::over::over;
use crate::warning::Warning;

/// Most bytes converted at a time (at least one row).
pub(super) const BAND_BYTES: usize = 256 << 10;

/// How a file is written, for its further pages.
#[derive(Clone)]
pub(super) struct Plan {
    pub format: Format,
    pub keep: KeepMetadata,
    /// What lies behind transparent pixels, white where not given.
    pub background: Option<[u16; 3]>,
}

/// A sink that takes all rows of `given` in order and hands rows of `stored` to `sink`; both are of
/// one size. Where only `given` has alpha, colours are blended on the plan's background.
pub(super) fn before(
    sink: Box<dyn RowSink>,
    given: Shape,
    stored: Shape,
    plan: Plan,
) -> Box<dyn RowSink> {
    Box::new(Converting {
        sink,
        background: plan.background.unwrap_or([u16::MAX; 3]),
        plan,
        given,
        stored,
        clipped: (given.sample.is_float() && !stored.sample.is_float()).then(Clipped::default),
        next: 0,
        failure: None,
    })
}

struct Converting {
    sink: Box<dyn RowSink>,
    plan: Plan,
    given: Shape,
    stored: Shape,
    background: [u16; 3],
    /// What lies beyond the range of integers.
    clipped: Option<Clipped>,
    next: usize,
    failure: Option<Error>,
}

impl Converting {
    /// An error unless all rows were written.
    fn check(&self) -> Result<()> {
        match &self.failure {
            Some(error) => Err(error.clone()),
            None if self.next < self.given.rows => Err(Error::Encode(format!(
                "only {} of {} rows were written",
                self.next, self.given.rows
            ))),
            None => Ok(()),
        }
    }

    fn hand_on(&mut self, rows: &Rows) -> Result<()> {
        let range = rows.range();
        if rows.shape != self.given || range.start != self.next || range.end > self.given.rows {
            return Err(Error::Encode(format!(
                "rows {range:?} of {:?} cannot follow {} rows of {:?}",
                rows.shape, self.next, self.given
            )));
        }
        self.next = range.end;
        if self.given == self.stored {
            return self.sink.write(rows);
        }
        if let Some(clipped) = &mut self.clipped {
            clipped.count(rows);
        }
        let step = (BAND_BYTES / self.stored.row_bytes().max(1)).max(1);
        for at in range.clone().step_by(step) {
            let mut part = Rows::zeroed(self.stored, at..(at + step).min(range.end));
            convert(rows, &mut part, self.background);
            self.sink.write(&part)?;
        }
        Ok(())
    }
}

impl RowSink for Converting {
    fn write(&mut self, rows: &Rows) -> Result<()> {
        if let Some(error) = &self.failure {
            return Err(error.clone());
        }
        let done = self.hand_on(rows);
        self.failure = done.clone().err();
        done
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.check()?;
        self.sink.finish()
    }

    fn finish_page(self: Box<Self>) -> Result<Box<dyn NextPage>> {
        self.check()?;
        Ok(Box::new(Between {
            next: self.sink.finish_page()?,
            plan: self.plan,
        }))
    }

    fn warnings(&self) -> Vec<Warning> {
        let clipped = self.clipped.as_ref().and_then(Clipped::warning);
        clipped.into_iter().chain(self.sink.warnings()).collect()
    }
}

/// The file between two pages.
struct Between {
    next: Box<dyn NextPage>,
    plan: Plan,
}

impl NextPage for Between {
    fn begin(self: Box<Self>, shape: Shape, metadata: &Metadata) -> Result<Box<dyn RowSink>> {
        let (stored, metadata) = prepared(&self.plan, shape, metadata)?;
        let sink = self.next.begin(stored, &metadata)?;
        Ok(before(sink, shape, stored, self.plan))
    }

    fn end(self: Box<Self>) -> Result<()> {
        self.next.end()
    }
}

/// Fills `to` from the same rows of `from`, converting samples and channels, on a background in 16 bits.
pub(super) fn convert(from: &Rows, to: &mut Rows, background: [u16; 3]) {
    crate::by_any_sample!(from.shape.sample, A => crate::by_any_sample!(to.shape.sample, B => {
        pixels::<A, B>(from, to, background)
    }))
}

fn pixels<A: Narrow, B: Narrow>(from: &Rows, to: &mut Rows, background: [u16; 3]) {
    let (source, target) = (from.shape, to.shape);
    let blends = source.color.has_alpha() && !target.color.has_alpha();
    let [r, g, b] = background.map(f64::from);
    // A coloured ground of gray pixels counts by its luma.
    let ground = match target.color.is_gray() {
        true => [libm::round(0.299 * r + 0.587 * g + 0.114 * b); 3],
        false => [r, g, b],
    };
    let ground: [A; 3] = ground.map(|v| A::saturate(v / 65535.0 * A::TOP));
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
        if blends {
            for (o, i) in output.chunks_exact_mut(target.channels()).zip(inputs) {
                let alpha = i[source.color.color_channels()];
                for (c, o) in o.iter_mut().enumerate() {
                    let value = i[if source.color.is_gray() { 0 } else { c }];
                    *o = cast(over(value, ground[c], alpha));
                }
            }
            continue;
        }
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

impl Narrow for f64 {
    fn eight(self) -> u8 {
        u8::saturate(self * 255.0)
    }
    fn sixteen(self) -> u16 {
        u16::saturate(self * 65535.0)
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
        SampleType::F64 => B::saturate(value.to_f64() / A::TOP),
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
        convert(&from, &mut rows, [u16::MAX, 0, 0]);
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
    fn rows_must_be_whole_and_in_order() {
        let shape = Shape::new(4, 2, Color::Gray, SampleType::U8);
        let metadata = crate::Metadata::default();
        let sink = || {
            let file = Box::new(crate::codec::MemoryFile::default());
            let format = crate::codec::Format::of(crate::codec::FormatKind::Bmp);
            crate::codec::create(file, &format, shape, &metadata, Default::default()).unwrap()
        };
        let mut early = sink();
        early.write(&Rows::zeroed(shape, 0..3)).unwrap();
        assert!(
            early
                .finish()
                .unwrap_err()
                .to_string()
                .contains("3 of 4 rows")
        );
        let mut mixed = sink();
        assert!(mixed.write(&Rows::zeroed(shape, 1..3)).is_err());
        assert!(mixed.finish().is_err());
    }

    #[test]
    fn floats_are_clamped_and_rounded() {
        let floats = Buffer::F32(vec![-1.0, 0.5, 1.0, 7.0, f32::NAN]);
        let out = one(Color::Gray, floats, Color::Gray, SampleType::U8);
        assert_eq!(out, Buffer::U8(vec![0, 128, 255, 255, 0]));
    }

    #[test]
    fn what_is_transparent_shows_the_background() {
        let pixels = Buffer::U8(vec![1, 2, 3, 255, 200, 200, 200, 0, 100, 100, 100, 128]);
        assert_eq!(
            one(Color::Rgba, pixels.clone(), Color::Rgb, SampleType::U8),
            Buffer::U8(vec![1, 2, 3, 255, 0, 0, 177, 50, 50])
        );
        // The luma of red is 76.
        assert_eq!(
            one(
                Color::GrayAlpha,
                Buffer::U8(vec![9, 0, 9, 255]),
                Color::Gray,
                SampleType::U8
            ),
            Buffer::U8(vec![76, 9])
        );
        let floats = Buffer::F32(vec![0.5, 0.5, 0.5, 0.5]);
        assert_eq!(
            one(Color::Rgba, floats, Color::Rgb, SampleType::U16),
            Buffer::U16(vec![49151, 16384, 16384])
        );
    }

    #[test]
    fn channels_are_spread() {
        let pixel = Buffer::U8(vec![7, 9]);
        assert_eq!(
            one(Color::GrayAlpha, pixel, Color::Rgba, SampleType::U8),
            Buffer::U8(vec![7, 7, 7, 9])
        );
    }
}
