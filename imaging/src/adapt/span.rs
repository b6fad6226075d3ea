//! Statistics of floats over the image's own range: where that leaves 0..=1 samples are brought into it for the
//! statistics and back afterwards, so that the result stays in the image's span.

use crate::border::Border;
use crate::error::Result;
use crate::executor::Context;
use crate::image::{Buffer, Rows, SampleType, Shape};
use crate::metadata::Affine;
use crate::op::{Collective, Local, Measured, Tally};
use crate::plan::clip;
use crate::window::{Band, Scratch, Window};
use std::ops::Range;
use std::sync::Arc;

/// A number for each float that grows as it does; NaN and infinities have none.
pub fn ordered(value: f64) -> Option<i64> {
    let bits = value.to_bits() as i64;
    value
        .is_finite()
        .then_some(bits ^ ((bits >> 63) as u64 >> 1) as i64)
}

/// The way back from [`ordered`].
pub fn unordered(number: i64) -> f64 {
    f64::from_bits((number ^ ((number >> 63) as u64 >> 1) as i64) as u64)
}

/// Least and greatest finite colour sample of pixels that are not wholly transparent; what they are measured as: the
/// greatest of the negative ones and the greatest.
pub fn measure_span(input: &Window<'_>, rows: Range<usize>, maxima: &mut [i64]) {
    let shape = input.shape();
    let (step, colors) = (shape.channels(), shape.color.color_channels());
    let alpha = shape.color.has_alpha();
    crate::by_any_sample!(shape.sample, T => {
        for y in rows {
            for pixel in input.row::<T>(y as isize).chunks_exact(step) {
                if alpha && crate::Element::to_f64(pixel[step - 1]) == 0.0 {
                    continue;
                }
                for &v in &pixel[..colors] {
                    let v = crate::Element::to_f64(v);
                    if let (Some(below), Some(above)) = (ordered(-v), ordered(v)) {
                        maxima[0] = maxima[0].max(below);
                        maxima[1] = maxima[1].max(above);
                    }
                }
            }
        }
    });
}

/// The tally of no span at all.
pub fn no_span() -> Tally {
    Tally {
        sums: Vec::new(),
        maxima: vec![i64::MIN; 2],
    }
}

/// Least and greatest; `None` where no sample is finite.
pub fn span(tally: &Tally) -> Option<(f64, f64)> {
    match tally.maxima[..] {
        [low, high] if high > i64::MIN => Some((-unordered(low), unordered(high))),
        _ => None,
    }
}

/// Measures the range first, then what the step measures within it.
pub struct Spanned(pub Arc<dyn Measured>);

impl Measured for Spanned {
    fn empty(&self, _input: Shape) -> Tally {
        no_span()
    }

    fn measure(
        &self,
        input: &Window<'_>,
        rows: Range<usize>,
        tally: &mut Tally,
        _scratch: &mut Scratch,
    ) {
        measure_span(input, rows, &mut tally.maxima);
    }

    fn refine(&self, _input: Shape, tally: &Tally) -> Option<Arc<dyn Measured>> {
        let (low, high) = span(tally)?;
        match (low >= 0.0 && high <= 1.0, high > low) {
            (true, _) => Some(self.0.clone()),
            // One value only: it stays.
            (false, false) => None,
            (false, true) => Some(Arc::new(Within {
                step: self.0.clone(),
                unit: Unit { low, high },
            })),
        }
    }

    fn finish(&self, input: Shape, tally: &Tally) -> Result<Vec<Arc<dyn Local>>> {
        match span(tally) {
            // As planned, before anything was measured.
            None => self.0.finish(input, &self.0.empty(input)),
            Some(_) => Ok(Vec::new()),
        }
    }

    fn cost(&self) -> f64 {
        self.0.cost() + 1.0
    }
}

/// A collective step on samples brought into 0..=1 and back.
pub struct SpannedCollective(pub Arc<dyn Collective>);

impl Collective for SpannedCollective {
    fn output(&self, input: Shape) -> Result<Shape> {
        self.0.output(input)
    }

    fn geometry(&self, input: Shape) -> Option<Affine> {
        self.0.geometry(input)
    }

    fn run(&self, context: &mut Context<'_>, input: Rows) -> Result<Rows> {
        let tally = context.measure(&Span, &input)?;
        let Some((low, high)) = span(&tally) else {
            return self.0.run(context, input);
        };
        if low >= 0.0 && high <= 1.0 {
            return self.0.run(context, input);
        }
        if low == high {
            return Ok(input);
        }
        let unit = Unit { low, high };
        let into: Arc<dyn Local> = Arc::new(Scale { unit, back: false });
        let inside = context.locals(&input, &[into])?;
        let done = self.0.run(context, inside)?;
        context.locals(&done, &[Arc::new(Scale { unit, back: true })])
    }

