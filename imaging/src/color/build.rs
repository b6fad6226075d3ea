//! Profiles made here: of primaries and a curve, and counterparts in gray or RGB of profiles that are there.
//!
//! Source: ICC.1:2022, sections 7, 8 and 10.

use super::profile::{Space, space_of, tag};

/// A matrix of XYZ by red, green and blue; or one from a white to another.
pub type Matrix = [[f64; 3]; 3];

/// The white of the profile connection space.
pub const D50: [f64; 3] = [0.9642, 1.0, 0.8249];
/// sRGB's red, green and blue under that white.
pub const SRGB: Matrix = [
    [0.436_07, 0.385_15, 0.143_07],
    [0.222_49, 0.716_87, 0.060_61],
    [0.013_92, 0.097_08, 0.714_10],
];
/// Those of Display P3.
const DISPLAY_P3: Matrix = [
    [0.515_12, 0.291_98, 0.157_10],
    [0.241_20, 0.692_25, 0.066_57],
    [-0.001_05, 0.041_89, 0.784_07],
];
/// The curve of sRGB: exponent, a, b, c, d.
const SRGB_CURVE: [f64; 5] = [2.4, 1.0 / 1.055, 0.055 / 1.055, 1.0 / 12.92, 0.04045];

fn fixed(value: f64) -> [u8; 4] {
    ((value * 65536.0).round() as i32).to_be_bytes()
}

fn xyz(values: [f64; 3]) -> Vec<u8> {
    let mut out = b"XYZ \0\0\0\0".to_vec();
    out.extend(values.iter().flat_map(|&v| fixed(v)));
    out
}

/// A parametric curve of a plain power, or of five parameters.
fn curve(values: &[f64]) -> Vec<u8> {
    let kind: u8 = if values.len() == 1 { 0 } else { 3 };
    let mut out = b"para\0\0\0\0\0".to_vec();
    out.extend([kind, 0, 0]);
    out.extend(values.iter().flat_map(|&v| fixed(v)));
    out
}

fn text(text: &str) -> Vec<u8> {
    let mut out = b"mluc\0\0\0\0\0\0\0\x01\0\0\0\x0cenUS".to_vec();
    out.extend((2 * text.len() as u32).to_be_bytes());
    out.extend(28u32.to_be_bytes());
    out.extend(text.encode_utf16().flat_map(u16::to_be_bytes));
    out
}

/// A display profile of these tags; equal contents are stored once.
fn container(space: &[u8; 4], head: Option<&[u8]>, tags: &[(&[u8; 4], Vec<u8>)]) -> Vec<u8> {
    let mut table = (tags.len() as u32).to_be_bytes().to_vec();
    let mut data: Vec<u8> = Vec::new();
    let start = 128 + 4 + 12 * tags.len();
    let mut places: Vec<(&[u8], usize)> = Vec::new();
    for (name, content) in tags {
        let at = match places.iter().find(|(old, _)| old == content) {
            Some((_, at)) => *at,
            None => {
                let at = start + data.len();
                data.extend(content);
                data.resize(data.len().next_multiple_of(4), 0);
                places.push((content, at));
                at
            }
        };
        table.extend(*name);
        table.extend((at as u32).to_be_bytes());
        table.extend((content.len() as u32).to_be_bytes());
    }
    let mut out = vec![0; 128];
    match head {
        // Version, date, maker and intent are the other profile's.
        Some(head) => out.copy_from_slice(&head[..128]),
        None => {
            out[8..12].copy_from_slice(&[4, 0x30, 0, 0]);
            out[12..16].copy_from_slice(b"mntr");
            out[20..24].copy_from_slice(b"XYZ ");
            // A date that does not change.
            out[24..36].copy_from_slice(&[7, 234, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0]);
            out[36..40].copy_from_slice(b"acsp");
            let white = D50.iter().flat_map(|&v| fixed(v));
            out[68..80].copy_from_slice(&white.collect::<Vec<u8>>());
        }
    }
    out[16..20].copy_from_slice(space);
    // The hash of the other profile is not this one's.
    out[84..100].fill(0);
    out.extend(table);
    out.extend(data);
    let len = (out.len() as u32).to_be_bytes();
    out[..4].copy_from_slice(&len);
    out
}

fn column(matrix: &Matrix, c: usize) -> [f64; 3] {
    [matrix[0][c], matrix[1][c], matrix[2][c]]
}

