//! gaussian: smoothing by a normal distribution.

use crate::border::Border;
use crate::image::{Element, Shape};
use crate::op::{Group, Local, Op, Param, Step};
use crate::window::{Band, Scratch, Window};
use std::ops::Range;

/// The operation.
pub static OP: Op = Op {
    name: "gaussian",
    about: "Smooths by a normal distribution; the window's radius is ceil(3 sigma).",
    params: &[
        Param::float("sigma", 0.1..=200.0, 1.0, "standard deviation in pixels"),
        Param::border(),
    ],
    example: "gaussian(sigma=2)",
    group: Group::Filter,
    build: |args| {
        let sigma = args.float("sigma");
        let radius = libm::ceil(3.0 * sigma) as usize;
        let raw: Vec<f64> = (0..=radius)
            .map(|i| libm::exp(-((i * i) as f64) / (2.0 * sigma * sigma)))
            .collect();
        let sum = raw[0] + 2.0 * raw[1..].iter().sum::<f64>();
        let weights = raw.iter().map(|w| w / sum).collect();
        Ok(vec![Step::local(Gaussian {
            weights,
            border: args.border(),
        })])
    },
};

struct Gaussian {
    /// Weight of the centre and of each distance from it.
    weights: Vec<f64>,
    border: Border,
}

impl Local for Gaussian {
    fn rows_needed(&self, out: Range<usize>, _input: Shape) -> Range<isize> {
        let radius = self.weights.len() as isize - 1;
        out.start as isize - radius..out.end as isize + radius
    }

    fn border(&self) -> Border {
        self.border
    }

    fn keeps_alpha(&self) -> bool {
        true
    }

    fn apply(&self, input: &Window<'_>, out: &mut Band<'_>, _scratch: &mut Scratch) {
        crate::by_sample!(input.shape().sample, T => self.rows::<T>(input, out));
    }
}

impl Gaussian {
    fn rows<T: Element>(&self, input: &Window<'_>, out: &mut Band<'_>) {
        let (channels, cols) = (input.shape().channels(), input.shape().cols);
        let mut column = vec![0.0f64; cols * channels];
        for y in out.range() {
            column.fill(0.0);
            for (d, w) in self.weights.iter().enumerate() {
                for at in if d == 0 {
                    vec![y as isize]
                } else {
                    vec![y as isize - d as isize, (y + d) as isize]
                } {
                    for (c, v) in column.iter_mut().zip(input.row::<T>(at)) {
                        *c += w * v.to_f64();
                    }
                }
            }
            let target = out.row::<T>(y);
            for x in 0..cols {
                for c in 0..channels {
                    let tap = |i: isize| {
                        self.border
                            .index(i, cols)
                            .map_or(0.0, |i| column[i * channels + c])
                    };
                    let mut sum = self.weights[0] * tap(x as isize);
                    for (d, w) in self.weights.iter().enumerate().skip(1) {
                        sum += w * (tap(x as isize - d as isize) + tap((x + d) as isize));
                    }
                    target[x * channels + c] = T::saturate(sum);
                }
            }
        }
    }
}
