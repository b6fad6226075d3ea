//! One colour over another.

use crate::image::{Element, SampleType};

/// `v` over `ground`; integers are rounded half up.
#[inline(always)]
pub fn over<T: Element>(v: T, ground: T, alpha: T) -> T {
    match T::TYPE {
        SampleType::U8 | SampleType::U16 => {
            let whole = |v: T| v.to_f64() as u64;
            let (top, alpha) = (T::TOP as u64, whole(alpha));
            let sum = whole(v) * alpha + whole(ground) * (top - alpha);
            T::saturate(((sum + top / 2) / top) as f64)
        }
        SampleType::F32 | SampleType::F64 => {
            let alpha = alpha.to_f64().clamp(0.0, 1.0);
            T::saturate(v.to_f64() * alpha + ground.to_f64() * (1.0 - alpha))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::over;

    #[test]
    fn halves_are_rounded_up_and_ends_are_exact() {
        for v in [0u8, 1, 77, 255] {
            assert_eq!((over(v, 9, 255), over(v, 9, 0)), (v, 9));
        }
        // 51 / 255 is a fifth: 0.2 * 10 + 0.8 * 5 = 6, and 0.2 * 5 + 0.8 * 10 = 9.
        assert_eq!((over(10u8, 5, 51), over(5u8, 10, 51)), (6, 9));
        assert_eq!(over(1u16, 0, 32768), 1);
        assert_eq!(over(1u16, 0, 32767), 0);
        assert_eq!(over(3.0f32, 1.0, 0.25), 1.5);
        assert_eq!(over(3.0f32, 1.0, 7.0), 3.0);
    }
}