/// A profile of these primaries, under D50, and a parametric curve.
fn rgb(name: &str, primaries: &Matrix, values: &[f64]) -> Vec<u8> {
    let curve = curve(values);
    container(
        b"RGB ",
        None,
        &[
            (b"desc", text(name)),
            (b"cprt", text("No copyright, use freely")),
            (b"wtpt", xyz(D50)),
            (b"rXYZ", xyz(column(primaries, 0))),
            (b"gXYZ", xyz(column(primaries, 1))),
            (b"bXYZ", xyz(column(primaries, 2))),
            (b"rTRC", curve.clone()),
            (b"gTRC", curve.clone()),
            (b"bTRC", curve),
        ],
    )
}

/// sRGB.
pub fn srgb() -> Vec<u8> {
    rgb("sRGB", &SRGB, &SRGB_CURVE)
}

/// Display P3.
pub fn display_p3() -> Vec<u8> {
    rgb("Display P3", &DISPLAY_P3, &SRGB_CURVE)
}

/// Of PNG's gamma, and of its chromaticities where they are there (sRGB's otherwise).
pub fn of_gamma(gamma: u32, chromaticities: Option<[u32; 8]>) -> Option<Vec<u8>> {
    let exponent = 100_000.0 / f64::from(gamma);
    let primaries = match chromaticities {
        Some(points) => primaries(&points.map(|v| f64::from(v) / 100_000.0))?,
        None => SRGB,
    };
    Some(rgb("Gamma and primaries of a PNG", &primaries, &[exponent]))
}

