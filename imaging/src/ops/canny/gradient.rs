//! Canny's first half: the gradient by Sobel's masks, and the suppression of all but its ridges.
//!
//! The arithmetic is that of OpenCV's `Canny` for 8-bit images: Sobel sums in integers (those of
//! aperture 7 divided by 16, halves to even) with the image's edge continued, magnitudes outside of the
//! image zero, and directions told apart by tan 22.5° in 15-bit fixed point.

use crate::border::Border;
use crate::image::{Element, Shape};
use crate::op::Local;
use crate::window::{Band, Scratch, Window};
use std::ops::Range;

/// Marks the ridges of the gradient of a gray image: 0 none, 1 above the low threshold, 2 above the high
/// one. The result has the input's shape and sample type; alpha is kept. Samples of 16 bits and floats
/// are rounded to 8 bits first.
pub struct Ridges {
    low: i32,
    high: i32,
    radius: usize,
    l2: bool,
}

impl Ridges {
    /// Thresholds as OpenCV takes them (exchanged when low is above high), for an aperture of 3, 5 or 7;
    /// `l2`: magnitudes are Euclidean instead of |dx| + |dy|.
    pub fn new(low: f64, high: f64, aperture: usize, l2: bool) -> Ridges {
        let bound = |value: f64| {
            let value = if aperture == 7 { value / 16.0 } else { value };
            match l2 {
                true => value.min(32767.0) * value.min(32767.0),
                false => value,
            }
            .floor() as i32
        };
        Ridges {
            low: bound(low.min(high)),
            high: bound(low.max(high)),
            radius: aperture / 2,
            l2,
        }
    }

    fn rows<T: Element, M: Magnitude>(
        &self,
        input: &Window<'_>,
        out: &mut Band<'_>,
        scratch: &mut Scratch,
    ) {
        let shape = input.shape();
        let channels = shape.channels();
        let (state, goes_on) =
            scratch.state(out, || State::<M>::new(shape.rows, shape.cols, self.radius));
        let (first, end) = (out.first as isize, (out.first + out.count) as isize);
        let from = if goes_on { first + 1 } else { first - 1 };
        if !goes_on {
            state.next_line = from.max(0) - self.radius as isize;
        }
        let (low, high) = (M::narrow(self.low), M::narrow(self.high));
        for y in from..=end {
            state.gradient::<T>(input, y);
            if y <= first {
                continue;
            }
            let target = out.row::<T>((y - 1) as usize);
            if T::TYPE == crate::SampleType::U8 && channels == 1 {
                state.suppress(y - 1, low, high, bytemuck::cast_slice_mut(target));
                continue;
            }
            let mut map = std::mem::take(&mut state.map);
            map.resize(shape.cols, 0);
            state.suppress(y - 1, low, high, &mut map);
            for (t, m) in target.chunks_exact_mut(channels).zip(&map) {
                t[0] = T::saturate32(f32::from(*m));
            }
            state.map = map;
        }
    }
}

impl Local for Ridges {
    fn rows_needed(&self, out: Range<usize>, _input: Shape) -> Range<isize> {
        let reach = self.radius as isize + 1;
        out.start as isize - reach..out.end as isize + reach
    }

    fn border(&self) -> Border {
        Border::Replicate
    }

    fn keeps_alpha(&self) -> bool {
        true
    }

    fn cost(&self) -> f64 {
        1.5
    }

    fn apply(&self, input: &Window<'_>, out: &mut Band<'_>, scratch: &mut Scratch) {
        crate::by_sample!(input.shape().sample, T => match self.l2 {
            false => self.rows::<T, i16>(input, out, scratch),
            true => self.rows::<T, i32>(input, out, scratch),
        });
    }
}

/// The integer that holds a magnitude: 16 bits for |dx| + |dy| (at most 24480), 32 for dx² + dy².
trait Magnitude: Copy + Default + PartialOrd + Send + 'static {
    fn of(dx: i16, dy: i16) -> Self;
    fn narrow(threshold: i32) -> Self;
}

impl Magnitude for i16 {
    #[inline(always)]
    fn of(dx: i16, dy: i16) -> i16 {
        dx.abs() + dy.abs()
    }
    fn narrow(threshold: i32) -> i16 {
        threshold.min(i32::from(i16::MAX)) as i16
    }
}

impl Magnitude for i32 {
    #[inline(always)]
    fn of(dx: i16, dy: i16) -> i32 {
        i32::from(dx) * i32::from(dx) + i32::from(dy) * i32::from(dy)
    }
    fn narrow(threshold: i32) -> i32 {
        threshold
    }
}

