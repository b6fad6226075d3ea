//! resize: to another size, antialiased as Pillow does it.

use crate::error::{Error, Result};
use crate::gpu::{Kernel, Pass, programs};
use crate::image::{SampleType, Shape};
use crate::kernels::output_size::limited;
use crate::kernels::resample::Resample;
use crate::kernels::resample_axis::{Axis, Filter};
use crate::kernels::resample_bytes as bytes;
use crate::metadata::Affine;
use crate::op::{Channels, Group, Local, Op, Param, Step};
use crate::window::{Band, Scratch, Window};
use std::any::Any;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// The operation.
pub static OP: Op = Op {
    name: "resize",
    about: "Changes the size, antialiased. `inside` fits into width x height and keeps the aspect ratio; `cover` fills it and cuts off what sticks out.",
    params: &[
        Param::int(
            "width",
            0..=1_000_000,
            0,
            "new width; 0: from the aspect ratio",
        ),
        Param::int(
            "height",
            0..=1_000_000,
            0,
            "new height; 0: from the aspect ratio",
        ),
        Param::word("filter", Filter::NAMES, "how new samples are made"),
        Param::word(
            "fit",
            &["stretch", "inside", "cover"],
            "what becomes of the aspect ratio",
        ),
    ],
    example: "resize(width=40, filter=bicubic)",
    group: Group::Geometry,
    channels: Channels::Each,
    build: |args| {
        let (width, height) = (args.size("width"), args.size("height"));
        if width == 0 && height == 0 {
            return Err(Error::Pipeline(
                "`resize` needs width or height (for example: resize(width=800))".into(),
            ));
        }
        let fit = match args.word("fit") {
            "inside" => Fit::Inside,
            "cover" => Fit::Cover,
            _ => Fit::Stretch,
        };
        let filter = Filter::from_name(args.word("filter"));
        Ok(vec![Step::local(Resize::new(width, height, fit, filter))])
    },
};

/// What becomes of the aspect ratio.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fit {
    /// Exactly width x height.
    Stretch,
    /// As large as fits into width x height.
    Inside,
    /// As [`Fit::Inside`], but never larger than the image, and a decoder may shrink it beforehand.
    Thumbnail,
    /// Exactly width x height, from the middle of the image.
    Cover,
    /// Exactly width x height from an image that a decoder shrunk by this factor from `rows` x `cols`.
    Shrunk {
        /// 2, 4 or 8.
        factor: usize,
        /// Height before.
        rows: usize,
        /// Width before.
        cols: usize,
    },
}

/// Changes the size.
pub struct Resize {
    width: usize,
    height: usize,
    fit: Fit,
    filter: Filter,
    /// The weights for the shape met first; a plan has only one.
    axes: OnceLock<(Shape, Arc<Axes>)>,
}

/// The parts of the input that make up the output, along both axes.
struct Axes {
    columns: Axis,
    rows: Axis,
    /// The pass down the rows comes first.
    rows_first: bool,
    weights: Box<dyn Any + Send + Sync>,
}

impl Resize {
    /// A resize to `width` x `height`, one of which may be 0.
    pub fn new(width: usize, height: usize, fit: Fit, filter: Filter) -> Resize {
        Resize {
            width,
            height,
            fit,
            filter,
            axes: OnceLock::new(),
        }
    }

    /// Width and height of the output.
    fn size(&self, input: Shape) -> (usize, usize) {
        let (w, h) = (input.cols as f64, input.rows as f64);
        let round = |v: f64| (libm::floor(v + 0.5) as usize).max(1);
        let (mut width, mut height) = (self.width, self.height);
        if matches!(self.fit, Fit::Inside | Fit::Thumbnail) && width > 0 && height > 0 {
            let scale = (width as f64 / w).min(height as f64 / h);
            if self.fit == Fit::Thumbnail && scale >= 1.0 {
                return (input.cols, input.rows);
            }
            (width, height) = (round(w * scale), round(h * scale));
        }
        if width == 0 {
            width = round(w * height as f64 / h);
        }
        if height == 0 {
            height = round(h * width as f64 / w);
        }
        (width, height)
    }

