//! From a pipeline and an image's shape to something that can always be run.
//!
//! A maximal run of local steps is a *segment*: one halo exchange of the summed depth comes before
//! it, and rows stream through all of its steps without a whole image in between.

use crate::adapt;
use crate::error::{Error, Result};
use crate::gpu::Offload;
use crate::image::{SampleType, Shape};
use crate::kernels::table::Table;
use crate::metadata::Affine;
use crate::op::{Collective, Local, Measured, Step};
use crate::pipeline::Pipeline;
use crate::warning::{Warning, WarningKind};
use std::ops::Range;
use std::sync::Arc;

/// Local steps with the shapes between them.
#[derive(Clone)]
pub struct Segment {
    /// Shape of the first step's input.
    pub input: Shape,
    /// The steps; consecutive 8-bit tables are already composed.
    pub locals: Vec<Arc<dyn Local>>,
    /// Output shape of each step.
    pub shapes: Vec<Shape>,
    /// The device that computes it, where the planner sent it there.
    pub gpu: Option<Arc<Offload>>,
}

impl Segment {
    /// Checks the steps against the shape and composes tables.
    pub fn new(input: Shape, locals: &[Arc<dyn Local>]) -> Result<Segment> {
        let mut segment = Segment {
            input,
            locals: Vec::new(),
            shapes: Vec::new(),
            gpu: None,
        };
        let mut pending: Option<[u8; 256]> = None;
        for local in locals {
            segment.push(local, &mut pending)?;
        }
        segment.flush(pending);
        Ok(segment)
    }

    /// Adds a step, or the steps that stand for it on the shape that it meets.
    fn push(&mut self, local: &Arc<dyn Local>, pending: &mut Option<[u8; 256]>) -> Result<()> {
        let input = self.output();
        let shape = local.output(input)?;
        if local.is_identity(input) {
            return Ok(());
        }
        let fit = adapt::local(local, input);
        if let [same] = &fit[..]
            && Arc::ptr_eq(same, local)
        {
            let table = local.table().filter(|_| input.sample == SampleType::U8);
            match (table, pending.take()) {
                (Some(next), Some(first)) => {
                    *pending = Some(std::array::from_fn(|v| next[first[v] as usize]));
                }
                (Some(next), None) => *pending = Some(next),
                (None, first) => {
                    self.flush(first);
                    self.locals.push(local.clone());
                    self.shapes.push(shape);
                }
            }
            return Ok(());
        }
        fit.iter().try_for_each(|step| self.push(step, pending))
    }

    fn flush(&mut self, table: Option<[u8; 256]>) {
        if let Some(table) = table {
            self.shapes.push(self.output());
            self.locals.push(Arc::new(Table::eight(table)));
        }
    }

    /// Shape of the last step's output.
    pub fn output(&self) -> Shape {
        *self.shapes.last().unwrap_or(&self.input)
    }

    /// Input shape of step `k`.
    pub fn input_of(&self, k: usize) -> Shape {
        if k == 0 {
            self.input
        } else {
            self.shapes[k - 1]
        }
    }

    /// Input rows of step `k` (inside its image) for its output rows `out`.
    pub fn need(&self, k: usize, out: Range<usize>) -> Range<usize> {
        let input = self.input_of(k);
        if out.is_empty() {
            let at = out.start.min(input.rows);
            return at..at;
        }
        clip(self.locals[k].rows_needed(out, input), input.rows)
    }

    /// Rows of the segment's input for rows `out` of its output.
    pub fn rows_needed(&self, out: Range<usize>) -> Range<usize> {
        (0..self.locals.len())
            .rev()
            .fold(out, |range, k| self.need(k, range))
    }

    /// The largest number of bytes in one row of any image of the segment.
    pub fn widest_row(&self) -> usize {
        self.shapes
            .iter()
            .map(Shape::row_bytes)
            .fold(self.input.row_bytes(), usize::max)
    }

    /// Rows by which a band of output reaches beyond itself in the segment's input, at the most.
    pub fn depth(&self) -> usize {
        let rows = self.output().rows;
        let probe = |y: usize| self.rows_needed(y..(y + 1).min(rows)).len();
        if rows == 0 {
            0
        } else {
            [0, rows / 3, rows / 2, rows - 1]
                .map(probe)
                .into_iter()
                .max()
                .unwrap_or(1)
                .saturating_sub(1)
        }
    }

    /// Rough nanoseconds of one core for the whole segment.
    pub fn cost(&self) -> f64 {
        self.locals
            .iter()
            .zip(&self.shapes)
            .map(|(l, s)| l.cost() * (s.rows * s.row_len()) as f64)
            .sum()
    }
}

