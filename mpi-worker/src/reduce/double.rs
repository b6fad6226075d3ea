//! Numbers of about 106 bits as unevaluated sums of two doubles, and the loops that fold values into
//! sums and moments.
//!
//! Sources: Knuth's two-sum, Dekker's product, Ogita, Rump and Oishi's `Sum2`; the pairwise merging of
//! sums of squares is that of Chan, Golub and LeVeque, with sums in the place of means. Each index is
//! computed by itself in one fixed order, so the loops vectorise without changing a bit.

use imaging::simd;

/// High and low part.
pub type Double = (f64, f64);

/// `a + b` and its rounding error.
#[inline(always)]
pub fn two_sum(a: f64, b: f64) -> Double {
    let s = a + b;
    let z = s - a;
    (s, (a - (s - z)) + (b - z))
}

/// As [`two_sum`] where `a` is the larger.
#[inline(always)]
fn quick_two_sum(a: f64, b: f64) -> Double {
    let s = a + b;
    (s, b - (s - a))
}

#[inline(always)]
fn split(a: f64) -> Double {
    let t = 134_217_729.0 * a;
    let hi = t - (t - a);
    (hi, a - hi)
}

/// `a * b` and its rounding error.
#[inline(always)]
pub fn two_product(a: f64, b: f64) -> Double {
    let p = a * b;
    let ((ah, al), (bh, bl)) = (split(a), split(b));
    (p, ((ah * bh - p) + ah * bl + al * bh) + al * bl)
}

/// `a + b`.
#[inline(always)]
pub fn add(a: Double, b: Double) -> Double {
    let (s, e) = two_sum(a.0, b.0);
    let (t, f) = two_sum(a.1, b.1);
    let (s, e) = quick_two_sum(s, e + t);
    quick_two_sum(s, e + f)
}

/// `a * b`.
#[inline(always)]
pub fn times(a: Double, b: f64) -> Double {
    let (p, e) = two_product(a.0, b);
    quick_two_sum(p, e + a.1 * b)
}

/// `a * a`.
#[inline(always)]
pub fn square(a: Double) -> Double {
    let (p, e) = two_product(a.0, a.0);
    quick_two_sum(p, e + 2.0 * a.0 * a.1)
}

/// `a * b`.
#[inline(always)]
pub fn product(a: Double, b: Double) -> Double {
    let (p, e) = two_product(a.0, b.0);
    quick_two_sum(p, e + (a.0 * b.1 + a.1 * b.0))
}

/// `a / b`.
#[inline(always)]
pub fn divide(a: Double, b: f64) -> Double {
    let q = a.0 / b;
    let (p, e) = two_product(q, b);
    quick_two_sum(q, (((a.0 - p) - e) + a.1) / b)
}

/// The square root, rounded once.
pub fn square_root(a: Double) -> f64 {
    let r = a.0.sqrt();
    if r == 0.0 || !r.is_finite() {
        return r;
    }
    let (p, e) = two_product(r, r);
    let rest = ((a.0 - p) - e) + a.1;
    let refined = r + rest / (2.0 * r);
    if refined.is_finite() { refined } else { r }
}

simd! {
    /// Adds values to running sums. `lo` is empty or as long as `hi`.
    pub fn fold_sums(s: &mut [f64], c: &mut [f64], hi: &[f64], lo: &[f64]) {
        let n = hi.len();
        let (s, c) = (&mut s[..n], &mut c[..n]);
        if lo.is_empty() {
            for i in 0..n {
                let (sum, error) = two_sum(s[i], hi[i]);
                s[i] = sum;
                c[i] += error;
            }
        } else {
            let lo = &lo[..n];
            for i in 0..n {
                let (sum, error) = two_sum(s[i], hi[i]);
                s[i] = sum;
                c[i] = c[i] + error + lo[i];
            }
        }
    }
}

simd! {
    /// Adds the sums of the next subtree to those before it.
    pub fn merge_sums(s: &mut [f64], c: &mut [f64], s2: &[f64], c2: &[f64]) {
        let n = s2.len();
        let (s, c, c2) = (&mut s[..n], &mut c[..n], &c2[..n]);
        for i in 0..n {
            let (a, b) = (two_sum(s[i], c[i]), two_sum(s2[i], c2[i]));
            let finite = (a.0 + b.0).is_finite();
            let (sum, rest) = add(a, b);
            // Once a sum is infinite or not a number its error term says nothing.
            let plain = s[i] + s2[i];
            s[i] = if finite { sum } else { plain };
            c[i] = if finite { rest } else { 0.0 };
        }
    }
}

simd! {
    /// Adds the next value to sums (s, c) and sums of squared deviations (q, r) of `count` values.
    pub fn fold_moments(s: &mut [f64], c: &mut [f64], q: &mut [f64], r: &mut [f64], hi: &[f64], lo: &[f64], count: f64) {
        let n = hi.len();
        let (s, c, q, r) = (&mut s[..n], &mut c[..n], &mut q[..n], &mut r[..n]);
        let scale = count * (count + 1.0);
        for i in 0..n {
            let value = (hi[i], if lo.is_empty() { 0.0 } else { lo[i] });
            let sum = (s[i], c[i]);
            let apart = times(value, count);
            let apart = add(sum, (-apart.0, -apart.1));
            let gain = divide(square(apart), scale);
            (q[i], r[i]) = add((q[i], r[i]), gain);
            (s[i], c[i]) = add(sum, value);
        }
    }
}