    /// The columns and rows of the input that are shown.
    fn shown(&self, input: Shape) -> (Range<f64>, Range<f64>) {
        let (w, h) = (input.cols as f64, input.rows as f64);
        match self.fit {
            Fit::Cover => {
                let (width, height) = self.size(input);
                let scale = (width as f64 / w).max(height as f64 / h);
                let middle = |length: f64, wanted: usize| {
                    let part = (wanted as f64 / scale).min(length);
                    // A whole side is shown whole, whatever rounding says.
                    let part = if length - part < 1e-6 { length } else { part };
                    (length - part) / 2.0..(length + part) / 2.0
                };
                (middle(w, width), middle(h, height))
            }
            // The last reduced row and column may stand for less than the others.
            Fit::Shrunk { factor, rows, cols } => (
                0.0..(cols as f64 / factor as f64).min(w),
                0.0..(rows as f64 / factor as f64).min(h),
            ),
            _ => (0.0..w, 0.0..h),
        }
    }

    fn axes(&self, input: Shape) -> Arc<Axes> {
        let make = || {
            let (width, height) = self.size(input);
            let (x, y) = self.shown(input);
            let axis = |old, part: Range<f64>, len| match self.filter {
                Filter::Nearest => {
                    let each = input.sample == SampleType::U16;
                    Axis::nearest(old, part.start, part.end, len, each)
                }
                filter => Axis::new(filter, old, part.start, part.end, len),
            };
            let columns = axis(input.cols, x, width);
            let rows = axis(input.rows, y, height);
            let weights = crate::by_sample!(input.sample, T => {
                Box::new((T::weights(&columns), T::weights(&rows))) as Box<dyn Any + Send + Sync>
            });
            // Each pass rounds, so their order shows; it is that of Pillow.
            let fewer = |old: usize, new: usize| old as i64 - new as i64;
            let (less_rows, less_columns) = (fewer(input.rows, height), fewer(input.cols, width));
            Arc::new(Axes {
                rows_first: less_rows > 0 && less_rows > 2 * less_columns,
                columns,
                rows,
                weights,
            })
        };
        let (shape, axes) = self.axes.get_or_init(|| (input, make()));
        match *shape == input {
            true => axes.clone(),
            false => make(),
        }
    }

    fn rows<T: Resample>(&self, input: &Window<'_>, out: &mut Band<'_>, scratch: &mut Scratch) {
        let shape = input.shape();
        let axes = self.axes(shape);
        let Some((across, down)) = axes.weights.downcast_ref::<(T::Weights, T::Weights)>() else {
            unreachable!("the weights were made for this shape")
        };
        let channels = shape.channels();
        let alpha = shape.color.has_alpha() && self.filter != Filter::Nearest;
        let across_first = !axes.rows_first && !axes.columns.identity;
        let (held, goes_on) = scratch.state(out, || {
            let len = if across_first {
                out.shape.row_len()
            } else {
                shape.row_len()
            };
            let slots = if across_first || alpha {
                axes.rows.taps
            } else {
                0
            };
            Held::<T>::new(len, slots)
        });
        if !goes_on {
            held.range = 0..0;
        }
        let mut room = vec![T::default(); shape.row_len()];
        for y in out.range() {
            let target = out.row::<T>(y);
            let range = axes.rows.range(y);
            if held.slots > 0 {
                for from in held.missing(&range) {
                    let mut source = input.row::<T>(from as isize);
                    if alpha && across_first {
                        T::premultiply(source, &mut room, channels);
                        source = &room;
                    }
                    let row = held.row_mut(from);
                    match across_first {
                        true => T::horizontal(source, row, &axes.columns, across, channels),
                        false => T::premultiply(source, row, channels),
                    }
                }
                held.range = range.clone();
            }
            let row = |y: usize| match held.slots {
                0 => input.row::<T>(y as isize),
                _ => held.row(y),
            };
            let rows: Vec<&[T]> = range.map(row).collect();
            match (across_first || axes.columns.identity, axes.rows.identity) {
                (true, true) => target.copy_from_slice(rows[0]),
                (true, false) => T::vertical(&rows, target, &axes.rows, down, y),
                (false, true) => T::horizontal(rows[0], target, &axes.columns, across, channels),
                (false, false) => {
                    T::vertical(&rows, &mut room, &axes.rows, down, y);
                    T::horizontal(&room, target, &axes.columns, across, channels);
                }
            }
            if alpha {
                T::unpremultiply(target, channels);
            }
        }
    }
}

