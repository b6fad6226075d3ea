//! PNG by rows.

use super::{Header, Limits, PngCompression, ReadSeek, RowSink, RowSource, WriteSeek};
use crate::error::{Error, Result};
use crate::image::{Metadata, Shape};

pub(super) fn probe(_input: &mut dyn ReadSeek, _limits: &Limits) -> Result<Header> {
    Err(Error::Decode("PNG is not read yet".into()))
}

pub(super) fn open(_input: Box<dyn ReadSeek>, _limits: &Limits) -> Result<Box<dyn RowSource>> {
    Err(Error::Decode("PNG is not read yet".into()))
}

pub(super) fn create(
    _output: Box<dyn WriteSeek>,
    _compression: PngCompression,
    _shape: Shape,
    _metadata: &Metadata,
) -> Result<Box<dyn RowSink>> {
    Err(Error::Encode("PNG is not written yet".into()))
}

pub(super) fn encoder_memory(shape: Shape) -> usize {
    3 * shape.row_bytes()
}
