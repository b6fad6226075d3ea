//! median: the middle sample of a square window.

use crate::border::Border;
use crate::gpu::{Kernel, Pass, programs};
use crate::image::{SampleType, Shape};
use crate::kernels::median_columns::{self, Columns};
use crate::kernels::median_network::Program;
use crate::kernels::median_sliding::{self, Sliding};
use crate::kernels::median_small;
use crate::kernels::median_tiles::{self, Slots};
use crate::kernels::ranked::Ordered;
use crate::op::{ALPHA, Channels, Group, Local, Op, Param, Step};
use crate::window::{Band, Scratch, Window};
use std::ops::Range;
use std::sync::OnceLock;

/// The operation.
pub static OP: Op = Op {
    name: "median",
    about: "Takes the middle sample of a square window: removes specks, keeps edges.",
    params: &[
        Param::int(
            "radius",
            0..=50,
            1,
            "the window is 2 radius + 1 pixels wide and high",
        ),
        ALPHA,
    ],
    example: "median(radius=3)",
    group: Group::Filter,
    channels: Channels::Each,
    build: |args| {
        Ok(match args.size("radius") {
            0 => Vec::new(),
            radius => vec![Step::local(Median {
                radius,
                program: OnceLock::new(),
            })],
        })
    },
};

/// Largest radius done by networks for 8-bit samples, and for others.
const NETWORK_8: usize = 8;
const NETWORK: usize = 12;

struct Median {
    radius: usize,
    program: OnceLock<Program>,
}

/// Working memory of the methods.
#[derive(Default)]
struct Work {
    columns: Columns,
    sliding: Sliding,
    small_eight: median_small::Columns<u8>,
    small_sixteen: median_small::Columns<u16>,
    small_float: median_small::Columns<<f32 as Ordered>::Key>,
    eight: Slots<u8>,
    sixteen: Slots<u16>,
    float: Slots<<f32 as Ordered>::Key>,
}

impl Median {
    fn program(&self) -> &Program {
        self.program.get_or_init(|| Program::new(self.radius, 2))
    }
}

impl Local for Median {
    fn rows_needed(&self, out: Range<usize>, _input: Shape) -> Range<isize> {
        let radius = self.radius as isize;
        out.start as isize - radius..out.end as isize + radius
    }

    fn border(&self) -> Border {
        Border::Replicate
    }

    fn keeps_alpha(&self) -> bool {
        true
    }

    fn cost(&self) -> f64 {
        if self.radius <= 2 {
            return 0.1 + 0.15 * self.radius as f64;
        }
        0.3 + (0.3 * (self.radius * self.radius) as f64).min(10.0)
    }

    fn gpu(&self, input: Shape) -> Option<Kernel> {
        // Beyond, every sample of a window is looked at too often.
        const MOST: usize = 5;
        let samples = ((2 * self.radius + 1) * (2 * self.radius + 1)) as f64;
        match self.radius {
            1 => Kernel::one(Pass::new(&programs::MEDIAN_OF_NINE, input).reads(4.0)),
            2..=MOST => {
                let pass = Pass::new(&programs::MEDIAN, input)
                    .constant("RADIUS", self.radius as i32)
                    .reads(2.0 * samples);
                Kernel::one(pass)
            }
            _ => None,
        }
    }

    fn apply(&self, input: &Window<'_>, out: &mut Band<'_>, scratch: &mut Scratch) {
        let (work, goes_on) = scratch.state(out, Work::default);
        let radius = self.radius;
        match (input.shape().sample, radius) {
            (SampleType::U8, 1 | 2) => {
                median_small::fill::<u8>(radius, input, out, &mut work.small_eight);
            }
            (SampleType::U8, ..=NETWORK_8) => {
                median_tiles::fill::<u8>(self.program(), input, out, &mut work.eight);
            }
            (SampleType::U8, _) => {
                median_columns::fill(radius, input, out, &mut work.columns, goes_on);
            }
            (SampleType::U16, 1 | 2) => {
                median_small::fill::<u16>(radius, input, out, &mut work.small_sixteen);
            }
            (SampleType::U16, ..=NETWORK) => {
                median_tiles::fill::<u16>(self.program(), input, out, &mut work.sixteen);
            }
            (SampleType::U16, _) => {
                median_sliding::fill::<u16>(radius, input, out, &mut work.sliding);
            }
            (SampleType::F32, 1 | 2) => {
                median_small::fill::<f32>(radius, input, out, &mut work.small_float);
            }
            (SampleType::F32, ..=NETWORK) => {
                median_tiles::fill::<f32>(self.program(), input, out, &mut work.float);
            }
            (SampleType::F32, _) => {
                median_sliding::fill::<f32>(radius, input, out, &mut work.sliding);
            }
            (SampleType::F64, _) => crate::image::narrowed(),
        }
    }
}

#[cfg(test)]
#[path = "../kernels/median_tests.rs"]
mod tests;
