//! A source for formats that are decoded at once: the image waits in memory and is handed out by rows.

use super::RowSource;
use crate::error::Result;
use crate::image::{Metadata, Shape};
use crate::window::Band;

/// An image of 8-bit samples.
pub(super) struct Whole {
    pub shape: Shape,
    pub metadata: Metadata,
    pub samples: Vec<u8>,
}

impl RowSource for Whole {
    fn shape(&self) -> Shape {
        self.shape
    }

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn read(&mut self, band: &mut Band<'_>) -> Result<()> {
        let len = self.shape.row_len();
        let range = band.range();
        let rows = &self.samples[range.start * len..range.end * len];
        band.samples::<u8>().copy_from_slice(rows);
        Ok(())
    }

    fn release(&mut self) {
        self.samples = Vec::new();
    }

    fn seek_row(&mut self, _row: usize) -> Result<bool> {
        // Each read names its rows.
        Ok(true)
    }
}