/// Rows in flight. Row `y` of a ring lies at `y` modulo its length.
struct State<M> {
    rows: isize,
    radius: usize,
    /// The latest input rows in 8 bits, continued by `radius` at both ends.
    lines: Vec<Vec<u8>>,
    /// The next row to be read into `lines`.
    next_line: isize,
    /// Smoothed and differentiated down the columns.
    smooth: Vec<i16>,
    slope: Vec<i16>,
    dx: [Vec<i16>; 3],
    dy: [Vec<i16>; 3],
    /// With a zero at both ends.
    magnitude: [Vec<M>; 3],
    map: Vec<u8>,
}

fn slot(y: isize, ring: usize) -> usize {
    y.rem_euclid(ring as isize) as usize
}

impl<M: Magnitude> State<M> {
    fn new(rows: usize, cols: usize, radius: usize) -> State<M> {
        let wide = cols + 2 * radius;
        State {
            rows: rows as isize,
            radius,
            lines: vec![vec![0; wide]; 2 * radius + 1],
            next_line: 0,
            smooth: vec![0; wide],
            slope: vec![0; wide],
            dx: std::array::from_fn(|_| vec![0; cols]),
            dy: std::array::from_fn(|_| vec![0; cols]),
            magnitude: std::array::from_fn(|_| vec![M::default(); cols + 2]),
            map: Vec::new(),
        }
    }

    /// Computes row `y` of the gradient and its magnitude.
    fn gradient<T: Element>(&mut self, input: &Window<'_>, y: isize) {
        let here = slot(y, 3);
        if !(0..self.rows).contains(&y) {
            self.magnitude[here].fill(M::default());
            return;
        }
        let (radius, ring) = (self.radius as isize, 2 * self.radius + 1);
        while self.next_line <= y + radius {
            let line = &mut self.lines[slot(self.next_line, ring)];
            let channels = input.shape().channels();
            fill_line(input.row::<T>(self.next_line), channels, self.radius, line);
            self.next_line += 1;
        }
        let line = |d: isize| self.lines[slot(y + d, ring)].as_slice();
        let (smooth, slope) = (&mut self.smooth[..], &mut self.slope[..]);
        let (dx, dy) = (&mut self.dx[here][..], &mut self.dy[here][..]);
        let cols = dx.len();
        let magnitude = &mut self.magnitude[here][1..=cols];
        match self.radius {
            1 => {
                down3([line(-1), line(0), line(1)], smooth, slope);
                across3(smooth, slope, dx, dy, magnitude);
            }
            2 => {
                let lines = [line(-2), line(-1), line(0), line(1), line(2)];
                down5(lines, smooth, slope);
                across5(smooth, slope, dx, dy, magnitude);
            }
            _ => {
                let lines = [-3, -2, -1, 0, 1, 2, 3].map(line);
                down7(lines, smooth, slope);
                across7(smooth, slope, dx, dy, magnitude);
            }
        }
    }

    /// Writes row `y` of the map; rows `y - 1` to `y + 1` of the gradient are there.
    fn suppress(&self, y: isize, low: M, high: M, map: &mut [u8]) {
        let at = slot(y, 3);
        suppress(
            &self.dx[at],
            &self.dy[at],
            [
                &self.magnitude[slot(y - 1, 3)],
                &self.magnitude[at],
                &self.magnitude[slot(y + 1, 3)],
            ],
            [low, high],
            map,
        );
    }
}

/// Gray samples in 8 bits, the ends continued.
fn fill_line<T: Element>(source: &[T], channels: usize, radius: usize, line: &mut [u8]) {
    let cols = source.len() / channels;
    let inner = &mut line[radius..radius + cols];
    match T::TYPE {
        crate::SampleType::U8 if channels == 1 => {
            inner.copy_from_slice(bytemuck::cast_slice(source));
        }
        _ => {
            for (t, s) in inner.iter_mut().zip(source.chunks_exact(channels)) {
                *t = u8::saturate32(s[0].to_f32() * (255.0 / T::TOP as f32));
            }
        }
    }
    let (first, last) = (inner[0], inner[cols - 1]);
    line[..radius].fill(first);
    line[radius + cols..].fill(last);
}

#[inline(always)]
fn wide<const N: usize>(lines: [&[u8]; N], x: usize) -> [i16; N] {
    lines.map(|line| i16::from(line[x]))
}

/// Quotient by 16, halves to even.
#[inline(always)]
fn sixteenth(sum: i32) -> i16 {
    ((sum + 7 + ((sum >> 4) & 1)) >> 4) as i16
}

crate::simd! {
    fn down3(lines: [&[u8]; 3], smooth: &mut [i16], slope: &mut [i16]) {
        let n = smooth.len();
        let (lines, slope) = (lines.map(|l| &l[..n]), &mut slope[..n]);
        for x in 0..n {
            let [a, b, c] = wide(lines, x);
            smooth[x] = a + 2 * b + c;
            slope[x] = c - a;
        }
    }
}

