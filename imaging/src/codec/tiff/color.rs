//! Colours that are no RGB: inks, L*a*b*, XYZ; and colours that were multiplied by alpha.
//!
//! Without a profile of their own: inks are taken as ideal ones, L*a*b* is that of the daylight D50, which becomes
//! white, and XYZ that of D65 in linear light.

use super::layout::{Layout, Meaning};
use crate::image::SampleType;
use crate::window::Band;

/// Converts stored channels side by side, as samples of the stored type's kind, to RGB with or without alpha.
pub fn mix(layout: &Layout, stored: &[u8], out: &mut [u8]) {
    let (from, to) = (layout.channels, layout.shape.channels());
    match layout.stored.sample() {
        SampleType::U8 => {
            for (pixel, out) in stored.chunks_exact(from).zip(out.chunks_exact_mut(to)) {
                let value = |i: usize| u32::from(pixel[i]);
                let rgb = match layout.meaning {
                    Meaning::Cmyk if layout.inks.is_some() => {
                        let mut rgb = [0u8; 3];
                        if let Some(inks) = &layout.inks {
                            inks.pixels(&pixel[..4], &mut rgb);
                        }
                        rgb.map(u32::from)
                    }
                    Meaning::Cmyk => inks([value(0), value(1), value(2), value(3)], 255),
                    _ => lab(layout, [value(0), value(1), value(2)], 255),
                };
                for (to, from) in out.iter_mut().zip(rgb) {
                    *to = from as u8;
                }
                if let Some(alpha) = layout.alpha {
                    out[3] = pixel[alpha];
                }
            }
        }
        SampleType::U16 => {
            let pixels = stored.chunks_exact(2 * from);
            for (pixel, out) in pixels.zip(out.chunks_exact_mut(2 * to)) {
                let value =
                    |i: usize| u32::from(u16::from_ne_bytes([pixel[2 * i], pixel[2 * i + 1]]));
                let rgb = match layout.meaning {
                    Meaning::Cmyk if layout.inks.is_some() => {
                        let mut rgb = [0u16; 3];
                        let all = [value(0), value(1), value(2), value(3)].map(|v| v as u16);
                        if let Some(inks) = &layout.inks {
                            inks.pixels(&all, &mut rgb);
                        }
                        rgb.map(u32::from)
                    }
                    Meaning::Cmyk => inks([value(0), value(1), value(2), value(3)], 65535),
                    _ => lab(layout, [value(0), value(1), value(2)], 65535),
                };
                let alpha = layout.alpha.map(value);
                for (to, from) in out.chunks_exact_mut(2).zip(rgb.into_iter().chain(alpha)) {
                    to.copy_from_slice(&(from as u16).to_ne_bytes());
                }
            }
        }
        SampleType::F32 | SampleType::F64 => {
            for (pixel, out) in stored
                .chunks_exact(4 * from)
                .zip(out.chunks_exact_mut(4 * to))
            {
                let value = |i: usize| {
                    let v = &pixel[4 * i..4 * i + 4];
                    f32::from_ne_bytes([v[0], v[1], v[2], v[3]])
                };
                let rgb = match layout.meaning {
                    Meaning::Cmyk => [0, 1, 2].map(|ink| (1.0 - value(ink)) * (1.0 - value(3))),
                    _ => linear_of_xyz([value(0), value(1), value(2)]),
                };
                let alpha = layout.alpha.map(value);
                for (to, from) in out.chunks_exact_mut(4).zip(rgb.into_iter().chain(alpha)) {
                    to.copy_from_slice(&from.to_ne_bytes());
                }
            }
        }
    }
}

/// Light that ideal inks (0 is none, `top` is all) leave, rounded.
fn inks([c, m, y, k]: [u32; 4], top: u32) -> [u32; 3] {
    let left = u64::from(top - k);
    let light = |ink: u32| {
        let top = u64::from(top);
        ((u64::from(top as u32 - ink) * left + top / 2) / top) as u32
    };
    [light(c), light(m), light(y)]
}

/// sRGB of L*a*b* in numbers up to `top`.
fn lab(layout: &Layout, stored: [u32; 3], top: u32) -> [u32; 3] {
    let wide = top > 255;
    let [l, a, b] = stored.map(f64::from);
    let (l, a, b) = match (&layout.meaning, wide) {
        (Meaning::IccLab, false) => (l * 100.0 / 255.0, a - 128.0, b - 128.0),
        (Meaning::IccLab, true) => (l * 100.0 / 65280.0, a / 256.0 - 128.0, b / 256.0 - 128.0),
        (_, false) => {
            let signed = |v: u32| f64::from(v as u8 as i8);
            (l * 100.0 / 255.0, signed(stored[1]), signed(stored[2]))
        }
        (_, true) => {
            let signed = |v: u32| f64::from(v as u16 as i16) / 256.0;
            (l * 100.0 / 65535.0, signed(stored[1]), signed(stored[2]))
        }
    };
    let scaled = |v: f64| (encoded(v) * f64::from(top)).round_ties_even() as u32;
    linear_of_lab(l, a, b).map(scaled)
}