/// The latest input rows after what is done to each alone; the next output row needs most of them
/// again.
struct Held<T> {
    samples: Vec<T>,
    len: usize,
    slots: usize,
    range: Range<usize>,
}

impl<T: Copy + Default> Held<T> {
    fn new(len: usize, slots: usize) -> Held<T> {
        Held {
            samples: vec![T::default(); len * slots],
            len,
            slots,
            range: 0..0,
        }
    }

    /// Rows of `range` that are not held; both ends of successive ranges never go back.
    fn missing(&self, range: &Range<usize>) -> Range<usize> {
        let from = match self.range.contains(&range.start) {
            true => self.range.end,
            false => range.start,
        };
        from.min(range.end)..range.end
    }

    fn row(&self, y: usize) -> &[T] {
        let at = y % self.slots * self.len;
        &self.samples[at..at + self.len]
    }

    fn row_mut(&mut self, y: usize) -> &mut [T] {
        let at = y % self.slots * self.len;
        &mut self.samples[at..at + self.len]
    }
}

impl Local for Resize {
    fn output(&self, input: Shape) -> Result<Shape> {
        let (cols, rows) = self.size(input);
        limited(
            "resize",
            Shape {
                rows,
                cols,
                ..input
            },
        )
    }

    fn rows_needed(&self, out: Range<usize>, input: Shape) -> Range<isize> {
        let axes = self.axes(input);
        let (first, last) = (axes.rows.range(out.start), axes.rows.range(out.end - 1));
        first.start as isize..last.end as isize
    }

    fn geometry(&self, input: Shape) -> Option<Affine> {
        let (width, height) = self.size(input);
        let (x, y) = self.shown(input);
        let scale = |shown: &Range<f64>, len: usize| (shown.end - shown.start) / len as f64;
        Some(Affine {
            m: [
                [scale(&x, width), 0.0, x.start],
                [0.0, scale(&y, height), y.start],
            ],
        })
    }

    fn is_identity(&self, input: Shape) -> bool {
        self.size(input) == (input.cols, input.rows) && !matches!(self.fit, Fit::Shrunk { .. })
    }

    fn cost(&self) -> f64 {
        4.0
    }

    fn gpu(&self, input: Shape) -> Option<Kernel> {
        let axes = self.axes(input);
        let (across, down) = (axes.weights).downcast_ref::<(bytes::Weights, bytes::Weights)>()?;
        let output = self.output(input).ok()?;
        let alpha = input.color.has_alpha() && self.filter != Filter::Nearest;
        let pass = |program, shape, axis: &Axis, weights: &bytes::Weights| {
            let (words, stride) = weights.words(axis);
            Pass::new(program, shape)
                .params(&[stride as i32, axis.first.len() as i32])
                .data(words)
                .reads(axis.taps as f64)
        };
        let wide = Shape {
            cols: output.cols,
            ..input
        };
        let mut passes = Vec::new();
        if alpha {
            passes.push(
                Pass::new(&programs::PREMULTIPLY, input)
                    .on_input()
                    .reads(2.0),
            );
        }
        let along = |shape| pass(&programs::RESAMPLE_ALONG, shape, &axes.columns, across);
        let below = |shape| pass(&programs::RESAMPLE_DOWN, shape, &axes.rows, down);
        match (axes.columns.identity, axes.rows.identity, axes.rows_first) {
            (true, true, _) => return None,
            (true, false, _) => passes.push(below(output)),
            (false, true, _) => passes.push(along(output)),
            (_, _, true) => {
                let tall = Shape {
                    rows: output.rows,
                    ..input
                };
                passes.extend([below(tall), along(output)]);
            }
            (_, _, false) => passes.extend([along(wide).on_input(), below(output)]),
        }
        if alpha {
            passes.push(Pass::new(&programs::UNPREMULTIPLY, output).reads(2.0));
        }
        Kernel::of(passes)
    }

