//! Means of square windows by running sums: whatever the radius, a sample enters and leaves each sum once.
//!
//! Sums are integers, so it makes no difference where a walk begins; for floats see `boxed_floats`.

use super::padded::Padded;
use super::{boxed_floats, round};
use crate::border::Border;
use crate::gpu::{Kernel, Pass, programs};
use crate::image::{Element, Shape};
use crate::window::{Band, Scratch, Window};
use std::any::Any;
use std::num::Wrapping;
use std::ops::{Add, Range};

/// The mean of `(2 * radius + 1)^2` samples, rounded to nearest.
pub struct Boxed {
    radius: usize,
    border: Border,
}

impl Boxed {
    /// A window of that radius.
    pub fn new(radius: usize, border: Border) -> Boxed {
        Boxed { radius, border }
    }

    /// Pixels from the centre to the window's edge.
    pub fn radius(&self) -> usize {
        self.radius
    }

    /// Input rows for output rows `out`.
    pub fn rows_needed(&self, out: Range<usize>) -> Range<isize> {
        let radius = self.radius as isize;
        out.start as isize - radius..out.end as isize + radius
    }

    /// The border rule.
    pub fn border(&self) -> Border {
        self.border
    }

    /// The two passes on a graphics device for 8-bit samples; `None` for windows so large that running sums win.
    pub fn gpu(&self, input: Shape) -> Option<Kernel> {
        // Sums of columns fit into 16 bits, those of windows into a float's significand.
        const MOST: usize = 64;
        if self.radius > MOST || input.color.bands().is_some() {
            return None;
        }
        let width = 2 * self.radius + 1;
        let area = width * width;
        let scale = (1.0 / area as f32).to_bits();
        let significand = (scale & 0x7f_ffff) | 0x80_0000;
        // The float is its significand times 2^-places.
        let places = 150 - (scale >> 23) as i32;
        let whole = if width <= 15 { area as i32 } else { 0 };
        let radius = self.radius as i32;
        let down = Pass::new(&programs::BOX_DOWN, input)
            .params(&[radius])
            .border(self.border)
            .reads(width as f64 / 4.0)
            .halves();
        let along = Pass::new(&programs::BOX_ALONG, input)
            .params(&[radius, whole, significand as i32, places])
            .border(self.border)
            .reads(width as f64);
        Kernel::of(vec![down, along])
    }

    /// Calls `finish(source row, means, output row)` for each row of the band.
    pub fn rows<T: Mean>(
        &self,
        input: &Window<'_>,
        out: &mut Band<'_>,
        scratch: &mut Scratch,
        finish: impl FnMut(&[T], &[T], &mut [T]),
    ) {
        T::rows(self, input, out, scratch, finish);
    }

    fn slide<T: Element, S: Column<T>>(
        &self,
        input: &Window<'_>,
        out: &mut Band<'_>,
        scratch: &mut Scratch,
        mut finish: impl FnMut(&[T], &[T], &mut [T]),
    ) {
        let (shape, range, radius) = (input.shape(), out.range(), self.radius as isize);
        let (state, goes_on) = scratch.state(out, || State::<T, S>::new(self, shape));
        let row = |y: isize| input.row::<T>(y);
        // Between bands the sums hold all rows of the next window but its last one: the next band may
        // not ask for the row that leaves.
        if !goes_on {
            state.columns.inner().fill(S::default());
            let first = range.start as isize;
            for y in first - radius..first + radius {
                enter(state.columns.inner(), row(y));
            }
        }
        for y in range.clone() {
            let at = y as isize;
            let sums = state.columns.inner();
            match y == range.start {
                true => enter(sums, row(at + radius)),
                false => exchange(sums, row(at + radius), row(at - radius - 1)),
            }
            let columns = state.columns.surrounded();
            let width = 2 * self.radius + 1;
            let (running, means) = (&mut state.running, &mut state.means);
            S::means(columns, width, shape.channels(), running, means);
            finish(row(at), means, out.row::<T>(y));
        }
        if let Some(last) = range.last() {
            leave(state.columns.inner(), row(last as isize - radius));
        }
    }
}

struct State<T, S: Column<T>> {
    columns: Padded<S>,
    running: Vec<S::Total>,
    means: Vec<T>,
}

impl<T: Element, S: Column<T>> State<T, S> {
    fn new(boxed: &Boxed, shape: Shape) -> State<T, S> {
        let (radius, channels) = (boxed.radius, shape.channels());
        let black = S::default();
        State {
            columns: Padded::new(shape.cols, channels, radius, boxed.border, black),
            running: vec![S::Total::default(); (shape.cols + 2 * radius + 1) * channels],
            means: vec![T::default(); shape.row_len()],
        }
    }
}

