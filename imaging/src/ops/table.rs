//! Lookup tables: every point operation on 8-bit samples ends as one of these.

use crate::image::{Element, SampleType};
use crate::op::Local;
use crate::window::{Band, Scratch, Window};

/// Maps each colour sample by itself; alpha is copied.
pub struct Table {
    eight: [u8; 256],
    /// A curve on 0..=1 for 16-bit and float samples.
    curve: Option<Box<dyn Fn(f64) -> f64 + Send + Sync>>,
    sixteen: std::sync::OnceLock<Vec<u16>>,
}

impl Table {
    /// A table for 8-bit samples only, as composed by the planner.
    pub fn eight(table: [u8; 256]) -> Table {
        Table {
            eight: table,
            curve: None,
            sixteen: std::sync::OnceLock::new(),
        }
    }

    /// A curve on 0..=1, sampled at each grey level, rounded half to even and clamped.
    pub fn curve(curve: impl Fn(f64) -> f64 + Send + Sync + 'static) -> Table {
        let eight = std::array::from_fn(|v| u8::saturate(curve(v as f64 / 255.0) * 255.0));
        Table {
            eight,
            curve: Some(Box::new(curve)),
            sixteen: std::sync::OnceLock::new(),
        }
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

    fn cost(&self) -> f64 {
        0.3
    }

    fn apply(&self, input: &Window<'_>, out: &mut Band<'_>, _scratch: &mut Scratch) {
        match (input.shape().sample, &self.curve) {
            (SampleType::U8, _) => self.map::<u8>(input, out, |s, t| look_up(s, t, &self.eight)),
            (_, None) => unreachable!("the planner composes tables for 8-bit samples only"),
            (SampleType::U16, Some(curve)) => {
                let full = || {
                    (0..=65535)
                        .map(|v| u16::saturate(curve(v as f64 / 65535.0) * 65535.0))
                        .collect()
                };
                let table = self.sixteen.get_or_init(full);
                self.map::<u16>(input, out, |s, t| {
                    for (t, s) in t.iter_mut().zip(s) {
                        *t = table[*s as usize];
                    }
                });
            }
            (SampleType::F32, Some(curve)) => self.map::<f32>(input, out, |s, t| {
                for (t, s) in t.iter_mut().zip(s) {
                    *t = curve(*s as f64) as f32;
                }
            }),
        }
    }
}

crate::simd! {
    fn look_up(source: &[u8], target: &mut [u8], table: &[u8; 256]) {
        for (t, s) in target.iter_mut().zip(source) {
            *t = table[*s as usize];
        }
    }
}
