//! Floats of images with alpha: sums weighted by it, and extremes of what is seen.
//!
//! In the lanes of an index lie the sum of weight times value and its rest, or the extreme; for deviations then the sum of
//! weight times the value's square and its rest. The last index of a pixel is alpha, which counts once in each file, so
//! that its sum is the weight of the others.

use super::Op;
use super::double::{self, Double};
use super::partial::whole;

/// Folds in a file's values.
pub fn fold(op: Op, first: bool, lanes: [&mut [f64]; 4], hi: &[f64], weights: &[f64]) {
    let [s, c, q, r] = lanes;
    if first {
        s.fill(match op {
            Op::Min => f64::INFINITY,
            Op::Max => f64::NEG_INFINITY,
            _ => 0.0,
        });
        [&mut *c, &mut *q, &mut *r]
            .into_iter()
            .for_each(|lane| lane.fill(0.0));
    }
    for (i, (&value, &weight)) in hi.iter().zip(weights).enumerate() {
        // What is not seen may be anything, not a number included.
        if weight == 0.0 {
            continue;
        }
        let (s, c) = (&mut s[i..=i], &mut c[i..=i]);
        match op {
            Op::Min => double::keep_least(s, c, &[value], &[]),
            Op::Max => double::keep_greatest(s, c, &[value], &[]),
            _ => {
                let product = double::two_product(value, weight);
                plus(s, c, product, value * weight);
                if op == Op::Std {
                    let square = double::times(product, value);
                    plus(&mut q[i..=i], &mut r[i..=i], square, value * value * weight);
                }
            }
        }
    }
}

/// Adds to a sum and its rest; `plain` where the value is too large for a rest.
fn plus(s: &mut [f64], c: &mut [f64], (hi, lo): Double, plain: f64) {
    match hi.is_finite() && lo.is_finite() {
        true => double::merge_sums(s, c, &[hi], &[lo]),
        false => double::merge_sums(s, c, &[plain], &[0.0]),
    }
}

/// Results of so many files. Colours that are seen nowhere are 0.
pub fn results(op: Op, lanes: &[&[f64]], step: usize, files: f64) -> Vec<f64> {
    let sum = |lane: usize, at: usize| (lanes[lane][at], lanes[lane + 1][at]);
    let one = |at: usize| {
        let last = at / step * step + step - 1;
        let weight = if at == last {
            (files, 0.0)
        } else {
            sum(0, last)
        };
        match op {
            // Nothing was folded in.
            Op::Min if lanes[0][at] == f64::INFINITY && at < last => 0.0,
            Op::Max if lanes[0][at] == f64::NEG_INFINITY && at < last => 0.0,
            Op::Min | Op::Max => lanes[0][at],
            Op::Sum => whole(sum(0, at)),
            _ if weight.0 == 0.0 => 0.0,
            Op::Std => deviation(sum(0, at), sum(2, at), weight),
            _ => mean(sum(0, at), weight),
        }
    };
    (0..lanes[0].len()).map(one).collect()
}

/// Rounded about once: the quotient by the weight's high part is mended by its rest.
fn mean(sum: Double, weight: Double) -> f64 {
    let (hi, lo) = double::divide(sum, weight.0);
    let mended = hi + (lo - hi * (weight.1 / weight.0));
    match mended.is_finite() {
        true => mended,
        false => sum.0 / weight.0,
    }
}

/// From the weighted sums of values and squares: the root of `squares / weight - (sum / weight)^2`, whose numerator is
/// taken in full length, as most of it cancels.
fn deviation(sum: Double, squares: Double, weight: Double) -> f64 {
    let (s, e) = double::square(sum);
    let apart = double::add(double::product(squares, weight), (-s, -e));
    match apart.0 > 0.0 {
        true => double::square_root(double::divide(double::divide(apart, weight.0), weight.0)),
        // Less than nothing is rounding; what is no number stays so.
        false => apart.0 * 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The results of pixels of gray and alpha, file after file.
    fn reduce(op: Op, files: &[[f64; 2]]) -> Vec<f64> {
        let mut lanes = [[0.0; 2]; 4];
        for (nth, pixel) in files.iter().enumerate() {
            let weights = [if pixel[1] > 0.0 { pixel[1] } else { 0.0 }, 1.0];
            let all = lanes.each_mut().map(|lane| lane.as_mut_slice());
            fold(op, nth == 0, all, pixel, &weights);
        }
        let lanes: Vec<&[f64]> = lanes.iter().map(|lane| lane.as_slice()).collect();
        results(op, &lanes, 2, files.len() as f64)
    }

    #[test]
    fn colours_count_as_much_as_they_are_seen() {
        let files = [[8.0, 0.25], [f64::NAN, 0.0], [2.0, 0.75], [-900.0, 0.0]];
        assert_eq!(reduce(Op::Mean, &files), [3.5, 0.25]);
        assert_eq!(reduce(Op::Sum, &files), [3.5, 1.0]);
        assert_eq!(reduce(Op::Min, &files), [2.0, 0.0]);
        assert_eq!(reduce(Op::Max, &files), [8.0, 0.75]);
        // A quarter lies 4.5 above, three quarters 1.5 below.
        let std = reduce(Op::Std, &files)[0];
        assert!((std - 6.75f64.sqrt()).abs() < 1e-15, "{std}");
        for op in [Op::Mean, Op::Std, Op::Min, Op::Max, Op::Sum] {
            assert_eq!(reduce(op, &[[7.0, 0.0], [f64::NAN, 0.0]])[0], 0.0, "{op:?}");
            assert!(
                reduce(op, &[[7.0, 0.5], [f64::NAN, 0.5]])[0].is_nan(),
                "{op:?}"
            );
        }
        assert!(reduce(Op::Std, &[[0.1, 0.3], [0.1, 0.7]])[0] < 1e-16);
    }

    #[test]
    fn small_deviations_around_a_large_mean_survive() {
        let files: Vec<[f64; 2]> = (0..64)
            .map(|k| [1e6 + f64::from(k % 7) * 1e-4, f64::from(k % 5 + 1) / 8.0])
            .collect();
        let total: f64 = files.iter().map(|f| f[1]).sum();
        let apart = |f: &[f64; 2]| f[0] - 1e6;
        let mean = files.iter().map(|f| apart(f) * f[1]).sum::<f64>() / total;
        let square = files.iter().map(|f| (apart(f) - mean).powi(2) * f[1]);
        let expected = (square.sum::<f64>() / total).sqrt();
        let got = reduce(Op::Std, &files)[0];
        assert!((got / expected - 1.0).abs() < 1e-9, "{got} {expected}");
    }
}
