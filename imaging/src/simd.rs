//! The processor's SIMD level: found once, lowered on request, chosen per call by [`simd!`](crate::simd!).
//!
//! Every kernel is written once as plain Rust and compiled for each level. None enables fused
//! multiply-add and the compiler never reorders float sums, so all levels give the same bits.

use std::sync::atomic::{AtomicU8, Ordering};

/// Instruction sets that kernels are compiled for, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// What every processor of the architecture has (SSE2 on x86-64).
    Base = 1,
    /// SSE4.1 with SSSE3 and POPCNT: for kernels written with its shuffles; [`simd!`](crate::simd!)
    /// gains too little from it over SSE2 for a version of its own.
    Sse41 = 2,
    /// AVX2 with BMI1 and BMI2.
    Avx2 = 3,
    /// AVX-512 F, BW, VL, DQ, CD.
    Avx512 = 4,
}

impl Level {
    /// All levels, weakest first.
    pub const ALL: [Level; 4] = [Level::Base, Level::Sse41, Level::Avx2, Level::Avx512];

    /// The name used on the command line: `base`, `sse41`, `avx2`, `avx512`.
    pub fn name(self) -> &'static str {
        match self {
            Level::Base => "base",
            Level::Sse41 => "sse41",
            Level::Avx2 => "avx2",
            Level::Avx512 => "avx512",
        }
    }
}

static LEVEL: AtomicU8 = AtomicU8::new(0);

/// The best level of this processor.
pub fn best() -> Level {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::is_x86_feature_detected as has;
        let avx2 = has!("avx2") && has!("bmi1") && has!("bmi2") && has!("popcnt");
        if avx2
            && has!("avx512f")
            && has!("avx512bw")
            && has!("avx512vl")
            && has!("avx512dq")
            && has!("avx512cd")
        {
            return Level::Avx512;
        }
        if avx2 {
            return Level::Avx2;
        }
        if has!("sse4.1") && has!("ssse3") && has!("popcnt") {
            return Level::Sse41;
        }
    }
    Level::Base
}

/// The level in force: [`best`] unless [`force`] lowered it.
#[inline]
pub fn level() -> Level {
    match LEVEL.load(Ordering::Relaxed) {
        1 => Level::Base,
        2 => Level::Sse41,
        3 => Level::Avx2,
        4 => Level::Avx512,
        _ => {
            let level = best();
            LEVEL.store(level as u8, Ordering::Relaxed);
            level
        }
    }
}

/// Use at most `level` from now on; false when the processor lacks it (nothing changes then).
pub fn force(level: Level) -> bool {
    let possible = level <= best();
    if possible {
        LEVEL.store(level as u8, Ordering::Relaxed);
    }
    possible
}

/// As [`force`], by name; the error lists what this processor has.
pub fn force_named(name: &str) -> Result<(), String> {
    let known = Level::ALL.into_iter().find(|level| level.name() == name);
    if known.is_some_and(force) {
        return Ok(());
    }
    let has: Vec<&str> = Level::ALL
        .into_iter()
        .filter(|&l| l <= best())
        .map(Level::name)
        .collect();
    Err(format!(
        "SUNDOG_SIMD={name} is no SIMD level of this processor (it has {})",
        has.join(", ")
    ))
}

/// Defines a function that is compiled for the base, AVX2 and AVX-512 levels and picks one at each
/// call.
///
/// The body must be plain code (inlined into each version). Generic parameters need one bound each:
/// `simd! { pub fn add<T: Element>(a: &mut [T], b: &[T]) { … } }`.
#[macro_export]
macro_rules! simd {
    ($(#[$meta:meta])* $vis:vis fn $name:ident $(<$($g:ident: $bound:path),+>)? ($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        $vis fn $name $(<$($g: $bound),+>)? ($($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            fn body $(<$($g: $bound),+>)? ($($arg: $ty),*) $(-> $ret)? $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512cd,avx2,bmi1,bmi2,popcnt")]
                fn avx512 $(<$($g: $bound),+>)? ($($arg: $ty),*) $(-> $ret)? { body $(::<$($g),+>)? ($($arg),*) }
                #[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
                fn avx2 $(<$($g: $bound),+>)? ($($arg: $ty),*) $(-> $ret)? { body $(::<$($g),+>)? ($($arg),*) }
                match $crate::simd::level() {
                    // SAFETY: `level()` never exceeds what the processor was found to have.
                    $crate::simd::Level::Avx512 => return unsafe { avx512 $(::<$($g),+>)? ($($arg),*) },
                    // SAFETY: as above.
                    $crate::simd::Level::Avx2 => return unsafe { avx2 $(::<$($g),+>)? ($($arg),*) },
                    $crate::simd::Level::Sse41 | $crate::simd::Level::Base => {}
                }
            }
            body $(::<$($g),+>)? ($($arg),*)
        }
    };
}
