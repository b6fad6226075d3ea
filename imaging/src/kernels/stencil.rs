//! Runs a formula on each sample's 3 × 3 neighbourhood; the operations only write the formula.

use crate::border::Border;
use crate::gpu::{Kernel, Pass, programs};
use crate::image::{SampleType, Shape};
use crate::op::Local;
use crate::window::{Band, Scratch, Window};
use std::ops::Range;

/// A formula on the nine samples `[nw, n, ne, w, centre, e, sw, s, se]` of one channel.
///
/// The methods must be `#[inline(always)]`, or they are not compiled for the processor's SIMD level.
pub trait Stencil: Send + Sync {
    /// What lies beyond the edge.
    const BORDER: Border = Border::Reflect101;
    /// The formula's number in the shader for stencils, and its parameters; `None` where it is not there.
    fn formula(&self) -> Option<(i32, [i32; 2])> {
        None
    }
    /// For 8-bit samples.
    fn eight(&self, n: [i16; 9]) -> u8;
    /// For 16-bit samples.
    fn sixteen(&self, n: [i32; 9]) -> u16;
    /// For float samples.
    fn float(&self, n: [f32; 9]) -> f32;
}

/// The step that runs a [`Stencil`] on every colour channel.
pub struct Stenciled<S>(pub S);

impl<S: Stencil> Local for Stenciled<S> {
    fn rows_needed(&self, out: Range<usize>, _input: Shape) -> Range<isize> {
        out.start as isize - 1..out.end as isize + 1
    }

    fn border(&self) -> Border {
        S::BORDER
    }

    fn takes_bands(&self) -> bool {
        true
    }

    fn keeps_alpha(&self) -> bool {
        true
    }

    fn cost(&self) -> f64 {
        0.4
    }

    fn gpu(&self, input: Shape) -> Option<Kernel> {
        let (kind, params) = self.0.formula().filter(|_| input.color.bands().is_none())?;
        let pass = Pass::new(&programs::STENCIL, input)
            .constant("KIND", kind)
            .params(&params)
            .border(S::BORDER)
            .reads(3.0);
        Kernel::one(pass)
    }

    fn apply(&self, input: &Window<'_>, out: &mut Band<'_>, _scratch: &mut Scratch) {
        let channels = input.shape().channels();
        for y in out.range() {
            let at = y as isize;
            macro_rules! run {
                ($t:ty, $kernel:ident) => {{
                    let rows = [at - 1, at, at + 1].map(|y| input.row::<$t>(y));
                    $kernel(&self.0, rows, channels, out.row::<$t>(y));
                }};
            }
            match input.shape().sample {
                SampleType::U8 => run!(u8, eight),
                SampleType::U16 => run!(u16, sixteen),
                SampleType::F32 => run!(f32, float),
                SampleType::F64 => crate::image::narrowed(),
            }
        }
    }
}