/// Of code points (ITU-T H.273); none for those that a matrix and a curve cannot say.
pub fn of_cicp([primaries_code, transfer, ..]: [u8; 4]) -> Option<Vec<u8>> {
    const D65: [f64; 2] = [0.3127, 0.3290];
    let points = match primaries_code {
        1 => [0.640, 0.330, 0.300, 0.600, 0.150, 0.060],
        9 => [0.708, 0.292, 0.170, 0.797, 0.131, 0.046],
        12 => [0.680, 0.320, 0.265, 0.690, 0.150, 0.060],
        _ => return None,
    };
    let values: &[f64] = match transfer {
        1 | 6 | 14 | 15 => &[1.0 / 0.45, 1.0 / 1.099, 0.099 / 1.099, 1.0 / 4.5, 0.081],
        4 => &[2.2],
        5 => &[2.8],
        8 => &[1.0],
        13 => &SRGB_CURVE,
        _ => return None,
    };
    match (primaries_code, transfer) {
        (1, 13) => Some(srgb()),
        (12, 13) => Some(display_p3()),
        _ => {
            let mut all = [D65[0], D65[1], 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
            all[2..].copy_from_slice(&points);
            Some(rgb("Code points of a PNG", &primaries(&all)?, values))
        }
    }
}

/// XYZ under D50 of primaries given by x and y of white, red, green and blue.
fn primaries(points: &[f64; 8]) -> Option<Matrix> {
    let of = |k: usize| {
        let (x, y) = (points[2 * k], points[2 * k + 1]);
        (y > 0.0).then(|| [x / y, 1.0, (1.0 - x - y) / y])
    };
    let (white, r, g, b) = (of(0)?, of(1)?, of(2)?, of(3)?);
    let plain = [[r[0], g[0], b[0]], [r[1], g[1], b[1]], [r[2], g[2], b[2]]];
    let weights = apply(&inverse(&plain)?, white);
    let scaled = plain.map(|row| {
        [
            row[0] * weights[0],
            row[1] * weights[1],
            row[2] * weights[2],
        ]
    });
    Some(multiply(&adapt(white)?, &scaled))
}

/// Bradford's matrix from a white to D50.
fn adapt(white: [f64; 3]) -> Option<Matrix> {
    const BRADFORD: Matrix = [
        [0.8951, 0.2664, -0.1614],
        [-0.7502, 1.7135, 0.0367],
        [0.0389, -0.0685, 1.0296],
    ];
    let (from, to) = (apply(&BRADFORD, white), apply(&BRADFORD, D50));
    let mut scaled = BRADFORD;
    for (row, (from, to)) in scaled.iter_mut().zip(from.iter().zip(&to)) {
        *row = row.map(|v| v * to / from);
    }
    Some(multiply(&inverse(&BRADFORD)?, &scaled))
}

/// The product of two matrices.
pub fn multiply(a: &Matrix, b: &Matrix) -> Matrix {
    let cell = |r: usize, c: usize| a[r][0] * b[0][c] + a[r][1] * b[1][c] + a[r][2] * b[2][c];
    std::array::from_fn(|r| std::array::from_fn(|c| cell(r, c)))
}

/// A matrix times a column.
pub fn apply(m: &Matrix, v: [f64; 3]) -> [f64; 3] {
    std::array::from_fn(|r| m[r][0] * v[0] + m[r][1] * v[1] + m[r][2] * v[2])
}

/// The inverse; none for a flat matrix.
pub fn inverse(m: &Matrix) -> Option<Matrix> {
    let minor = |r: usize, c: usize| {
        let (r1, r2, c1, c2) = ((r + 1) % 3, (r + 2) % 3, (c + 1) % 3, (c + 2) % 3);
        m[r1][c1] * m[r2][c2] - m[r1][c2] * m[r2][c1]
    };
    let det = (0..3).map(|c| m[0][c] * minor(0, c)).sum::<f64>();
    (det.abs() > 1e-9 && det.is_finite())
        .then(|| std::array::from_fn(|r| std::array::from_fn(|c| minor(c, r) / det)))
}

/// The profile for gray (or for RGB) that gives gray the same light; the profile itself where it is one.
/// None where the curves of the three colours differ, or are not stored as such.
pub fn counterpart(icc: &[u8], gray: bool) -> Option<Vec<u8>> {
    let common = |names: &[&[u8; 4]]| -> Vec<([u8; 4], Vec<u8>)> {
        let found = names.iter().map(|&name| (*name, tag(icc, name)));
        found.filter_map(|(n, t)| Some((n, t?.to_vec()))).collect()
    };
    let kept = [b"desc", b"cprt", b"wtpt", b"chad"];
    let write = |space: &[u8; 4], tags: Vec<([u8; 4], Vec<u8>)>| {
        let tags: Vec<(&[u8; 4], Vec<u8>)> = tags.iter().map(|(n, t)| (n, t.clone())).collect();
        container(space, Some(icc), &tags)
    };
    match (space_of(icc), gray) {
        (Some(Space::Gray), true) | (Some(Space::Rgb), false) => Some(icc.to_vec()),
        (Some(Space::Rgb), true) => {
            let (r, g, b) = (tag(icc, b"rTRC")?, tag(icc, b"gTRC")?, tag(icc, b"bTRC")?);
            let plain = tag(icc, b"A2B0").is_none() && r == g && g == b;
            let mut tags = common(&kept);
            tags.push((*b"kTRC", g.to_vec()));
            plain.then(|| write(b"GRAY", tags))
        }
        (Some(Space::Gray), false) => {
            let curve = tag(icc, b"kTRC")?.to_vec();
            let mut tags = common(&kept);
            for (name, c) in [(b"rXYZ", 0), (b"gXYZ", 1), (b"bXYZ", 2)] {
                tags.push((*name, xyz(column(&SRGB, c))));
            }
            for name in [b"rTRC", b"gTRC", b"bTRC"] {
                tags.push((*name, curve.clone()));
            }
            (tag(icc, b"A2B0").is_none() && icc.get(20..24) == Some(b"XYZ "))
                .then(|| write(b"RGB ", tags))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: &Matrix, b: &Matrix) -> bool {
        a.as_flattened()
            .iter()
            .zip(b.as_flattened())
            .all(|(a, b)| (a - b).abs() < 2e-3)
    }

    #[test]
    fn primaries_come_to_the_profiles_everybody_uses() {
        let srgb = [0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06];
        assert!(near(&primaries(&srgb).unwrap(), &SRGB));
        let p3 = [0.3127, 0.3290, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06];
        assert!(near(&primaries(&p3).unwrap(), &DISPLAY_P3));
        let white = apply(&primaries(&p3).unwrap(), [1.0; 3]);
        assert!(white.iter().zip(D50).all(|(a, b)| (a - b).abs() < 1e-6));
        assert!(primaries(&[0.0; 8]).is_none());
    }

    #[test]
    fn gray_and_rgb_have_counterparts() {
        let rgb = display_p3();
        let gray = counterpart(&rgb, true).unwrap();
        assert_eq!(space_of(&gray), Some(Space::Gray));
        assert_eq!(tag(&gray, b"kTRC"), tag(&rgb, b"gTRC"));
        assert_eq!(tag(&gray, b"desc"), tag(&rgb, b"desc"));
        let back = counterpart(&gray, false).unwrap();
        assert_eq!(space_of(&back), Some(Space::Rgb));
        assert_eq!(tag(&back, b"bTRC"), tag(&rgb, b"gTRC"));
        assert_eq!(counterpart(&rgb, false), Some(rgb));
        assert_eq!(counterpart(b"no profile", true), None);
    }

    #[test]
    fn code_points_that_no_curve_says_have_no_profile() {
        assert!(of_cicp([9, 16, 0, 1]).is_none());
        assert!(of_cicp([9, 1, 0, 1]).is_some());
        assert_eq!(of_cicp([12, 13, 0, 1]), Some(display_p3()));
    }
}
