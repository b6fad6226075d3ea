//! The seam to libheif: a file's primary picture to samples, and samples to a file.

use super::library::{HeifWriter, Library, Object, Status, needed};
use crate::codec::{Limits, exif};
use crate::error::{Error, Limit, Result};
use crate::image::{Color, Metadata, SampleType, Shape};
use std::ffi::{c_int, c_void};
use std::ptr::null_mut;

const RGB: c_int = 1;
/// Channels side by side, of 8 bits, or of more in two bytes, the low one first.
const RGB8: c_int = 10;
const RGBA8: c_int = 11;
const RGB16: c_int = 14;
const RGBA16: c_int = 15;
const INTERLEAVED: c_int = 10;

/// A file whose bytes are borrowed.
pub(super) struct File<'b> {
    library: &'static Library,
    title: &'static str,
    context: Object,
    handle: Object,
    _bytes: &'b [u8],
}

impl<'b> File<'b> {
    /// Reads the boxes; no pixel is decoded.
    pub fn open(title: &'static str, bytes: &'b [u8]) -> Result<File<'b>> {
        let library = needed(title)?;
        // SAFETY: it takes nothing.
        let context = unsafe { (library.context)() };
        if context.is_null() {
            return Err(Limit::Memory.exceeded(format!("no memory to read a {title}")));
        }
        let mut file = File {
            library,
            title,
            context,
            handle: null_mut(),
            _bytes: bytes,
        };
        // SAFETY: the bytes outlive the context, which is freed with the file; the handle is filled in.
        unsafe {
            let status = (library.read)(context, bytes.as_ptr().cast(), bytes.len(), null_mut());
            file.check(status)?;
            let mut handle = null_mut();
            file.check((library.primary)(context, &mut handle))?;
            file.handle = handle;
        }
        Ok(file)
    }

    fn check(&self, status: Status) -> Result<()> {
        status
            .said()
            .map_err(|said| Error::Decode(format!("not a sound {}: {said}", self.title)))
    }

    /// Bits of a sample.
    pub fn bits(&self) -> u8 {
        // SAFETY: the handle lives as long as the file.
        let bits = unsafe { (self.library.bits)(self.handle) };
        u8::try_from(bits)
            .ok()
            .filter(|b| (1..=16).contains(b))
            .unwrap_or(8)
    }

    /// The shape after the turns that the file asks for, which libheif does.
    pub fn shape(&self, limits: &Limits) -> Result<Shape> {
        // SAFETY: as above.
        let (cols, rows, alpha) = unsafe {
            let Library {
                width,
                height,
                has_alpha,
                ..
            } = self.library;
            (
                width(self.handle),
                height(self.handle),
                has_alpha(self.handle),
            )
        };
        let color = if alpha != 0 { Color::Rgba } else { Color::Rgb };
        let sample = match self.bits() {
            ..=8 => SampleType::U8,
            _ => SampleType::U16,
        };
        let side = |n: c_int| u64::try_from(n).unwrap_or(0);
        limits.shape(side(rows), side(cols), color, sample)
    }

    /// Whether there is an ICC profile.
    pub fn has_profile(&self) -> bool {
        // SAFETY: as above.
        unsafe { (self.library.profile_size)(self.handle) > 0 }
    }

    /// Profile and EXIF. The turn that EXIF tells is done already.
    pub fn metadata(&self, limits: &Limits) -> Result<Metadata> {
        let mut metadata = Metadata {
            orientation: 1,
            ..Metadata::default()
        };
        let library = self.library;
        // SAFETY: buffers have the sizes that libheif asks for.
        unsafe {
            let size = (library.profile_size)(self.handle);
            limits.metadata(size)?;
            if size > 0 {
                let mut icc = vec![0u8; size];
                self.check((library.profile)(self.handle, icc.as_mut_ptr().cast()))?;
                metadata.icc = Some(icc);
            }
            let mut id = 0u32;
            if (library.blocks)(self.handle, c"Exif".as_ptr(), &mut id, 1) > 0 {
                let size = (library.block_size)(self.handle, id);
                limits.metadata(size)?;
                let mut block = vec![0u8; size];
                self.check((library.block)(self.handle, id, block.as_mut_ptr().cast()))?;
                // Four bytes say where the TIFF structure begins behind them.
                let offset = block
                    .get(..4)
                    .map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]));
                let tiff = offset.and_then(|at| block.get(4usize.checked_add(at as usize)?..));
                metadata.exif = tiff.map(|tiff| exif::upright(tiff.to_vec()));
            }
        }
        Ok(metadata)
    }

    /// Decodes.
    pub fn samples(&self, shape: Shape) -> Result<Vec<u8>> {
        let library = self.library;
        let chroma = match (shape.color, shape.sample) {
            (Color::Rgba, SampleType::U8) => RGBA8,
            (Color::Rgba, _) => RGBA16,
            (_, SampleType::U8) => RGB8,
            (_, _) => RGB16,
        };
        let mut image = null_mut();
        // SAFETY: the handle lives as long as the file; options may be null.
        let status = unsafe { (library.decode)(self.handle, &mut image, RGB, chroma, null_mut()) };
        self.check(status)?;
        let image = Owned(image, library.release_image);
        // SAFETY: the image was made; its rows have `stride` bytes, checked to hold those of the shape.
        unsafe {
            let (cols, rows) = (
                (library.image_width)(image.0, INTERLEAVED),
                (library.image_height)(image.0, INTERLEAVED),
            );
            let mut stride = 0;
            let plane = (library.plane)(image.0, INTERLEAVED, &mut stride);
            let fits = (cols as usize, rows as usize) == (shape.cols, shape.rows);
            let stride = usize::try_from(stride).unwrap_or(0);
            if plane.is_null() || cols < 0 || rows < 0 || !fits || stride < shape.row_bytes() {
                return Err(Error::Decode(format!(
                    "not a sound {}: its picture has another size than its header",
                    self.title
                )));
            }
            let mut samples = Vec::with_capacity(shape.bytes());
            for y in 0..shape.rows {
                let row = std::slice::from_raw_parts(plane.add(y * stride), shape.row_bytes());
                samples.extend_from_slice(row);
            }
            if shape.sample == SampleType::U16 {
                let bits = (library.image_bits)(image.0, INTERLEAVED);
                widen(&mut samples, bits);
            }
            Ok(samples)
        }
    }
}

