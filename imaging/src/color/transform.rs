//! From the colours of one profile to those of another, sample by sample in one fixed order.

use super::build::{self, Matrix, inverse, multiply};
use super::curve::{Curve, Encoder};
use super::lut::Lut;
use super::profile::{Space, Way, space_of};
use crate::image::{BufferMut, Element};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of one transform at the most that is usual: three curves each way of 16 bits, or a grid of 33 points a colour.
pub(super) const TABLES_BYTES: usize = 6 * 4 * 65_800;

/// Light of 8- and 16-bit values, and the curve for others.
#[derive(Debug)]
struct Decoder {
    curve: Curve,
    eight: Vec<f32>,
    sixteen: Vec<f32>,
}

impl Decoder {
    fn of(curve: &Curve) -> Decoder {
        let table = |top: u32| {
            let at = |v| curve.at(f64::from(v) / f64::from(top)) as f32;
            (0..=top).map(at).collect()
        };
        Decoder {
            curve: curve.clone(),
            eight: table(255),
            sixteen: table(65535),
        }
    }

    #[inline(always)]
    fn at<T: Element>(&self, value: T) -> f32 {
        match T::TYPE {
            crate::SampleType::U8 => self.eight[value.to_f32() as usize],
            crate::SampleType::U16 => self.sixteen[value.to_f32() as usize],
            _ => self.curve.at(value.to_f64()) as f32,
        }
    }
}

#[derive(Debug)]
enum Input {
    Curves([Arc<Decoder>; 3]),
    Lut(Box<Lut>),
}

#[derive(Debug)]
enum Output {
    Curves([Arc<Encoder>; 3]),
    /// Tables of a profile that has them both ways.
    Lut(Box<Lut>),
}

/// Turns the colours of one profile into those of another; alpha stays.
#[derive(Debug)]
pub struct Transform {
    input: Input,
    /// From light, or from XYZ, to the target's light, or to XYZ; none for gray.
    matrix: Option<[[f32; 3]; 3]>,
    output: Output,
}

impl Transform {
    /// From the colours of `from` to those of `to`, which has a matrix, or tables for it. `gray` says what the image is.
    pub(super) fn new(from: &Way, to: &Way, gray: bool) -> Option<Transform> {
        if gray {
            let curve = |way: &Way| match way {
                Way::Gray(curve) | Way::Matrix([_, curve, _], _) => Some(curve.clone()),
                Way::Lut(_) => None,
            };
            let decoder = Arc::new(Decoder::of(&curve(from)?));
            let encoder = Arc::new(Encoder::of(&curve(to)?));
            return Some(Transform {
                input: Input::Curves([decoder.clone(), decoder.clone(), decoder]),
                matrix: None,
                output: Output::Curves([encoder.clone(), encoder.clone(), encoder]),
            });
        }
        const SAME: Matrix = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        let back = match to {
            Way::Matrix(_, target) => inverse(target)?,
            Way::Lut(lut) if lut.back.is_some() => SAME,
            _ => return None,
        };
        let shared = |curves: &[Curve; 3], k: usize| curves.iter().position(|c| *c == curves[k]);
        let (input, matrix) = match from {
            Way::Matrix(curves, source) => {
                let made: [Option<Arc<Decoder>>; 3] = std::array::from_fn(|k| {
                    (shared(curves, k) == Some(k)).then(|| Arc::new(Decoder::of(&curves[k])))
                });
                let of = |k: usize| made[shared(curves, k)?].clone();
                let decoders = [of(0)?, of(1)?, of(2)?];
                (Input::Curves(decoders), multiply(&back, source))
            }
            Way::Lut(lut) => (Input::Lut(lut.clone()), back),
            // Gray light on all three.
            Way::Gray(curve) => {
                let decoder = Arc::new(Decoder::of(curve));
                let all = [decoder.clone(), decoder.clone(), decoder];
                (Input::Curves(all), multiply(&back, &build::SRGB))
            }
        };
        let output = match to {
            Way::Matrix(curves, _) => {
                let made: [Option<Arc<Encoder>>; 3] = std::array::from_fn(|k| {
                    (shared(curves, k) == Some(k)).then(|| Arc::new(Encoder::of(&curves[k])))
                });
                let of = |k: usize| made[shared(curves, k)?].clone();
                Output::Curves([of(0)?, of(1)?, of(2)?])
            }
            Way::Lut(lut) => Output::Lut(lut.clone()),
            Way::Gray(_) => return None,
        };
        Some(Transform {
            input,
            matrix: Some(matrix.map(|row| row.map(|v| v as f32))),
            output,
        })
    }

    #[inline(always)]
    fn encode(&self, light: [f32; 3]) -> [f32; 3] {
        let light = match &self.matrix {
            None => light,
            Some(m) => {
                let [a, b, c] = light;
                m.map(|row| row[0] * a + row[1] * b + row[2] * c)
            }
        };
        match &self.output {
            Output::Curves([r, g, b]) => [r.at(light[0]), g.at(light[1]), b.at(light[2])],
            Output::Lut(lut) => match &lut.back {
                Some(back) => back.at(light, lut.black),
                None => light,
            },
        }
    }