/// `range` cut to `0..rows`.
pub fn clip(range: Range<isize>, rows: usize) -> Range<usize> {
    let start = range.start.clamp(0, rows as isize) as usize;
    start..(range.end.clamp(0, rows as isize) as usize).max(start)
}

/// What comes before a segment.
#[derive(Clone)]
pub enum Head {
    /// Nothing: rows come straight from the source.
    Source,
    /// A whole-image measure whose local steps go first in the segment.
    Measured(Arc<dyn Measured>),
    /// A step that talks to the other ranks.
    Collective(Arc<dyn Collective>),
}

/// One stage of a plan: a head and the segment behind it.
#[derive(Clone)]
pub struct Stage {
    /// What comes first.
    pub head: Head,
    /// Shape of the head's input.
    pub input: Shape,
    /// Local steps that follow the head.
    pub tail: Vec<Arc<dyn Local>>,
    /// The segment as planned; for a measured head with the steps of an empty tally, so only its
    /// shapes and rows needed may be used.
    pub segment: Segment,
    /// The device that counts for a measured head, where the planner sent it there.
    pub gpu: Option<Arc<Offload>>,
}

/// A pipeline fitted to an image's shape. It can always be run.
#[derive(Clone)]
pub struct Plan {
    /// Shape of the source.
    pub input: Shape,
    /// Shape of the result.
    pub output: Shape,
    /// At least one stage; only the first has [`Head::Source`].
    pub stages: Vec<Stage>,
    /// What the steps cost beside what they are asked for.
    pub warnings: Vec<Warning>,
}

/// A stage to which steps are still added.
struct Open {
    head: Head,
    input: Shape,
    tail: Vec<Arc<dyn Local>>,
}

impl Open {
    fn new(head: Head, input: Shape) -> Open {
        Open {
            head,
            input,
            tail: Vec::new(),
        }
    }

    fn segment(&self) -> Result<Segment> {
        match &self.head {
            Head::Source => Segment::new(self.input, &self.tail),
            Head::Measured(m) => {
                let mut locals = m.finish(self.input, &m.empty(self.input))?;
                locals.extend(self.tail.iter().cloned());
                Segment::new(self.input, &locals)
            }
            Head::Collective(c) => Segment::new(c.output(self.input)?, &self.tail),
        }
    }

    /// The shape that the next head meets, 64-bit floats narrowed unless it takes them.
    fn ends(&mut self, takes_f64: bool) -> Result<Shape> {
        let shape = self.segment()?.output();
        if shape.sample != SampleType::F64 || takes_f64 {
            return Ok(shape);
        }
        self.tail.push(Arc::new(adapt::Narrow));
        Ok(self.segment()?.output())
    }

    fn close(self) -> Result<Stage> {
        Ok(Stage {
            segment: self.segment()?,
            head: self.head,
            input: self.input,
            tail: self.tail,
            gpu: None,
        })
    }
}

impl Plan {
    /// Fits the pipeline to a shape. Fails where an operation cannot be applied (a crop beyond the edge).
    pub fn new(pipeline: &Pipeline, input: Shape) -> Result<Plan> {
        Plan::from_steps(&pipeline.steps()?, input)
    }

    /// The factor by which a decoder may shrink the image for this pipeline: 1, 2, 4 or 8. The plan
    /// for what it gives is [`Plan::new_shrunk`].
    pub fn decode_shrink(pipeline: &Pipeline, input: Shape) -> usize {
        match pipeline.steps().as_deref() {
            Ok([Step::Local(first), ..]) => first.shrink(input),
            _ => 1,
        }
    }

    /// A plan for an image that its decoder shrunk from `original` to `reduced`.
    pub fn new_shrunk(pipeline: &Pipeline, original: Shape, reduced: Shape) -> Result<Plan> {
        Plan::from_steps(&Plan::shrunk_steps(pipeline, original, reduced)?, reduced)
    }

    /// The pipeline's steps for an image that its decoder shrunk from `original` to `reduced`; an error
    /// unless the pipeline begins with a step that can make up for it.
    pub fn shrunk_steps(pipeline: &Pipeline, original: Shape, reduced: Shape) -> Result<Vec<Step>> {
        let mut steps = pipeline.steps()?;
        if original != reduced {
            let shrunk = match steps.first() {
                Some(Step::Local(first)) => first.shrunk(original, reduced),
                _ => None,
            };
            match shrunk {
                Some(step) => steps[0] = Step::Local(step),
                None => {
                    return Err(Error::Unsuitable(format!(
                        "the pipeline cannot begin with {} x {} pixels in place of {} x {}",
                        reduced.cols, reduced.rows, original.cols, original.rows
                    )));
                }
            }
        }
        Ok(steps)
    }

