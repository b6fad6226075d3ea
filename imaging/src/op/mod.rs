//! What an operation is: its name, its parameters, and the steps it is made of.

mod param;

pub use param::{ALPHA, Args, Kind, Param, Value, nearest};

use crate::border::Border;
use crate::comm::Comm;
use crate::error::Result;
use crate::executor::Context;
use crate::gpu::{Count, Kernel};
use crate::image::{Rows, Shape};
use crate::metadata::Affine;
use crate::window::{Band, Scratch, Window};
use std::ops::Range;
use std::sync::Arc;

/// One operation as users see it. Each file under `ops/` holds one or a close family of these.
pub struct Op {
    /// Name in pipelines.
    pub name: &'static str,
    /// What it does, in one sentence.
    pub about: &'static str,
    /// Its parameters, in the order in which they are shown.
    pub params: &'static [Param],
    /// A pipeline that shows its use.
    pub example: &'static str,
    /// The group under which menus and the reference page show it.
    pub group: Group,
    /// What it makes of the channels.
    pub channels: Channels,
    /// Makes its steps from arguments that were checked against `params`.
    pub build: fn(&Args) -> Result<Vec<Step>>,
}

/// Groups of operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Each output sample from one pixel.
    Point,
    /// Whole-image statistics first.
    Histogram,
    /// Neighbourhoods that smooth or sharpen.
    Filter,
    /// Gradients, edges, corners, lines.
    Edges,
    /// Minimum and maximum filters.
    Morphology,
    /// Pixels change place.
    Geometry,
    /// Which channels there are.
    Channels,
}

/// What an operation makes of the channels of a pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channels {
    /// Each for itself, or gray for itself where there is one: any number of bands will do.
    Each,
    /// Colours are mixed, so bands are refused.
    Mixed,
}

impl Group {
    /// Title of the group.
    pub fn title(self) -> &'static str {
        match self {
            Group::Point => "Point operations",
            Group::Histogram => "Histograms",
            Group::Filter => "Filters",
            Group::Edges => "Edges and features",
            Group::Morphology => "Morphology",
            Group::Geometry => "Geometry",
            Group::Channels => "Channels",
        }
    }

    /// Whether samples keep the units that they had: results of the others are of the full range, or of none.
    pub fn keeps_units(self) -> bool {
        match self {
            Group::Filter | Group::Morphology | Group::Geometry | Group::Channels => true,
            Group::Point | Group::Histogram | Group::Edges => false,
        }
    }
}

/// What an operation is made of; the executor runs these without knowing which operation they are.
#[derive(Clone)]
pub enum Step {
    /// Output rows from a bounded range of input rows.
    Local(Arc<dyn Local>),
    /// A tally over the whole image first, merged over all ranks, then local steps.
    Measured(Arc<dyn Measured>),
    /// Talks to the other ranks itself.
    Collective(Arc<dyn Collective>),
}

impl Step {
    /// A local step.
    pub fn local(step: impl Local + 'static) -> Step {
        Step::Local(Arc::new(step))
    }

    /// A measured step.
    pub fn measured(step: impl Measured + 'static) -> Step {
        Step::Measured(Arc::new(step))
    }

    /// A collective step.
    pub fn collective(step: impl Collective + 'static) -> Step {
        Step::Collective(Arc::new(step))
    }
}

/// A step whose output rows need only some input rows.
pub trait Local: Send + Sync {
    /// Shape of the output for that input; an error where the step cannot be applied to it.
    fn output(&self, input: Shape) -> Result<Shape> {
        Ok(input)
    }

    /// Input rows for output rows `out`. May reach outside of the image: such rows are answered by
    /// [`Local::border`]. The default is the same rows.
    fn rows_needed(&self, out: Range<usize>, input: Shape) -> Range<isize> {
        let _ = input;
        out.start as isize..out.end as isize
    }

    /// The rule for rows outside of the image (kernels apply the same to columns).
    fn border(&self) -> Border {
        Border::Reflect101
    }

    /// Whether the input's alpha channel replaces the output's after `apply` (same shape only).
    fn keeps_alpha(&self) -> bool {
        false
    }

    /// Whether samples are only moved, so that those of 64 bits need not be narrowed.
    fn takes_f64(&self) -> bool {
        false
    }

    /// Whether any number of channels will do as they are. The planner runs other steps on each band for itself.
    fn takes_bands(&self) -> bool {
        false
    }

    /// The steps that do the work on an image of that shape, where that takes several.
    fn parts(&self, input: Shape) -> Option<Vec<Arc<dyn Local>>> {
        let _ = input;
        None
    }

    /// Whether the step leaves every image of this shape as it is; the planner then drops it.
    fn is_identity(&self, input: Shape) -> bool {
        let _ = input;
        false
    }

    /// For a step that maps each 8-bit sample by itself: the table, one for all colour channels.
    /// Consecutive tables are composed into one.
    fn table(&self) -> Option<[u8; 256]> {
        None
    }

    /// Rough cost in nanoseconds per output sample on one core, for the planner.
    fn cost(&self) -> f64 {
        1.0
    }

    /// The greatest of 1, 2, 4 and 8 by which a decoder may shrink the image beforehand without
    /// visible loss.
    fn shrink(&self, input: Shape) -> usize {
        let _ = input;
        1
    }

