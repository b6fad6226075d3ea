//! TIFF by rows: strips and tiles, classic and BigTIFF.
//!
//! Of several pages the first is read. Colours multiplied by alpha are divided by it.

mod directory;
mod exif;
mod fields;
mod layout;
mod read;
mod samples;
#[cfg(test)]
mod tests;
mod unpack;
mod write;

pub(super) use read::{open, probe};
pub(super) use write::{create, encoder_memory};
