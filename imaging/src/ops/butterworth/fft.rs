//! The discrete Fourier transform of any length, of several sequences side by side.
//!
//! Stockham's self-sorting algorithm with mixed radices, and Bluestein's for lengths with a large prime
//! factor. Sequences lie in the lanes of one array, so vector instructions work on lanes and the
//! arithmetic of a sequence never depends on its neighbours. Sines come from `libm` and nothing is fused,
//! so that all machines give the same bits.

/// Sequences that are transformed together.
pub const LANES: usize = 8;

/// One element of each sequence.
pub type Lanes = [f64; LANES];

/// One complex element of each sequence.
#[derive(Clone, Copy, Debug, Default)]
pub struct Complex {
    /// Real parts.
    pub re: Lanes,
    /// Imaginary parts.
    pub im: Lanes,
}

/// A complex factor that is the same in all lanes: real and imaginary part.
pub type Factor = [f64; 2];

impl Complex {
    #[inline(always)]
    fn zip(self, other: Complex, f: impl Fn(f64, f64) -> f64) -> Complex {
        let mut out = Complex::default();
        for l in 0..LANES {
            out.re[l] = f(self.re[l], other.re[l]);
            out.im[l] = f(self.im[l], other.im[l]);
        }
        out
    }

    /// The sum.
    #[inline(always)]
    pub fn plus(self, other: Complex) -> Complex {
        self.zip(other, |a, b| a + b)
    }

    /// The difference.
    #[inline(always)]
    pub fn minus(self, other: Complex) -> Complex {
        self.zip(other, |a, b| a - b)
    }

    /// The product with a factor.
    #[inline(always)]
    pub fn times(self, [re, im]: Factor) -> Complex {
        let mut out = Complex::default();
        for l in 0..LANES {
            out.re[l] = self.re[l] * re - self.im[l] * im;
            out.im[l] = self.re[l] * im + self.im[l] * re;
        }
        out
    }

    /// The product with a real number.
    #[inline(always)]
    pub fn scaled(self, by: f64) -> Complex {
        self.zip(self, |a, _| a * by)
    }

    /// The product with -i.
    #[inline(always)]
    fn turned(self) -> Complex {
        Complex {
            re: self.im,
            im: self.re.map(|v| -v),
        }
    }

    /// The conjugate.
    #[inline(always)]
    pub fn conj(self) -> Complex {
        Complex {
            re: self.re,
            im: self.im.map(|v| -v),
        }
    }

    /// Real and imaginary part exchanged.
    #[inline(always)]
    pub fn swapped(self) -> Complex {
        Complex {
            re: self.im,
            im: self.re,
        }
    }
}

/// e^(-2 pi i k / n).
pub fn root(k: usize, n: usize) -> Factor {
    let angle = -2.0 * std::f64::consts::PI * (k % n) as f64 / n as f64;
    [libm::cos(angle), libm::sin(angle)]
}

/// Primes above this go through Bluestein's algorithm.
const LARGEST_RADIX: usize = 47;

/// A transform of one length.
pub struct Fft {
    n: usize,
    /// Radix of each stage; their product is the length transformed by stages.
    radices: Vec<usize>,
    /// All n-th roots of one.
    roots: Vec<Factor>,
    bluestein: Option<Bluestein>,
}

/// The transform as a circular convolution of a convenient length.
struct Bluestein {
    inner: Box<Fft>,
    /// e^(-pi i k² / n).
    chirp: Vec<Factor>,
    /// Transform of the conjugate chirp, divided by the length.
    spectrum: Vec<Factor>,
}

impl Fft {
    /// A transform of length `n`, at least 1.
    pub fn new(n: usize) -> Fft {
        let mut radices = Vec::new();
        let mut rest = n;
        for radix in [4, 2, 3].into_iter().chain((5..=LARGEST_RADIX).step_by(2)) {
            while rest > 1 && rest.is_multiple_of(radix) {
                radices.push(radix);
                rest /= radix;
            }
        }
        let bluestein = (rest > 1).then(|| Bluestein::new(n));
        let n_roots = if rest > 1 { 0 } else { n };
        Fft {
            n,
            radices,
            roots: (0..n_roots).map(|k| root(k, n)).collect(),
            bluestein,
        }
    }

    /// Replaces `data` (of the transform's length) by its transform, sum over x[j] e^(-2 pi i j k / n).
    /// `work` is scratch.
    pub fn forward(&self, data: &mut Vec<Complex>, work: &mut Vec<Complex>) {
        if let Some(bluestein) = &self.bluestein {
            bluestein.forward(data, work);
            return;
        }
        work.resize(self.n, Complex::default());
        let mut stride = 1;
        for &radix in &self.radices {
            stage(radix, stride, &self.roots, data, work);
            std::mem::swap(data, work);
            stride *= radix;
        }
    }
}

impl Bluestein {
    fn new(n: usize) -> Bluestein {
        let long = (2 * n - 1).next_power_of_two();
        let chirp: Vec<Factor> = (0..n).map(|k| root(k * k % (2 * n), 2 * n)).collect();
        let inner = Box::new(Fft::new(long));
        let mut response = vec![Complex::default(); long];
        for (k, [re, im]) in chirp.iter().enumerate() {
            for at in [k, (long - k) % long] {
                response[at].re[0] = *re;
                response[at].im[0] = -im;
            }
        }
        inner.forward(&mut response, &mut Vec::new());
        let spectrum = response
            .iter()
            .map(|c| [c.re[0] / long as f64, c.im[0] / long as f64])
            .collect();
        Bluestein {
            inner,
            chirp,
            spectrum,
        }
    }

