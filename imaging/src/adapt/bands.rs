//! Steps that are defined channel by channel, on each band of an image of bands as on a gray image.

use super::plane;
use crate::border::Border;
use crate::error::{Error, Result};
use crate::executor::Context;
use crate::image::{Buffer, Color, Rows, Shape};
use crate::kernels::table::Table;
use crate::metadata::Affine;
use crate::op::{Collective, Local, Measured, Tally};
use crate::plan::clip;
use crate::window::{Band, Scratch, Window};
use std::ops::Range;
use std::sync::Arc;

/// An image of as many bands as `input`, each of which is `gray`.
fn banded(gray: Shape, input: Shape) -> Result<Shape> {
    match gray.color {
        Color::Gray => Ok(Shape {
            color: input.color,
            ..gray
        }),
        _ => Err(Error::Unsuitable(format!(
            "a step makes colours, and the image has {} bands (choose before it: select(bands=[1, 2, 3]))",
            input.channels()
        ))),
    }
}

/// Copies one band of rows `rows` into `gray`.
fn take(input: &Window<'_>, rows: Range<usize>, band: usize, gray: &mut Rows) {
    let step = input.shape().channels();
    gray.reset(rows.clone());
    let len = gray.shape.row_len();
    crate::by_any_sample!(gray.shape.sample, T => {
        let mut to = gray.data.as_mut();
        let to = <T as crate::Element>::of_mut(&mut to);
        for (y, to) in rows.zip(to.chunks_exact_mut(len.max(1))) {
            let from = input.row::<T>(y as isize).iter().skip(band).step_by(step);
            to.iter_mut().zip(from).for_each(|(t, s)| *t = *s);
        }
    });
}

/// Copies rows of a gray image into one band of `out`.
fn put(gray: &Rows, band: usize, out: &mut Band<'_>) {
    let step = out.shape.channels();
    crate::by_any_sample!(gray.shape.sample, T => {
        for y in gray.range() {
            let to = out.row::<T>(y).iter_mut().skip(band).step_by(step);
            to.zip(gray.row::<T>(y)).for_each(|(t, s)| *t = *s);
        }
    });
}

/// A local step on each band: one for all of them, or one for each.
pub struct EachLocal(Vec<Arc<dyn Local>>);

impl EachLocal {
    /// The same step on all bands.
    pub fn all(step: Arc<dyn Local>) -> EachLocal {
        EachLocal(vec![step])
    }

    fn of(&self, band: usize) -> &Arc<dyn Local> {
        &self.0[band.min(self.0.len() - 1)]
    }
}

#[derive(Default)]
struct Walks {
    source: Option<Rows>,
    result: Option<Rows>,
    black: Option<Buffer>,
    scratch: Vec<Scratch>,
}

impl Local for EachLocal {
    fn output(&self, input: Shape) -> Result<Shape> {
        banded(self.0[0].output(plane(input))?, input)
    }

    fn rows_needed(&self, out: Range<usize>, input: Shape) -> Range<isize> {
        self.0[0].rows_needed(out, plane(input))
    }

    fn border(&self) -> Border {
        self.0[0].border()
    }

    fn geometry(&self, input: Shape) -> Option<Affine> {
        self.0[0].geometry(plane(input))
    }

    fn is_identity(&self, input: Shape) -> bool {
        self.0.iter().all(|step| step.is_identity(plane(input)))
    }

    fn takes_bands(&self) -> bool {
        true
    }

    fn takes_f64(&self) -> bool {
        self.0.iter().all(|step| step.takes_f64())
    }

    fn cost(&self) -> f64 {
        // A band is taken out and put back.
        self.0[0].cost() + 1.0
    }

    fn apply(&self, input: &Window<'_>, out: &mut Band<'_>, scratch: &mut Scratch) {
        let (whole, gray) = (input.shape(), plane(input.shape()));
        let need = clip(self.0[0].rows_needed(out.range(), gray), gray.rows);
        let (walks, _) = scratch.state(out, Walks::default);
        let empty = |shape| Rows::zeroed(shape, 0..0);
        let source = walks.source.get_or_insert_with(|| empty(gray));
        let result = walks.result.get_or_insert_with(|| empty(plane(out.shape)));
        let black = || Buffer::zeroed(gray.sample, gray.row_len());
        let black = walks.black.get_or_insert_with(black);
        walks
            .scratch
            .resize_with(whole.channels(), Scratch::default);
        for (band, scratch) in walks.scratch.iter_mut().enumerate() {
            let step = self.of(band);
            take(input, need.clone(), band, source);
            result.reset(out.range());
            let pieces = [&*source];
            let window = Window::new(&pieces, gray, step.border(), black);
            step.apply(&window, &mut Band::of(result), scratch);
            put(result, band, out);
        }
    }
}

/// A measured step on each band for itself.
pub struct EachMeasured(Vec<Arc<dyn Measured>>);

impl EachMeasured {
    /// The same step on all of so many bands.
    pub fn all(step: Arc<dyn Measured>, bands: usize) -> EachMeasured {
        EachMeasured(vec![step; bands])
    }