/// A sample type whose means can be taken.
pub trait Mean: Element {
    /// As [`Boxed::rows`].
    fn rows(
        boxed: &Boxed,
        input: &Window<'_>,
        out: &mut Band<'_>,
        scratch: &mut Scratch,
        finish: impl FnMut(&[Self], &[Self], &mut [Self]),
    );
}

impl Mean for u8 {
    fn rows(
        boxed: &Boxed,
        input: &Window<'_>,
        out: &mut Band<'_>,
        scratch: &mut Scratch,
        finish: impl FnMut(&[u8], &[u8], &mut [u8]),
    ) {
        /// The largest width of a window whose columns fit into 16 bits.
        const NARROW: usize = 257;
        match 2 * boxed.radius < NARROW {
            true => boxed.slide::<u8, u16>(input, out, scratch, finish),
            false => boxed.slide::<u8, u32>(input, out, scratch, finish),
        }
    }
}

impl Mean for u16 {
    fn rows(
        boxed: &Boxed,
        input: &Window<'_>,
        out: &mut Band<'_>,
        scratch: &mut Scratch,
        finish: impl FnMut(&[u16], &[u16], &mut [u16]),
    ) {
        boxed.slide::<u16, u32>(input, out, scratch, finish);
    }
}

impl Mean for f32 {
    fn rows(
        boxed: &Boxed,
        input: &Window<'_>,
        out: &mut Band<'_>,
        scratch: &mut Scratch,
        finish: impl FnMut(&[f32], &[f32], &mut [f32]),
    ) {
        boxed_floats::rows(boxed, input, out, scratch, finish);
    }
}

/// The sum of one column of a window on samples `T`.
pub trait Column<T>: Copy + Default + Any + Send {
    /// The sum of a window. Sums from the row's beginning may wrap around; their differences are right.
    type Total: Copy + Default + Any + Send;
    /// The sum of one sample.
    fn of(sample: T) -> Self;
    /// With another one added.
    fn plus(self, other: Self) -> Self;
    /// With another one taken away.
    fn minus(self, other: Self) -> Self;
    /// The means of `width` columns of `width` samples, the first of them at `columns[0]`; pixels are
    /// `step` samples apart. `running` is working memory.
    fn means(
        columns: &[Self],
        width: usize,
        step: usize,
        running: &mut [Self::Total],
        means: &mut [T],
    );
}

macro_rules! column {
    ($sum:ty, $t:ty, $total:ty, $of:expr, $means:expr) => {
        impl Column<$t> for $sum {
            type Total = $total;
            #[inline(always)]
            fn of(sample: $t) -> $sum {
                $of(sample)
            }
            #[inline(always)]
            fn plus(self, other: $sum) -> $sum {
                self.wrapping_add(other)
            }
            #[inline(always)]
            fn minus(self, other: $sum) -> $sum {
                self.wrapping_sub(other)
            }
            fn means(
                columns: &[$sum],
                width: usize,
                step: usize,
                running: &mut [$total],
                means: &mut [$t],
            ) {
                $means(columns, width, step, running, means)
            }
        }
    };
}
column!(u16, u8, Wrapping<u32>, u16::from, narrow);
column!(
    u32,
    u8,
    Wrapping<u32>,
    u32::from,
    |columns, width, step, running: &mut [Wrapping<u32>], means| {
        accumulate(columns, step, running, Wrapping);
        eight(running, width * step, 1.0 / (width * width) as f32, means);
    }
);
column!(
    u32,
    u16,
    Wrapping<u64>,
    u32::from,
    |columns, width, step, running: &mut [Wrapping<u64>], means| {
        accumulate(columns, step, running, |sum: u32| Wrapping(sum as u64));
        sixteen(running, width * step, 1.0 / (width * width) as f64, means);
    }
);
crate::simd! {
    fn enter<T: Element, S: Column<T>>(sums: &mut [S], row: &[T]) {
        for (sum, v) in sums.iter_mut().zip(row) {
            *sum = sum.plus(S::of(*v));
        }
    }
}

crate::simd! {
    fn leave<T: Element, S: Column<T>>(sums: &mut [S], row: &[T]) {
        for (sum, v) in sums.iter_mut().zip(row) {
            *sum = sum.minus(S::of(*v));
        }
    }
}

crate::simd! {
    fn exchange<T: Element, S: Column<T>>(sums: &mut [S], enters: &[T], leaves: &[T]) {
        for ((sum, a), b) in sums.iter_mut().zip(enters).zip(leaves) {
            *sum = sum.plus(S::of(*a)).minus(S::of(*b));
        }
    }
}

