//! otsu: a threshold between the two classes of grey that differ most.

use super::gray::Gray;
use super::threshold::{MODE, Mode};
use crate::error::Result;
use crate::gpu::Count;
use crate::image::Shape;
use crate::kernels::histogram::{Binned, Plane, bins, count};
use crate::kernels::table::Table;
use crate::op::{Channels, Group, Local, Measured, Op, Step, Tally};
use crate::window::{Scratch, Window};
use std::ops::Range;
use std::sync::Arc;

/// The operation.
pub static OP: Op = Op {
    name: "otsu",
    about: "Thresholds gray at the level that separates dark and light best (Otsu's method).",
    params: &[MODE],
    example: "otsu(mode=binary_inv)",
    group: Group::Histogram,
    channels: Channels::Mixed,
    build: |args| {
        let mode = Mode::from_name(args.word("mode"));
        Ok(vec![Step::local(Gray), Step::measured(Otsu { mode })])
    },
};

struct Otsu {
    mode: Mode,
}

impl Measured for Otsu {
    fn empty(&self, input: Shape) -> Tally {
        Tally {
            sums: vec![0; bins(input.sample)],
            ..Tally::default()
        }
    }

    fn measure(
        &self,
        input: &Window<'_>,
        rows: Range<usize>,
        tally: &mut Tally,
        _scratch: &mut Scratch,
    ) {
        crate::by_sample!(input.shape().sample, T => {
            count::<T>(input, rows, Plane::Gray, &mut tally.sums);
        });
    }

    fn spans(&self) -> bool {
        true
    }

    fn gpu(&self, _input: Shape) -> Option<Count> {
        Some(Count {
            plane: 3,
            bins: 256,
        })
    }

    fn finish(&self, _input: Shape, tally: &Tally) -> Result<Vec<Arc<dyn Local>>> {
        let (mode, bin) = (self.mode, best(&tally.sums));
        let table = Table::each(
            move |v| mode.apply(v, bin as u8),
            move |v| mode.apply(v, bin as u16),
            // Compared by bin, as they were counted.
            move |v| match (mode, v.bin() > bin) {
                (Mode::Trunc, true) => f32::level(bin),
                (_, above) => mode.apply(
                    v,
                    if above {
                        f32::NEG_INFINITY
                    } else {
                        f32::INFINITY
                    },
                ),
            },
        );
        Ok(vec![Arc::new(table)])
    }
}

/// The bin whose split of the histogram has the greatest variance between its parts; the first of
/// several. Source: N. Otsu, "A threshold selection method from gray-level histograms" (1979), summed
/// as OpenCV does.
fn best(counts: &[i64]) -> usize {
    let total: i64 = counts.iter().sum();
    let scale = 1.0 / total.max(1) as f64;
    let mean = (counts.iter().enumerate())
        .map(|(i, &n)| i as f64 * n as f64)
        .fold(0.0, |a, b| a + b)
        * scale;
    let (mut below, mut mean_below) = (0.0f64, 0.0f64);
    let (mut greatest, mut found) = (0.0, 0);
    let least = f64::from(f32::EPSILON);
    for (i, &n) in counts.iter().enumerate() {
        let share = n as f64 * scale;
        mean_below *= below;
        below += share;
        let above = 1.0 - below;
        if below.min(above) < least || below.max(above) > 1.0 - least {
            continue;
        }
        mean_below = (mean_below + i as f64 * share) / below;
        let mean_above = (mean - below * mean_below) / above;
        let variance = below * above * (mean_below - mean_above) * (mean_below - mean_above);
        if variance > greatest {
            (greatest, found) = (variance, i);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_peaks_are_parted() {
        let mut counts = vec![0; 256];
        counts[40] = 100;
        counts[50] = 80;
        counts[200] = 60;
        assert_eq!(best(&counts), 50);
    }

    #[test]
    fn one_level_has_no_threshold() {
        let mut counts = vec![0; 256];
        assert_eq!(best(&counts), 0);
        counts[99] = 5;
        assert_eq!(best(&counts), 0);
    }
}
