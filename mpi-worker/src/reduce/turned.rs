//! Results of images whose stored pixels are turned: put upright once all are there.

use super::Results;
use super::layout::Layout;
use imaging::Shape;
use imaging::codec::orientation::Turn;

/// Gathers the results of one image.
pub struct Turning {
    turns: &'static [Turn],
    rows: usize,
    cols: usize,
    channels: usize,
    results: Option<Results>,
}

impl Turning {
    /// For images of that layout.
    pub fn new(layout: &Layout, turns: &'static [Turn]) -> Turning {
        let (rows, cols, channels) = match layout.picture {
            Some(shape) => (shape.rows, shape.cols, shape.channels()),
            None => (1, layout.values, 1),
        };
        Turning {
            turns,
            rows,
            cols,
            channels,
            results: None,
        }
    }

    fn swapped(&self) -> bool {
        let quarter = |t: &&Turn| matches!(t, Turn::Clockwise | Turn::Anticlockwise);
        self.turns.iter().filter(quarter).count() % 2 == 1
    }

    /// The upright dimensions.
    pub fn dims(&self) -> Vec<usize> {
        let (rows, cols) = match self.swapped() {
            true => (self.cols, self.rows),
            false => (self.rows, self.cols),
        };
        let mut dims = vec![rows, cols];
        if self.channels > 1 {
            dims.push(self.channels);
        }
        dims
    }

    /// The upright shape.
    pub fn shape(&self, stored: Shape) -> Shape {
        let dims = self.dims();
        Shape {
            rows: dims[0],
            cols: dims[1],
            ..stored
        }
    }

    /// Takes the results of the next indices.
    pub fn push(&mut self, next: Results) {
        match (&mut self.results, next) {
            (Some(Results::Floats(all)), Results::Floats(next)) => all.extend(next),
            (Some(Results::Integers(all)), Results::Integers(next)) => all.extend(next),
            (results, next) => *results = Some(next),
        }
    }

    /// All results in upright order.
    pub fn upright(self) -> Option<Results> {
        let (mut rows, mut cols) = (self.rows, self.cols);
        let mut from: Vec<u32> = (0..(rows * cols) as u32).collect();
        for turn in self.turns {
            let swapped = matches!(turn, Turn::Clockwise | Turn::Anticlockwise);
            let (h, w) = if swapped { (cols, rows) } else { (rows, cols) };
            let source = |y: usize, x: usize| match turn {
                Turn::FlipHorizontal => y * cols + (cols - 1 - x),
                Turn::FlipVertical => (rows - 1 - y) * cols + x,
                Turn::Half => (rows - 1 - y) * cols + (cols - 1 - x),
                Turn::Clockwise => (rows - 1 - x) * cols + y,
                Turn::Anticlockwise => x * cols + (cols - 1 - y),
            };
            from = (0..h * w).map(|at| from[source(at / w, at % w)]).collect();
            (rows, cols) = (h, w);
        }
        Some(match self.results? {
            Results::Floats(all) => Results::Floats(pick(&all, &from, self.channels)),
            Results::Integers(all) => Results::Integers(pick(&all, &from, self.channels)),
        })
    }
}

fn pick<T: Copy>(all: &[T], from: &[u32], channels: usize) -> Vec<T> {
    let pixels = from.iter().map(|&at| at as usize * channels);
    pixels
        .flat_map(|at| all[at..at + channels].iter().copied())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use imaging::codec::orientation::turns;

    #[test]
    fn orientations_of_a_letter() {
        // 1 2 3
        // 4 5 6
        let cases = [
            (2, vec![3, 2, 1, 6, 5, 4]),
            (3, vec![6, 5, 4, 3, 2, 1]),
            (4, vec![4, 5, 6, 1, 2, 3]),
            (5, vec![1, 4, 2, 5, 3, 6]),
            (6, vec![4, 1, 5, 2, 6, 3]),
            (7, vec![6, 3, 5, 2, 4, 1]),
            (8, vec![3, 6, 2, 5, 1, 4]),
        ];
        for (orientation, expected) in cases {
            let mut turning = Turning {
                turns: turns(orientation),
                rows: 2,
                cols: 3,
                channels: 1,
                results: None,
            };
            turning.push(Results::Integers(vec![1, 2, 3]));
            turning.push(Results::Integers(vec![4, 5, 6]));
            assert_eq!(turning.dims() == [3, 2], orientation > 4);
            assert_eq!(
                turning.upright(),
                Some(Results::Integers(expected)),
                "{orientation}"
            );
        }
    }
}