    /// Turns whole pixels of `channels` samples, of which the last is alpha where their number is even.
    pub fn apply(&self, samples: BufferMut<'_>, channels: usize) {
        match samples {
            BufferMut::U8(samples) => self.pixels(samples, channels),
            BufferMut::U16(samples) => self.pixels(samples, channels),
            BufferMut::F32(samples) => self.pixels(samples, channels),
            BufferMut::F64(samples) => self.pixels(samples, channels),
        }
    }

    fn pixels<T: Element>(&self, samples: &mut [T], channels: usize) {
        let top = T::TOP as f32;
        for pixel in samples.chunks_exact_mut(channels) {
            match (&self.input, &mut pixel[..channels - (channels + 1) % 2]) {
                (Input::Curves([decoder, ..]), [gray]) => {
                    if let Output::Curves([_, encoder, _]) = &self.output {
                        *gray = T::saturate32(encoder.at(decoder.at(*gray)) * top);
                    }
                }
                (input, [r, g, b]) => {
                    let light = match input {
                        Input::Curves([x, y, z]) => [x.at(*r), y.at(*g), z.at(*b)],
                        Input::Lut(lut) => {
                            let [x, y, z] = [*r, *g, *b].map(|v| v.to_f32() / top);
                            lut.at(&[x, y, z, 0.0])
                        }
                    };
                    [*r, *g, *b] = self.encode(light).map(|v| T::saturate32(v * top));
                }
                _ => {}
            }
        }
    }
}

/// Turns inks into sRGB by a profile.
#[derive(Clone, Debug)]
pub struct Cmyk(Arc<Transform>);

