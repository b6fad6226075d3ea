//! All operations, one file each; this list is what menus, validation and the reference page read.

pub mod gaussian;
pub mod gray;
pub mod invert;
pub mod table;
pub mod to_rgb;

use crate::op::Op;

/// Every operation, grouped as the reference page shows them.
pub static ALL: &[&Op] = &[
    // Point operations
    &invert::OP,
    &gray::OP,
    &to_rgb::OP,
    // Filters
    &gaussian::OP,
];

/// The operation of that name.
pub fn find(name: &str) -> Option<&'static Op> {
    ALL.iter().find(|op| op.name == name).copied()
}
