//! How one page's pixels lie in the file and what they mean.

use crate::codec::FormatKind;
use crate::color::Cmyk;
use crate::image::{Shape, Stored};

/// How strips and tiles are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// As they are.
    None,
    /// LZW, highest bit first.
    Lzw,
    /// zlib.
    Deflate,
    /// Run lengths.
    PackBits,
    /// Each is a picture of another format.
    Nested(Nested),
    /// Unpacked by libtiff, predictor and order of bytes included.
    Library(Unpacked),
}

/// What strips and tiles are that are pictures by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nested {
    /// Their format.
    pub kind: FormatKind,
    /// They hold brightness and chroma, whatever they say of it.
    pub is_ycc: bool,
}

/// What libtiff hands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unpacked {
    /// Samples as they are stored.
    Stored,
    /// YCbCr in JPEG as RGB.
    JpegRgb,
    /// Logarithmic luminance (and colour) as floats: Y, or XYZ.
    Luminance,
    /// Colours of 8 bits: what only libtiff knows to convert (YCbCr with its subsampling).
    Rgba,
}

impl Packing {
    /// Most bytes that come of one packed byte.
    pub fn most_expansion(self) -> u64 {
        match self {
            Packing::None => 1,
            Packing::Lzw => 4096,
            Packing::Deflate => 1040,
            Packing::PackBits => 64,
            // White lines of a fax are a few bits each, and plain areas cost JPEG and WebP next to nothing.
            Packing::Library(_) | Packing::Nested(_) => u64::MAX,
        }
    }

    /// Whether libtiff unpacks.
    pub fn by_library(self) -> Option<Unpacked> {
        match self {
            Packing::Library(unpacked) => Some(unpacked),
            _ => None,
        }
    }
}

/// What samples were subtracted from before they were packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Predictor {
    /// Nothing.
    None,
    /// The sample of the pixel to the left.
    Horizontal,
    /// The same for floats, whose bytes stand apart.
    Float,
}

/// What a pixel's first channels mean.
#[derive(Clone, Debug, PartialEq)]
pub enum Meaning {
    /// Zero is black.
    Gray,
    /// Zero is white.
    InvertedGray,
    /// Red, green, blue.
    Rgb,
    /// An index into these colours of 16 bits.
    Palette(Vec<[u16; 3]>),
    /// Inks, 0 is none.
    Cmyk,
    /// L*a*b* of the daylight D50 with signed a and b.
    CieLab,
    /// The same with a and b around the middle of the range, as in ICC profiles.
    IccLab,
    /// Floats X, Y, Z.
    Xyz,
    /// Channels of data, each for itself.
    Bands,
}

impl Meaning {
    /// Stored channels that make up the colour; of bands, one.
    pub fn colors(&self) -> usize {
        match self {
            Meaning::Rgb | Meaning::CieLab | Meaning::IccLab | Meaning::Xyz => 3,
            Meaning::Cmyk => 4,
            _ => 1,
        }
    }

    /// Whether colours come of several stored channels together.
    pub fn is_mixed(&self) -> bool {
        matches!(
            self,
            Meaning::Cmyk | Meaning::CieLab | Meaning::IccLab | Meaning::Xyz
        )
    }
}

/// How the pixels lie in the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// The image as it is handed out.
    pub shape: Shape,
    /// Samples as they are stored.
    pub stored: Stored,
    /// Stored channels of a pixel.
    pub channels: usize,
    /// Meaning of the first channels.
    pub meaning: Meaning,
    /// The stored channel that is alpha.
    pub alpha: Option<usize>,
    /// How inks become colours, where a profile says it.
    pub inks: Option<Cmyk>,
    /// Colours were multiplied by alpha.
    pub premultiplied: bool,
    /// The first three of several bands are red, green and blue.
    pub rgb_bands: bool,
    /// Each channel has its own strips or tiles.
    pub planar: bool,
    /// Tiles: those at the right and the bottom are stored whole.
    pub tiled: bool,
    /// Rows of one strip or tile.
    pub chunk_rows: usize,
    /// Columns of one strip or tile.
    pub chunk_cols: usize,
    /// Strips or tiles side by side.
    pub across: usize,
    /// Strips or tiles above one another.
    pub down: usize,
    /// Position and length of each, by plane, row and column; (0, 0) for those that were left out.
    pub chunks: Vec<(u64, u64)>,
    /// Bytes of the sample in those that were left out, in the machine's order; none where it is zero.
    pub absent: Option<Vec<u8>>,
    /// Whether any was left out.
    pub sparse: bool,
    /// How they are packed.
    pub packing: Packing,
    /// The number of that packing in the file.
    pub compression: u16,
    /// Undone after unpacking.
    pub predictor: Predictor,
    /// The lowest bit of a byte comes first.
    pub reversed: bool,
    /// The high byte of a sample comes first.
    pub big: bool,
}

impl Layout {
    /// Bits of a stored sample.
    pub fn bits(&self) -> usize {
        usize::from(self.stored.bits())
    }

    /// Channels stored together.
    pub fn channels_together(&self) -> usize {
        if self.planar { 1 } else { self.channels }
    }

    /// Planes stored apart.
    pub fn planes(&self) -> usize {
        if self.planar { self.channels } else { 1 }
    }

    /// Bytes of one row of a strip or tile.
    pub fn chunk_row_bytes(&self) -> usize {
        (self.chunk_cols * self.channels_together() * self.bits()).div_ceil(8)
    }

    /// Bytes of one whole strip or tile.
    pub fn chunk_bytes(&self) -> usize {
        self.chunk_rows * self.chunk_row_bytes()
    }

    /// Rows stored in the strips or tiles of row `down`.
    pub fn stored_rows(&self, down: usize) -> usize {
        match self.tiled {
            true => self.chunk_rows,
            false => (self.shape.rows - down * self.chunk_rows).min(self.chunk_rows),
        }
    }

    /// Bytes of all strips or tiles that hold one image row.
    pub fn row_of_chunks_bytes(&self) -> usize {
        self.chunk_bytes() * self.across * self.planes()
    }

    /// The number of one strip or tile.
    pub fn chunk_index(&self, plane: usize, down: usize, across: usize) -> usize {
        (plane * self.down + down) * self.across + across
    }

    /// Position and length of one strip or tile.
    pub fn chunk(&self, plane: usize, down: usize, across: usize) -> (u64, u64) {
        self.chunks[self.chunk_index(plane, down, across)]
    }

    /// Whether rows that are not packed are read one by one, whatever strips they stand in.
    pub fn by_rows(&self) -> bool {
        self.packing == Packing::None && !self.tiled && !self.sparse
    }

    /// Whether libtiff unpacks rows one by one, as strips are too high to be held.
    pub fn by_scanlines(&self) -> bool {
        const HELD: usize = 2 << 20;
        let rows = !matches!(self.packing.by_library(), None | Some(Unpacked::Rgba));
        rows && !self.tiled && !self.sparse && self.planes() == 1 && self.chunk_bytes() > HELD
    }

    /// Whether rows lie in the file as they are handed out, but for the order of bytes.
    pub fn is_plain(&self) -> bool {
        self.by_rows() && self.is_copied() && !self.reversed
    }

    /// Whether unpacked samples are handed out as they are.
    pub fn is_copied(&self) -> bool {
        (!self.planar || self.channels == 1)
            && matches!(self.meaning, Meaning::Gray | Meaning::Rgb | Meaning::Bands)
            && self.stored == Stored::of(self.shape.sample)
            && self.channels == self.shape.channels()
            && !self.premultiplied
    }
}