    fn forward(&self, data: &mut [Complex], work: &mut Vec<Complex>) {
        let n = self.chirp.len();
        let mut long: Vec<Complex> = Vec::with_capacity(self.spectrum.len());
        long.extend(data.iter().zip(&self.chirp).map(|(x, c)| x.times(*c)));
        long.resize(self.spectrum.len(), Complex::default());
        self.inner.forward(&mut long, work);
        // The inverse transform is the forward one with real and imaginary parts exchanged.
        for (x, s) in long.iter_mut().zip(&self.spectrum) {
            *x = x.times(*s).swapped();
        }
        self.inner.forward(&mut long, work);
        for ((x, y), c) in data.iter_mut().zip(&long[..n]).zip(&self.chirp) {
            *x = y.swapped().times(*c);
        }
    }
}

crate::simd! {
    /// One stage: transforms of length `radix` over elements n / radix apart, `stride` of them with the
    /// same twiddle factors.
    fn stage(radix: usize, stride: usize, roots: &[Factor], from: &[Complex], to: &mut [Complex]) {
        let n = roots.len();
        let (from, to) = (&from[..n], &mut to[..n]);
        let part = n / radix;
        for p in 0..part / stride {
            let factor = |k: usize| roots[p * k * stride];
            let range = p * stride..(p + 1) * stride;
            match radix {
                2 => {
                    let w = factor(1);
                    for i in range {
                        let (a, b) = (from[i], from[i + part]);
                        let at = i + p * stride;
                        to[at] = a.plus(b);
                        to[at + stride] = a.minus(b).times(w);
                    }
                }
                3 => {
                    let w = [factor(1), factor(2)];
                    let half = -roots[part][1];
                    for i in range {
                        let (a, b, c) = (from[i], from[i + part], from[i + 2 * part]);
                        let (sum, turn) = (b.plus(c), b.minus(c).turned().scaled(half));
                        let middle = a.minus(sum.scaled(0.5));
                        let at = i + 2 * p * stride;
                        to[at] = a.plus(sum);
                        to[at + stride] = middle.plus(turn).times(w[0]);
                        to[at + 2 * stride] = middle.minus(turn).times(w[1]);
                    }
                }
                4 => {
                    let w = [factor(1), factor(2), factor(3)];
                    for i in range {
                        let x = |j: usize| from[i + j * part];
                        let (a, b) = (x(0).plus(x(2)), x(0).minus(x(2)));
                        let (c, d) = (x(1).plus(x(3)), x(1).minus(x(3)).turned());
                        let at = i + 3 * p * stride;
                        to[at] = a.plus(c);
                        to[at + stride] = b.plus(d).times(w[0]);
                        to[at + 2 * stride] = a.minus(c).times(w[1]);
                        to[at + 3 * stride] = b.minus(d).times(w[2]);
                    }
                }
                5 => {
                    let w = [factor(1), factor(2), factor(3), factor(4)];
                    let ([c1, s1], [c2, s2]) = (roots[part], roots[2 * part]);
                    for i in range {
                        let x = |j: usize| from[i + j * part];
                        let (a, b) = (x(1).plus(x(4)), x(2).plus(x(3)));
                        let (c, d) = (x(1).minus(x(4)).turned(), x(2).minus(x(3)).turned());
                        let near = x(0).plus(a.scaled(c1).plus(b.scaled(c2)));
                        let far = x(0).plus(a.scaled(c2).plus(b.scaled(c1)));
                        let near_turn = c.scaled(-s1).plus(d.scaled(-s2));
                        let far_turn = c.scaled(-s2).minus(d.scaled(-s1));
                        let at = i + 4 * p * stride;
                        to[at] = x(0).plus(a.plus(b));
                        to[at + stride] = near.plus(near_turn).times(w[0]);
                        to[at + 2 * stride] = far.plus(far_turn).times(w[1]);
                        to[at + 3 * stride] = far.minus(far_turn).times(w[2]);
                        to[at + 4 * stride] = near.minus(near_turn).times(w[3]);
                    }
                }
                _ => {
                    for i in range {
                        let at = i + (radix - 1) * p * stride;
                        for k in 0..radix {
                            let mut sum = from[i];
                            for j in 1..radix {
                                sum = sum.plus(from[i + j * part].times(roots[j * k % radix * part]));
                            }
                            to[at + k * stride] = sum.times(factor(k));
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transforms_equal_the_sum_they_are() {
        for n in (1..=40).chain([60, 64, 77, 94, 101, 106, 125, 127, 210, 243, 256, 307]) {
            let value = |j: usize, l: usize| ((j * 37 + l * 11) % 101) as f64 / 50.0 - 1.0;
            let mut data: Vec<Complex> = (0..n)
                .map(|j| Complex {
                    re: std::array::from_fn(|l| value(j, l)),
                    im: std::array::from_fn(|l| value(j + 1000, l)),
                })
                .collect();
            let source = data.clone();
            Fft::new(n).forward(&mut data, &mut Vec::new());
            for k in 0..n {
                let mut sum = Complex::default();
                for (j, x) in source.iter().enumerate() {
                    sum = sum.plus(x.times(root(j * k, n)));
                }
                for l in 0..LANES {
                    let (re, im) = (data[k].re[l] - sum.re[l], data[k].im[l] - sum.im[l]);
                    assert!(re.abs() < 1e-10 && im.abs() < 1e-10, "{n}, {k}: {re}, {im}");
                }
            }
        }
    }
}
