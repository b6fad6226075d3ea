//! Images as arrays of the crate `ndarray`, height x width x channels, and as pictures of the crate `image`.
//!
//! One channel is gray, two are gray with alpha, three RGB, four RGBA, more are bands. Samples keep their type: `u8`,
//! `u16`, `f32` (nominally 0..1) or `f64`.
//!
//! ```
//! use imaging::{Image, Pipeline, arrays};
//! use ndarray::Array3;
//!
//! // A gradient of 40 rows of 60 RGB pixels.
//! let array = Array3::from_shape_fn((40, 60, 3), |(y, x, c)| (y * 4 + x * 2 + c * 9) as u8);
//!
//! let image = Image::from_array(array.view())?;
//! let image = arrays::apply(&image, &Pipeline::parse("gaussian(sigma=2) | flip(axis=horizontal)")?)?;
//! assert_eq!(image.array::<u8>()?.dim(), (40, 60, 3));
//!
//! // The same as a picture of the crate `image`, and back.
//! let picture = image.to_dynamic()?;
//! assert_eq!((picture.width(), picture.height()), (60, 40));
//! let again = Image::from_dynamic(&picture)?;
//! assert_eq!(again.array::<u8>()?, image.array::<u8>()?);
//! # Ok::<(), imaging::Error>(())
//! ```

use crate::comm::serial::Serial;
use crate::error::{Error, Result};
use crate::executor::{Context, run_rows};
use crate::image::{Buffer, Color, Element, Image, Metadata, Shape};
use crate::pipeline::Pipeline;
use crate::plan::Plan;
use ::image::{DynamicImage, ImageBuffer};
use ndarray::{Array3, ArrayView3};

/// The colours of that many channels.
pub fn color_of(channels: usize) -> Result<Color> {
    match channels {
        1 => Ok(Color::Gray),
        2 => Ok(Color::GrayAlpha),
        3 => Ok(Color::Rgb),
        4 => Ok(Color::Rgba),
        n => match u16::try_from(n) {
            Ok(n @ 1..) => Ok(Color::Bands(n)),
            _ => Err(Error::Unsuitable(format!(
                "{n} channels are no image (there are 1 to 65535)"
            ))),
        },
    }
}

/// The image that a pipeline makes of another, on this thread.
pub fn apply(image: &Image, pipeline: &Pipeline) -> Result<Image> {
    let plan = Plan::new(pipeline, image.shape())?;
    let comm = Serial::default();
    let rows = run_rows(&mut Context::new(&comm), &plan, image.rows.clone())?;
    Ok(Image {
        rows,
        metadata: image.metadata.clone(),
    })
}

impl Image {
    /// An image of an array of height x width x channels, whatever its strides.
    pub fn from_array<T: Element>(array: ArrayView3<'_, T>) -> Result<Image> {
        let (rows, cols, channels) = array.dim();
        if rows == 0 || cols == 0 {
            return Err(Error::Unsuitable(format!(
                "an array of {rows} x {cols} x {channels} is no image: it has no pixels"
            )));
        }
        let shape = Shape::new(rows, cols, color_of(channels)?, T::TYPE);
        let samples = match array.as_slice() {
            Some(samples) => samples.to_vec(),
            None => array.iter().copied().collect(),
        };
        Ok(upright(Image::new(shape, T::wrap(samples))))
    }

