//! Profiles of tables the other way: from the connection space to a device's red, green and blue.
//!
//! Source: ICC.1:2022, 10.10 to 10.13.

use super::build::{D50, Matrix, apply};
use super::curve::Curve;
use super::lut::{Connection, Grid, tables};
use moxcms::{DataColorSpace, LutType, LutWarehouse};

/// Tables from the connection space to a device's values.
#[derive(Clone, Debug)]
pub struct Back {
    first: Vec<Curve>,
    matrix: Option<(Matrix, [f64; 3])>,
    middle: Vec<Curve>,
    grid: Option<Grid>,
    last: Vec<Curve>,
    space: Connection,
}

impl Back {
    /// Of the tables to three channels; none where they are not sound.
    pub fn of(tables: &LutWarehouse, space: DataColorSpace) -> Option<Back> {
        let back = match tables {
            LutWarehouse::Lut(lut) => {
                if (lut.num_input_channels, lut.num_output_channels) != (3, 3) {
                    return None;
                }
                let points = vec![usize::from(lut.num_clut_grid_points); 3];
                let first = usize::from(lut.num_input_table_entries);
                let last = usize::from(lut.num_output_table_entries);
                Back {
                    // The matrix counts for XYZ alone.
                    matrix: (space == DataColorSpace::Xyz).then_some((lut.matrix.v, [0.0; 3])),
                    first: Vec::new(),
                    middle: self::tables(&lut.input_table, 3, first)?,
                    grid: Some(Grid::of(points, &lut.clut_table)?),
                    last: self::tables(&lut.output_table, 3, last)?,
                    space: match (space, lut.lut_type) {
                        (DataColorSpace::Xyz, _) => Connection::Xyz,
                        (DataColorSpace::Lab, LutType::Lut16) => Connection::Lab16,
                        (DataColorSpace::Lab, _) => Connection::Lab,
                        _ => return None,
                    },
                }
            }
            LutWarehouse::Multidimensional(lut) => {
                if (lut.num_input_channels, lut.num_output_channels) != (3, 3) {
                    return None;
                }
                let curves = |curves: &[moxcms::ToneReprCurve]| -> Option<Vec<Curve>> {
                    curves.iter().map(Curve::of).collect()
                };
                let grid = match &lut.clut {
                    Some(store) => {
                        let points = lut.grid_points[..3].iter().map(|&n| usize::from(n));
                        Some(Grid::of(points.collect(), store)?)
                    }
                    None => None,
                };
                Back {
                    first: curves(&lut.b_curves)?,
                    matrix: Some((lut.matrix.v, lut.bias.v)),
                    middle: curves(&lut.m_curves)?,
                    grid,
                    last: curves(&lut.a_curves)?,
                    space: match space {
                        DataColorSpace::Xyz => Connection::Xyz,
                        DataColorSpace::Lab => Connection::Lab,
                        _ => return None,
                    },
                }
            }
        };
        let sound = |curves: &[Curve]| curves.is_empty() || curves.len() == 3;
        let all = sound(&back.first) && sound(&back.middle) && sound(&back.last);
        all.then_some(back)
    }

    /// A device's values in 0..=1 of XYZ under D50, in which the darkest colour is `black`.
    pub fn at(&self, xyz: [f32; 3], black: [f32; 3]) -> [f32; 3] {
        let xyz = std::array::from_fn(|k| {
            let white = D50[k] as f32;
            let v = if xyz[k].is_nan() { 0.0 } else { xyz[k] };
            black[k] + v * ((white - black[k]) / white)
        });
        let mut v = self.space.coded(xyz);
        bend(&mut v, &self.first);
        if let Some((matrix, bias)) = &self.matrix {
            let [x, y, z] = apply(matrix, v.map(f64::from));
            v = [(x + bias[0]), (y + bias[1]), (z + bias[2])].map(|v| v as f32);
        }
        bend(&mut v, &self.middle);
        if let Some(grid) = &self.grid {
            v = grid.at(&[v[0], v[1], v[2], 0.0]);
        }
        bend(&mut v, &self.last);
        v.map(|v| v.clamp(0.0, 1.0))
    }
}

