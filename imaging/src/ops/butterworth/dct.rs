//! The cosine transform of a mirrored sequence and its inverse, of several sequences side by side.
//!
//! Makhoul's method: a sequence of length n, its even elements first and its odd ones backwards behind
//! them, has a Fourier transform that differs from the cosine transform by a factor only. For even n
//! that transform is taken at half the length, two elements as one complex number.

use super::fft::{Complex, Factor, Fft, Lanes, root};

/// A transform of one length.
pub struct Dct {
    n: usize,
    fft: Fft,
    /// e^(-pi i k / 2n).
    quarter: Vec<Factor>,
    /// e^(-2 pi i k / n), for even n.
    whole: Vec<Factor>,
}

/// Working memory of a thread.
#[derive(Default)]
pub struct Work {
    data: Vec<Complex>,
    fft: Vec<Complex>,
}

impl Dct {
    /// A transform of length `n`, at least 1.
    pub fn new(n: usize) -> Dct {
        let even = n.is_multiple_of(2);
        Dct {
            n,
            fft: Fft::new(if even { n / 2 } else { n }),
            quarter: (0..=n).map(|k| root(k, 4 * n)).collect(),
            whole: (0..if even { n / 2 + 1 } else { 0 })
                .map(|k| root(k, n))
                .collect(),
        }
    }

    /// What the inverse's result has to be multiplied by.
    pub fn scale(&self) -> f64 {
        match self.n.is_multiple_of(2) {
            true => 2.0 / self.n as f64,
            false => 1.0 / self.n as f64,
        }
    }

    /// Where element `i` of the reordered sequence lies in the original one.
    fn source(&self, i: usize) -> usize {
        match i < self.n.div_ceil(2) {
            true => 2 * i,
            false => 2 * (self.n - 1 - i) + 1,
        }
    }

    /// Replaces x by sum over x[j] cos(pi k (2j + 1) / 2n), for each k below n.
    pub fn forward(&self, x: &mut [Lanes], work: &mut Work) {
        let n = self.n;
        work.data.clear();
        if n.is_multiple_of(2) {
            work.data.extend((0..n / 2).map(|i| Complex {
                re: x[self.source(2 * i)],
                im: x[self.source(2 * i + 1)],
            }));
            self.fft.forward(&mut work.data, &mut work.fft);
            after_half(&work.data, &self.whole, &self.quarter, x);
        } else {
            work.data.extend((0..n).map(|i| Complex {
                re: x[self.source(i)],
                im: Lanes::default(),
            }));
            self.fft.forward(&mut work.data, &mut work.fft);
            for (k, x) in x.iter_mut().enumerate() {
                *x = work.data[k].times(self.quarter[k]).re;
            }
        }
    }

    /// Undoes [`Dct::forward`], apart from a division: see [`Dct::scale`].
    pub fn inverse(&self, x: &mut [Lanes], work: &mut Work) {
        let n = self.n;
        work.data.clear();
        if n.is_multiple_of(2) {
            work.data.resize(n / 2, Complex::default());
            before_half(x, &self.whole, &self.quarter, &mut work.data);
            self.fft.forward(&mut work.data, &mut work.fft);
            for (i, z) in work.data.iter().enumerate() {
                x[self.source(2 * i)] = z.im;
                x[self.source(2 * i + 1)] = z.re;
            }
        } else {
            work.data
                .extend((0..n).map(|k| spectrum(x, &self.quarter, k).swapped()));
            self.fft.forward(&mut work.data, &mut work.fft);
            for (i, z) in work.data.iter().enumerate() {
                x[self.source(i)] = z.im;
            }
        }
    }
}

/// Element `k` of the Fourier transform that belongs to the cosine transform `x`.
#[inline(always)]
fn spectrum(x: &[Lanes], quarter: &[Factor], k: usize) -> Complex {
    let im = match k {
        0 => Lanes::default(),
        k => x[x.len() - k].map(|v| -v),
    };
    let [c, s] = quarter[k];
    Complex { re: x[k], im }.times([c, -s])
}

crate::simd! {
    /// From the transform of pairs to the cosine transform.
    fn after_half(z: &[Complex], whole: &[Factor], quarter: &[Factor], x: &mut [Lanes]) {
        let (half, n) = (z.len(), x.len());
        for k in 0..=half {
            let (a, b) = (z[k % half], z[(half - k) % half].conj());
            let (even, odd) = (a.plus(b).scaled(0.5), a.minus(b).scaled(0.5));
            // The odd part stands in the imaginary parts: divided by i.
            let [c, s] = whole[k];
            let y = even.plus(odd.times([s, -c])).times(quarter[k]);
            if k < n {
                x[k] = y.re;
            }
            if k > 0 && k < half {
                x[n - k] = y.im.map(|v| -v);
            }
        }
    }
}

crate::simd! {
    /// From the cosine transform to the transform of pairs, real and imaginary parts exchanged.
    fn before_half(x: &[Lanes], whole: &[Factor], quarter: &[Factor], z: &mut [Complex]) {
        let half = z.len();
        for k in 0..half {
            let (a, b) = (spectrum(x, quarter, k), spectrum(x, quarter, half - k).conj());
            let (even, odd) = (a.plus(b).scaled(0.5), a.minus(b).scaled(0.5));
            // The odd part times e^(2 pi i k / n), times i.
            let [c, s] = whole[k];
            z[k] = even.plus(odd.times([s, c])).swapped();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fft::LANES;
    use super::*;

    #[test]
    fn forward_equals_its_sum_and_inverse_undoes_it() {
        for n in (1..=30).chain([47, 64, 81, 94, 106, 120, 202, 251]) {
            let source: Vec<Lanes> = (0..n)
                .map(|j| std::array::from_fn(|l| ((j * 29 + l * 7) % 53) as f64 - 20.0))
                .collect();
            let (dct, mut work, mut x) = (Dct::new(n), Work::default(), source.clone());
            dct.forward(&mut x, &mut work);
            for k in 0..n {
                for l in 0..LANES {
                    let angle = std::f64::consts::PI * k as f64 / (2 * n) as f64;
                    let term = |j: usize| source[j][l] * (angle * (2 * j + 1) as f64).cos();
                    let sum: f64 = (0..n).map(term).sum();
                    assert!((x[k][l] - sum).abs() < 1e-9, "{n}, {k}: {} {sum}", x[k][l]);
                }
            }
            dct.inverse(&mut x, &mut work);
            for (a, b) in x.iter().flatten().zip(source.iter().flatten()) {
                assert!((a * dct.scale() - b).abs() < 1e-9, "{n}: {a} {b}");
            }
        }
    }
}