    fn apply(&self, input: &Window<'_>, out: &mut Band<'_>, scratch: &mut Scratch) {
        crate::by_sample!(out.shape.sample, T => self.rows::<T>(input, out, scratch));
    }

    fn shrink(&self, input: Shape) -> usize {
        if self.fit != Fit::Thumbnail {
            return 1;
        }
        let (width, height) = self.size(input);
        // What is left must be twice as large, so that the filter still does the antialiasing.
        let leaves = |factor: &usize| {
            input.cols.div_ceil(*factor) >= 2 * width && input.rows.div_ceil(*factor) >= 2 * height
        };
        [8, 4, 2].into_iter().find(leaves).unwrap_or(1)
    }

    fn shrunk(&self, original: Shape, reduced: Shape) -> Option<Arc<dyn Local>> {
        let shrunk = |factor: &usize| {
            (
                original.rows.div_ceil(*factor),
                original.cols.div_ceil(*factor),
            ) == (reduced.rows, reduced.cols)
        };
        let factor = [1, 2, 4, 8].into_iter().find(shrunk)?;
        let (width, height) = self.size(original);
        let fit = Fit::Shrunk {
            factor,
            rows: original.rows,
            cols: original.cols,
        };
        (self.fit == Fit::Thumbnail)
            .then(|| Arc::new(Resize::new(width, height, fit, self.filter)) as Arc<dyn Local>)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Color;

    fn size(text: &str, cols: usize, rows: usize) -> (usize, usize) {
        let pipeline = crate::Pipeline::parse(text).unwrap();
        let input = Shape::new(rows, cols, Color::Rgb, SampleType::U8);
        let output = crate::Plan::new(&pipeline, input).unwrap().output;
        (output.cols, output.rows)
    }

    #[test]
    fn sizes_follow_the_fit() {
        assert_eq!(size("resize(width=50)", 100, 61), (50, 31));
        assert_eq!(size("resize(height=1)", 1, 100), (1, 1));
        assert_eq!(
            size("resize(width=50, height=50, fit=inside)", 100, 60),
            (50, 30)
        );
        assert_eq!(
            size("resize(width=500, height=500, fit=inside)", 100, 60),
            (500, 300)
        );
        assert_eq!(
            size("resize(width=50, height=50, fit=cover)", 100, 60),
            (50, 50)
        );
        assert_eq!(size("thumbnail(size=50)", 60, 100), (30, 50));
        assert_eq!(size("thumbnail(size=500)", 60, 100), (60, 100));
    }

    #[test]
    fn some_size_must_be_given() {
        let error = crate::Pipeline::parse("resize(filter=box)").unwrap_err();
        assert!(error.to_string().contains("needs width or height"));
    }

    #[test]
    fn huge_results_are_refused() {
        let input = Shape::new(2000, 2, Color::Rgb, SampleType::U8);
        let pipeline = crate::Pipeline::parse("resize(width=1000000)").unwrap();
        let error = crate::Plan::new(&pipeline, input).map(|_| ()).unwrap_err();
        assert!(matches!(error, Error::Limit { .. }), "{error}");
    }
}