    fn memory(&self, input: Shape, ranks: usize) -> usize {
        self.0.memory(input, ranks) + 2 * input.bytes().div_ceil(ranks.max(1))
    }

    fn cost(&self) -> f64 {
        self.0.cost() + 2.0
    }
}

/// Least and greatest alone.
struct Span;

impl Measured for Span {
    fn empty(&self, _input: Shape) -> Tally {
        no_span()
    }

    fn measure(
        &self,
        input: &Window<'_>,
        rows: Range<usize>,
        tally: &mut Tally,
        _scratch: &mut Scratch,
    ) {
        measure_span(input, rows, &mut tally.maxima);
    }

    fn finish(&self, _input: Shape, _tally: &Tally) -> Result<Vec<Arc<dyn Local>>> {
        Ok(Vec::new())
    }
}

/// `low..=high` as 0..=1.
#[derive(Clone, Copy)]
struct Unit {
    low: f64,
    high: f64,
}

impl Unit {
    fn into(self, value: f32) -> f32 {
        ((f64::from(value) - self.low) / (self.high - self.low)) as f32
    }

    /// Stays within the span; NaN stays NaN.
    fn back(self, value: f32) -> f32 {
        (f64::from(value.clamp(0.0, 1.0)) * (self.high - self.low) + self.low) as f32
    }
}

struct Within {
    step: Arc<dyn Measured>,
    unit: Unit,
}

impl Measured for Within {
    fn rows_needed(&self, rows: Range<usize>, input: Shape) -> Range<isize> {
        self.step.rows_needed(rows, input)
    }

    fn border(&self) -> Border {
        self.step.border()
    }

    fn empty(&self, input: Shape) -> Tally {
        self.step.empty(input)
    }

    fn measure(
        &self,
        input: &Window<'_>,
        rows: Range<usize>,
        tally: &mut Tally,
        scratch: &mut Scratch,
    ) {
        let shape = input.shape();
        let need = clip(self.step.rows_needed(rows.clone(), shape), shape.rows);
        let mut inside = Rows::zeroed(shape, need);
        map(input, &mut Band::of(&mut inside), |v| self.unit.into(v));
        let black = Buffer::zeroed(SampleType::F32, shape.row_len());
        let pieces = [&inside];
        let window = Window::new(&pieces, shape, self.step.border(), &black);
        self.step.measure(&window, rows, tally, scratch);
    }

    fn finish(&self, input: Shape, tally: &Tally) -> Result<Vec<Arc<dyn Local>>> {
        let mut steps: Vec<Arc<dyn Local>> = vec![Arc::new(Scale {
            unit: self.unit,
            back: false,
        })];
        steps.extend(self.step.finish(input, tally)?);
        steps.push(Arc::new(Scale {
            unit: self.unit,
            back: true,
        }));
        Ok(steps)
    }

    fn cost(&self) -> f64 {
        self.step.cost()
    }
}

/// Brings colour samples into the unit range or back; alpha stays.
struct Scale {
    unit: Unit,
    back: bool,
}

impl Local for Scale {
    fn apply(&self, input: &Window<'_>, out: &mut Band<'_>, _scratch: &mut Scratch) {
        match self.back {
            true => map(input, out, |v| self.unit.back(v)),
            false => map(input, out, |v| self.unit.into(v)),
        }
    }
}

fn map(input: &Window<'_>, out: &mut Band<'_>, change: impl Fn(f32) -> f32) {
    let shape = input.shape();
    let (step, colors) = (shape.channels(), shape.color.color_channels());
    for y in out.range() {
        let source = input.row::<f32>(y as isize);
        let target = out.row::<f32>(y);
        for (t, s) in target.chunks_exact_mut(step).zip(source.chunks_exact(step)) {
            t.copy_from_slice(s);
            t[..colors].iter_mut().for_each(|v| *v = change(*v));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_floats_grow_as_they_do() {
        let floats = [-1e300, -2.5, -1e-320, 0.0, 1e-320, 0.1, 3e300];
        let numbers: Vec<i64> = floats.iter().filter_map(|&v| ordered(v)).collect();
        assert!(numbers.is_sorted() && numbers.len() == floats.len());
        assert!(floats.iter().zip(numbers).all(|(&v, n)| unordered(n) == v));
        assert_eq!(ordered(f64::NAN), None);
        assert_eq!(ordered(f64::NEG_INFINITY), None);
    }
}
