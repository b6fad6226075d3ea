//! Formats: probing headers against limits, decoding row by row, encoding row by row.

use crate::error::Result;
use crate::image::{Metadata, Rows, Shape};
use crate::window::Band;

/// A decoder that yields rows from the top.
pub trait RowSource: Send {
    /// Size and layout of the rows.
    fn shape(&self) -> Shape;

    /// ICC profile, EXIF and orientation.
    fn metadata(&self) -> &Metadata;

    /// Decodes the next `band.count` rows; `band.first` is the row after the last one read.
    fn read(&mut self, band: &mut Band<'_>) -> Result<()>;
}

/// An encoder that takes rows from the top.
pub trait RowSink: Send {
    /// Encodes the next rows; `rows.first` is the row after the last one written.
    fn write(&mut self, rows: &Rows) -> Result<()>;

    /// Ends the file after all rows were written.
    fn finish(self: Box<Self>) -> Result<()>;
}
