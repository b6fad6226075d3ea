//! `alpha=weighted`: steps on premultiplied colours, so that what is transparent lends its neighbours no colour.

use super::plane;
use crate::error::Result;
use crate::image::{Color, Element, SampleType, Shape};
use crate::op::Local;
use crate::window::{Band, Scratch, Window};
use std::ops::Range;
use std::sync::Arc;

/// Steps that run on colours multiplied by alpha, and on alpha itself; in floats, whatever the samples were.
pub struct Weighted(pub Vec<Arc<dyn Local>>);

impl Weighted {
    fn steps(&self, input: Shape) -> Vec<Arc<dyn Local>> {
        if !input.color.has_alpha() {
            return self.0.clone();
        }
        let mut steps: Vec<Arc<dyn Local>> = vec![Arc::new(Premultiply)];
        steps.extend(self.0.iter().cloned());
        steps.push(Arc::new(Divide {
            color: input.color,
            sample: input.sample,
        }));
        steps
    }
}

impl Local for Weighted {
    fn output(&self, input: Shape) -> Result<Shape> {
        // Smoothing and morphology keep the shape of each plane.
        self.0
            .iter()
            .try_fold(plane(input), |shape, step| step.output(shape))
            .map(|shape| Shape {
                color: input.color,
                ..shape
            })
    }

    fn rows_needed(&self, out: Range<usize>, _input: Shape) -> Range<isize> {
        out.start as isize..out.end as isize
    }

    fn parts(&self, input: Shape) -> Option<Vec<Arc<dyn Local>>> {
        Some(self.steps(input))
    }

    fn apply(&self, _input: &Window<'_>, _out: &mut Band<'_>, _scratch: &mut Scratch) {
        unreachable!("the planner takes it apart")
    }
}

/// Colours times alpha, in floats; alpha becomes a band like them.
struct Premultiply;

impl Local for Premultiply {
    fn output(&self, input: Shape) -> Result<Shape> {
        Ok(Shape {
            color: Color::Bands(input.channels() as u16),
            sample: SampleType::F32,
            ..input
        })
    }

    fn takes_bands(&self) -> bool {
        true
    }

    fn apply(&self, input: &Window<'_>, out: &mut Band<'_>, _scratch: &mut Scratch) {
        let channels = out.shape.channels();
        crate::by_sample!(input.shape().sample, T => {
            let top = T::TOP as f32;
            for y in out.range() {
                let source = input.row::<T>(y as isize).chunks_exact(channels);
                for (t, s) in out.row::<f32>(y).chunks_exact_mut(channels).zip(source) {
                    let alpha = s[channels - 1].to_f32() / top;
                    for (t, s) in t.iter_mut().zip(s) {
                        *t = s.to_f32() * alpha;
                    }
                    t[channels - 1] = alpha;
                }
            }
        });
    }
}

/// The way back; where nothing is left of alpha, colours are black.
struct Divide {
    color: Color,
    sample: SampleType,
}

impl Local for Divide {
    fn output(&self, input: Shape) -> Result<Shape> {
        Ok(Shape {
            color: self.color,
            sample: self.sample,
            ..input
        })
    }

    fn takes_bands(&self) -> bool {
        true
    }

    fn apply(&self, input: &Window<'_>, out: &mut Band<'_>, _scratch: &mut Scratch) {
        let channels = out.shape.channels();
        crate::by_sample!(out.shape.sample, T => {
            let top = T::TOP as f32;
            for y in out.range() {
                let source = input.row::<f32>(y as isize).chunks_exact(channels);
                for (t, s) in out.row::<T>(y).chunks_exact_mut(channels).zip(source) {
                    let alpha = s[channels - 1];
                    for (t, s) in t.iter_mut().zip(s) {
                        let value = if alpha > 0.0 { s / alpha } else { 0.0 };
                        *t = T::saturate32(value);
                    }
                    t[channels - 1] = T::saturate32(alpha * top);
                }
            }
        });
    }
}
