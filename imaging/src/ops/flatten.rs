//! flatten: lays the image on a colour, so that nothing is transparent.

use crate::color;
use crate::error::Result;
use crate::image::{Color, Element, Shape};
use crate::kernels::over::over;
use crate::op::{Channels, Group, Kind, Local, Op, Param, Step};
use crate::window::{Band, Scratch, Window};

/// The operation.
pub static OP: Op = Op {
    name: "flatten",
    about: "Blends the image on a colour and drops alpha; images without alpha stay as they are.",
    params: &[Param {
        name: "background",
        about: "what is seen where the image is transparent",
        kind: Kind::Color("white"),
    }],
    example: "flatten(background=#204060)",
    group: Group::Channels,
    channels: Channels::Each,
    build: |args| {
        let background = color::parse(args.word("background")).unwrap_or([255; 3]);
        Ok(vec![Step::local(Flatten { background })])
    },
};

/// Blends on a colour of 8-bit sRGB levels. Gray becomes RGB where the colour is none of gray.
pub struct Flatten {
    /// Red, green, blue.
    pub background: [u8; 3],
}

impl Local for Flatten {
    fn output(&self, input: Shape) -> Result<Shape> {
        let [r, g, b] = self.background;
        let color = match input.color {
            Color::GrayAlpha if r == g && g == b => Color::Gray,
            Color::GrayAlpha | Color::Rgba => Color::Rgb,
            other => other,
        };
        Ok(Shape { color, ..input })
    }

    fn is_identity(&self, input: Shape) -> bool {
        !input.color.has_alpha()
    }

    fn takes_bands(&self) -> bool {
        true
    }

    fn apply(&self, input: &Window<'_>, out: &mut Band<'_>, _scratch: &mut Scratch) {
        crate::by_sample!(out.shape.sample, T => self.rows::<T>(input, out));
    }
}

impl Flatten {
    fn rows<T: Element>(&self, input: &Window<'_>, out: &mut Band<'_>) {
        let (from, to) = (input.shape().channels(), out.shape.channels());
        let colors = from - 1;
        let ground: [T; 3] = self
            .background
            .map(|v| T::saturate(f64::from(v) / 255.0 * T::TOP));
        for y in out.range() {
            let source = input.row::<T>(y as isize).chunks_exact(from);
            for (t, s) in out.row::<T>(y).chunks_exact_mut(to).zip(source) {
                let alpha = s[colors];
                for (c, t) in t.iter_mut().enumerate() {
                    *t = over(s[c.min(colors - 1)], ground[c], alpha);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::image::{Buffer, Image};
    use crate::kernels::trial::run;
    use crate::{Color, SampleType, Shape};

    #[test]
    fn hidden_colours_do_not_appear() {
        let shape = Shape::new(1, 3, Color::Rgba, SampleType::U8);
        let pixels = vec![200, 0, 0, 0, 200, 0, 0, 255, 100, 100, 100, 128];
        let image = Image::new(shape, Buffer::U8(pixels));
        let white = run("flatten", &image);
        assert_eq!(white.shape().color, Color::Rgb);
        assert_eq!(
            white.rows.data,
            Buffer::U8(vec![255, 255, 255, 200, 0, 0, 177, 177, 177])
        );
        let blue = run("flatten(background=#0000ff)", &image);
        assert_eq!(
            blue.rows.data,
            Buffer::U8(vec![0, 0, 255, 200, 0, 0, 50, 50, 177])
        );
    }

    #[test]
    fn gray_stays_gray_on_gray() {
        let shape = Shape::new(1, 1, Color::GrayAlpha, SampleType::U16);
        let image = Image::new(shape, Buffer::U16(vec![65535, 0]));
        assert_eq!(run("flatten", &image).rows.data, Buffer::U16(vec![65535]));
        let black = run("flatten(background=black)", &image);
        assert_eq!(black.rows.data, Buffer::U16(vec![0]));
        assert_eq!(
            run("flatten(background=red)", &image).shape().color,
            Color::Rgb
        );
    }
}
