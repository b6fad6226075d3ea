//! The border rule for columns: a row of working samples with room for its surroundings on both sides.

use crate::border::Border;

/// A row whose samples are written by a kernel and whose surroundings are copied from them.
pub struct Padded<T> {
    data: Vec<T>,
    /// Where each pixel left and right of the row comes from; `None` is outside of everything.
    sources: [Vec<Option<usize>>; 2],
    channels: usize,
    margin: usize,
}

impl<T: Copy> Padded<T> {
    /// A row of `cols` pixels with `radius` more on each side. `outside` is what a constant border holds.
    pub fn new(
        cols: usize,
        channels: usize,
        radius: usize,
        border: Border,
        outside: T,
    ) -> Padded<T> {
        let source = |at: isize| border.index(at, cols);
        let (reach, end) = (radius as isize, cols as isize);
        Padded {
            data: vec![outside; (cols + 2 * radius) * channels],
            sources: [
                (-reach..0).map(source).collect(),
                (end..end + reach).map(source).collect(),
            ],
            channels,
            margin: radius * channels,
        }
    }

    /// The row itself, to be written.
    pub fn inner(&mut self) -> &mut [T] {
        let end = self.data.len() - self.margin;
        &mut self.data[self.margin..end]
    }

    /// The row with its surroundings, which are copied now: the first sample is `radius` pixels left
    /// of the image.
    pub fn surrounded(&mut self) -> &[T] {
        self.surround();
        &self.data
    }

    /// The row with its surroundings as they were copied last.
    pub fn all(&self) -> &[T] {
        &self.data
    }

    /// Copies the surroundings.
    pub fn surround(&mut self) {
        let starts = [0, self.data.len() - self.margin];
        for (start, sources) in starts.into_iter().zip(&self.sources) {
            for (i, source) in sources.iter().enumerate() {
                if let Some(pixel) = source {
                    let from = self.margin + pixel * self.channels;
                    let to = start + i * self.channels;
                    self.data.copy_within(from..from + self.channels, to);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn surroundings_follow_the_border() {
        let row = |border| {
            let mut row = Padded::new(3, 2, 2, border, 9);
            row.inner().copy_from_slice(&[1, 10, 2, 20, 3, 30]);
            row.surrounded().to_vec()
        };
        assert_eq!(
            row(Border::Reflect101),
            [3, 30, 2, 20, 1, 10, 2, 20, 3, 30, 2, 20, 1, 10]
        );
        assert_eq!(
            row(Border::Constant),
            [9, 9, 9, 9, 1, 10, 2, 20, 3, 30, 9, 9, 9, 9]
        );
    }

    #[test]
    fn a_radius_beyond_the_row_is_fine() {
        let mut row = Padded::new(1, 1, 4, Border::Reflect101, 0);
        row.inner()[0] = 5;
        assert_eq!(row.surrounded(), [5; 9]);
    }
}
