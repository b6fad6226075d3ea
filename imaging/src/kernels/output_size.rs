//! The largest image that an operation may make.

use crate::error::{Limit, Result};
use crate::image::Shape;

/// Greatest width and height.
pub const MAX_SIDE: usize = 1_000_000;
/// Greatest number of pixels, fewer where addresses have 32 bits.
pub const MAX_PIXELS: u64 = if usize::BITS > 32 { 1 << 32 } else { 1 << 28 };

/// The shape, unless it is larger than any operation may make.
pub fn limited(op: &str, shape: Shape) -> Result<Shape> {
    let pixels = shape.rows as u64 * shape.cols as u64;
    let fits = shape.rows <= MAX_SIDE && shape.cols <= MAX_SIDE && pixels <= MAX_PIXELS;
    match fits {
        true => Ok(shape),
        false => Err(Limit::Pixels.exceeded(format!(
            "`{op}` would make an image of {} x {} pixels; at most {MAX_SIDE} a side and {MAX_PIXELS} in all",
            shape.cols, shape.rows
        ))),
    }
}