/// `running[i + step]` becomes the sum of all columns up to `i` of the same channel.
fn accumulate<S: Copy, W: Copy + Default + Add<Output = W>>(
    columns: &[S],
    step: usize,
    running: &mut [W],
    widen: impl Fn(S) -> W,
) {
    match step {
        1 => accumulate_pixels::<1, S, W>(columns, running, widen),
        2 => accumulate_pixels::<2, S, W>(columns, running, widen),
        3 => accumulate_pixels::<3, S, W>(columns, running, widen),
        4 => accumulate_pixels::<4, S, W>(columns, running, widen),
        _ => {
            running[..step].fill(W::default());
            for (at, column) in columns.iter().enumerate() {
                running[at + step] = running[at] + widen(*column);
            }
        }
    }
}

fn accumulate_pixels<const N: usize, S: Copy, W: Copy + Default + Add<Output = W>>(
    columns: &[S],
    running: &mut [W],
    widen: impl Fn(S) -> W,
) {
    let (first, rest) = running.split_at_mut(N);
    let mut sums = [W::default(); N];
    first.copy_from_slice(&sums);
    for (out, pixel) in rest.chunks_exact_mut(N).zip(columns.chunks_exact(N)) {
        for c in 0..N {
            sums[c] = sums[c] + widen(pixel[c]);
            out[c] = sums[c];
        }
    }
}

macro_rules! differences {
    ($name:ident, $total:ty, $t:ty, $scale:ty, |$sum:ident, $by:ident| $mean:expr) => {
        crate::simd! {
            fn $name(running: &[Wrapping<$total>], span: usize, $by: $scale, means: &mut [$t]) {
                let before = &running[..means.len()];
                let after = &running[span..][..means.len()];
                for ((mean, a), b) in means.iter_mut().zip(before).zip(after) {
                    let $sum = b.0.wrapping_sub(a.0);
                    *mean = $mean;
                }
            }
        }
    };
}
differences!(eight, u32, u8, f32, |sum, scale| round::to_u8(
    sum as i32 as f32 * scale
));
differences!(sixteen, u64, u16, f64, |sum, scale| {
    (sum as i64 as f64 * scale + 0.5) as u32 as u16
});

/// Small windows: all columns are added for each sample, in 16 bits.
fn narrow(
    columns: &[u16],
    width: usize,
    step: usize,
    running: &mut [Wrapping<u32>],
    means: &mut [u8],
) {
    match width {
        3 => add_all::<Width<3>>(columns, step, means),
        5 => add_all::<Width<5>>(columns, step, means),
        7 => add_all::<Width<7>>(columns, step, means),
        9 => add_all::<Width<9>>(columns, step, means),
        11 => add_all::<Width<11>>(columns, step, means),
        13 => add_all::<Width<13>>(columns, step, means),
        15 => add_all::<Width<15>>(columns, step, means),
        _ => {
            accumulate(columns, step, running, |sum: u16| Wrapping(sum as u32));
            eight(running, width * step, 1.0 / (width * width) as f32, means);
        }
    }
}

/// Division by the area of a window as multiplication: `sum / area == (sum * FACTOR) >> (16 + SHIFT)`
/// for every sum with half of the area added.
trait Area {
    const WIDTH: usize;
    const AREA: u32 = (Self::WIDTH * Self::WIDTH) as u32;
    const SHIFT: u32 = Self::AREA.ilog2();
    const FACTOR: u32 = {
        let one = 1u64 << (16 + Self::SHIFT);
        let (area, largest) = (
            Self::AREA as u64,
            255 * Self::AREA as u64 + Self::AREA as u64 / 2,
        );
        let factor = one.div_ceil(area);
        assert!(largest < 1 << 16 && factor < 1 << 16);
        assert!((factor * area - one) * largest < one);
        factor as u32
    };
}

struct Width<const N: usize>;

impl<const N: usize> Area for Width<N> {
    const WIDTH: usize = N;
}

crate::simd! {
    fn add_all<A: Area>(columns: &[u16], step: usize, means: &mut [u8]) {
        let len = means.len();
        // As many as the widest; those beyond the width are not read.
        let taps: [&[u16]; 15] = std::array::from_fn(|k| &columns[k.min(A::WIDTH - 1) * step..][..len]);
        for i in 0..len {
            let mut sum = (A::AREA / 2) as u16;
            for k in 0..A::WIDTH {
                sum += taps[k][i];
            }
            means[i] = (((sum as u32 * A::FACTOR) >> 16) as u16 >> A::SHIFT) as u8;
        }
    }
}
