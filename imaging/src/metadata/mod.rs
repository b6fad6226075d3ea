//! What a file says beside its pixels: kinds of it, and how it follows what was done to the pixels.

mod adapt;
pub mod affine;
mod fit;
mod geo;
pub mod iptc;
mod resolution;
mod text;
pub mod xmp;

pub use adapt::{Change, for_output, sized};
pub use affine::Affine;
pub use fit::{SEGMENT, XMP_MARK, copyright, fit};
pub use geo::Geo;
pub(crate) use resolution::fraction;
pub use resolution::{Resolution, Unit};
pub(crate) use text::cut;
pub use text::{COMMENT, Text, latin1};

/// What a PNG says of its colours in chunks of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Coding {
    /// sRGB: the rendering intent, 0..=3.
    pub srgb: Option<u8>,
    /// gAMA: 100,000 times the exponent.
    pub gamma: Option<u32>,
    /// cHRM: 100,000 times x and y of white, red, green and blue.
    pub chromaticities: Option<[u32; 8]>,
    /// cICP: primaries, transfer, matrix, full range (ITU-T H.273).
    pub cicp: Option<[u8; 4]>,
}
