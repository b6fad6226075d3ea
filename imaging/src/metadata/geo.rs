//! GeoTIFF: where on the earth pixels lie. The numbers follow when an image is cut, resized, flipped or turned.
//!
//! Source: OGC GeoTIFF 1.1, section 7 and annex B.

use super::affine::Affine;

/// The keys of a GeoTIFF, with its map from pixels to the ground.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Geo {
    /// ModelPixelScale: the size of a pixel in x, y and z.
    pub scale: Option<[f64; 3]>,
    /// ModelTiepoint: column, row, depth of points with x, y and z of the ground.
    pub ties: Vec<[f64; 6]>,
    /// ModelTransformation: four rows of four numbers.
    pub matrix: Option<[f64; 16]>,
    /// GeoKeyDirectory.
    pub keys: Vec<u16>,
    /// GeoDoubleParams.
    pub doubles: Vec<f64>,
    /// GeoAsciiParams.
    pub ascii: Vec<u8>,
}

const RASTER_TYPE: u16 = 1025;
const PIXEL_IS_POINT: u16 = 2;

impl Geo {
    /// Whether the tie points name pixels' centres instead of their corners.
    fn is_point(&self) -> bool {
        (self.keys.chunks_exact(4).skip(1))
            .any(|key| key[0] == RASTER_TYPE && key[1] == 0 && key[3] == PIXEL_IS_POINT)
    }

    /// For an image whose pixels come from those places; `None` where rows and columns are not kept.
    pub fn adapted(&self, geometry: &Affine) -> Option<Geo> {
        if *geometry == Affine::IDENTITY {
            return Some(self.clone());
        }
        if !geometry.is_aligned() {
            return None;
        }
        // In the numbers of the tags, which may count from a pixel's centre.
        let half = if self.is_point() { 0.5 } else { 0.0 };
        let map = Affine::shift(half, half)
            .then(geometry)
            .then(&Affine::shift(-half, -half));
        let mut new = self.clone();
        if let Some(matrix) = self.matrix {
            new.matrix = Some(composed(&matrix, &map));
        }
        match (self.scale, &self.ties[..]) {
            (Some(scale), [tie]) => {
                let [[a, b, c], [d, e, f]] = map.m;
                // The ground under the pixel (0, 0).
                let x = tie[3] + (c - tie[0]) * scale[0];
                let y = tie[4] - (f - tie[1]) * scale[1];
                if b == 0.0 && d == 0.0 && a > 0.0 && e > 0.0 {
                    new.scale = Some([scale[0] * a, scale[1] * e, scale[2]]);
                    new.ties = vec![[0.0, 0.0, tie[2], x, y, tie[5]]];
                } else {
                    // A scale cannot say that an axis runs the other way.
                    let [sx, sy, sz] = scale;
                    new.scale = None;
                    new.ties = Vec::new();
                    let matrix = [
                        sx * a,
                        sx * b,
                        0.0,
                        x,
                        -sy * d,
                        -sy * e,
                        0.0,
                        y,
                        0.0,
                        0.0,
                        sz,
                        tie[5] - tie[2] * sz,
                        0.0,
                        0.0,
                        0.0,
                        1.0,
                    ];
                    // No zero is negative.
                    new.matrix = Some(matrix.map(|v| v + 0.0));
                }
            }
            (_, ties) => {
                let back = map.inverse()?;
                let moved = |tie: &[f64; 6]| {
                    let (x, y) = back.at(tie[0], tie[1]);
                    [x, y, tie[2], tie[3], tie[4], tie[5]]
                };
                new.ties = ties.iter().map(moved).collect();
            }
        }
        Some(new)
    }
}

/// The matrix for coordinates that `map` leads to those of the old one.
fn composed(matrix: &[f64; 16], map: &Affine) -> [f64; 16] {
    let mut new = *matrix;
    let [[a, b, c], [d, e, f]] = map.m;
    for row in 0..3 {
        let (i, j) = (matrix[4 * row], matrix[4 * row + 1]);
        new[4 * row] = i * a + j * d;
        new[4 * row + 1] = i * b + j * e;
        new[4 * row + 3] = matrix[4 * row + 3] + i * c + j * f;
    }
    new
}

#[cfg(test)]
mod tests {
    use super::*;

    fn geo() -> Geo {
        Geo {
            scale: Some([10.0, 10.0, 0.0]),
            ties: vec![[0.0, 0.0, 0.0, 500_000.0, 6_000_000.0, 0.0]],
            keys: vec![1, 1, 0, 1, 1025, 0, 1, 1],
            ..Geo::default()
        }
    }

    #[test]
    fn a_cut_moves_the_tie_point_and_a_resize_the_scale() {
        let cut = geo().adapted(&Affine::shift(5.0, 3.0)).unwrap();
        assert_eq!(cut.scale, geo().scale);
        let tie = [0.0, 0.0, 0.0, 500_050.0, 5_999_970.0, 0.0];
        assert_eq!(cut.ties, [tie]);
        let half = geo().adapted(&Affine::resize((30, 20), (15, 10))).unwrap();
        assert_eq!(half.scale, Some([20.0, 20.0, 0.0]));
        assert_eq!(half.ties, geo().ties);
    }

    #[test]
    fn centres_stay_centres() {
        let mut point = geo();
        point.keys[7] = 2;
        let half = point.adapted(&Affine::resize((30, 20), (15, 10))).unwrap();
        // The first new pixel's centre lies between the first two old ones.
        let tie = [0.0, 0.0, 0.0, 500_005.0, 5_999_995.0, 0.0];
        assert_eq!(half.ties, [tie]);
    }

    #[test]
    fn flips_and_turns_become_a_matrix() {
        let flip = Affine::flip(true, false, (30, 20));
        let flipped = geo().adapted(&flip).unwrap();
        assert_eq!((flipped.scale, flipped.ties.len()), (None, 0));
        let m = flipped.matrix.unwrap();
        assert_eq!(
            (m[0], m[3], m[5], m[7]),
            (-10.0, 500_300.0, -10.0, 6_000_000.0)
        );
        let again = flipped.adapted(&flip).unwrap().matrix.unwrap();
        assert_eq!((again[0], again[3], again[5]), (10.0, 500_000.0, -10.0));
        let turned = geo().adapted(&Affine::quarter(true, (30, 20))).unwrap();
        let m = turned.matrix.unwrap();
        // The corner at the top left was the one at the bottom left.
        assert_eq!((m[3], m[7]), (500_000.0, 5_999_800.0));
        assert_eq!((m[0], m[1], m[4], m[5]), (0.0, 10.0, 10.0, 0.0));
        let skew = Affine {
            m: [[0.8, 0.6, 0.0], [-0.6, 0.8, 0.0]],
        };
        assert_eq!(geo().adapted(&skew), None);
    }
}
