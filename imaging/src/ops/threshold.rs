//! threshold: compares each sample with a fixed level.

use crate::image::Element;
use crate::kernels::table::Table;
use crate::op::{Channels, Group, Op, Param, Step};

/// The parameter `mode`.
pub const MODE: Param = Param::word(
    "mode",
    &["binary", "binary_inv", "trunc", "to_zero", "to_zero_inv"],
    "what becomes of samples above the threshold and of the others",
);

/// The operation.
pub static OP: Op = Op {
    name: "threshold",
    about: "Compares each sample with a fixed level; samples above it pass.",
    params: &[
        Param::float("value", 0.0..=255.0, 128.0, "the threshold in 8-bit levels"),
        MODE,
    ],
    example: "threshold(value=90, mode=to_zero)",
    group: Group::Point,
    channels: Channels::Each,
    build: |args| {
        let value = args.float("value");
        let mode = Mode::from_name(args.word("mode"));
        let (eight, sixteen) = (libm::floor(value) as u8, libm::floor(value * 257.0) as u16);
        let float = (value / 255.0) as f32;
        Ok(vec![Step::local(Table::each(
            move |v| mode.apply(v, eight),
            move |v| mode.apply(v, sixteen),
            move |v| mode.apply(v, float),
        ))])
    },
};

/// What becomes of samples above the threshold and of the others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mode {
    /// White above, black else.
    Binary,
    /// Black above, white else.
    BinaryInv,
    /// The threshold above, others unchanged.
    Trunc,
    /// Unchanged above, black else.
    ToZero,
    /// Black above, unchanged else.
    ToZeroInv,
}

impl Mode {
    /// The mode of that name, which was checked to be one.
    pub fn from_name(name: &str) -> Mode {
        match name {
            "binary" => Mode::Binary,
            "binary_inv" => Mode::BinaryInv,
            "trunc" => Mode::Trunc,
            "to_zero" => Mode::ToZero,
            "to_zero_inv" => Mode::ToZeroInv,
            other => unreachable!("words were checked: {other}"),
        }
    }

    /// The result for one sample.
    pub fn apply<T: Element>(self, v: T, threshold: T) -> T {
        let (white, black) = (T::saturate(T::TOP), T::default());
        match (self, v > threshold) {
            (Mode::Binary, true) | (Mode::BinaryInv, false) => white,
            (Mode::Trunc, true) => threshold,
            (Mode::Trunc | Mode::ToZeroInv, false) | (Mode::ToZero, true) => v,
            _ => black,
        }
    }
}
