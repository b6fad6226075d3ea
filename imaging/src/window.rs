//! What a kernel sees: input rows with the border filled in, and the band of output rows to write.

use crate::border::Border;
use crate::image::{Buffer, BufferMut, Element, Rows, Shape};
use std::any::Any;
use std::ops::Range;

/// The input rows of one kernel call. Rows beyond the image's edge are answered by the border rule,
/// so a kernel never meets the edge in the vertical direction.
pub struct Window<'a> {
    pieces: &'a [&'a Rows],
    shape: Shape,
    border: Border,
    black: &'a Buffer,
}

impl<'a> Window<'a> {
    /// A window on rows that lie in `pieces` (in any order). `black` is one row of zeros, used beyond
    /// the edge of a [`Border::Constant`].
    pub fn new(
        pieces: &'a [&'a Rows],
        shape: Shape,
        border: Border,
        black: &'a Buffer,
    ) -> Window<'a> {
        Window {
            pieces,
            shape,
            border,
            black,
        }
    }

    /// Shape of the whole input image.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Row `y` of the input, which may lie outside the image. Panics when the kernel asks for a row
    /// outside of what its `rows_needed` said.
    #[inline]
    pub fn row<T: Element>(&self, y: isize) -> &'a [T] {
        let len = self.shape.row_len();
        let Some(y) = self.border.index(y, self.shape.rows) else {
            return &T::of(self.black)[..len];
        };
        for piece in self.pieces {
            if piece.range().contains(&y) {
                let at = (y - piece.first) * len;
                return &T::of(&piece.data)[at..at + len];
            }
        }
        let held: Vec<Range<usize>> = self.pieces.iter().map(|p| p.range()).collect();
        panic!("row {y} of {} is not in {held:?}", self.shape.rows)
    }
}

/// Output rows `first..first + count`, to be written entirely.
#[derive(Debug)]
pub struct Band<'a> {
    /// Shape of the whole output image.
    pub shape: Shape,
    /// Index of the first row.
    pub first: usize,
    /// Number of rows.
    pub count: usize,
    /// `count * shape.row_len()` samples.
    pub data: BufferMut<'a>,
}

impl<'a> Band<'a> {
    /// All rows held by `rows`.
    pub fn of(rows: &'a mut Rows) -> Band<'a> {
        Band {
            shape: rows.shape,
            first: rows.first,
            count: rows.count,
            data: rows.data.as_mut(),
        }
    }

    /// The rows to write.
    pub fn range(&self) -> Range<usize> {
        self.first..self.first + self.count
    }

    /// Row `y` (index in the output image) for writing.
    #[inline]
    pub fn row<T: Element>(&mut self, y: usize) -> &mut [T] {
        let len = self.shape.row_len();
        let at = (y - self.first) * len;
        &mut T::of_mut(&mut self.data)[at..at + len]
    }

    /// All samples of the band.
    #[inline]
    pub fn samples<T: Element>(&mut self) -> &mut [T] {
        T::of_mut(&mut self.data)
    }

    /// Part of the band, for a shorter time.
    pub fn part(&mut self, range: Range<usize>) -> Band<'_> {
        let len = self.shape.row_len();
        let (a, b) = (range.start - self.first, range.end - self.first);
        Band {
            shape: self.shape,
            first: range.start,
            count: range.len(),
            data: self.data.slice(a * len..b * len),
        }
    }

    /// Split after the first `rows` rows.
    pub fn split(self, rows: usize) -> (Band<'a>, Band<'a>) {
        let (a, b) = self.data.split_at(rows * self.shape.row_len());
        (
            Band {
                shape: self.shape,
                first: self.first,
                count: rows,
                data: a,
            },
            Band {
                shape: self.shape,
                first: self.first + rows,
                count: self.count - rows,
                data: b,
            },
        )
    }
}

/// A kernel's working memory. It lives as long as one thread walks down one image, so a kernel can
/// carry running sums from one band to the next.
#[derive(Default)]
pub struct Scratch {
    state: Option<Box<dyn Any + Send>>,
    next: Option<usize>,
}

impl Scratch {
    /// The kernel's state (made by `new` at the first call), and whether `out` begins just where the
    /// previous call ended, so that running sums may go on. Each call must fill the whole band.
    pub fn state<S: Any + Send>(
        &mut self,
        out: &Band<'_>,
        new: impl FnOnce() -> S,
    ) -> (&mut S, bool) {
        let goes_on =
            self.next == Some(out.first) && self.state.as_ref().is_some_and(|s| s.is::<S>());
        self.next = Some(out.first + out.count);
        let fresh = !self.state.as_ref().is_some_and(|s| s.is::<S>());
        if fresh {
            self.state = Some(Box::new(new()));
        }
        match self.state.as_mut().and_then(|s| s.downcast_mut::<S>()) {
            Some(state) => (state, goes_on && !fresh),
            None => unreachable!("the state was just made of this type"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Color, SampleType};

    #[test]
    fn sums_go_on_only_where_the_last_call_ended() {
        let shape = Shape::new(40, 2, Color::Gray, SampleType::U8);
        let mut scratch = Scratch::default();
        let mut goes_on = |range: std::ops::Range<usize>| {
            let mut rows = Rows::zeroed(shape, range);
            let out = Band::of(&mut rows);
            scratch.state(&out, || 7).1
        };
        let calls = [3..7, 7..12, 12..13, 36..38, 21..25, 26..27, 27..28];
        assert_eq!(
            calls.map(&mut goes_on),
            [false, true, true, false, false, false, true]
        );
        // A state of another kind begins anew.
        let mut rows = Rows::zeroed(shape, 28..29);
        let out = Band::of(&mut rows);
        assert_eq!(scratch.state(&out, || "text"), (&mut "text", false));
    }
}