macro_rules! kernel {
    ($name:ident, $t:ty, $wide:ty) => {
        crate::simd! {
            fn $name<S: Stencil>(stencil: &S, rows: [&[$t]; 3], channels: usize, out: &mut [$t]) {
                let len = out.len();
                let [a, b, c] = rows.map(|row| &row[..len]);
                if let Some(inner) = len.checked_sub(2 * channels) {
                    let (nw, n, ne) = (&a[..inner], &a[channels..][..inner], &a[2 * channels..][..inner]);
                    let (w, m, e) = (&b[..inner], &b[channels..][..inner], &b[2 * channels..][..inner]);
                    let (sw, s, se) = (&c[..inner], &c[channels..][..inner], &c[2 * channels..][..inner]);
                    let target = &mut out[channels..][..inner];
                    for i in 0..inner {
                        target[i] = stencil.$name([
                            nw[i] as $wide, n[i] as $wide, ne[i] as $wide,
                            w[i] as $wide, m[i] as $wide, e[i] as $wide,
                            sw[i] as $wide, s[i] as $wide, se[i] as $wide,
                        ]);
                    }
                }
                let cols = len / channels;
                for x in [0, cols - 1] {
                    for channel in 0..channels {
                        let value = |row: &[$t], dx: isize| {
                            let x = S::BORDER.index(x as isize + dx, cols);
                            x.map_or(0 as $wide, |x| row[x * channels + channel] as $wide)
                        };
                        out[x * channels + channel] = stencil.$name([
                            value(a, -1), value(a, 0), value(a, 1),
                            value(b, -1), value(b, 0), value(b, 1),
                            value(c, -1), value(c, 0), value(c, 1),
                        ]);
                    }
                }
            }
        }
    };
}
kernel!(eight, u8, i16);
kernel!(sixteen, u16, i32);
kernel!(float, f32, f32);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::trial::{assert_near, correlate, noise, run, shapes};
    use crate::{Buffer, Color, Image};
    use proptest::prelude::*;

    /// Sums of a 3 × 3 kernel given by rows.
    fn sums(image: &Image, kernel: [[f64; 3]; 3], border: Border) -> Vec<f64> {
        correlate(image, [1, 1], border, |dy, dx| {
            kernel[(dy + 1) as usize][(dx + 1) as usize]
        })
    }

    fn lengths(x: Vec<f64>, y: Vec<f64>) -> Vec<f64> {
        x.iter().zip(&y).map(|(x, y)| x.hypot(*y)).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn stencils_equal_their_kernels(shape in shapes(1..7, 1..70), seed: u64) {
            let image = noise(shape, seed);
            let reflect = Border::Reflect101;
            let check = |text: &str, wanted: Vec<f64>| {
                assert_near(&image, &run(text, &image), &wanted, 0.501, text);
            };
            for (text, a) in [("sharpen", 1.0), ("sharpen(amount=0.35)", 0.35)] {
                let kernel = [[0.0, -a, 0.0], [-a, 1.0 + 4.0 * a, -a], [0.0, -a, 0.0]];
                check(text, sums(&image, kernel, reflect));
            }
            let kernel = [[-2.0, -1.0, 0.0], [-1.0, 1.0, 1.0], [0.0, 1.0, 2.0]];
            check("emboss", sums(&image, kernel, reflect));
            let kernel = [[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]];
            let absolute = |sums: &[f64]| sums.iter().map(|v| v.abs()).collect::<Vec<f64>>();
            check("laplacian", absolute(&sums(&image, kernel, reflect)));
            for (name, a, b) in [("sobel", 1.0, 2.0), ("scharr", 3.0, 10.0), ("prewitt", 1.0, 1.0)] {
                let x = sums(&image, [[-a, 0.0, a], [-b, 0.0, b], [-a, 0.0, a]], reflect);
                let y = sums(&image, [[-a, -b, -a], [0.0; 3], [a, b, a]], reflect);
                check(&format!("{name}(direction=x)"), absolute(&x));
                check(&format!("{name}(direction=y)"), absolute(&y));
                check(name, lengths(x, y));
            }
            let d = [[0.0; 3], [0.0, 1.0, 0.0], [0.0, 0.0, -1.0]];
            let e = [[0.0; 3], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]];
            let replicate = Border::Replicate;
            check("roberts", lengths(sums(&image, d, replicate), sums(&image, e, replicate)));
        }
    }

    #[test]
    fn one_pixel_has_no_edges() {
        let shape = Shape::new(1, 1, Color::Gray, SampleType::U8);
        let image = Image::new(shape, Buffer::U8(vec![200]));
        for (text, value) in [
            ("sobel", 0),
            ("laplacian", 0),
            ("roberts", 0),
            ("sharpen", 200),
        ] {
            assert_eq!(
                run(text, &image).rows.data,
                Buffer::U8(vec![value]),
                "{text}"
            );
        }
    }
}