simd! {
    /// Merges the moments of `n2` values into those of `n1` before them: lanes s, c, q, r of each.
    pub fn merge_moments(s: &mut [f64], c: &mut [f64], q: &mut [f64], r: &mut [f64], s2: &[f64], c2: &[f64], q2: &[f64], r2: &[f64], n1: f64, n2: f64) {
        let n = s2.len();
        let (s, c, q, r) = (&mut s[..n], &mut c[..n], &mut q[..n], &mut r[..n]);
        let (c2, q2, r2) = (&c2[..n], &q2[..n], &r2[..n]);
        for i in 0..n {
            let (a, b) = ((s[i], c[i]), (s2[i], c2[i]));
            let (left, right) = (times(a, n2), times(b, n1));
            let apart = add(left, (-right.0, -right.1));
            let gain = divide(divide(square(apart), n1 * n2), n1 + n2);
            let own = add((q[i], r[i]), (q2[i], r2[i]));
            (q[i], r[i]) = add(own, gain);
            (s[i], c[i]) = add(a, b);
        }
    }
}

/// Whether `b` replaces `a` as the least: not-a-number wins for good, and -0 is less than 0.
#[inline(always)]
fn less(a: Double, b: Double) -> bool {
    let tie = b.1 < a.1 || (b.0 == 0.0 && b.0.is_sign_negative() & a.0.is_sign_positive());
    let lower = (b.0 < a.0) | ((b.0 == a.0) & tie);
    !a.0.is_nan() & (b.0.is_nan() | lower)
}

/// As [`less`] for the greatest.
#[inline(always)]
fn greater(a: Double, b: Double) -> bool {
    let tie = b.1 > a.1 || (b.0 == 0.0 && b.0.is_sign_positive() & a.0.is_sign_negative());
    let higher = (b.0 > a.0) | ((b.0 == a.0) & tie);
    !a.0.is_nan() & (b.0.is_nan() | higher)
}

simd! {
    /// Keeps the least of two values. `lo` is empty or as long as `hi`.
    pub fn keep_least(s: &mut [f64], c: &mut [f64], hi: &[f64], lo: &[f64]) {
        let n = hi.len();
        let (s, c) = (&mut s[..n], &mut c[..n]);
        for i in 0..n {
            let b = (hi[i], if lo.is_empty() { 0.0 } else { lo[i] });
            let take = less((s[i], c[i]), b);
            s[i] = if take { b.0 } else { s[i] };
            c[i] = if take { b.1 } else { c[i] };
        }
    }
}

simd! {
    /// Keeps the greatest of two values. `lo` is empty or as long as `hi`.
    pub fn keep_greatest(s: &mut [f64], c: &mut [f64], hi: &[f64], lo: &[f64]) {
        let n = hi.len();
        let (s, c) = (&mut s[..n], &mut c[..n]);
        for i in 0..n {
            let b = (hi[i], if lo.is_empty() { 0.0 } else { lo[i] });
            let take = greater((s[i], c[i]), b);
            s[i] = if take { b.0 } else { s[i] };
            c[i] = if take { b.1 } else { c[i] };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_and_quotients_keep_106_bits() {
        let (p, e) = two_product(94906267.0, 94906267.0);
        assert_eq!(p as i128 + e as i128, 94906267i128 * 94906267);
        assert_eq!(divide((1e16, 1.0), 1.0), (1e16, 1.0));
        assert_eq!(square_root((2.0, 0.0)), 2f64.sqrt());
        assert_eq!(square_root((0.0, 0.0)), 0.0);
    }

    #[test]
    fn small_deviations_around_a_large_mean_survive() {
        let values = [1e9 + 1e-4, 1e9 - 1e-4, 1e9 + 2e-4, 1e9 - 2e-4];
        let (mut s, mut c, mut q, mut r) = ([values[0]], [0.0], [0.0], [0.0]);
        for (i, &v) in values.iter().enumerate().skip(1) {
            fold_moments(&mut s, &mut c, &mut q, &mut r, &[v], &[], i as f64);
        }
        let std = square_root(divide((q[0], r[0]), 4.0));
        let exact: Vec<f64> = values.iter().map(|v| v - 1e9).collect();
        let mean = exact.iter().sum::<f64>() / 4.0;
        let expected = (exact.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 4.0).sqrt();
        assert!((std / expected - 1.0).abs() < 1e-14, "{std} {expected}");
    }

    #[test]
    fn not_a_number_wins_and_zeros_have_signs() {
        for (values, least, greatest) in [
            ([0.0, -0.0, 0.0], -0.0f64, 0.0f64),
            ([1.0, f64::NAN, -1.0], f64::NAN, f64::NAN),
            (
                [f64::INFINITY, 3.0, f64::NEG_INFINITY],
                f64::NEG_INFINITY,
                f64::INFINITY,
            ),
        ] {
            let (mut a, mut b) = ([values[0], 0.0], [values[0], 0.0]);
            for v in &values[1..] {
                let (s, c) = a.split_at_mut(1);
                keep_least(s, c, &[*v], &[]);
                let (s, c) = b.split_at_mut(1);
                keep_greatest(s, c, &[*v], &[]);
            }
            assert_eq!(a[0].to_bits(), least.to_bits());
            assert_eq!(b[0].to_bits(), greatest.to_bits());
        }
    }
}