crate::simd! {
    fn down5(lines: [&[u8]; 5], smooth: &mut [i16], slope: &mut [i16]) {
        let n = smooth.len();
        let (lines, slope) = (lines.map(|l| &l[..n]), &mut slope[..n]);
        for x in 0..n {
            let [a, b, c, d, e] = wide(lines, x);
            smooth[x] = a + e + 4 * (b + d) + 6 * c;
            slope[x] = e - a + 2 * (d - b);
        }
    }
}

crate::simd! {
    fn down7(lines: [&[u8]; 7], smooth: &mut [i16], slope: &mut [i16]) {
        let n = smooth.len();
        let (lines, slope) = (lines.map(|l| &l[..n]), &mut slope[..n]);
        for x in 0..n {
            let [a, b, c, d, e, f, g] = wide(lines, x);
            smooth[x] = a + g + 6 * (b + f) + 15 * (c + e) + 20 * d;
            slope[x] = g - a + 4 * (f - b) + 5 * (e - c);
        }
    }
}

crate::simd! {
    fn across3<M: Magnitude>(smooth: &[i16], slope: &[i16], dx: &mut [i16], dy: &mut [i16], magnitude: &mut [M]) {
        let n = dx.len();
        let (smooth, slope) = (&smooth[..n + 2], &slope[..n + 2]);
        let (dy, magnitude) = (&mut dy[..n], &mut magnitude[..n]);
        for x in 0..n {
            dx[x] = smooth[x + 2] - smooth[x];
            dy[x] = slope[x] + slope[x + 2] + 2 * slope[x + 1];
            magnitude[x] = M::of(dx[x], dy[x]);
        }
    }
}

crate::simd! {
    fn across5<M: Magnitude>(smooth: &[i16], slope: &[i16], dx: &mut [i16], dy: &mut [i16], magnitude: &mut [M]) {
        let n = dx.len();
        let (smooth, slope) = (&smooth[..n + 4], &slope[..n + 4]);
        let (dy, magnitude) = (&mut dy[..n], &mut magnitude[..n]);
        for x in 0..n {
            let t = |d: usize| slope[x + d];
            dx[x] = smooth[x + 4] - smooth[x] + 2 * (smooth[x + 3] - smooth[x + 1]);
            dy[x] = t(0) + t(4) + 4 * (t(1) + t(3)) + 6 * t(2);
            magnitude[x] = M::of(dx[x], dy[x]);
        }
    }
}

crate::simd! {
    fn across7<M: Magnitude>(smooth: &[i16], slope: &[i16], dx: &mut [i16], dy: &mut [i16], magnitude: &mut [M]) {
        let n = dx.len();
        let (smooth, slope) = (&smooth[..n + 6], &slope[..n + 6]);
        let (dy, magnitude) = (&mut dy[..n], &mut magnitude[..n]);
        for x in 0..n {
            let s = |d: usize| i32::from(smooth[x + d]);
            let t = |d: usize| i32::from(slope[x + d]);
            dx[x] = sixteenth(s(6) - s(0) + 4 * (s(5) - s(1)) + 5 * (s(4) - s(2)));
            dy[x] = sixteenth(t(0) + t(6) + 6 * (t(1) + t(5)) + 15 * (t(2) + t(4)) + 20 * t(3));
            magnitude[x] = M::of(dx[x], dy[x]);
        }
    }
}

/// tan 22.5° in 15-bit fixed point.
const TAN: u32 = 13573;