/// Spreads samples of `bits` over 16.
fn widen(samples: &mut [u8], bits: c_int) {
    let top = (1u64 << bits.clamp(1, 16)) - 1;
    for pair in samples.chunks_exact_mut(2) {
        let value = u64::from(u16::from_le_bytes([pair[0], pair[1]])).min(top);
        let wide = ((value * 65535 + top / 2) / top) as u16;
        pair.copy_from_slice(&wide.to_ne_bytes());
    }
}

impl Drop for File<'_> {
    fn drop(&mut self) {
        // SAFETY: both were made by libheif, and nothing else holds them.
        unsafe {
            if !self.handle.is_null() {
                (self.library.release_handle)(self.handle);
            }
            (self.library.free)(self.context);
        }
    }
}

/// An object that is released with its function.
struct Owned(Object, unsafe extern "C" fn(Object));

impl Drop for Owned {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: made by libheif, and held here alone.
            unsafe { (self.1)(self.0) };
        }
    }
}

/// A file of RGB or RGBA samples of 8 bits in libheif's format number `format`.
pub(super) fn encode(
    format: c_int,
    samples: &[u8],
    shape: Shape,
    quality: u8,
    metadata: &Metadata,
) -> Result<Vec<u8>> {
    assert_eq!(samples.len(), shape.bytes());
    let library = needed("AVIF")?;
    let check = |status: Status| {
        let said = status.said();
        said.map_err(|said| Error::Encode(format!("libheif could not encode it: {said}")))
    };
    let side = |n: usize| c_int::try_from(n).map_err(|_| Error::Encode("it is too large".into()));
    let (cols, rows) = (side(shape.cols)?, side(shape.rows)?);
    let chroma = if shape.color == Color::Rgba {
        RGBA8
    } else {
        RGB8
    };
    // SAFETY: each object is made, checked, and released when this ends, the context last; the plane's rows have
    // `stride` bytes, checked to hold those of the shape; the writer's vector outlives the call that fills it.
    unsafe {
        let context = Owned((library.context)(), library.free);
        let mut made = null_mut();
        check((library.encoder)(context.0, format, &mut made))?;
        let encoder = Owned(made, library.release_encoder);
        check((library.quality)(encoder.0, c_int::from(quality)))?;
        let mut made = null_mut();
        check((library.image)(cols, rows, RGB, chroma, &mut made))?;
        let image = Owned(made, library.release_image);
        check((library.add_plane)(image.0, INTERLEAVED, cols, rows, 8))?;
        let mut stride = 0;
        let plane = (library.plane_mut)(image.0, INTERLEAVED, &mut stride);
        let stride = usize::try_from(stride).unwrap_or(0);
        if plane.is_null() || stride < shape.row_bytes() {
            return Err(Error::Encode("libheif has no memory for it".into()));
        }
        for (y, row) in samples.chunks_exact(shape.row_bytes()).enumerate() {
            plane
                .add(y * stride)
                .copy_from_nonoverlapping(row.as_ptr(), row.len());
        }
        if let Some(icc) = &metadata.icc {
            let kind = c"prof".as_ptr();
            check((library.set_profile)(
                image.0,
                kind,
                icc.as_ptr().cast(),
                icc.len(),
            ))?;
        }
        let mut made = null_mut();
        check((library.encode)(
            context.0,
            image.0,
            encoder.0,
            null_mut(),
            &mut made,
        ))?;
        let handle = Owned(made, library.release_handle);
        if let Some(exif) = &metadata.exif {
            let len = side(exif.len())?;
            check((library.add_exif)(
                context.0,
                handle.0,
                exif.as_ptr().cast(),
                len,
            ))?;
        }
        let mut out: Vec<u8> = Vec::new();
        let writer = HeifWriter {
            version: 1,
            write: append,
        };
        check((library.write)(context.0, &writer, (&raw mut out).cast()))?;
        Ok(out)
    }
}

unsafe extern "C" fn append(
    _context: Object,
    data: *const c_void,
    len: usize,
    out: *mut c_void,
) -> Status {
    if len > 0 {
        // SAFETY: libheif hands `len` bytes, and the vector that was given to it.
        unsafe {
            let out = out.cast::<Vec<u8>>();
            (*out).extend_from_slice(std::slice::from_raw_parts(data.cast(), len));
        }
    }
    Status::OK
}
