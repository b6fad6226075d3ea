//! ICC profiles: parsed by the library `moxcms`, evaluated here, since its ways differ with the processor.

use super::back::Back;
use super::build::{Matrix, SRGB};
use super::curve::Curve;
use super::lut::Lut;
use moxcms::ColorProfile;

/// What a profile's device values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// One channel.
    Gray,
    /// Red, green, blue.
    Rgb,
    /// Inks.
    Cmyk,
    /// Others.
    Other,
}

impl Space {
    /// As in messages.
    pub fn name(self) -> &'static str {
        match self {
            Space::Gray => "gray",
            Space::Rgb => "RGB",
            Space::Cmyk => "CMYK",
            Space::Other => "other",
        }
    }
}

/// What a profile's header says; none where it has no header of a profile.
pub fn space_of(icc: &[u8]) -> Option<Space> {
    (icc.get(36..40) == Some(b"acsp")).then_some(())?;
    Some(match icc.get(16..20)? {
        b"GRAY" => Space::Gray,
        b"RGB " => Space::Rgb,
        b"CMYK" => Space::Cmyk,
        _ => Space::Other,
    })
}

/// The content of a tag.
pub fn tag<'i>(icc: &'i [u8], name: &[u8; 4]) -> Option<&'i [u8]> {
    let long = |at: usize| -> Option<usize> {
        let raw = icc.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(u32::from_be_bytes(raw) as usize)
    };
    let count = long(128)?.min(1024);
    let at = (0..count)
        .map(|k| 132 + 12 * k)
        .find(|&at| icc.get(at..at + 4) == Some(name))?;
    let (start, len) = (long(at + 4)?, long(at + 8)?);
    icc.get(start..start.checked_add(len)?)
}

/// How a profile's device values become XYZ under D50.
#[derive(Clone, Debug)]
pub enum Way {
    /// A curve that gives Y.
    Gray(Curve),
    /// A curve for each colour, and a matrix.
    Matrix([Curve; 3], Matrix),
    /// Tables.
    Lut(Box<Lut>),
}

impl Way {
    /// Of a sound profile for gray, RGB or CMYK.
    pub fn of(icc: &[u8]) -> Option<Way> {
        let space = space_of(icc)?;
        // The parser has been tested on hostile bytes by its makers; a panic all the same costs the profile.
        let parsed = std::panic::catch_unwind(|| ColorProfile::new_from_slice(icc).ok()).ok()??;
        let channels = match space {
            Space::Gray => 1,
            Space::Rgb => 3,
            Space::Cmyk => 4,
            Space::Other => return None,
        };
        let tables =
            (parsed.lut_a_to_b_perceptual.as_ref()).or(parsed.lut_a_to_b_colorimetric.as_ref());
        if let Some(mut lut) =
            tables.and_then(|tables| Lut::of(tables, channels, parsed.pcs, icc[8]))
        {
            let back =
                (parsed.lut_b_to_a_perceptual.as_ref()).or(parsed.lut_b_to_a_colorimetric.as_ref());
            lut.back = match space {
                Space::Rgb => back.and_then(|tables| Back::of(tables, parsed.pcs)),
                _ => None,
            };
            return Some(Way::Lut(Box::new(lut)));
        }
        match space {
            Space::Gray => Curve::of(parsed.gray_trc.as_ref()?).map(Way::Gray),
            Space::Rgb => {
                let curves = [&parsed.red_trc, &parsed.green_trc, &parsed.blue_trc];
                let [r, g, b] = curves.map(|curve| curve.as_ref().and_then(Curve::of));
                let (r, g, b) = (r?, g?, b?);
                let (x, y, z) = (
                    parsed.red_colorant,
                    parsed.green_colorant,
                    parsed.blue_colorant,
                );
                let matrix = [[x.x, y.x, z.x], [x.y, y.y, z.y], [x.z, y.z, z.z]];
                super::build::inverse(&matrix)?;
                Some(Way::Matrix([r, g, b], matrix))
            }
            _ => None,
        }
    }

    /// sRGB.
    pub fn srgb() -> Way {
        let curve = Curve::Formula([
            2.4,
            1.0 / 1.055,
            0.055 / 1.055,
            1.0 / 12.92,
            0.04045,
            0.0,
            0.0,
        ]);
        Way::Matrix([curve.clone(), curve.clone(), curve], SRGB)
    }

    /// Whether both come to nearly the same colours, so that nothing has to be converted.
    pub fn is_near(&self, other: &Way) -> bool {
        match (self, other) {
            (Way::Gray(a), Way::Gray(b)) => a.is_near(b),
            (Way::Gray(a), Way::Matrix([b, ..], _)) | (Way::Matrix([b, ..], _), Way::Gray(a)) => {
                a.is_near(b)
            }
            (Way::Matrix(a, m), Way::Matrix(b, n)) => {
                let cells = m.as_flattened().iter().zip(n.as_flattened());
                cells.into_iter().all(|(a, b)| (a - b).abs() < 0.002)
                    && a.iter().zip(b).all(|(a, b)| a.is_near(b))
            }
            _ => false,
        }
    }
}
