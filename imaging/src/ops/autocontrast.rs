//! autocontrast: stretches the samples that occur to the full range.

use crate::error::Result;
use crate::gpu::Count;
use crate::image::{Element, Shape};
use crate::kernels::histogram::{Binned, Plane, bins, count};
use crate::kernels::table::Table;
use crate::op::{Channels, Group, Local, Measured, Op, Param, Step, Tally};
use crate::window::{Scratch, Window};
use std::ops::Range;
use std::sync::Arc;

/// The operation.
pub static OP: Op = Op {
    name: "autocontrast",
    about: "Stretches all channels together, so that shares of the samples become black and white.",
    params: &[
        Param::float(
            "low",
            0.0..=1.0,
            0.0,
            "share of the samples that becomes black",
        ),
        Param::float(
            "high",
            0.0..=1.0,
            0.0,
            "share of the samples that becomes white",
        ),
    ],
    example: "autocontrast(low=0.01, high=0.02)",
    group: Group::Histogram,
    channels: Channels::Each,
    build: |args| {
        Ok(vec![Step::measured(Autocontrast {
            low: args.float("low"),
            high: args.float("high"),
        })])
    },
};

struct Autocontrast {
    low: f64,
    high: f64,
}

impl Measured for Autocontrast {
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
            count::<T>(input, rows, Plane::Colors, &mut tally.sums);
        });
    }

    fn spans(&self) -> bool {
        true
    }

    fn gpu(&self, _input: Shape) -> Option<Count> {
        Some(Count {
            plane: 0,
            bins: 256,
        })
    }

    fn finish(&self, _input: Shape, tally: &Tally) -> Result<Vec<Arc<dyn Local>>> {
        let Some((low, high)) = self.ends(&tally.sums) else {
            return Ok(vec![Arc::new(Table::curve(|v| v))]);
        };
        let stretch = move |v: f64, top: f64| (v - low as f64) * (top / (high - low) as f64);
        let (black, white) = (f64::from(f32::level(low)), f64::from(f32::level(high)));
        Ok(vec![Arc::new(Table::each(
            move |v| u8::saturate(stretch(f64::from(v), 255.0)),
            move |v| u16::saturate(stretch(f64::from(v), 65535.0)),
            move |v| ((f64::from(v) - black) / (white - black)) as f32,
        ))])
    }
}

impl Autocontrast {
    /// The bins that become black and white; `None` where there is nothing between them.
    fn ends(&self, counts: &[i64]) -> Option<(usize, usize)> {
        let total = counts.iter().sum::<i64>() as f64;
        let (low, high) = (self.low * total, (1.0 - self.high) * total);
        let first = |reached: &dyn Fn(f64) -> bool| {
            let mut sum = 0;
            let found = counts.iter().position(|n| {
                sum += n;
                reached(sum as f64)
            });
            found.unwrap_or(counts.len())
        };
        let low = first(&|sum| sum > low);
        let high = first(&|sum| sum >= high);
        (high > low).then_some((low, high))
    }
}