/// The white of D50.
const WHITE: [f64; 3] = [0.96422, 1.0, 0.82521];
/// From XYZ of D50 to linear sRGB, whose white is D65 (Bradford).
const FROM_D50: [[f64; 3]; 3] = [
    [3.1338561, -1.6168667, -0.4906146],
    [-0.9787684, 1.9161415, 0.0334540],
    [0.0719453, -0.2289914, 1.4052427],
];

fn linear_of_lab(l: f64, a: f64, b: f64) -> [f64; 3] {
    const KAPPA: f64 = 24389.0 / 27.0;
    const EPSILON: f64 = 216.0 / 24389.0;
    let y = (l + 16.0) / 116.0;
    let root = |f: f64| match f * f * f {
        cube if cube > EPSILON => cube,
        _ => (116.0 * f - 16.0) / KAPPA,
    };
    let xyz = [
        root(y + a / 500.0) * WHITE[0],
        root(y) * WHITE[1],
        root(y - b / 200.0) * WHITE[2],
    ];
    FROM_D50.map(|row| row[0] * xyz[0] + row[1] * xyz[1] + row[2] * xyz[2])
}

/// The curve of sRGB, clamped to 0..=1.
fn encoded(linear: f64) -> f64 {
    let v = linear.clamp(0.0, 1.0);
    match v <= 0.003_130_8 {
        true => 12.92 * v,
        false => 1.055 * libm::pow(v, 1.0 / 2.4) - 0.055,
    }
}

/// Linear RGB with the primaries of sRGB from XYZ of D65.
fn linear_of_xyz([x, y, z]: [f32; 3]) -> [f32; 3] {
    [
        3.240479 * x - 1.53715 * y - 0.498535 * z,
        -0.969256 * x + 1.875991 * y + 0.041556 * z,
        0.055648 * x - 0.204043 * y + 1.057311 * z,
    ]
}

/// Divides colours by alpha, as images here have colours that were not multiplied by it. Rounded to
/// nearest; where alpha is zero the colour stays.
pub fn divide_by_alpha(band: &mut Band<'_>) {
    let channels = band.shape.channels();
    match band.shape.sample {
        SampleType::U8 => {
            for pixel in band.samples::<u8>().chunks_exact_mut(channels) {
                let alpha = u32::from(pixel[channels - 1]);
                for value in &mut pixel[..channels - 1] {
                    let whole = (u32::from(*value) * 255 + alpha / 2).checked_div(alpha);
                    *value = whole.map_or(*value, |v| v.min(255) as u8);
                }
            }
        }
        SampleType::U16 => {
            for pixel in band.samples::<u16>().chunks_exact_mut(channels) {
                let alpha = u64::from(pixel[channels - 1]);
                for value in &mut pixel[..channels - 1] {
                    let whole = (u64::from(*value) * 65535 + alpha / 2).checked_div(alpha);
                    *value = whole.map_or(*value, |v| v.min(65535) as u16);
                }
            }
        }
        SampleType::F32 => {
            for pixel in band.samples::<f32>().chunks_exact_mut(channels) {
                let alpha = pixel[channels - 1];
                for value in &mut pixel[..channels - 1] {
                    if alpha > 0.0 {
                        *value /= alpha;
                    }
                }
            }
        }
        SampleType::F64 => {
            for pixel in band.samples::<f64>().chunks_exact_mut(channels) {
                let alpha = pixel[channels - 1];
                for value in &mut pixel[..channels - 1] {
                    if alpha > 0.0 {
                        *value /= alpha;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_gray_and_strong_colours_of_lab_are_those_of_srgb() {
        let rgb = |l, a, b| linear_of_lab(l, a, b).map(|v| (encoded(v) * 255.0).round() as u8);
        assert_eq!(rgb(100.0, 0.0, 0.0), [255, 255, 255]);
        assert_eq!(rgb(0.0, 0.0, 0.0), [0, 0, 0]);
        assert_eq!(rgb(53.585, 0.0, 0.0), [128, 128, 128]);
        // The red, green and blue of sRGB in L*a*b* of D50.
        assert_eq!(rgb(54.29, 80.81, 69.89), [255, 0, 0]);
        assert_eq!(rgb(87.82, -79.29, 80.99), [0, 255, 0]);
        assert_eq!(rgb(29.57, 68.30, -112.03), [0, 0, 255]);
    }

    #[test]
    fn inks_take_light_away() {
        assert_eq!(inks([0, 0, 0, 0], 255), [255; 3]);
        assert_eq!(inks([255, 0, 128, 0], 255), [0, 255, 127]);
        assert_eq!(inks([0, 0, 0, 65535], 65535), [0; 3]);
        assert_eq!(inks([10, 20, 30, 40], 255), [207, 198, 190]);
    }
}
