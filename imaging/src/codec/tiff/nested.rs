//! Strips and tiles that are pictures by themselves: JPEG 2000 (as slide scanners write it), PNG, JPEG XL.

use super::directory::bad;
use super::layout::{Layout, Nested};
use crate::codec::{FormatKind, Limits, OpenOptions};
use crate::error::Result;
use crate::image::{Element, Rows, Stored};
use crate::window::Band;
use std::io::Cursor;

/// Bytes that decoding such a strip or tile takes beside its packed bytes and samples: coefficients and planes of floats.
pub fn memory(layout: &Layout) -> usize {
    16 * layout.chunk_rows * layout.chunk_cols * layout.channels_together() + (1 << 20)
}

/// Decodes `packed` into `out`, the rows of one strip or tile in the machine's order of bytes. Where the picture is
/// smaller, as some writers have it at the right and the bottom, the rest is zero; a part of the image must not be missing.
pub fn unpack(
    nested: Nested,
    layout: &Layout,
    packed: &[u8],
    out: &mut [u8],
    visible: (usize, usize),
) -> Result<()> {
    let limits = Limits {
        max_pixels: 4 * (layout.chunk_rows * layout.chunk_cols) as u64 + (1 << 16),
        ..Limits::default()
    };
    let kind = nested.kind;
    if FormatKind::detect(packed) != Some(kind) {
        let title = kind.codec().title;
        return Err(bad(format!("a strip or tile that is no {title}")));
    }
    let input = Box::new(Cursor::new(packed.to_vec()));
    let mut source = (kind.codec().open)(input, &limits, &OpenOptions::default())?;
    let shape = source.shape();
    let channels = layout.channels_together();
    let whole = Stored::of(shape.sample) == layout.stored && shape.channels() == channels;
    if !whole || shape.rows < visible.0 || shape.cols < visible.1 {
        return Err(bad(format!(
            "a strip or tile of {}x{} pixels with {} channels of {}, where {}x{} with {channels} of {} are needed",
            shape.cols,
            shape.rows,
            shape.channels(),
            Stored::of(shape.sample),
            visible.1,
            visible.0,
            layout.stored
        )));
    }
    let mut rows = Rows::zeroed(shape, 0..shape.rows);
    source.read(&mut Band::of(&mut rows))?;
    if nested.is_ycc && !becomes_rgb(packed) {
        match layout.bits() {
            8 => to_rgb::<u8>(rows.data.bytes_mut()),
            _ => to_rgb::<u16>(rows.data.bytes_mut()),
        }
    }
    let (from, to) = (shape.row_bytes(), layout.chunk_row_bytes());
    let len = from.min(to);
    out.fill(0);
    let lines = rows.data.bytes().chunks_exact(from);
    for (line, out) in lines.zip(out.chunks_exact_mut(to)) {
        out[..len].copy_from_slice(&line[..len]);
    }
    Ok(())
}

/// Whether the decoder of JPEG 2000 makes RGB by itself: of components that the codestream says it has transformed, and of
/// a bare codestream with chroma at fewer places than brightness.
fn becomes_rgb(file: &[u8]) -> bool {
    const BEGIN: [u8; 4] = [0xFF, 0x4F, 0xFF, 0x51];
    let Some(at) = file.windows(4).position(|marks| marks == BEGIN) else {
        return false;
    };
    let stream = &file[at..];
    // Of each component SIZ has its depth and its distances across and down.
    let steps = |component: usize| stream.get(43 + 3 * component..45 + 3 * component);
    if at == 0 && steps(1) != steps(0) {
        return true;
    }
    // Marker segments of the main header until the first tile: COD says which transform was made.
    let mut rest = &stream[2..];
    while let [0xFF, marker, high, low, ..] = *rest
        && marker != 0x90
    {
        if marker == 0x52 {
            return rest.get(8) == Some(&1);
        }
        let len = usize::from(u16::from_be_bytes([high, low])).max(2);
        rest = rest.get(2 + len..).unwrap_or_default();
    }
    false
}

/// YCbCr of full range (ITU-R BT.601, as in JPEG) to RGB.
fn to_rgb<T: Element>(samples: &mut [u8]) {
    let middle = (T::TOP + 1.0) / 2.0;
    for pixel in bytemuck::cast_slice_mut::<u8, T>(samples).chunks_exact_mut(3) {
        let [y, cb, cr] = [0, 1, 2].map(|i| pixel[i].to_f64());
        let (cb, cr) = (cb - middle, cr - middle);
        let colors = [
            y + 1.402 * cr,
            y - 0.344_136 * cb - 0.714_136 * cr,
            y + 1.772 * cb,
        ];
        for (to, color) in pixel.iter_mut().zip(colors) {
            *to = T::saturate(color.round());
        }
    }
}

/// What strips and tiles of this compression are, where each is a picture.
pub fn of(compression: u64, photometric: u64) -> Option<Nested> {
    let kind = match compression {
        33003 | 33005 | 34712 => FormatKind::Jp2,
        34933 => FormatKind::Png,
        50002 | 52546 => FormatKind::Jxl,
        _ => return None,
    };
    // Aperio's two: YCbCr whatever the photometric interpretation says, and RGB.
    let is_ycc = match compression {
        33003 => true,
        33005 => false,
        _ => photometric == 6 && kind == FormatKind::Jp2,
    };
    Some(Nested { kind, is_ycc })
}