    /// Fits steps to a shape.
    pub fn from_steps(steps: &[Step], input: Shape) -> Result<Plan> {
        let mut stages = Vec::new();
        let mut open = Open {
            head: Head::Source,
            input,
            tail: Vec::new(),
        };
        for step in steps {
            match step {
                Step::Local(local) => open.tail.push(local.clone()),
                Step::Measured(measured) => {
                    let shape = open.ends(measured.takes_f64())?;
                    let head = Head::Measured(adapt::measured(measured, shape));
                    stages.push(open.close()?);
                    open = Open::new(head, shape);
                }
                Step::Collective(collective) => {
                    let shape = open.ends(collective.takes_bands())?;
                    let head = Head::Collective(adapt::collective(collective, shape));
                    stages.push(open.close()?);
                    open = Open::new(head, shape);
                }
            }
        }
        // Nothing local before the first head: the head takes the source itself.
        let last = open.close()?;
        let output = last.segment.output();
        stages.push(last);
        let mut plan = Plan {
            input,
            output,
            stages,
            warnings: Vec::new(),
        };
        if input.sample == SampleType::F64 && output.sample != SampleType::F64 {
            plan.warnings.push(Warning::new(
                WarningKind::Converted,
                "64-bit floats were computed in 32 bits",
            ));
        }
        Ok(plan)
    }

    /// Where the result's pixels come from in the source, as far as the steps tell.
    pub fn geometry(&self) -> Option<Affine> {
        let mut whole = Affine::IDENTITY;
        for stage in &self.stages {
            if let Head::Collective(collective) = &stage.head {
                whole = collective.geometry(stage.input)?.then(&whole);
            }
            for (k, local) in stage.segment.locals.iter().enumerate() {
                whole = local.geometry(stage.segment.input_of(k))?.then(&whole);
            }
        }
        Some(whole)
    }

    /// Whether rows can stream from source to result without the whole image in memory.
    pub fn streams(&self) -> bool {
        self.stages.len() == 1
    }

    /// Rough nanoseconds of one core for the whole image.
    pub fn cost(&self) -> f64 {
        let heads = self.stages.iter().map(|stage| {
            let samples = (stage.input.rows * stage.input.row_len()) as f64;
            match &stage.head {
                Head::Source => 0.0,
                Head::Measured(m) => m.cost() * samples,
                Head::Collective(c) => c.cost() * samples,
            }
        });
        heads.sum::<f64>() + self.stages.iter().map(|s| s.segment.cost()).sum::<f64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Color;

    const SHAPE: Shape = Shape {
        rows: 100,
        cols: 40,
        color: Color::Rgb,
        sample: SampleType::U8,
    };

    fn plan(text: &str) -> Plan {
        Plan::new(&Pipeline::parse(text).unwrap(), SHAPE).unwrap()
    }

    #[test]
    fn a_segment_reaches_as_far_as_its_steps_together() {
        let of = |text: &str| plan(text).stages[0].segment.clone();
        assert_eq!(of("invert").depth(), 0);
        assert_eq!(of("box_blur(radius=3) | sharpen").depth(), 2 * 4);
        assert_eq!(of("flip(axis=vertical)").depth(), 0);
        let segment = of("box_blur(radius=3) | sharpen");
        assert_eq!(segment.rows_needed(0..1), 0..5);
        assert_eq!(segment.rows_needed(50..52), 46..56);
        assert_eq!(segment.rows_needed(99..100), 95..100);
        // Nothing needs nothing, where it stands.
        assert_eq!(segment.need(0, 7..7), 7..7);
        assert_eq!(segment.rows_needed(120..120), 100..100);
    }

    #[test]
    fn ranges_are_cut_to_the_image() {
        assert_eq!(clip(-5..3, 10), 0..3);
        assert_eq!(clip(8..12, 10), 8..10);
        assert_eq!(clip(-5..-1, 10), 0..0);
        assert_eq!(clip(12..15, 10), 10..10);
    }

    #[test]
    fn costs_of_steps_and_heads_add_up() {
        let alone = |text: &str| plan(text).cost();
        assert_eq!(alone(""), 0.0);
        for text in ["gaussian(sigma=2)", "equalize", "rotate", "butterworth"] {
            assert!(alone(text) > 0.0, "{text}");
        }
        let sum = alone("gaussian(sigma=2)") + alone("butterworth") + alone("sharpen");
        let together = alone("gaussian(sigma=2) | butterworth | sharpen");
        assert!((together - sum).abs() < 1e-6 * sum);
        let twice = Shape { rows: 200, ..SHAPE };
        let pipeline = Pipeline::parse("gaussian(sigma=2) | butterworth | sharpen").unwrap();
        let large = Plan::new(&pipeline, twice).unwrap().cost();
        assert!((large - 2.0 * together).abs() < 1e-6 * large);
    }
}