    /// The tallies of the bands.
    fn split(&self, input: Shape, tally: &Tally) -> Vec<Tally> {
        let (mut sums, mut maxima) = (&tally.sums[..], &tally.maxima[..]);
        let mut parts = Vec::with_capacity(self.0.len());
        for step in &self.0 {
            let empty = step.empty(plane(input));
            let (own, rest) = sums.split_at(empty.sums.len());
            let (own_maxima, rest_maxima) = maxima.split_at(empty.maxima.len());
            parts.push(Tally {
                sums: own.to_vec(),
                maxima: own_maxima.to_vec(),
            });
            (sums, maxima) = (rest, rest_maxima);
        }
        parts
    }
}

fn join(parts: impl IntoIterator<Item = Tally>) -> Tally {
    let mut all = Tally::default();
    for part in parts {
        all.sums.extend(part.sums);
        all.maxima.extend(part.maxima);
    }
    all
}

impl Measured for EachMeasured {
    fn rows_needed(&self, rows: Range<usize>, input: Shape) -> Range<isize> {
        self.0[0].rows_needed(rows, plane(input))
    }

    fn border(&self) -> Border {
        self.0[0].border()
    }

    fn takes_f64(&self) -> bool {
        self.0[0].takes_f64()
    }

    fn empty(&self, input: Shape) -> Tally {
        join(self.0.iter().map(|step| step.empty(plane(input))))
    }

    fn measure(
        &self,
        input: &Window<'_>,
        rows: Range<usize>,
        tally: &mut Tally,
        _scratch: &mut Scratch,
    ) {
        let gray = plane(input.shape());
        let need = clip(self.0[0].rows_needed(rows.clone(), gray), gray.rows);
        let mut source = Rows::zeroed(gray, 0..0);
        let black = Buffer::zeroed(gray.sample, gray.row_len());
        let mut parts = self.split(input.shape(), tally);
        for (band, (step, part)) in self.0.iter().zip(&mut parts).enumerate() {
            take(input, need.clone(), band, &mut source);
            let pieces = [&source];
            let window = Window::new(&pieces, gray, step.border(), &black);
            step.measure(&window, rows.clone(), part, &mut Scratch::default());
        }
        *tally = join(parts);
    }

    fn refine(&self, input: Shape, tally: &Tally) -> Option<Arc<dyn Measured>> {
        let parts = self.split(input, tally);
        let next: Vec<_> = (self.0.iter().zip(&parts))
            .map(|(step, part)| step.refine(plane(input), part))
            .collect();
        if next.iter().all(Option::is_none) {
            return None;
        }
        // A band that is done is measured as before and says so again.
        let steps = next.into_iter().zip(&self.0);
        Some(Arc::new(EachMeasured(
            steps
                .map(|(next, old)| next.unwrap_or(old.clone()))
                .collect(),
        )))
    }

    fn finish(&self, input: Shape, tally: &Tally) -> Result<Vec<Arc<dyn Local>>> {
        let parts = self.split(input, tally);
        let lists = self.0.iter().zip(&parts);
        let mut lists: Vec<Vec<Arc<dyn Local>>> = lists
            .map(|(step, part)| step.finish(plane(input), part))
            .collect::<Result<_>>()?;
        let longest = lists.iter().map(Vec::len).max().unwrap_or(0);
        for list in &mut lists {
            list.resize_with(longest, || Arc::new(Table::curve(|v| v)));
        }
        let step = |k: usize| {
            let steps = lists.iter().map(|list| list[k].clone()).collect();
            Arc::new(EachLocal(steps)) as Arc<dyn Local>
        };
        Ok((0..longest).map(step).collect())
    }

    fn cost(&self) -> f64 {
        self.0[0].cost() + 1.0
    }
}

/// A collective step on one band after the other.
pub struct EachCollective(pub Arc<dyn Collective>);

impl Collective for EachCollective {
    fn output(&self, input: Shape) -> Result<Shape> {
        banded(self.0.output(plane(input))?, input)
    }

    fn geometry(&self, input: Shape) -> Option<Affine> {
        self.0.geometry(plane(input))
    }

    fn run(&self, context: &mut Context<'_>, input: Rows) -> Result<Rows> {
        let output = self.output(input.shape)?;
        let part = context.part(output);
        let mut result = Rows::zeroed(output, part);
        let black = Buffer::zeroed(input.shape.sample, input.shape.row_len());
        for band in 0..input.shape.channels() {
            let mut gray = Rows::zeroed(plane(input.shape), input.range());
            let pieces = [&input];
            let window = Window::new(&pieces, input.shape, Border::Replicate, &black);
            take(&window, input.range(), band, &mut gray);
            let done = self.0.run(context, gray)?;
            put(&done, band, &mut Band::of(&mut result));
        }
        Ok(result)
    }

    fn memory(&self, input: Shape, ranks: usize) -> usize {
        let gray = plane(input);
        self.0.memory(gray, ranks) + 2 * gray.bytes().div_ceil(ranks.max(1))
    }

    fn cost(&self) -> f64 {
        self.0.cost() + 1.0
    }
}
