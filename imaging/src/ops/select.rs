//! select: keeps some channels.

use crate::error::{Error, Result};
use crate::image::{Color, Shape};
use crate::op::{Channels, Group, Kind, Local, Op, Param, Step};
use crate::window::{Band, Scratch, Window};

/// The operation.
pub static OP: Op = Op {
    name: "select",
    about: "Keeps these channels, in this order: three become RGB, one gray, other numbers bands of data.",
    params: &[Param {
        name: "bands",
        about: "channels by number, from 1; alpha is the last",
        kind: Kind::Bands,
    }],
    example: "select(bands=[1])",
    group: Group::Channels,
    channels: Channels::Each,
    build: |args| {
        let bands = args.list("bands").iter().map(|v| *v as usize - 1);
        Ok(vec![Step::local(Select {
            bands: bands.collect(),
        })])
    },
};

struct Select {
    /// From 0.
    bands: Vec<usize>,
}

impl Local for Select {
    fn output(&self, input: Shape) -> Result<Shape> {
        if let Some(beyond) = self.bands.iter().find(|&&band| band >= input.channels()) {
            return Err(Error::Unsuitable(format!(
                "`select`: there is no channel {} (the image has {}, counted from 1)",
                beyond + 1,
                input.channels()
            )));
        }
        let color = match self.bands.len() {
            1 => Color::Gray,
            3 => Color::Rgb,
            n => Color::Bands(n as u16),
        };
        Ok(Shape { color, ..input })
    }

    fn takes_f64(&self) -> bool {
        true
    }

    fn takes_bands(&self) -> bool {
        true
    }

    fn cost(&self) -> f64 {
        0.5
    }

    fn apply(&self, input: &Window<'_>, out: &mut Band<'_>, _scratch: &mut Scratch) {
        let (from, to) = (input.shape().channels(), out.shape.channels());
        crate::by_any_sample!(out.shape.sample, T => {
            for y in out.range() {
                let source = input.row::<T>(y as isize).chunks_exact(from);
                for (t, s) in out.row::<T>(y).chunks_exact_mut(to).zip(source) {
                    t.iter_mut().zip(&self.bands).for_each(|(t, &band)| *t = s[band]);
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::image::{Buffer, Image};
    use crate::kernels::trial::run;
    use crate::{Color, Pipeline, Plan, SampleType, Shape};

    #[test]
    fn channels_are_kept_in_the_order_asked_for() {
        let shape = Shape::new(1, 2, Color::Bands(5), SampleType::F64);
        let image = Image::new(shape, Buffer::F64((0..10).map(f64::from).collect()));
        let rgb = run("select(bands=[5, 1, 3])", &image);
        assert_eq!(rgb.shape().color, Color::Rgb);
        assert_eq!(
            rgb.rows.data,
            Buffer::F64(vec![4.0, 0.0, 2.0, 9.0, 5.0, 7.0])
        );
        assert_eq!(run("select(bands=2)", &image).shape().color, Color::Gray);
        let four = run("select(bands=[1, 2, 3, 4])", &image);
        assert_eq!(four.shape().color, Color::Bands(4));
        let plan = Plan::new(&Pipeline::parse("select(bands=[6])").unwrap(), shape);
        let error = plan.map(|plan| plan.output).unwrap_err().to_string();
        assert_eq!(
            error,
            "`select`: there is no channel 6 (the image has 5, counted from 1)"
        );
    }
}