    /// The samples as an array, without a copy. An error where they are of another type.
    pub fn array<T: Element>(&self) -> Result<ArrayView3<'_, T>> {
        let shape = self.shape();
        if shape.sample != T::TYPE {
            return Err(Error::Unsuitable(format!(
                "the image has {} samples, not {}",
                shape.sample.name(),
                T::TYPE.name()
            )));
        }
        let sides = (shape.rows, shape.cols, shape.channels());
        ArrayView3::from_shape(sides, T::of(&self.rows.data))
            .map_err(|error| Error::Unsuitable(error.to_string()))
    }

    /// As [`Image::array`], of its own.
    pub fn to_array<T: Element>(&self) -> Result<Array3<T>> {
        self.array().map(|view| view.to_owned())
    }

    /// An image of a picture of the crate `image`.
    pub fn from_dynamic(picture: &DynamicImage) -> Result<Image> {
        let (color, data) = match picture {
            DynamicImage::ImageLuma8(p) => (Color::Gray, Buffer::U8(p.as_raw().clone())),
            DynamicImage::ImageLumaA8(p) => (Color::GrayAlpha, Buffer::U8(p.as_raw().clone())),
            DynamicImage::ImageRgb8(p) => (Color::Rgb, Buffer::U8(p.as_raw().clone())),
            DynamicImage::ImageRgba8(p) => (Color::Rgba, Buffer::U8(p.as_raw().clone())),
            DynamicImage::ImageLuma16(p) => (Color::Gray, Buffer::U16(p.as_raw().clone())),
            DynamicImage::ImageLumaA16(p) => (Color::GrayAlpha, Buffer::U16(p.as_raw().clone())),
            DynamicImage::ImageRgb16(p) => (Color::Rgb, Buffer::U16(p.as_raw().clone())),
            DynamicImage::ImageRgba16(p) => (Color::Rgba, Buffer::U16(p.as_raw().clone())),
            DynamicImage::ImageRgb32F(p) => (Color::Rgb, Buffer::F32(p.as_raw().clone())),
            DynamicImage::ImageRgba32F(p) => (Color::Rgba, Buffer::F32(p.as_raw().clone())),
            _ => {
                return Err(Error::Unsuitable(
                    "a picture of this colour type has no counterpart here".into(),
                ));
            }
        };
        if picture.width() == 0 || picture.height() == 0 {
            return Err(Error::Unsuitable("a picture without pixels".into()));
        }
        let (rows, cols) = (picture.height() as usize, picture.width() as usize);
        let shape = Shape::new(rows, cols, color, data.sample());
        Ok(upright(Image::new(shape, data)))
    }

    /// A picture of the crate `image`. Gray floats become RGB, for which that has a type; `f64` becomes `f32`; bands are
    /// an error.
    pub fn to_dynamic(&self) -> Result<DynamicImage> {
        let shape = self.shape();
        let side = |n: usize| {
            u32::try_from(n)
                .map_err(|_| Error::Unsuitable(format!("a side of {n} pixels is too long")))
        };
        let (cols, rows) = (side(shape.cols)?, side(shape.rows)?);
        macro_rules! picture {
            ($kind:ident, $samples:expr) => {
                ImageBuffer::from_raw(cols, rows, $samples).map(DynamicImage::$kind)
            };
        }
        let made = match (&self.rows.data, shape.color) {
            (Buffer::U8(v), Color::Gray) => picture!(ImageLuma8, v.clone()),
            (Buffer::U8(v), Color::GrayAlpha) => picture!(ImageLumaA8, v.clone()),
            (Buffer::U8(v), Color::Rgb) => picture!(ImageRgb8, v.clone()),
            (Buffer::U8(v), Color::Rgba) => picture!(ImageRgba8, v.clone()),
            (Buffer::U16(v), Color::Gray) => picture!(ImageLuma16, v.clone()),
            (Buffer::U16(v), Color::GrayAlpha) => picture!(ImageLumaA16, v.clone()),
            (Buffer::U16(v), Color::Rgb) => picture!(ImageRgb16, v.clone()),
            (Buffer::U16(v), Color::Rgba) => picture!(ImageRgba16, v.clone()),
            (_, Color::Bands(n)) => {
                return Err(Error::Unsuitable(format!(
                    "{n} bands are no picture of the crate image (choose one or three of them: select)"
                )));
            }
            (data, color) => {
                let floats: Vec<f32> = match data {
                    Buffer::F32(v) => v.clone(),
                    Buffer::F64(v) => v.iter().map(|v| *v as f32).collect(),
                    Buffer::U8(_) | Buffer::U16(_) => Vec::new(),
                };
                let spread = |floats: Vec<f32>| -> Vec<f32> {
                    let pixels = floats.chunks_exact(color.channels());
                    match color {
                        Color::Gray => pixels.flat_map(|p| [p[0]; 3]).collect(),
                        Color::GrayAlpha => pixels.flat_map(|p| [p[0], p[0], p[0], p[1]]).collect(),
                        _ => floats,
                    }
                };
                match color.has_alpha() {
                    true => picture!(ImageRgba32F, spread(floats)),
                    false => picture!(ImageRgb32F, spread(floats)),
                }
            }
        };
        made.ok_or_else(|| Error::Unsuitable("samples are missing".into()))
    }
}

fn upright(image: Image) -> Image {
    Image {
        metadata: Metadata {
            orientation: 1,
            ..Metadata::default()
        },
        ..image
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::SampleType;
    use ndarray::{ShapeBuilder as _, s};

    #[test]
    fn arrays_of_any_strides_become_images_and_come_back() {
        for channels in 1..7 {
            let array =
                Array3::from_shape_fn((3, 5, channels), |(y, x, c)| (y * 100 + x * 10 + c) as u16);
            let image = Image::from_array(array.view()).unwrap();
            assert_eq!(image.shape().channels(), channels);
            assert_eq!(image.array::<u16>().unwrap(), array);
            let mut turned = Array3::<u16>::zeros((3, 5, channels).f());
            turned.assign(&array);
            assert_eq!(Image::from_array(turned.view()).unwrap(), image);
            let part = Image::from_array(array.slice(s![.., 1..;2, ..])).unwrap();
            assert_eq!(
                part.to_array::<u16>().unwrap(),
                array.slice(s![.., 1..;2, ..])
            );
            assert!(
                image
                    .array::<f32>()
                    .unwrap_err()
                    .to_string()
                    .contains("not 32-bit float")
            );
        }
        assert!(Image::from_array(Array3::<u8>::zeros((0, 4, 3)).view()).is_err());
        assert!(Image::from_array(Array3::<f32>::zeros((1, 1, 70_000)).view()).is_err());
    }

    #[test]
    fn pictures_of_the_crate_image_come_back() {
        for color in [Color::Gray, Color::GrayAlpha, Color::Rgb, Color::Rgba] {
            for sample in [SampleType::U8, SampleType::U16, SampleType::F32] {
                let shape = Shape::new(4, 3, color, sample);
                let mut data = Buffer::zeroed(sample, 12 * color.channels());
                data.bytes_mut()
                    .iter_mut()
                    .enumerate()
                    .for_each(|(at, b)| *b = at as u8 % 60);
                let image = upright(Image::new(shape, data));
                let again = Image::from_dynamic(&image.to_dynamic().unwrap()).unwrap();
                if sample == SampleType::F32 && color.is_gray() {
                    assert_eq!(again.shape().color, color.to_rgb());
                } else {
                    assert_eq!(again, image);
                }
            }
        }
        let bands = Image::from_array(Array3::<u8>::zeros((2, 2, 5)).view()).unwrap();
        assert!(
            bands
                .to_dynamic()
                .unwrap_err()
                .to_string()
                .contains("5 bands")
        );
    }
}
