//! thumbnail: a small version that fits into a square.

use super::resize::{Fit, Resize};
use crate::kernels::resample_axis::Filter;
use crate::op::{Channels, Group, Op, Param, Step};

/// The operation.
pub static OP: Op = Op {
    name: "thumbnail",
    about: "Shrinks to fit into a square and keeps the aspect ratio; small images are left as they are. Files may be decoded at reduced size.",
    params: &[Param::int(
        "size",
        1..=65_535,
        256,
        "side of the square in pixels",
    )],
    example: "thumbnail(size=20)",
    group: Group::Geometry,
    channels: Channels::Each,
    build: |args| {
        let size = args.size("size");
        Ok(vec![Step::local(Resize::new(
            size,
            size,
            Fit::Thumbnail,
            Filter::Lanczos3,
        ))])
    },
};
