//! range: maps a range of values to all that there are.

use crate::adapt::span::{measure_span, no_span, span};
use crate::error::{Error, Result};
use crate::image::{Element, SampleType, Shape};
use crate::op::{Channels, Group, Kind, Local, Measured, Op, Param, Step, Tally, Value};
use crate::window::{Band, Scratch, Window};
use std::ops::Range as Rows;
use std::sync::Arc;

/// The operation.
pub static OP: Op = Op {
    name: "range",
    about: "Maps low..high to the full range: 0..255, 0..65535, or 0..1 for floats. All channels together, bands each for itself; NaN becomes 0.",
    params: &[
        Param {
            name: "low",
            about: "what becomes black, in the image's own units, or the share of samples below it",
            kind: Kind::Level("min"),
        },
        Param {
            name: "high",
            about: "what becomes white, in the image's own units, or the share of samples up to it",
            kind: Kind::Level("max"),
        },
    ],
    example: "range(low=2%, high=98%)",
    group: Group::Histogram,
    channels: Channels::Each,
    build: |args| {
        let (low, high) = (End::of(args.value("low")), End::of(args.value("high")));
        match (low, high) {
            (End::At(low), End::At(high)) if low >= high => Err(Error::Pipeline(format!(
                "`range`: low = {low} must be below high = {high}"
            ))),
            (End::At(low), End::At(high)) => Ok(vec![Step::local(Map { low, high })]),
            _ => Ok(vec![Step::measured(Ranged { low, high })]),
        }
    },
};

/// One end of the range.
#[derive(Clone, Copy, PartialEq)]
enum End {
    /// A value.
    At(f64),
    /// The value below which that share of the samples lies; 0 and 1 are the least and the greatest.
    Share(f64),
}

impl End {
    fn of(value: &Value) -> End {
        match value {
            Value::Float(v) => End::At(*v),
            Value::Int(v) => End::At(*v as f64),
            Value::Word(word) if word == "min" => End::Share(0.0),
            Value::Word(word) => {
                let share = word.strip_suffix('%').and_then(|v| v.parse::<f64>().ok());
                End::Share(share.unwrap_or(100.0) / 100.0)
            }
            other => unreachable!("{other} was checked"),
        }
    }

    fn is_inside(self) -> bool {
        matches!(self, End::Share(share) if share > 0.0 && share < 1.0)
    }
}

/// Least and greatest first; shares between them need a count.
struct Ranged {
    low: End,
    high: End,
}

impl Ranged {
    fn map(&self, low: f64, high: f64) -> Vec<Arc<dyn Local>> {
        vec![Arc::new(Map { low, high })]
    }

    /// The ends where shares are known.
    fn ends(&self, at: impl Fn(f64) -> f64) -> (f64, f64) {
        let end = |end| match end {
            End::At(v) => v,
            End::Share(share) => at(share),
        };
        (end(self.low), end(self.high))
    }
}

impl Measured for Ranged {
    fn takes_f64(&self) -> bool {
        true
    }

    fn empty(&self, _input: Shape) -> Tally {
        no_span()
    }

    fn measure(&self, input: &Window<'_>, rows: Rows<usize>, tally: &mut Tally, _: &mut Scratch) {
        measure_span(input, rows, &mut tally.maxima);
    }

    fn refine(&self, _input: Shape, tally: &Tally) -> Option<Arc<dyn Measured>> {
        let (low, high) = span(tally)?;
        let counts = (self.low.is_inside() || self.high.is_inside()) && high > low;
        counts.then(|| {
            Arc::new(Counted {
                ends: Ranged { ..*self },
                low,
                high,
            }) as Arc<dyn Measured>
        })
    }

    fn finish(&self, _input: Shape, tally: &Tally) -> Result<Vec<Arc<dyn Local>>> {
        let (least, most) = span(tally).unwrap_or((0.0, 1.0));
        let (low, high) = self.ends(|share| if share < 1.0 { least } else { most });
        Ok(self.map(low, high))
    }
}

/// Counts samples in as many bins as 16 bits have between the least and the greatest.
struct Counted {
    ends: Ranged,
    low: f64,
    high: f64,
}

const BINS: usize = 65536;

impl Counted {
    fn bin(&self, value: f64) -> usize {
        let unit = (value - self.low) / (self.high - self.low);
        (unit * (BINS - 1) as f64).round_ties_even() as usize
    }

    fn level(&self, bin: usize) -> f64 {
        self.low + (self.high - self.low) * (bin as f64 / (BINS - 1) as f64)
    }
}

impl Measured for Counted {
    fn takes_f64(&self) -> bool {
        true
    }

    fn empty(&self, _input: Shape) -> Tally {
        Tally {
            sums: vec![0; BINS],
            ..Tally::default()
        }
    }