    /// The step that makes the same output from an image that a decoder shrunk from `original` to
    /// `reduced` (sides divided by [`Local::shrink`] and rounded up); `None` where there is none.
    fn shrunk(&self, original: Shape, reduced: Shape) -> Option<Arc<dyn Local>> {
        let _ = (original, reduced);
        None
    }

    /// Where the output's pixels come from in an input of that shape, or `None` where that cannot be said.
    /// Steps that keep the size keep every pixel in its place unless they say otherwise.
    fn geometry(&self, input: Shape) -> Option<Affine> {
        let output = self.output(input).ok()?;
        ((output.rows, output.cols) == (input.rows, input.cols)).then_some(Affine::IDENTITY)
    }

    /// The step on a graphics device, for 8-bit samples of that shape; `None` where it has no form there. Its output is
    /// equal to that of [`Local::apply`] to the last bit.
    fn gpu(&self, input: Shape) -> Option<Kernel> {
        let _ = input;
        None
    }

    /// Fill the band. Rows of the window are asked for by their index in the input image.
    fn apply(&self, input: &Window<'_>, out: &mut Band<'_>, scratch: &mut Scratch);
}

/// Whole-image numbers that merge exactly in any order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// Merged by addition.
    pub sums: Vec<i64>,
    /// Merged by maximum.
    pub maxima: Vec<i64>,
}

impl Tally {
    /// Adds another part of the image.
    pub fn merge(&mut self, other: &Tally) {
        for (a, b) in self.sums.iter_mut().zip(&other.sums) {
            *a += b;
        }
        for (a, b) in self.maxima.iter_mut().zip(&other.maxima) {
            *a = (*a).max(*b);
        }
    }

    /// Merges the tallies of all ranks.
    pub fn reduce(&mut self, comm: &dyn Comm) {
        if !self.sums.is_empty() {
            comm.all_reduce(&mut self.sums, crate::comm::Reduce::Sum);
        }
        if !self.maxima.is_empty() {
            comm.all_reduce(&mut self.maxima, crate::comm::Reduce::Max);
        }
    }
}

/// A step that measures the whole image, then works locally.
pub trait Measured: Send + Sync {
    /// Input rows that measuring rows `rows` needs (rows outside follow [`Measured::border`]).
    fn rows_needed(&self, rows: Range<usize>, input: Shape) -> Range<isize> {
        let _ = input;
        rows.start as isize..rows.end as isize
    }

    /// The rule for rows outside of the image while measuring.
    fn border(&self) -> Border {
        Border::Reflect101
    }

    /// The tally of no rows at all.
    fn empty(&self, input: Shape) -> Tally;

    /// Add input rows `rows` to the tally.
    fn measure(
        &self,
        input: &Window<'_>,
        rows: Range<usize>,
        tally: &mut Tally,
        scratch: &mut Scratch,
    );

    /// What is to be measured next, now that this is known; then the tally of that counts. `None` where all is known.
    fn refine(&self, input: Shape, tally: &Tally) -> Option<Arc<dyn Measured>> {
        let _ = (input, tally);
        None
    }

    /// Whether samples are counted in bins of 0..=1, so that floats beyond it have to be brought there.
    fn spans(&self) -> bool {
        false
    }

    /// Whether it measures 64-bit floats.
    fn takes_f64(&self) -> bool {
        false
    }

    /// How 8-bit images of that shape are counted on a graphics device, into the tally's sums; `None` where that is not
    /// possible.
    fn gpu(&self, input: Shape) -> Option<Count> {
        let _ = input;
        None
    }

    /// The local steps for that tally. Also called with the empty tally when planning, for shapes
    /// and rows needed, which must not depend on the tally.
    fn finish(&self, input: Shape, tally: &Tally) -> Result<Vec<Arc<dyn Local>>>;

    /// Rough cost of measuring in nanoseconds per input sample.
    fn cost(&self) -> f64 {
        0.5
    }
}

/// A step that exchanges data with the other ranks in its own way.
pub trait Collective: Send + Sync {
    /// Shape of the output for that input.
    fn output(&self, input: Shape) -> Result<Shape> {
        Ok(input)
    }

    /// As [`Local::geometry`].
    fn geometry(&self, input: Shape) -> Option<Affine> {
        let output = self.output(input).ok()?;
        ((output.rows, output.cols) == (input.rows, input.cols)).then_some(Affine::IDENTITY)
    }

    /// Turn this rank's rows of the input into this rank's rows of the output (both as cut by
    /// [`crate::halo::partition`]). All ranks call this together and must leave together.
    fn run(&self, context: &mut Context<'_>, input: Rows) -> Result<Rows>;

    /// Whether any number of channels will do, and samples of any type: it only moves them.
    fn takes_bands(&self) -> bool {
        false
    }

    /// As [`Measured::spans`].
    fn spans(&self) -> bool {
        false
    }

    /// Whether an input of that shape becomes the output where it lies.
    fn in_place(&self, _input: Shape) -> bool {
        false
    }

    /// Working memory in bytes on one rank beside its input and output rows.
    fn memory(&self, input: Shape, ranks: usize) -> usize {
        input.bytes() / ranks.max(1)
    }

    /// Rough cost in nanoseconds per input sample.
    fn cost(&self) -> f64 {
        5.0
    }
}
