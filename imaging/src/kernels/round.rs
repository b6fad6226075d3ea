//! Rounding in registers: half to even and clamped, in a form that every SIMD level has instructions for.

use crate::image::{Element, SampleType};

/// 1.5 * 2^23: adding it leaves the rounded value in a float's lowest bits.
const SHIFTER: f32 = 12582912.0;

/// `value` rounded half to even and clamped to 0..=255.
#[inline(always)]
pub fn to_u8(value: f32) -> u8 {
    (value.clamp(0.0, 255.0) + SHIFTER).to_bits() as u8
}

/// `value` rounded half to even and clamped to 0..=65535.
#[inline(always)]
pub fn to_u16(value: f32) -> u16 {
    (value.clamp(0.0, 65535.0) + SHIFTER).to_bits() as u16
}

/// As [`to_u8`] or [`to_u16`] for the sample type; floats are left as they are.
#[inline(always)]
pub fn saturate<T: Element>(value: f32) -> T {
    // All but one branch vanish when compiled for a type.
    match T::TYPE {
        SampleType::U8 => bytemuck::cast(to_u8(value)),
        SampleType::U16 => bytemuck::cast(to_u16(value)),
        SampleType::F32 => bytemuck::cast(value),
        SampleType::F64 => crate::image::narrowed(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_as_saturate_does() {
        for i in -40..4000 {
            let value = i as f32 / 8.0;
            assert_eq!(to_u8(value), u8::saturate32(value), "{value}");
            assert_eq!(
                to_u16(value * 257.0),
                u16::saturate32(value * 257.0),
                "{value}"
            );
        }
        assert_eq!((to_u8(f32::INFINITY), to_u16(f32::NEG_INFINITY)), (255, 0));
    }
}