    fn measure(&self, input: &Window<'_>, rows: Rows<usize>, tally: &mut Tally, _: &mut Scratch) {
        let shape = input.shape();
        let (step, colors) = (shape.channels(), shape.color.color_channels());
        let alpha = shape.color.has_alpha();
        crate::by_any_sample!(shape.sample, T => {
            for y in rows {
                for pixel in input.row::<T>(y as isize).chunks_exact(step) {
                    if alpha && Element::to_f64(pixel[step - 1]) == 0.0 {
                        continue;
                    }
                    for v in &pixel[..colors] {
                        let v = Element::to_f64(*v);
                        if v.is_finite() {
                            tally.sums[self.bin(v)] += 1;
                        }
                    }
                }
            }
        });
    }

    fn finish(&self, _input: Shape, tally: &Tally) -> Result<Vec<Arc<dyn Local>>> {
        let total = tally.sums.iter().sum::<i64>() as f64;
        let at = |share: f64| {
            let wanted = share * (total - 1.0);
            let mut below = 0;
            let found = tally.sums.iter().position(|n| {
                below += n;
                below as f64 > wanted
            });
            self.level(found.unwrap_or(BINS - 1))
        };
        let (low, high) = self.ends.ends(at);
        Ok(self.ends.map(low, high))
    }
}

/// Maps `low..high` to the full range of the sample type; alpha stays.
struct Map {
    low: f64,
    high: f64,
}

impl Map {
    fn value<T: Element>(&self, v: T) -> T {
        let v = v.to_f64();
        if v.is_nan() {
            return T::default();
        }
        let unit = match self.high > self.low {
            true => ((v - self.low) / (self.high - self.low)).clamp(0.0, 1.0),
            // Nothing lies between the ends.
            false => f64::from(u8::from(v > self.low)),
        };
        T::saturate(unit * T::TOP)
    }
}

impl Local for Map {
    fn takes_f64(&self) -> bool {
        true
    }

    fn takes_bands(&self) -> bool {
        true
    }

    fn is_identity(&self, input: Shape) -> bool {
        let top = match input.sample {
            SampleType::U8 => u8::TOP,
            SampleType::U16 => u16::TOP,
            SampleType::F32 | SampleType::F64 => return false,
        };
        self.low == 0.0 && self.high == top
    }

    fn apply(&self, input: &Window<'_>, out: &mut Band<'_>, _scratch: &mut Scratch) {
        let shape = input.shape();
        let (step, colors) = (shape.channels(), shape.color.color_channels());
        crate::by_any_sample!(shape.sample, T => {
            for y in out.range() {
                let source = input.row::<T>(y as isize).chunks_exact(step);
                for (t, s) in out.row::<T>(y).chunks_exact_mut(step).zip(source) {
                    t.copy_from_slice(s);
                    t[..colors].iter_mut().for_each(|v| *v = self.value::<T>(*v));
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::image::{Buffer, Image};
    use crate::kernels::trial::run;
    use crate::{Color, Pipeline, SampleType, Shape};

    fn floats(values: &[f32]) -> Image {
        let shape = Shape::new(1, values.len(), Color::Gray, SampleType::F32);
        Image::new(shape, Buffer::F32(values.to_vec()))
    }

    #[test]
    fn values_span_the_full_range() {
        let image = floats(&[-100.0, 300.0, f32::NAN, 0.0, f32::INFINITY, 200.0]);
        let all = run("range", &image).rows.data;
        assert_eq!(all, Buffer::F32(vec![0.0, 1.0, 0.0, 0.25, 1.0, 0.75]));
        let some = run("range(low=0, high=200)", &image).rows.data;
        assert_eq!(some, Buffer::F32(vec![0.0, 1.0, 0.0, 0.0, 1.0, 1.0]));
    }

    #[test]
    fn shares_leave_the_rare_out() {
        let values: Vec<f32> = (0..=1000).map(|v| v as f32 * 10.0).collect();
        let Buffer::F32(out) = run("range(low=10%, high=90%)", &floats(&values)).rows.data else {
            panic!("floats stay floats");
        };
        assert!(out[100] < 1e-4 && out[99] == 0.0);
        assert!(out[900] > 0.9999 && out[901] == 1.0);
        assert!((out[500] - 0.5).abs() < 1e-4);
    }

    #[test]
    fn bands_are_ranged_each_for_itself() {
        let shape = Shape::new(1, 2, Color::Bands(2), SampleType::F64);
        let image = Image::new(shape, Buffer::F64(vec![0.0, 1e9, 10.0, 3e9]));
        let out = run("range", &image).rows.data;
        assert_eq!(out, Buffer::F64(vec![0.0, 0.0, 1.0, 1.0]));
    }

    #[test]
    fn ends_are_checked() {
        let message = |text| Pipeline::parse(text).unwrap_err().to_string();
        assert!(message("range(low=5, high=5)").contains("must be below"));
        assert!(message("range(low=120%)").contains("share from 0% to 100%"));
        assert!(message("range(low=least)").contains("min, max"));
        let text = "range(low=2%, high=98%)";
        assert_eq!(Pipeline::parse(text).unwrap().to_string(), text);
    }
}
