//! A source for formats that are decoded at once: the image waits in memory and is handed out by rows.

use super::RowSource;
use crate::error::Result;
use crate::image::{Metadata, Shape};
use crate::warning::Warning;
use crate::window::Band;

/// An image of samples of any type, as bytes in the machine's order.
pub(super) struct Whole {
    shape: Shape,
    metadata: Metadata,
    samples: Vec<u8>,
    /// What is told of the file.
    pub warnings: Vec<Warning>,
}

impl Whole {
    /// An image of these samples, which must fill the shape.
    pub fn new(shape: Shape, metadata: Metadata, samples: Vec<u8>) -> Whole {
        assert_eq!(
            samples.len(),
            shape.bytes(),
            "samples do not fill {shape:?}"
        );
        Whole {
            shape,
            metadata,
            samples,
            warnings: Vec::new(),
        }
    }

    /// The same with samples of another shape.
    pub fn replaced(self, shape: Shape, samples: impl Fn(&[u8]) -> Vec<u8>) -> Whole {
        Whole {
            warnings: self.warnings,
            ..Whole::new(shape, self.metadata, samples(&self.samples))
        }
    }
}

impl RowSource for Whole {
    fn shape(&self) -> Shape {
        self.shape
    }

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn read(&mut self, band: &mut Band<'_>) -> Result<()> {
        let len = self.shape.row_bytes();
        let range = band.range();
        let rows = &self.samples[range.start * len..range.end * len];
        band.data.bytes_mut().copy_from_slice(rows);
        Ok(())
    }

    fn release(&mut self) {
        self.samples = Vec::new();
    }

    fn seek_row(&mut self, _row: usize) -> Result<bool> {
        // Each read names its rows.
        Ok(true)
    }

    fn warnings(&self) -> &[Warning] {
        &self.warnings
    }
}
