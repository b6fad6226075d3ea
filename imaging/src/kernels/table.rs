//! Lookup tables: every point operation on 8-bit samples ends as one of these.

use super::look_up::look_up;
use crate::gpu::{Kernel, Pass, programs};
use crate::image::{Element, SampleType, Shape};
use crate::op::Local;
use crate::window::{Band, Scratch, Window};
use std::sync::OnceLock;

/// Maps each colour sample by itself; alpha is copied.
pub struct Table {
    eight: [u8; 256],
    /// The same for wider samples; absent where the planner composed 8-bit tables.
    wider: Option<Wider>,
    sixteen: OnceLock<Vec<u16>>,
}

struct Wider {
    sixteen: Box<dyn Fn(u16) -> u16 + Send + Sync>,
    float: Box<dyn Fn(f32) -> f32 + Send + Sync>,
}

impl Table {
    /// A table for 8-bit samples only, as composed by the planner.
    pub fn eight(table: [u8; 256]) -> Table {
        Table {
            eight: table,
            wider: None,
            sixteen: OnceLock::new(),
        }
    }

    /// A mapping given for each sample type.
    pub fn each(
        eight: impl Fn(u8) -> u8,
        sixteen: impl Fn(u16) -> u16 + Send + Sync + 'static,
        float: impl Fn(f32) -> f32 + Send + Sync + 'static,
    ) -> Table {
        Table {
            eight: std::array::from_fn(|v| eight(v as u8)),
            wider: Some(Wider {
                sixteen: Box::new(sixteen),
                float: Box::new(float),
            }),
            sixteen: OnceLock::new(),
        }
    }

    /// A curve on 0..=1, sampled at each grey level, rounded half to even and clamped (floats are
    /// mapped without clamping).
    pub fn curve(curve: impl Fn(f64) -> f64 + Send + Sync + Clone + 'static) -> Table {
        let (sixteen, float) = (curve.clone(), curve.clone());
        Table::each(
            move |v| u8::saturate(curve(f64::from(v) / 255.0) * 255.0),
            move |v| u16::saturate(sixteen(f64::from(v) / 65535.0) * 65535.0),
            move |v| float(f64::from(v)) as f32,
        )
    }

    fn map<T: Element>(
        &self,
        input: &Window<'_>,
        out: &mut Band<'_>,
        map: impl Fn(&[T], &mut [T]),
    ) {
        let channels = input.shape().channels();
        let alpha = input.shape().color.has_alpha();
        for y in out.range() {
            let source = input.row::<T>(y as isize);
            let target = out.row::<T>(y);
            map(source, target);
            if alpha {
                for (t, s) in target
                    .chunks_exact_mut(channels)
                    .zip(source.chunks_exact(channels))
                {
                    t[channels - 1] = s[channels - 1];
                }
            }
        }
    }
}

impl Local for Table {
    fn table(&self) -> Option<[u8; 256]> {
        Some(self.eight)
    }

    fn takes_bands(&self) -> bool {
        true
    }

    fn cost(&self) -> f64 {
        0.3
    }

    fn gpu(&self, input: Shape) -> Option<Kernel> {
        let pass = Pass::new(&programs::TABLE, input)
            .bytes(&self.eight)
            .params(&[i32::from(input.color.has_alpha())]);
        Kernel::one(pass)
    }

    fn apply(&self, input: &Window<'_>, out: &mut Band<'_>, _scratch: &mut Scratch) {
        match (input.shape().sample, &self.wider) {
            (SampleType::U8, _) => self.map::<u8>(input, out, |s, t| look_up(s, t, &self.eight)),
            (_, None) => unreachable!("the planner composes tables for 8-bit samples only"),
            (SampleType::U16, Some(wider)) => {
                let full = || (0..=65535).map(|v| (wider.sixteen)(v)).collect();
                let table = self.sixteen.get_or_init(full);
                self.map::<u16>(input, out, |s, t| {
                    for (t, s) in t.iter_mut().zip(s) {
                        *t = table[*s as usize];
                    }
                });
            }
            (SampleType::F32, Some(wider)) => self.map::<f32>(input, out, |s, t| {
                for (t, s) in t.iter_mut().zip(s) {
                    // NaN is no value, so none is made of it.
                    *t = if s.is_nan() { *s } else { (wider.float)(*s) };
                }
            }),
            (SampleType::F64, Some(_)) => crate::image::narrowed(),
        }
    }
}
