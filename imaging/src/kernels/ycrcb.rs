//! RGB to YCrCb and back, equal to OpenCV's `cvtColor` for 8 and 16 bit.

use crate::image::Element;

/// Samples that can be split into luma and colour differences.
pub trait YCrCb: Element {
    /// Y of a colour.
    fn luma(r: Self, g: Self, b: Self) -> Self;
    /// The colour with its Y replaced by `map(Y)`; Cr and Cb stay.
    fn with_luma(rgb: [Self; 3], map: impl FnOnce(Self) -> Self) -> [Self; 3];
}

/// Weights in units of 2^-14.
const SHIFT: u32 = 14;
const HALF: i32 = 1 << (SHIFT - 1);

macro_rules! integer {
    ($t:ty, $middle:expr, $top:expr) => {
        impl YCrCb for $t {
            #[inline(always)]
            fn luma(r: $t, g: $t, b: $t) -> $t {
                // At most 65535 * 2^14 and the rounding: 31 bits.
                ((i32::from(r) * 4899 + i32::from(g) * 9617 + i32::from(b) * 1868 + HALF) >> SHIFT)
                    as $t
            }

            #[inline(always)]
            fn with_luma([r, g, b]: [$t; 3], map: impl FnOnce($t) -> $t) -> [$t; 3] {
                let y = <$t>::luma(r, g, b);
                let luma = i32::from(y);
                let difference = |c: $t, weight: i32| {
                    let d = (i32::from(c) - luma) * weight + HALF + ($middle << SHIFT);
                    (d >> SHIFT).clamp(0, $top) - $middle
                };
                let (cr, cb) = (difference(r, 11682), difference(b, 9241));
                let luma = i32::from(map(y));
                let add = |sum: i32| (luma + ((sum + HALF) >> SHIFT)).clamp(0, $top) as $t;
                [
                    add(cr * 22987),
                    add(cr * -11698 + cb * -5636),
                    add(cb * 29049),
                ]
            }
        }
    };
}
integer!(u8, 128, 255);
integer!(u16, 32768, 65535);

impl YCrCb for f32 {
    #[inline(always)]
    fn luma(r: f32, g: f32, b: f32) -> f32 {
        0.299 * r + 0.587 * g + 0.114 * b
    }

    #[inline(always)]
    fn with_luma([r, g, b]: [f32; 3], map: impl FnOnce(f32) -> f32) -> [f32; 3] {
        let y = f32::luma(r, g, b);
        let (cr, cb) = ((r - y) * 0.713, (b - y) * 0.564);
        let y = map(y);
        [y + 1.403 * cr, y - 0.714 * cr - 0.344 * cb, y + 1.773 * cb]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gray_has_no_colour_difference() {
        for v in 0..=255u8 {
            assert_eq!(u8::luma(v, v, v), v);
            assert_eq!(u8::with_luma([v; 3], |y| y / 2), [v / 2; 3]);
            let w = u16::from(v) * 257;
            assert_eq!(u16::with_luma([w; 3], |y| y / 3), [w / 3; 3]);
        }
    }

    #[test]
    fn extremes_are_clamped() {
        assert_eq!(u8::with_luma([255, 0, 0], |_| 255)[0], 255);
        assert_eq!(u16::with_luma([65535, 0, 65535], |_| 0)[1], 0);
    }
}
