//! Profiles of tables: curves, a grid of colours between which is interpolated, curves.
//!
//! Source: ICC.1:2022, 10.10 to 10.12, and 6.3.4 for the coding of the connection space.

use super::back::Back;
use super::build::{D50, Matrix, apply};
use super::curve::Curve;
use moxcms::{
    DataColorSpace, LutDataType, LutMultidimensionalType, LutStore, LutType, LutWarehouse,
};

/// Tables from a device's values to the connection space.
#[derive(Clone, Debug)]
pub struct Lut {
    before: Vec<Curve>,
    grid: Option<Grid>,
    middle: Vec<Curve>,
    matrix: Option<(Matrix, [f64; 3])>,
    after: Vec<Curve>,
    space: Connection,
    /// XYZ of the darkest colour, which becomes black.
    pub black: [f32; 3],
    /// The other way, where the profile has it.
    pub back: Option<Back>,
}

/// The black of version 4's perceptual tables (ICC.1:2022, 6.3.3).
const PERCEPTUAL_BLACK: [f32; 3] = [0.00336, 0.003_473_1, 0.00287];

/// How the connection space is coded in 0..=1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Connection {
    Xyz,
    /// By versions 2's 16 bits, in which 0xFF00 is the end.
    Lab16,
    Lab,
}

/// Colours at the points of a grid.
#[derive(Clone, Debug)]
pub struct Grid {
    /// Points along each input, the first of which changes slowest.
    points: Vec<usize>,
    /// Three values for each point.
    values: Vec<f32>,
}

fn floats(store: &LutStore) -> Vec<f64> {
    match store {
        LutStore::Store8(values) => values.iter().map(|&v| f64::from(v) / 255.0).collect(),
        LutStore::Store16(values) => values.iter().map(|&v| f64::from(v) / 65535.0).collect(),
    }
}

/// Curves of so many entries each, one after the other.
pub fn tables(store: &LutStore, count: usize, entries: usize) -> Option<Vec<Curve>> {
    let values = floats(store);
    (entries >= 2 && values.len() >= count * entries).then(|| {
        let tables = values.chunks_exact(entries).take(count);
        tables.map(|table| Curve::Table(table.to_vec())).collect()
    })
}

impl Lut {
    /// Of the tables from `channels` to the connection space; none where they are not sound.
    pub fn of(
        tables: &LutWarehouse,
        channels: usize,
        space: DataColorSpace,
        version: u8,
    ) -> Option<Lut> {
        let mut lut = match tables {
            LutWarehouse::Lut(lut) => Lut::old(lut, space)?,
            LutWarehouse::Multidimensional(lut) => Lut::new(lut, space)?,
        };
        let inputs = lut.grid.as_ref().map_or(3, |grid| grid.points.len());
        let sound = |curves: &[Curve], n: usize| curves.is_empty() || curves.len() == n;
        let sound = inputs == channels
            && sound(&lut.before, channels)
            && sound(&lut.middle, 3)
            && sound(&lut.after, 3);
        if !sound {
            return None;
        }
        lut.black = match version {
            4.. => PERCEPTUAL_BLACK,
            // All inks at once, without their tint, as LittleCMS has it.
            _ => {
                let dark = if channels == 4 { [1.0; 4] } else { [0.0; 4] };
                let y = lut.at(&dark)[1].clamp(0.0, lab([50.0, 0.0, 0.0])[1]);
                D50.map(|white| white as f32 * y)
            }
        };
        Some(lut)
    }

    fn old(lut: &LutDataType, space: DataColorSpace) -> Option<Lut> {
        let inputs = usize::from(lut.num_input_channels);
        if lut.num_output_channels != 3 {
            return None;
        }
        let points = vec![usize::from(lut.num_clut_grid_points); inputs];
        let (first, last) = (lut.num_input_table_entries, lut.num_output_table_entries);
        Some(Lut {
            before: tables(&lut.input_table, inputs, usize::from(first))?,
            grid: Some(Grid::of(points, &lut.clut_table)?),
            middle: Vec::new(),
            matrix: None,
            after: tables(&lut.output_table, 3, usize::from(last))?,
            space: match (space, lut.lut_type) {
                (DataColorSpace::Xyz, _) => Connection::Xyz,
                (DataColorSpace::Lab, LutType::Lut16) => Connection::Lab16,
                (DataColorSpace::Lab, _) => Connection::Lab,
                _ => return None,
            },
            black: [0.0; 3],
            back: None,
        })
    }

    fn new(lut: &LutMultidimensionalType, space: DataColorSpace) -> Option<Lut> {
        let inputs = usize::from(lut.num_input_channels);
        let curves = |curves: &[moxcms::ToneReprCurve]| -> Option<Vec<Curve>> {
            curves.iter().map(Curve::of).collect()
        };
        let grid = match &lut.clut {
            Some(store) => {
                let points = lut.grid_points.get(..inputs)?;
                let points = points.iter().map(|&n| usize::from(n)).collect();
                Some(Grid::of(points, store)?)
            }
            None => None,
        };
        let bias = lut.bias.v;
        Some(Lut {
            before: curves(&lut.a_curves)?,
            grid,
            middle: curves(&lut.m_curves)?,
            matrix: Some((lut.matrix.v, bias)),
            after: curves(&lut.b_curves)?,
            space: match space {
                DataColorSpace::Xyz => Connection::Xyz,
                DataColorSpace::Lab => Connection::Lab,
                _ => return None,
            },
            black: [0.0; 3],
            back: None,
        })
    }