impl PartialEq for Cmyk {
    fn eq(&self, other: &Cmyk) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Cmyk {
    /// By a profile; none where it is not one for four inks with tables.
    pub fn new(icc: &[u8]) -> Option<Cmyk> {
        (space_of(icc) == Some(Space::Cmyk)).then_some(())?;
        let made = cached(icc, b"", false, || {
            Transform::new(&Way::of(icc)?, &Way::srgb(), false)
        })?;
        matches!(made.input, Input::Lut(_)).then_some(Cmyk(made))
    }

    /// The profile of the colours that come of it.
    pub fn profile() -> Vec<u8> {
        build::srgb()
    }

    /// Pixels of four inks, 0 for none of it, to pixels of three colours.
    pub fn pixels<T: Element>(&self, inks: &[T], rgb: &mut [T]) {
        let Input::Lut(lut) = &self.0.input else {
            return;
        };
        let top = T::TOP as f32;
        // Flat areas are common in print.
        let mut last: Option<([f32; 4], [T; 3])> = None;
        for (inks, rgb) in inks.chunks_exact(4).zip(rgb.chunks_exact_mut(3)) {
            let values: [f32; 4] = std::array::from_fn(|k| inks[k].to_f32() / top);
            let made = match last {
                Some((old, made)) if old == values => made,
                _ => (self.0.encode(lut.at(&values))).map(|v| T::saturate32(v * top)),
            };
            rgb.copy_from_slice(&made);
            last = Some((values, made));
        }
    }
}

type Made = (Vec<u8>, Vec<u8>, bool, Option<Arc<Transform>>);

/// Transforms made last: batches are mostly of one camera.
static MADE: Mutex<Vec<Made>> = Mutex::new(Vec::new());
const MOST_MADE: usize = 4;

/// The transform between two profiles (empty: sRGB), made unless it is still there.
pub(super) fn cached(
    from: &[u8],
    to: &[u8],
    gray: bool,
    make: impl FnOnce() -> Option<Transform>,
) -> Option<Arc<Transform>> {
    let lock = || MADE.lock().unwrap_or_else(PoisonError::into_inner);
    let same = |made: &&Made| made.0 == from && made.1 == to && made.2 == gray;
    if let Some(made) = lock().iter().find(same) {
        return made.3.clone();
    }
    let new = make().map(Arc::new);
    let mut all = lock();
    if all.len() >= MOST_MADE {
        all.remove(0);
    }
    all.push((from.to_vec(), to.to_vec(), gray, new.clone()));
    new
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn transform(from: &[u8], to: &Way, gray: bool) -> Transform {
        Transform::new(&Way::of(from).unwrap(), to, gray).unwrap()
    }

    #[test]
    fn display_p3_becomes_srgb_as_others_have_it() {
        let to_srgb = transform(&build::display_p3(), &Way::srgb(), false);
        // By the formulas of both in double precision.
        let known = [
            ([255, 255, 255], [255, 255, 255]),
            ([0, 0, 0], [0, 0, 0]),
            ([128, 128, 128], [128, 128, 128]),
            ([200, 100, 50], [215, 93, 31]),
            ([255, 0, 0], [255, 0, 0]),
            ([60, 120, 200], [30, 122, 206]),
        ];
        for (from, to) in known {
            let mut pixel: [u8; 3] = from;
            to_srgb.apply(BufferMut::U8(&mut pixel), 3);
            let near = pixel
                .iter()
                .zip(to)
                .all(|(a, b): (&u8, u8)| a.abs_diff(b) == 0);
            assert!(near, "{from:?}: {pixel:?} instead of {to:?}");
        }
        let mut wide = [200u16 * 257, 100 * 257, 50 * 257, 4711];
        to_srgb.apply(BufferMut::U16(&mut wide), 4);
        assert_eq!(wide[3], 4711);
        assert!(wide[0].abs_diff(55226) < 30, "{wide:?}");
        let mut float = [200.0f32 / 255.0, 100.0 / 255.0, f32::NAN];
        to_srgb.apply(BufferMut::F32(&mut float), 3);
        assert!((0.0..=1.0).contains(&float[0]) && (0.0..=1.0).contains(&float[2]));
    }

    #[test]
    fn tables_take_no_more_than_is_said_of_them() {
        let transform = transform(&build::display_p3(), &Way::srgb(), false);
        let Input::Curves(curves) = &transform.input else {
            panic!("primaries and curves")
        };
        let decoder = curves.iter().map(|c| 4 * (c.eight.len() + c.sixteen.len()));
        let Output::Curves(encoders) = &transform.output else {
            panic!("primaries and curves")
        };
        let encoder = encoders.iter().map(|e| e.bytes());
        let all: usize = decoder.chain(encoder).sum();
        assert!(
            (TABLES_BYTES * 9 / 10..=TABLES_BYTES).contains(&all),
            "{all} of {TABLES_BYTES}"
        );
    }

    #[test]
    fn gray_is_encoded_anew() {
        let linear = build::of_gamma(100_000, None).unwrap();
        let linear = build::counterpart(&linear, true).unwrap();
        let to_srgb = transform(&linear, &Way::srgb(), true);
        let mut gray = [55u8, 7, 255, 9];
        to_srgb.apply(BufferMut::U8(&mut gray), 2);
        assert_eq!(gray, [128, 7, 255, 9]);
    }

    #[test]
    fn a_profile_changes_nothing_on_the_way_to_itself() {
        let there = transform(&build::srgb(), &Way::srgb(), false);
        let mut all: Vec<u8> = (0..=255).flat_map(|v| [v, 255 - v, 128]).collect();
        let old = all.clone();
        there.apply(BufferMut::U8(&mut all), 3);
        assert_eq!(all, old);
    }

    /// A profile of two points for each ink: Lab (100 - 100 K, 0, 0) less what the other inks take.
    pub fn inks() -> Vec<u8> {
        let mut mft = b"mft1\0\0\0\0\x04\x03\x02\0".to_vec();
        for r in 0..3 {
            for c in 0..3 {
                mft.extend(if r == c { [0, 1, 0, 0] } else { [0; 4] });
            }
        }
        for _ in 0..4 {
            mft.extend(0..=255u8);
        }
        for corner in 0..16u8 {
            let k = corner & 1 == 1;
            mft.extend([if k { 0 } else { 255 - corner * 8 }, 128, 128]);
        }
        for _ in 0..3 {
            mft.extend(0..=255u8);
        }
        let mut icc = vec![0; 128];
        icc[8..12].copy_from_slice(&[2, 0x40, 0, 0]);
        icc[12..16].copy_from_slice(b"prtr");
        icc[16..20].copy_from_slice(b"CMYK");
        icc[20..24].copy_from_slice(b"Lab ");
        icc[24..36].copy_from_slice(&[7, 234, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0]);
        icc[36..40].copy_from_slice(b"acsp");
        icc.extend(1u32.to_be_bytes());
        icc.extend(b"A2B0");
        icc.extend(144u32.to_be_bytes());
        icc.extend((mft.len() as u32).to_be_bytes());
        icc.extend(mft);
        let len = (icc.len() as u32).to_be_bytes();
        icc[..4].copy_from_slice(&len);
        icc
    }

    #[test]
    fn inks_become_colours_by_their_profile() {
        let cmyk = Cmyk::new(&inks()).unwrap();
        let mut rgb = [9u8; 9];
        cmyk.pixels(&[0, 0, 0, 0, 0, 0, 0, 255, 0, 0, 0, 128], &mut rgb);
        assert_eq!(rgb[..6], [255, 255, 255, 0, 0, 0]);
        // L of 49.8 is 118 or 119 in sRGB.
        assert!((117..=120).contains(&rgb[6]) && rgb[6] == rgb[7] && rgb[7] == rgb[8]);
        assert!(Cmyk::new(&build::srgb()).is_none());
        for len in 0..200 {
            let _ = Cmyk::new(&inks()[..len]);
        }
    }
}
