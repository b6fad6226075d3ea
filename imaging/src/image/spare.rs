//! Large buffers that outlive the image they were made for.

use super::{Buffer, Rows, Shape};
use std::ops::Range;

/// Large buffers kept for the next image, so that the system need not map and clear them anew.
#[derive(Debug, Default)]
pub struct Spare(std::sync::Mutex<Vec<Buffer>>);

impl Spare {
    const KEPT: usize = 2;
    const LEAST_BYTES: usize = 1 << 18;

    /// Rows whose samples are yet to be written: black, or whatever a spare buffer held.
    pub fn rows(&self, shape: Shape, range: Range<usize>) -> Rows {
        let len = range.len() * shape.row_len();
        let mut kept = self.0.lock().unwrap_or_else(|e| e.into_inner());
        let fits = |b: &Buffer| b.sample() == shape.sample && b.len() >= len && b.len() / 2 <= len;
        if let Some(at) = kept.iter().position(fits) {
            let mut data = kept.swap_remove(at);
            data.resize(len);
            return Rows {
                shape,
                first: range.start,
                count: range.len(),
                data,
            };
        }
        drop(kept);
        Rows::zeroed(shape, range)
    }

    /// Keeps the buffer of rows that are no longer needed.
    pub fn give(&self, rows: Rows) {
        if rows.data.bytes().len() < Spare::LEAST_BYTES {
            return;
        }
        let mut kept = self.0.lock().unwrap_or_else(|e| e.into_inner());
        if kept.len() == Spare::KEPT {
            kept.remove(0);
        }
        kept.push(rows.data);
    }

    /// Gives all kept memory back to the system.
    pub fn clear(&self) {
        self.0.lock().unwrap_or_else(|e| e.into_inner()).clear();
    }
}
