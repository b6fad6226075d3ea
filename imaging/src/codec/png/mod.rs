//! PNG by rows: strict about checksums and the end of the file, quick to write.

mod chunks;
mod filter;
mod read;
mod write;

pub(super) use read::{open, probe};
pub(super) use write::{create, encoder_memory};

#[cfg(test)]
mod tests;
