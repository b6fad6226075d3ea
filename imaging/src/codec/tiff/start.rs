//! What is known of a page before its pixels are read.

use super::directory::File;
use super::layout::{Layout, Meaning, Packing, Unpacked};
use super::{exif, nested, pages, parse, side};
use crate::codec::{FormatKind, Header, Limits, PageKind, ReadSeek};
use crate::color::Cmyk;
use crate::error::Result;
use crate::image::Metadata;
use crate::warning::Warning;

/// Unpacked bytes of strips or tiles held at least.
pub const GROUP: usize = 2 << 20;

/// What is known before pixels are read.
pub struct Start {
    pub layout: Layout,
    pub metadata: Metadata,
    pub header: Header,
    pub warnings: Vec<Warning>,
    /// Position of the page's directory.
    pub at: u64,
    /// Bytes that libtiff may ask for at a time.
    pub most: usize,
}

/// Reads the directories, and what that of one page says.
pub fn start(input: &mut dyn ReadSeek, limits: &Limits, page: u32) -> Result<Start> {
    let mut file = File::open(input)?;
    let pages = pages::find(&mut file)?;
    let at = pages.place(page)?;
    let directory = file.directory(at)?;
    let mut layout = parse::layout(&mut file, &directory, limits)?;
    let mut warnings = pages.warnings;
    let mut metadata = exif::metadata(&mut file, &directory, limits, &mut warnings)?;
    side::read(&mut file, &directory.entries, limits, &mut metadata);
    if layout.meaning == Meaning::Cmyk {
        layout.inks = metadata.icc.as_deref().and_then(Cmyk::new);
        if layout.inks.is_some() {
            metadata.icc = Some(Cmyk::profile());
        }
    }
    let stored = super::stored_beside(layout.stored, layout.shape.sample);
    metadata.stored = stored;
    metadata.rgb_bands = layout.rgb_bands;
    let group = layout.row_of_chunks_bytes().max(GROUP);
    let (held, most) = match (layout.packing, layout.tiled) {
        _ if layout.is_plain() => (0, 0),
        (Packing::Library(unpacked), _) => library_memory(&layout, unpacked),
        // Decoded on several threads at once; more than eight do not get in each other's way.
        (Packing::Nested(_), _) => {
            let side_by_side = (group / layout.chunk_bytes().max(1)).max(1);
            let at_once = side_by_side.min(8);
            (2 * group + group / 4 + at_once * nested::memory(&layout), 0)
        }
        (Packing::None, _) if layout.by_rows() => {
            (GROUP + layout.chunk_row_bytes() * layout.planes(), 0)
        }
        (Packing::None, _) => (group, 0),
        // The packed bytes are read piece by piece into a buffer that grows.
        _ => (2 * group + group / 4, 0),
    };
    let header = Header {
        kind: FormatKind::Tiff,
        shape: layout.shape,
        bits: layout.bits() as u8,
        lossless: true,
        orientation: metadata.orientation,
        has_icc: metadata.icc.is_some(),
        pages: pages.places.len() as u32,
        page_kind: PageKind::Pages,
        still: false,
        stored,
        streams: layout.down > 1
            || layout.by_scanlines()
            || held <= GROUP.max(layout.shape.bytes() / 2),
        seekable: !layout.by_scanlines(),
        decoder_bytes: held + 16 * layout.chunks.len(),
    };
    Ok(Start {
        layout,
        metadata,
        header,
        warnings,
        at,
        most,
    })
}

/// Bytes that are held where libtiff unpacks, and those that it may ask for at a time.
fn library_memory(layout: &Layout, unpacked: Unpacked) -> (usize, usize) {
    let chunk = layout.chunk_bytes();
    let packed = layout.chunks.iter().map(|c| c.1).max().unwrap_or(0) as usize;
    let held = match layout.by_scanlines() {
        true => GROUP + layout.chunk_row_bytes(),
        false => layout.row_of_chunks_bytes().max(GROUP),
    };
    // The window of ZSTD and LZMA, the whole picture of WebP and LERC, the raster and the samples of what is converted.
    let codec = match layout.compression {
        34925 => 9 << 20,
        50000 => chunk.min(8 << 20) + (256 << 10),
        50001 => chunk,
        34887 => 2 * chunk,
        _ if unpacked == Unpacked::Rgba => chunk / 3 * 8,
        _ => 64 * layout.chunk_row_bytes(),
    };
    let lists = 32 * layout.chunks.len();
    let most = chunk
        .saturating_mul(4)
        .max(packed.saturating_mul(2))
        .saturating_add(lists + (16 << 20));
    (held + packed + codec + lists + (128 << 10), most)
}
