//! The difference of two chains of erosions and dilations of the same source.
//!
//! Both chains run inside of one step, since the source's rows are needed by both. Each pass keeps its
//! latest rows, so that consecutive bands compute each row once.

use super::extremum::Extremum;
use crate::border::Border;
use crate::image::{Buffer, Element, Rows, Shape};
use crate::op::Local;
use crate::plan::clip;
use crate::window::{Band, Scratch, Window};
use std::ops::Range;

/// The first chain's result minus the second's, which is never negative. An empty chain is the source.
pub struct Difference {
    plus: Vec<Extremum>,
    minus: Vec<Extremum>,
}

impl Difference {
    /// Of these two chains.
    pub fn new(plus: Vec<Extremum>, minus: Vec<Extremum>) -> Difference {
        Difference { plus, minus }
    }
}

fn reach(chain: &[Extremum]) -> usize {
    chain.iter().map(Extremum::reach).sum()
}

/// What each chain keeps from band to band.
#[derive(Default)]
struct Kept {
    plus: Vec<Pass>,
    minus: Vec<Pass>,
    other: Option<Rows>,
    black: Option<Buffer>,
}

/// One pass: its working memory and its latest output rows.
#[derive(Default)]
struct Pass {
    scratch: Scratch,
    rows: Option<Rows>,
}

impl Local for Difference {
    fn rows_needed(&self, out: Range<usize>, _input: Shape) -> Range<isize> {
        let reach = reach(&self.plus).max(reach(&self.minus)) as isize;
        out.start as isize - reach..out.end as isize + reach
    }

    fn border(&self) -> Border {
        Border::Replicate
    }

    fn keeps_alpha(&self) -> bool {
        true
    }

    fn cost(&self) -> f64 {
        let passes = self.plus.iter().chain(&self.minus);
        0.3 + passes.map(Local::cost).sum::<f64>()
    }

    fn apply(&self, input: &Window<'_>, out: &mut Band<'_>, scratch: &mut Scratch) {
        let (kept, goes_on) = scratch.state(out, Kept::default);
        if !goes_on {
            *kept = Kept::default();
        }
        kept.plus.resize_with(self.plus.len(), Pass::default);
        kept.minus.resize_with(self.minus.len(), Pass::default);
        let shape = input.shape();
        let black = &*kept
            .black
            .get_or_insert_with(|| Buffer::zeroed(shape.sample, shape.row_len()));
        let mut other = match kept.other.take() {
            Some(rows) if rows.count == out.count => Rows {
                first: out.first,
                ..rows
            },
            _ => Rows::zeroed(shape, out.range()),
        };
        chain(&self.plus, &mut kept.plus, input, out, black);
        chain(
            &self.minus,
            &mut kept.minus,
            input,
            &mut Band::of(&mut other),
            black,
        );
        crate::by_sample!(shape.sample, T => {
            let minus = T::of(&other.data);
            subtract::<T>(out.samples::<T>(), minus);
        });
        kept.other = Some(other);
    }
}

/// Fills `out` with the result of a chain of passes.
fn chain(
    passes: &[Extremum],
    kept: &mut [Pass],
    input: &Window<'_>,
    out: &mut Band<'_>,
    black: &Buffer,
) {
    let (Some((last, before)), Some((pass, kept))) = (passes.split_last(), kept.split_last_mut())
    else {
        return crate::by_sample!(input.shape().sample, T => {
            for y in out.range() {
                out.row::<T>(y).copy_from_slice(input.row::<T>(y as isize));
            }
        });
    };
    if before.is_empty() {
        return last.apply(input, out, &mut pass.scratch);
    }
    let shape = input.shape();
    let need = clip(last.rows_needed(out.range(), shape), shape.rows);
    let rows = pass
        .rows
        .get_or_insert_with(|| Rows::zeroed(shape, need.start..need.start));
    let from = move_on(rows, need.clone());
    if from < need.end {
        let (_, mut new) = Band::of(rows).split(from - need.start);
        chain(before, kept, input, &mut new, black);
    }
    let pieces = [&*rows];
    let window = Window::new(&pieces, shape, last.border(), black);
    last.apply(&window, out, &mut pass.scratch);
}

/// Makes `rows` hold `need`, keeping those that it held already; returns the first row to be computed.
fn move_on(rows: &mut Rows, need: Range<usize>) -> usize {
    let (held, len) = (rows.range(), rows.shape.row_len());
    let kept = match held.start <= need.start && need.start <= held.end {
        true => need.start..held.end.min(need.end),
        false => need.start..need.start,
    };
    if !kept.is_empty() {
        let at = kept.start - held.start;
        rows.data.copy_within(at * len..(at + kept.len()) * len, 0);
    }
    rows.first = need.start;
    rows.count = need.len();
    rows.data.resize(need.len() * len);
    kept.end
}

crate::simd! {
    fn subtract<T: Minus>(target: &mut [T], minus: &[T]) {
        for (t, m) in target.iter_mut().zip(minus) {
            *t = t.minus(*m);
        }
    }
}

/// Subtraction that stops at zero.
trait Minus: Element {
    fn minus(self, other: Self) -> Self;
}

impl Minus for u8 {
    #[inline(always)]
    fn minus(self, other: u8) -> u8 {
        self.saturating_sub(other)
    }
}

impl Minus for u16 {
    #[inline(always)]
    fn minus(self, other: u16) -> u16 {
        self.saturating_sub(other)
    }
}

impl Minus for f32 {
    #[inline(always)]
    fn minus(self, other: f32) -> f32 {
        self - other
    }
}