fn bend(values: &mut [f32; 3], curves: &[Curve]) {
    for (value, curve) in values.iter_mut().zip(curves) {
        *value = curve.at(f64::from(*value)) as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::super::build::{SRGB, inverse, srgb};
    use super::super::curve::Encoder;
    use super::super::lut::lab;
    use super::super::manage::Choice;
    use super::super::profile::Way;
    use super::super::transform::Transform;
    use super::*;
    use crate::image::BufferMut;

    const POINTS: usize = 33;

    /// A table of 16 bits with straight curves, whose colours are those of `at` in 0..=1.
    fn table(at: impl Fn([f64; 3]) -> [f64; 3]) -> Vec<u8> {
        let mut out = b"mft2\0\0\0\0\x03\x03".to_vec();
        out.extend([POINTS as u8, 0]);
        for cell in 0..9 {
            out.extend(if cell % 4 == 0 { [0, 1, 0, 0] } else { [0; 4] });
        }
        let straight = [0, 2, 0, 2];
        out.extend(straight);
        let mut number =
            |v: f64| out.extend(((v.clamp(0.0, 1.0) * 65535.0).round() as u16).to_be_bytes());
        (0..3).for_each(|_| [0.0, 1.0].into_iter().for_each(&mut number));
        for point in 0..POINTS.pow(3) {
            let place = [
                point / POINTS.pow(2),
                point / POINTS % POINTS,
                point % POINTS,
            ];
            at(place.map(|n| n as f64 / (POINTS - 1) as f64))
                .into_iter()
                .for_each(&mut number);
        }
        (0..3).for_each(|_| [0.0, 1.0].into_iter().for_each(&mut number));
        out
    }

    /// A profile of tables for sRGB with red and blue exchanged, with or without the way to its colours.
    fn exchanged(both: bool) -> Vec<u8> {
        let Way::Matrix([curve, ..], _) = Way::srgb() else {
            panic!("sRGB has a matrix")
        };
        let encoder = Encoder::of(&curve);
        let back = inverse(&SRGB).unwrap();
        let space = Connection::Lab16;
        let there = table(|[b, g, r]| {
            let xyz = apply(&SRGB, [r, g, b].map(|v| curve.at(v)));
            space.coded(xyz.map(|v| v as f32)).map(f64::from)
        });
        let here = table(|coded| {
            let xyz = space.xyz(coded.map(|v| v as f32));
            let [r, g, b] =
                apply(&back, xyz.map(f64::from)).map(|v| f64::from(encoder.at(v as f32)));
            [b, g, r]
        });
        let tags: Vec<(&[u8; 4], Vec<u8>)> = match both {
            true => vec![(b"A2B0", there), (b"B2A0", here)],
            false => vec![(b"A2B0", there)],
        };
        let mut icc = vec![0; 128];
        icc[8..12].copy_from_slice(&[2, 0x40, 0, 0]);
        icc[12..16].copy_from_slice(b"prtr");
        icc[16..20].copy_from_slice(b"RGB ");
        icc[20..24].copy_from_slice(b"Lab ");
        icc[24..36].copy_from_slice(&[7, 234, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0]);
        icc[36..40].copy_from_slice(b"acsp");
        icc.extend((tags.len() as u32).to_be_bytes());
        let mut at = 132 + 12 * tags.len();
        for (name, data) in &tags {
            icc.extend(*name);
            icc.extend((at as u32).to_be_bytes());
            icc.extend((data.len() as u32).to_be_bytes());
            at += data.len();
        }
        tags.iter().for_each(|(_, data)| icc.extend(data));
        let len = (icc.len() as u32).to_be_bytes();
        icc[..4].copy_from_slice(&len);
        icc
    }

    #[test]
    fn colours_are_written_by_the_tables_of_a_profile() {
        let icc = exchanged(true);
        let there = Transform::new(&Way::srgb(), &Way::of(&icc).unwrap(), false).unwrap();
        let back = Transform::new(&Way::of(&icc).unwrap(), &Way::srgb(), false).unwrap();
        for rgb in [
            [0u8, 0, 0],
            [255, 255, 255],
            [128, 128, 128],
            [200, 100, 50],
            [60, 90, 140],
            [90, 160, 70],
        ] {
            // Between the points of a grid.
            let near = |a: [u8; 3], b: [u8; 3]| (0..3).all(|k| a[k].abs_diff(b[k]) <= 5);
            let mut pixel = rgb;
            there.apply(BufferMut::U8(&mut pixel), 3);
            assert!(near(pixel, [rgb[2], rgb[1], rgb[0]]), "{rgb:?} {pixel:?}");
            back.apply(BufferMut::U8(&mut pixel), 3);
            assert!(near(pixel, rgb), "{rgb:?} {pixel:?}");
        }
        let mut wild = [f32::NAN, f32::INFINITY, -3.0, 0.25];
        there.apply(BufferMut::F32(&mut wild), 4);
        assert!(
            wild[..3].iter().all(|v| (0.0..=1.0).contains(v)),
            "{wild:?}"
        );
        assert_eq!(wild[3], 0.25);
    }

    #[test]
    fn a_profile_without_the_way_to_its_colours_is_refused_with_the_way_out() {
        assert!(Choice::profile(exchanged(true)).is_ok());
        assert!(Choice::profile(srgb()).is_ok());
        let error = Choice::profile(exchanged(false)).unwrap_err().to_string();
        assert!(error.contains("for reading alone"), "{error}");
        for cut in [200, 400, 5000, 100_000] {
            let _ = Choice::profile(exchanged(true)[..cut].to_vec());
        }
    }

    #[test]
    fn coding_undoes_what_decoding_does() {
        for space in [Connection::Xyz, Connection::Lab16, Connection::Lab] {
            for coded in [
                [0.5f32, 0.5, 0.5],
                [0.9, 0.4, 0.6],
                [0.05, 0.5, 0.5],
                [1.0, 0.5, 0.5],
            ] {
                let again = space.coded(space.xyz(coded));
                let off = (0..3)
                    .map(|k| (again[k] - coded[k]).abs())
                    .fold(0.0, f32::max);
                assert!(off < 1e-4, "{space:?} {coded:?} {again:?}");
            }
        }
        assert_eq!(lab([0.0, 0.0, 0.0]), [0.0; 3]);
    }
}
