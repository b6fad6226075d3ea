//! From 64-bit floats to those that kernels compute with.

use crate::error::Result;
use crate::image::{SampleType, Shape};
use crate::op::Local;
use crate::window::{Band, Scratch, Window};

/// Rounds each sample to the nearest 32-bit float.
pub struct Narrow;

impl Local for Narrow {
    fn output(&self, input: Shape) -> Result<Shape> {
        Ok(Shape {
            sample: match input.sample {
                SampleType::F64 => SampleType::F32,
                other => other,
            },
            ..input
        })
    }

    fn is_identity(&self, input: Shape) -> bool {
        input.sample != SampleType::F64
    }

    fn takes_f64(&self) -> bool {
        true
    }

    fn takes_bands(&self) -> bool {
        true
    }

    fn apply(&self, input: &Window<'_>, out: &mut Band<'_>, _scratch: &mut Scratch) {
        for y in out.range() {
            let source = input.row::<f64>(y as isize);
            for (t, s) in out.row::<f32>(y).iter_mut().zip(source) {
                *t = *s as f32;
            }
        }
    }
}
