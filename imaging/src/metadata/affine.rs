//! Where the pixels of an output come from: a linear map of coordinates.

/// Maps coordinates of an output to those of its input. Coordinates count pixels from the corner of the
/// first one, to the right and down.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Affine {
    /// `x' = m[0][0] x + m[0][1] y + m[0][2]`, and `y'` alike.
    pub m: [[f64; 3]; 2],
}

impl Affine {
    /// Every pixel stays.
    pub const IDENTITY: Affine = Affine {
        m: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]],
    };

    /// The output's first pixel is that of the input at (`x`, `y`), which may lie outside.
    pub fn shift(x: f64, y: f64) -> Affine {
        Affine {
            m: [[1.0, 0.0, x], [0.0, 1.0, y]],
        }
    }

    /// The whole input in another size.
    pub fn resize(input: (usize, usize), output: (usize, usize)) -> Affine {
        let ratio = |a: usize, b: usize| a as f64 / b.max(1) as f64;
        Affine {
            m: [
                [ratio(input.0, output.0), 0.0, 0.0],
                [0.0, ratio(input.1, output.1), 0.0],
            ],
        }
    }

    /// Left and right, top and bottom change places, in an image of that size.
    pub fn flip(columns: bool, rows: bool, size: (usize, usize)) -> Affine {
        let line = |flips: bool, len: usize| match flips {
            true => (-1.0, len as f64),
            false => (1.0, 0.0),
        };
        let ((x, left), (y, top)) = (line(columns, size.0), line(rows, size.1));
        Affine {
            m: [[x, 0.0, left], [0.0, y, top]],
        }
    }

    /// A turn by 90 degrees of an input of that size.
    pub fn quarter(clockwise: bool, size: (usize, usize)) -> Affine {
        match clockwise {
            true => Affine {
                m: [[0.0, 1.0, 0.0], [-1.0, 0.0, size.1 as f64]],
            },
            false => Affine {
                m: [[0.0, -1.0, size.0 as f64], [1.0, 0.0, 0.0]],
            },
        }
    }

    /// Where a point of the output lies in the input.
    pub fn at(&self, x: f64, y: f64) -> (f64, f64) {
        let line = |r: [f64; 3]| r[0] * x + r[1] * y + r[2];
        (line(self.m[0]), line(self.m[1]))
    }

    /// First `self` (from the last output), then `before` (to the first input).
    pub fn then(&self, before: &Affine) -> Affine {
        let (a, b) = (&before.m, &self.m);
        let row = |r: usize| {
            [
                a[r][0] * b[0][0] + a[r][1] * b[1][0],
                a[r][0] * b[0][1] + a[r][1] * b[1][1],
                a[r][0] * b[0][2] + a[r][1] * b[1][2] + a[r][2],
            ]
        };
        Affine {
            m: [row(0), row(1)],
        }
    }

    /// From input to output; none where the map is flat.
    pub fn inverse(&self) -> Option<Affine> {
        let [[a, b, c], [d, e, f]] = self.m;
        let det = a * e - b * d;
        (det != 0.0 && det.is_finite()).then(|| Affine {
            m: [
                [e / det, -b / det, (b * f - c * e) / det],
                [-d / det, a / det, (c * d - a * f) / det],
            ],
        })
    }

    /// Whether rows and columns stay rows and columns, or change places.
    pub fn is_aligned(&self) -> bool {
        let [[a, b, _], [d, e, _]] = self.m;
        b == 0.0 && d == 0.0 || a == 0.0 && e == 0.0
    }

    /// Whether columns become rows.
    pub fn swaps(&self) -> bool {
        self.is_aligned() && self.m[0][0] == 0.0 && self.m[0][1] != 0.0
    }

    /// How many pixels of the input lie along one pixel of the output, across and down.
    pub fn steps(&self) -> (f64, f64) {
        let [[a, b, _], [d, e, _]] = self.m;
        (libm::hypot(a, d), libm::hypot(b, e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_are_put_together_from_the_last_to_the_first() {
        // 100 x 60, cut at (10, 20) to 40 x 30, doubled, turned clockwise: 60 x 80.
        let whole = Affine::quarter(true, (80, 60))
            .then(&Affine::resize((40, 30), (80, 60)))
            .then(&Affine::shift(10.0, 20.0));
        assert_eq!(whole.at(60.0, 0.0), (10.0, 20.0));
        assert_eq!(whole.at(0.0, 80.0), (50.0, 50.0));
        assert_eq!(whole.steps(), (0.5, 0.5));
        assert!(whole.swaps() && whole.is_aligned());
        let back = whole.inverse().unwrap();
        assert_eq!(back.at(10.0, 20.0), (60.0, 0.0));
        let flip = Affine::flip(true, false, (7, 5));
        assert_eq!(flip.at(0.0, 1.0), (7.0, 1.0));
        assert_eq!(flip.then(&flip), Affine::IDENTITY);
    }
}