    /// XYZ under D50 of a device's values, with the darkest at 0.
    pub fn at(&self, values: &[f32; 4]) -> [f32; 3] {
        let mut input = *values;
        for (value, curve) in input.iter_mut().zip(&self.before) {
            *value = curve.at(f64::from(*value)) as f32;
        }
        let mut out = match &self.grid {
            Some(grid) => grid.at(&input),
            None => [input[0], input[1], input[2]],
        };
        let bend = |out: &mut [f32; 3], curves: &[Curve]| {
            for (value, curve) in out.iter_mut().zip(curves) {
                *value = curve.at(f64::from(*value)) as f32;
            }
        };
        bend(&mut out, &self.middle);
        if let Some((matrix, bias)) = &self.matrix {
            let [x, y, z] = apply(matrix, out.map(f64::from));
            out = [
                (x + bias[0]) as f32,
                (y + bias[1]) as f32,
                (z + bias[2]) as f32,
            ];
        }
        bend(&mut out, &self.after);
        let xyz = self.space.xyz(out);
        std::array::from_fn(|k| {
            let (white, black) = (D50[k] as f32, self.black[k]);
            (xyz[k] - black) * (white / (white - black))
        })
    }
}

impl Connection {
    /// XYZ under D50 of coded values.
    pub fn xyz(self, v: [f32; 3]) -> [f32; 3] {
        match self {
            Connection::Xyz => v.map(|v| v * (65535.0 / 32768.0)),
            Connection::Lab16 => {
                let full = 65535.0 / 65280.0;
                lab([
                    v[0] * full * 100.0,
                    v[1] * full * 255.0 - 128.0,
                    v[2] * full * 255.0 - 128.0,
                ])
            }
            Connection::Lab => lab([v[0] * 100.0, v[1] * 255.0 - 128.0, v[2] * 255.0 - 128.0]),
        }
    }
}

impl Connection {
    /// Coded values of XYZ under D50.
    pub fn coded(self, xyz: [f32; 3]) -> [f32; 3] {
        let [l, a, b] = match self {
            Connection::Xyz => return xyz.map(|v| v * (32768.0 / 65535.0)),
            _ => lab_of(xyz),
        };
        let v = [l / 100.0, (a + 128.0) / 255.0, (b + 128.0) / 255.0];
        match self {
            Connection::Lab16 => v.map(|v| v * (65280.0 / 65535.0)),
            _ => v,
        }
    }
}

/// CIELab of XYZ under D50.
fn lab_of(xyz: [f32; 3]) -> [f32; 3] {
    const EDGE: f32 = 216.0 / 24389.0;
    let [x, y, z]: [f32; 3] = std::array::from_fn(|k| {
        let t = (xyz[k] / D50[k] as f32).max(0.0);
        match t > EDGE {
            true => libm::cbrtf(t),
            false => t * (841.0 / 108.0) + 16.0 / 116.0,
        }
    });
    [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
}

/// XYZ under D50 of CIELab.
pub fn lab([l, a, b]: [f32; 3]) -> [f32; 3] {
    let y = (l + 16.0) / 116.0;
    let light = |t: f32| match t > 6.0 / 29.0 {
        true => t * t * t,
        false => (t - 16.0 / 116.0) * (108.0 / 841.0),
    };
    let (x, z) = (y + a / 500.0, y - b / 200.0);
    [
        light(x) * D50[0] as f32,
        light(y) * D50[1] as f32,
        light(z) * D50[2] as f32,
    ]
}

impl Grid {
    /// Of so many points along each input; none where the values do not fill it.
    pub fn of(points: Vec<usize>, store: &LutStore) -> Option<Grid> {
        let values: Vec<f32> = floats(store).iter().map(|&v| v as f32).collect();
        let count = points
            .iter()
            .try_fold(3usize, |all, &n| all.checked_mul(n))?;
        let sound = (1..=4).contains(&points.len()) && points.iter().all(|&n| n >= 2);
        (sound && values.len() >= count).then_some(Grid { points, values })
    }

    /// Between the corners around a point, linear along each input.
    pub fn at(&self, input: &[f32; 4]) -> [f32; 3] {
        let n = self.points.len();
        let (mut base, mut stride) = (0, 3);
        let (mut steps, mut parts) = ([0; 4], [0f32; 4]);
        for k in (0..n).rev() {
            let last = self.points[k] - 1;
            let place = input[k].clamp(0.0, 1.0) * last as f32;
            let below = (place as usize).min(last - 1);
            parts[k] = place - below as f32;
            base += below * stride;
            steps[k] = stride;
            stride *= self.points[k];
        }
        let mut out = [0f32; 3];
        for corner in 0..1usize << n {
            let (mut at, mut weight) = (base, 1f32);
            for k in 0..n {
                if corner >> k & 1 == 1 {
                    at += steps[k];
                    weight *= parts[k];
                } else {
                    weight *= 1.0 - parts[k];
                }
            }
            if weight > 0.0 {
                for (out, value) in out.iter_mut().zip(&self.values[at..at + 3]) {
                    *out += weight * value;
                }
            }
        }
        out
    }
}
