//! One erosion or dilation: the least or greatest sample under an element.
//!
//! An element here is made of horizontal runs centred on the pixel. Rows with runs of the same length
//! are first joined vertically, then all runs are widened together from the longest to the shortest
//! (a run of half-width a + b is a run of half-width a over one of b), so that the work in x is that of
//! the longest run alone. Runs are found by doubling. What lies outside of the image counts as nothing:
//! for a centred run this equals repeating the edge.

use super::extremum_rows::{BLOCK, PAIRED, Work};
use super::ranked::{Greatest, Least, Pick, Ranked};
use crate::border::Border;
use crate::gpu::{Kernel, Pass, programs};
use crate::image::Shape;
use crate::op::Local;
use crate::window::{Band, Scratch, Window};
use std::ops::Range;

/// Rows of an element whose runs are equally long: those with `inner <= |dy| <= outer`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Group {
    /// Half-width of the runs.
    pub half: usize,
    /// Least distance from the centre row.
    pub inner: usize,
    /// Greatest distance from the centre row.
    pub outer: usize,
}

/// The least or greatest sample under an element, per channel.
#[derive(Clone, Debug)]
pub struct Extremum {
    /// Longest runs first; the first group holds the centre row.
    groups: Vec<Group>,
    greatest: bool,
}

impl Extremum {
    /// From the half-width of the element's run at each distance from its centre row. Half-widths
    /// never grow with the distance.
    pub fn new(halves: &[usize], greatest: bool) -> Extremum {
        let mut groups: Vec<Group> = Vec::new();
        for (dy, &half) in halves.iter().enumerate() {
            match groups.last_mut() {
                Some(group) if group.half == half => group.outer = dy,
                _ => groups.push(Group {
                    half,
                    inner: dy,
                    outer: dy,
                }),
            }
        }
        // A vertical line through the centre may as well be whole: then its rows are joined in blocks.
        if let [_, line] = &mut groups[..] {
            line.inner = if line.half == 0 { 0 } else { line.inner };
        }
        Extremum { groups, greatest }
    }

    /// Rows that the element reaches above and below.
    pub fn reach(&self) -> usize {
        self.groups.last().map_or(0, |g| g.outer)
    }

    fn rows<T: Ranked, P: Pick>(
        &self,
        input: &Window<'_>,
        out: &mut Band<'_>,
        scratch: &mut Scratch,
    ) {
        let (work, _) = scratch.state(out, Work::<T::Key>::default);
        let shape = input.shape();
        work.fit(shape, self.groups[0].half);
        let longest = self.groups.iter().filter(|g| g.inner == 0);
        let step = match longest.map(|g| g.outer).max() {
            None | Some(0) => 1,
            Some(1..=PAIRED) => 2,
            Some(reach) => reach.min(BLOCK),
        };
        let range = out.range();
        for at in range.clone().step_by(step) {
            let block = at..(at + step).min(range.end);
            self.block::<T, P>(input, out, block, work);
        }
    }

    fn block<T: Ranked, P: Pick>(
        &self,
        input: &Window<'_>,
        out: &mut Band<'_>,
        block: Range<usize>,
        work: &mut Work<T::Key>,
    ) {
        let mut half = self.groups[0].half;
        for (k, group) in self.groups.iter().enumerate() {
            let fresh = k == 0;
            if !fresh {
                for i in 0..block.len() {
                    work.widen::<P>(i, half - group.half);
                }
                half = group.half;
            }
            if group.inner == 0 {
                work.whole::<T, P>(input, block.clone(), group.outer, fresh);
            } else {
                work.sides::<T, P>(input, block.clone(), group);
            }
        }
        for (i, y) in block.enumerate() {
            work.finish::<T, P>(i, half, out.row::<T>(y));
        }
    }
}

impl Local for Extremum {
    fn rows_needed(&self, out: Range<usize>, _input: Shape) -> Range<isize> {
        let reach = self.reach() as isize;
        out.start as isize - reach..out.end as isize + reach
    }

    fn border(&self) -> Border {
        Border::Replicate
    }

    fn takes_bands(&self) -> bool {
        true
    }

    fn keeps_alpha(&self) -> bool {
        true
    }

    fn cost(&self) -> f64 {
        0.3 + 0.05 * self.groups.len() as f64
    }

    fn gpu(&self, input: Shape) -> Option<Kernel> {
        if input.color.bands().is_some() {
            return None;
        }
        // Larger rectangles and elements are the processor's, whose work hardly grows with them.
        const MOST: usize = 64;
        const MOST_ELEMENT: usize = 8;
        let (reach, greatest) = (self.reach(), i32::from(self.greatest));
        let pass = |program| Pass::new(program, input).constant("GREATEST", greatest);
        if let [group] = self.groups[..] {
            let passes = vec![
                pass(&programs::EXTREMUM_DOWN)
                    .params(&[reach as i32])
                    .reads((2 * reach + 1) as f64 / 4.0),
                pass(&programs::EXTREMUM_ALONG)
                    .params(&[group.half as i32])
                    .reads((2 * group.half + 1) as f64),
            ];
            return (reach.max(group.half) <= MOST).then_some(Kernel { passes });
        }
        // The half-width at each distance from the centre row; a line through it may have been made whole.
        let half = |dy: usize| {
            let holds = |g: &&Group| g.inner <= dy && dy <= g.outer;
            self.groups
                .iter()
                .filter(holds)
                .map(|g| g.half)
                .max()
                .unwrap_or(0)
        };
        let halves: Vec<u32> = (0..=reach).map(|dy| half(dy) as u32).collect();
        let area: u32 = halves.iter().map(|h| 2 * (2 * h + 1)).sum();
        let element = pass(&programs::ELEMENT)
            .params(&[reach as i32])
            .data(halves)
            .reads(f64::from(area));
        (reach.max(self.groups[0].half) <= MOST_ELEMENT).then_some(Kernel {
            passes: vec![element],
        })
    }

    fn apply(&self, input: &Window<'_>, out: &mut Band<'_>, scratch: &mut Scratch) {
        crate::by_sample!(input.shape().sample, T => match self.greatest {
            true => self.rows::<T, Greatest>(input, out, scratch),
            false => self.rows::<T, Least>(input, out, scratch),
        });
    }
}

#[cfg(test)]
#[path = "extremum_tests.rs"]
mod tests;
