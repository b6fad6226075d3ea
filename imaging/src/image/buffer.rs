//! Samples of any type: owned, borrowed for writing, and the element types that kernels are generic over.

use super::SampleType;
use std::ops::Range;

/// Samples of any type, contiguous.
#[derive(Clone, Debug, PartialEq)]
pub enum Buffer {
    /// 8-bit samples.
    U8(Vec<u8>),
    /// 16-bit samples.
    U16(Vec<u16>),
    /// Float samples.
    F32(Vec<f32>),
    /// Samples of 64-bit floats.
    F64(Vec<f64>),
}

impl Buffer {
    /// `len` zero samples of that type.
    pub fn zeroed(sample: SampleType, len: usize) -> Buffer {
        match sample {
            SampleType::U8 => Buffer::U8(vec![0; len]),
            SampleType::U16 => Buffer::U16(vec![0; len]),
            SampleType::F32 => Buffer::F32(vec![0.0; len]),
            SampleType::F64 => Buffer::F64(vec![0.0; len]),
        }
    }

    /// The samples' type.
    pub fn sample(&self) -> SampleType {
        match self {
            Buffer::U8(_) => SampleType::U8,
            Buffer::U16(_) => SampleType::U16,
            Buffer::F32(_) => SampleType::F32,
            Buffer::F64(_) => SampleType::F64,
        }
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        match self {
            Buffer::U8(v) => v.len(),
            Buffer::U16(v) => v.len(),
            Buffer::F32(v) => v.len(),
            Buffer::F64(v) => v.len(),
        }
    }

    /// Whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The samples as bytes in the machine's order.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Buffer::U8(v) => v,
            Buffer::U16(v) => bytemuck::cast_slice(v),
            Buffer::F32(v) => bytemuck::cast_slice(v),
            Buffer::F64(v) => bytemuck::cast_slice(v),
        }
    }

    /// The samples as writable bytes in the machine's order.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        match self {
            Buffer::U8(v) => v,
            Buffer::U16(v) => bytemuck::cast_slice_mut(v),
            Buffer::F32(v) => bytemuck::cast_slice_mut(v),
            Buffer::F64(v) => bytemuck::cast_slice_mut(v),
        }
    }

    /// All samples for writing, with their type.
    pub fn as_mut(&mut self) -> BufferMut<'_> {
        match self {
            Buffer::U8(v) => BufferMut::U8(v),
            Buffer::U16(v) => BufferMut::U16(v),
            Buffer::F32(v) => BufferMut::F32(v),
            Buffer::F64(v) => BufferMut::F64(v),
        }
    }

    /// Shorten or grow with zeros to `len` samples.
    pub fn resize(&mut self, len: usize) {
        match self {
            Buffer::U8(v) => v.resize(len, 0),
            Buffer::U16(v) => v.resize(len, 0),
            Buffer::F32(v) => v.resize(len, 0.0),
            Buffer::F64(v) => v.resize(len, 0.0),
        }
    }

    /// Move the samples of `range` to begin at `to`.
    pub fn copy_within(&mut self, range: Range<usize>, to: usize) {
        match self {
            Buffer::U8(v) => v.copy_within(range, to),
            Buffer::U16(v) => v.copy_within(range, to),
            Buffer::F32(v) => v.copy_within(range, to),
            Buffer::F64(v) => v.copy_within(range, to),
        }
    }
}

/// Writable samples of any type.
#[derive(Debug)]
pub enum BufferMut<'a> {
    /// 8-bit samples.
    U8(&'a mut [u8]),
    /// 16-bit samples.
    U16(&'a mut [u16]),
    /// Float samples.
    F32(&'a mut [f32]),
    /// Samples of 64-bit floats.
    F64(&'a mut [f64]),
}

impl<'a> BufferMut<'a> {
    /// Number of samples.
    pub fn len(&self) -> usize {
        match self {
            BufferMut::U8(v) => v.len(),
            BufferMut::U16(v) => v.len(),
            BufferMut::F32(v) => v.len(),
            BufferMut::F64(v) => v.len(),
        }
    }

    /// Whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Split after `mid` samples.
    pub fn split_at(self, mid: usize) -> (BufferMut<'a>, BufferMut<'a>) {
        match self {
            BufferMut::U8(v) => {
                let (a, b) = v.split_at_mut(mid);
                (BufferMut::U8(a), BufferMut::U8(b))
            }
            BufferMut::U16(v) => {
                let (a, b) = v.split_at_mut(mid);
                (BufferMut::U16(a), BufferMut::U16(b))
            }
            BufferMut::F32(v) => {
                let (a, b) = v.split_at_mut(mid);
                (BufferMut::F32(a), BufferMut::F32(b))
            }
            BufferMut::F64(v) => {
                let (a, b) = v.split_at_mut(mid);
                (BufferMut::F64(a), BufferMut::F64(b))
            }
        }
    }

    /// The samples of `range` for a shorter time.
    pub fn slice(&mut self, range: Range<usize>) -> BufferMut<'_> {
        match self {
            BufferMut::U8(v) => BufferMut::U8(&mut v[range]),
            BufferMut::U16(v) => BufferMut::U16(&mut v[range]),
            BufferMut::F32(v) => BufferMut::F32(&mut v[range]),
            BufferMut::F64(v) => BufferMut::F64(&mut v[range]),
        }
    }

    /// The samples as writable bytes.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        match self {
            BufferMut::U8(v) => v,
            BufferMut::U16(v) => bytemuck::cast_slice_mut(v),
            BufferMut::F32(v) => bytemuck::cast_slice_mut(v),
            BufferMut::F64(v) => bytemuck::cast_slice_mut(v),
        }
    }
}

