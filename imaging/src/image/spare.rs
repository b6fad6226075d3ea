//! Large buffers that outlive the image they were made for.

use super::{Buffer, Rows, Shape};
use std::ops::Range;

/// Large buffers kept for the next image, so that the system need not map and clear them anew.
#[derive(Debug, Default)]
pub struct Spare {
    kept: std::sync::Mutex<Vec<Buffer>>,
    strict: bool,
}

impl Spare {
    const KEPT: usize = 2;
    const LEAST_BYTES: usize = 1 << 18;

    /// For use under a cap of memory: what does not fit the next demand is given back before another buffer is made, so
    /// that nothing is ever held beside the input and the output of one stage.
    pub fn strict() -> Spare {
        Spare {
            strict: true,
            ..Spare::default()
        }
    }

    /// Gives all kept memory back before something large is made elsewhere, under a cap of memory.
    pub fn make_room(&self) {
        if self.strict {
            self.clear();
        }
    }

    /// Rows whose samples are yet to be written: black, or whatever a spare buffer held.
    pub fn rows(&self, shape: Shape, range: Range<usize>) -> Rows {
        let len = range.len() * shape.row_len();
        let mut kept = self.lock();
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
        if self.strict {
            kept.clear();
        }
        drop(kept);
        Rows::zeroed(shape, range)
    }

    /// Keeps the buffer of rows that are no longer needed.
    pub fn give(&self, rows: Rows) {
        if rows.data.bytes().len() < Spare::LEAST_BYTES {
            return;
        }
        let mut kept = self.lock();
        let most = if self.strict { 1 } else { Spare::KEPT };
        if kept.len() >= most {
            kept.remove(0);
        }
        kept.push(rows.data);
    }

    /// Gives all kept memory back to the system.
    pub fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Buffer>> {
        self.kept.lock().unwrap_or_else(|e| e.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Color, SampleType};

    fn kept(spare: &Spare) -> usize {
        spare.lock().iter().map(Buffer::len).sum()
    }

    #[test]
    fn under_a_cap_what_does_not_fit_is_given_back_first() {
        let large = Shape::new(1000, 1000, Color::Gray, SampleType::U8);
        let small = Shape::new(600, 600, Color::Gray, SampleType::U8);
        let tiny = Shape::new(10, 10, Color::Gray, SampleType::U8);
        for (spare, most) in [(Spare::default(), 2_000_000), (Spare::strict(), 1_000_000)] {
            spare.give(Rows::zeroed(large, 0..1000));
            spare.give(Rows::zeroed(large, 0..1000));
            assert_eq!(kept(&spare), most);
            // A buffer that fits is used again.
            assert_eq!(spare.rows(large, 0..900).data.len(), 900_000);
            assert_eq!(kept(&spare), most - 1_000_000);
            spare.give(Rows::zeroed(large, 0..1000));
            spare.rows(small, 0..600);
            assert_eq!(kept(&spare) == 0, spare.strict);
            spare.give(Rows::zeroed(tiny, 0..10));
            spare.give(Rows::zeroed(large, 0..1000));
            spare.make_room();
            assert_eq!(kept(&spare) == 0, spare.strict);
        }
    }
}