crate::simd! {
    /// Non-maximum suppression of one row. `rows`: magnitudes above, here and below, with a zero at both ends.
    ///
    /// With q = floor(|dx| tan 22.5°) the exact tests |dy| < |dx| tan 22.5° and |dy| > |dx| tan 67.5°
    /// (tan 67.5° = tan 22.5° + 2) become |dy| <= q and |dy| > q + 2 |dx|: as TAN is odd, the product is
    /// whole only for dx = 0, where |dy| = 0 has no magnitude to keep.
    fn suppress<M: Magnitude>(dx: &[i16], dy: &[i16], rows: [&[M]; 3], thresholds: [M; 2], map: &mut [u8]) {
        let n = map.len();
        let (dx, dy) = (&dx[..n], &dy[..n]);
        let [above, here, below] = rows.map(|row| &row[..n + 2]);
        let [low, high] = thresholds;
        for x in 0..n {
            let m = here[x + 1];
            let (ax, ay) = (dx[x].unsigned_abs(), dy[x].unsigned_abs());
            let q = ((u32::from(2 * ax) * TAN) >> 16) as u16;
            let flat = ay <= q;
            let steep = ay > q + 2 * ax;
            let rising = (dx[x] ^ dy[x]) < 0;
            let along = (m > here[x]) & (m >= here[x + 2]);
            let down = (m > above[x + 1]) & (m >= below[x + 1]);
            let falls = (m > above[x]) & (m > below[x + 2]);
            let rises = (m > above[x + 2]) & (m > below[x]);
            let slanted = (rising & rises) | (!rising & falls);
            let keep = (flat & along) | (!flat & ((steep & down) | (!steep & slanted)));
            map[x] = u8::from(keep & (m > low)) + u8::from(keep & (m > low) & (m > high));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comm::serial::Serial;
    use crate::executor::Context;
    use crate::{Buffer, Color, Rows, SampleType};
    use std::sync::Arc;

    /// Canny's candidates straight from the definition, with the angles in exact integers.
    fn naive(image: &[u8], cols: usize, aperture: usize, l2: bool, low: i64, high: i64) -> Vec<u8> {
        let rows = (image.len() / cols) as isize;
        let (smooth, slope): (&[i64], &[i64]) = match aperture {
            3 => (&[1, 2, 1], &[-1, 0, 1]),
            5 => (&[1, 4, 6, 4, 1], &[-1, -2, 0, 2, 1]),
            _ => (&[1, 6, 15, 20, 15, 6, 1], &[-1, -4, -5, 0, 5, 4, 1]),
        };
        let scale = if aperture == 7 { 16.0 } else { 1.0 };
        let radius = (aperture / 2) as isize;
        let sum = |y: isize, x: isize, down: &[i64], across: &[i64]| {
            let mut sum = 0;
            for (j, d) in down.iter().enumerate() {
                for (i, a) in across.iter().enumerate() {
                    let v = (y + j as isize - radius).clamp(0, rows - 1) as usize;
                    let u = (x + i as isize - radius).clamp(0, cols as isize - 1) as usize;
                    sum += d * a * i64::from(image[v * cols + u]);
                }
            }
            (sum as f64 / scale).round_ties_even() as i64
        };
        let inside = |y: isize, x: isize| (0..rows).contains(&y) && (0..cols as isize).contains(&x);
        let gradient = |y, x| (sum(y, x, smooth, slope), sum(y, x, slope, smooth));
        let magnitude = |y, x| match (inside(y, x), gradient(y, x)) {
            (false, _) => 0,
            (true, (dx, dy)) if l2 => dx * dx + dy * dy,
            (true, (dx, dy)) => dx.abs() + dy.abs(),
        };
        let mut map = Vec::new();
        for y in 0..rows {
            for x in 0..cols as isize {
                let (dx, dy) = gradient(y, x);
                let m = magnitude(y, x);
                let across = dx.abs() * i64::from(TAN);
                let upright = dy.abs() << 15;
                let keep = if upright < across {
                    m > magnitude(y, x - 1) && m >= magnitude(y, x + 1)
                } else if upright > across + (dx.abs() << 16) {
                    m > magnitude(y - 1, x) && m >= magnitude(y + 1, x)
                } else {
                    let s = if (dx < 0) != (dy < 0) { -1 } else { 1 };
                    m > magnitude(y - 1, x - s) && m > magnitude(y + 1, x + s)
                };
                map.push(u8::from(keep && m > low) * (1 + u8::from(m > high)));
            }
        }
        map
    }

    #[test]
    fn candidates_equal_the_definition() {
        let mut state = 7u32;
        for (rows, cols) in [(1, 1), (1, 9), (9, 1), (2, 3), (23, 37), (70, 40)] {
            let image: Vec<u8> = (0..rows * cols)
                .map(|i| {
                    state = state.wrapping_mul(1664525).wrapping_add(1013904223);
                    let block = if (i / cols / 6 + i % cols / 9) % 2 == 0 {
                        40
                    } else {
                        190
                    };
                    (block + (state >> 27)) as u8
                })
                .collect();
            let shape = Shape::new(rows, cols, Color::Gray, SampleType::U8);
            let mut input = Rows::zeroed(shape, 0..rows);
            input.data = Buffer::U8(image.clone());
            for (aperture, l2) in [
                (3, false),
                (3, true),
                (5, false),
                (5, true),
                (7, false),
                (7, true),
            ] {
                let scale = [1.0, 12.0, 200.0][aperture / 2 - 1];
                let ridges = Ridges::new(170.0 * scale, 40.0 * scale, aperture, l2);
                let (low, high) = (i64::from(ridges.low), i64::from(ridges.high));
                assert!(low < high);
                let expected = naive(&image, cols, aperture, l2, low, high);
                let comm = Serial::default();
                let got = Context::new(&comm)
                    .locals(&input, &[Arc::new(ridges)])
                    .unwrap();
                assert_eq!(
                    got.data,
                    Buffer::U8(expected),
                    "{rows}x{cols}, {aperture}, {l2}"
                );
            }
        }
    }
}