/// A sample type that kernels are generic over.
pub trait Element:
    Copy + Send + Sync + Default + PartialOrd + std::fmt::Debug + bytemuck::Pod + 'static
{
    /// The matching tag.
    const TYPE: SampleType;
    /// White: 255, 65535 or 1.
    const TOP: f64;
    /// The value as f64.
    fn to_f64(self) -> f64;
    /// The value as f32.
    fn to_f32(self) -> f32;
    /// Round half to even and clamp to the sample's range (floats are only narrowed).
    fn saturate(value: f64) -> Self;
    /// As [`Element::saturate`], from f32.
    fn saturate32(value: f32) -> Self;
    /// The samples of a buffer of this type. Panics for another type.
    fn of(buffer: &Buffer) -> &[Self];
    /// The writable samples of a buffer of this type. Panics for another type.
    fn of_mut<'b>(buffer: &'b mut BufferMut<'_>) -> &'b mut [Self];
    /// A buffer holding these samples.
    fn wrap(samples: Vec<Self>) -> Buffer;
}

macro_rules! element {
    ($t:ty, $tag:ident, $top:expr, |$v:ident| $saturate:expr, |$w:ident| $saturate32:expr) => {
        impl Element for $t {
            const TYPE: SampleType = SampleType::$tag;
            const TOP: f64 = $top;
            #[inline(always)]
            fn to_f64(self) -> f64 {
                self as f64
            }
            #[inline(always)]
            fn to_f32(self) -> f32 {
                self as f32
            }
            #[inline(always)]
            fn saturate($v: f64) -> Self {
                $saturate
            }
            #[inline(always)]
            fn saturate32($w: f32) -> Self {
                $saturate32
            }
            fn of(buffer: &Buffer) -> &[Self] {
                match buffer {
                    Buffer::$tag(v) => v,
                    other => unreachable!("samples are {:?}, not {:?}", other.sample(), Self::TYPE),
                }
            }
            fn of_mut<'b>(buffer: &'b mut BufferMut<'_>) -> &'b mut [Self] {
                match buffer {
                    BufferMut::$tag(v) => v,
                    _ => unreachable!("samples are not {:?}", Self::TYPE),
                }
            }
            fn wrap(samples: Vec<Self>) -> Buffer {
                Buffer::$tag(samples)
            }
        }
    };
}
element!(
    u8,
    U8,
    255.0,
    |v| v.round_ties_even().clamp(0.0, 255.0) as u8,
    |v| v.round_ties_even().clamp(0.0, 255.0) as u8
);
element!(
    u16,
    U16,
    65535.0,
    |v| v.round_ties_even().clamp(0.0, 65535.0) as u16,
    |v| v.round_ties_even().clamp(0.0, 65535.0) as u16
);
element!(f32, F32, 1.0, |v| v as f32, |v| v);
element!(f64, F64, 1.0, |v| v, |v| f64::from(v));

/// Calls `$body` with `$T` bound to the element type of a [`SampleType`].
#[macro_export]
macro_rules! by_sample {
    ($sample:expr, $T:ident => $body:expr) => {
        match $sample {
            $crate::SampleType::U8 => {
                type $T = u8;
                $body
            }
            $crate::SampleType::U16 => {
                type $T = u16;
                $body
            }
            $crate::SampleType::F32 => {
                type $T = f32;
                $body
            }
            $crate::SampleType::F64 => $crate::image::narrowed(),
        }
    };
}

/// As [`by_sample`], 64-bit floats included: for steps that only move samples ([`crate::op::Local::takes_f64`]).
#[macro_export]
macro_rules! by_any_sample {
    ($sample:expr, $T:ident => $body:expr) => {
        match $sample {
            $crate::SampleType::F64 => {
                type $T = f64;
                $body
            }
            narrower => $crate::by_sample!(narrower, $T => $body),
        }
    };
}

/// 64-bit floats where the planner never lets them get to.
pub fn narrowed() -> ! {
    unreachable!("64-bit floats are narrowed before steps that compute")
}
