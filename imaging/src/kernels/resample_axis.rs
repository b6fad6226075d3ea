//! The weights by which samples along one axis make new ones, as Pillow's `Image.resize` has them.

use std::f64::consts::PI;

/// How new samples are made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Filter {
    /// Windowed sine over three samples.
    Lanczos3,
    /// Cubic with a = -0.5.
    Bicubic,
    /// Triangle.
    Bilinear,
    /// Mean of the samples covered.
    Box,
    /// The sample below the centre.
    Nearest,
}

impl Filter {
    /// The names in pipelines, the default first.
    pub const NAMES: &'static [&'static str] =
        &["lanczos3", "bicubic", "bilinear", "box", "nearest"];

    /// The filter of that name, which was checked to be one.
    pub fn from_name(name: &str) -> Filter {
        match name {
            "lanczos3" => Filter::Lanczos3,
            "bicubic" => Filter::Bicubic,
            "bilinear" => Filter::Bilinear,
            "box" => Filter::Box,
            "nearest" => Filter::Nearest,
            other => unreachable!("words were checked: {other}"),
        }
    }

    /// Distance from the centre beyond which there is no weight.
    fn support(self) -> f64 {
        match self {
            Filter::Lanczos3 => 3.0,
            Filter::Bicubic => 2.0,
            Filter::Bilinear => 1.0,
            Filter::Box | Filter::Nearest => 0.5,
        }
    }

    fn weight(self, x: f64) -> f64 {
        let sinc = |x: f64| {
            if x == 0.0 {
                1.0
            } else {
                libm::sin(x * PI) / (x * PI)
            }
        };
        match self {
            Filter::Lanczos3 if (-3.0..3.0).contains(&x) => sinc(x) * sinc(x / 3.0),
            Filter::Bicubic => {
                const A: f64 = -0.5;
                match x.abs() {
                    x if x < 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
                    x if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * A,
                    _ => 0.0,
                }
            }
            Filter::Bilinear => (1.0 - x.abs()).max(0.0),
            Filter::Box | Filter::Nearest if x > -0.5 && x <= 0.5 => 1.0,
            _ => 0.0,
        }
    }
}

/// For each new sample: the first old one and the weights of it and its followers.
#[derive(Debug, PartialEq)]
pub struct Axis {
    /// Index of the first old sample; never decreases.
    pub first: Vec<usize>,
    /// Number of old samples.
    pub count: Vec<usize>,
    /// Greatest `count`, the stride of `weights`.
    pub taps: usize,
    /// Weights that sum to one, filled up with zeros.
    pub weights: Vec<f64>,
    /// Nothing changes along this axis.
    pub identity: bool,
    /// Each new sample is the mean of the two old ones at twice its place.
    pub halves: bool,
}

impl Axis {
    /// `len` samples from `from..to` of `old` samples, by the filter; where they are fewer, it is
    /// widened so that all old samples count.
    pub fn new(filter: Filter, old: usize, from: f64, to: f64, len: usize) -> Axis {
        let identity = len == old && from == 0.0 && to == old as f64;
        let mut axis = match (identity, filter) {
            (true, _) => Axis::single((0..old).collect()),
            (_, Filter::Nearest) => Axis::nearest(old, from, to, len, false),
            _ => Axis::weighted(filter, old, from, to, len),
        };
        axis.identity = identity;
        axis.halves = !identity
            && (axis.first.iter().enumerate()).all(|(i, &first)| first == 2 * i)
            && axis.count.iter().all(|&count| count == 2)
            && axis.weights.iter().all(|&w| w == 0.5);
        axis
    }

    fn single(first: Vec<usize>) -> Axis {
        Axis {
            count: vec![1; first.len()],
            taps: 1,
            weights: vec![1.0; first.len()],
            identity: false,
            halves: false,
            first,
        }
    }

    /// The old sample below the centre of each new one. Pillow adds the places up step by step, but
    /// for 16-bit samples takes each by itself (`each`), which shows where a centre lies just between
    /// two samples.
    pub fn nearest(old: usize, from: f64, to: f64, len: usize, each: bool) -> Axis {
        let scale = (to - from) / len as f64;
        let mut at = from + scale * 0.5;
        let mut first = Vec::with_capacity(len);
        for i in 0..len {
            let place = if each {
                from + (i as f64 + 0.5) * scale
            } else {
                at
            };
            first.push((place as usize).min(old - 1));
            at += scale;
        }
        let mut axis = Axis::single(first);
        axis.identity = len == old && from == 0.0 && to == old as f64;
        axis
    }

    fn weighted(filter: Filter, old: usize, from: f64, to: f64, len: usize) -> Axis {
        let scale = (to - from) / len as f64;
        let widening = scale.max(1.0);
        let support = filter.support() * widening;
        let (mut first, mut count) = (Vec::with_capacity(len), Vec::with_capacity(len));
        let mut rows: Vec<Vec<f64>> = Vec::with_capacity(len);
        for i in 0..len {
            let centre = from + (i as f64 + 0.5) * scale;
            let start = ((centre - support + 0.5).max(0.0) as usize).min(old - 1);
            let end = ((centre + support + 0.5) as usize).clamp(start + 1, old);
            let raw =
                (start..end).map(|x| filter.weight((x as f64 - centre + 0.5) * (1.0 / widening)));
            let mut weights: Vec<f64> = raw.collect();
            let sum = weights.iter().fold(0.0, |a, w| a + w);
            match sum != 0.0 {
                true => weights.iter_mut().for_each(|w| *w /= sum),
                // Rounding put the centre outside of all old samples.
                false => weights[0] = 1.0,
            }
            first.push(start);
            count.push(weights.len());
            rows.push(weights);
        }
        let taps = count.iter().copied().max().unwrap_or(1);
        let mut weights = vec![0.0; taps * len];
        for (to, from) in weights.chunks_exact_mut(taps).zip(&rows) {
            to[..from.len()].copy_from_slice(from);
        }
        Axis {
            first,
            count,
            taps,
            weights,
            identity: false,
            halves: false,
        }
    }

    /// Old samples that new sample `i` is made of.
    pub fn range(&self, i: usize) -> std::ops::Range<usize> {
        self.first[i]..self.first[i] + self.count[i]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILTERS: [Filter; 5] = [
        Filter::Lanczos3,
        Filter::Bicubic,
        Filter::Bilinear,
        Filter::Box,
        Filter::Nearest,
    ];

    #[test]
    fn weights_sum_to_one_and_ranges_move_forward() {
        for filter in FILTERS {
            for (old, len) in [
                (1, 1),
                (1, 7),
                (7, 1),
                (10, 3),
                (3, 10),
                (100, 99),
                (640, 17),
            ] {
                let axis = Axis::new(filter, old, 0.0, old as f64, len);
                for i in 0..len {
                    let sum: f64 = axis.weights[i * axis.taps..(i + 1) * axis.taps]
                        .iter()
                        .sum();
                    assert!((sum - 1.0).abs() < 1e-9, "{filter:?} {old} {len} {i}");
                    assert!(axis.range(i).end <= old);
                    assert!(i == 0 || axis.first[i] >= axis.first[i - 1]);
                }
            }
        }
    }

    #[test]
    fn half_size_is_recognised() {
        assert!(Axis::new(Filter::Box, 8, 0.0, 8.0, 4).halves);
        assert!(!Axis::new(Filter::Box, 9, 0.0, 9.0, 4).halves);
        assert!(!Axis::new(Filter::Bilinear, 8, 0.0, 8.0, 4).halves);
        assert!(Axis::new(Filter::Lanczos3, 8, 0.0, 8.0, 8).identity);
    }
}
