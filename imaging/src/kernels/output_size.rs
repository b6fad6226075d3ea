//! The largest image that an operation may make.

use crate::error::{Error, Result};
use crate::image::Shape;

/// Greatest width and height.
pub const MAX_SIDE: usize = 1_000_000;
/// Greatest number of pixels.
pub const MAX_PIXELS: usize = 1 << 32;

/// The shape, unless it is larger than any operation may make.
pub fn limited(op: &str, shape: Shape) -> Result<Shape> {
    let fits = shape.rows <= MAX_SIDE && shape.cols <= MAX_SIDE && shape.pixels() <= MAX_PIXELS;
    match fits {
        true => Ok(shape),
        false => Err(Error::Limit(format!(
            "`{op}` would make an image of {} x {} pixels; at most {MAX_SIDE} a side and {MAX_PIXELS} in all",
            shape.cols, shape.rows
        ))),
    }
}
