//! Whole images to and from bytes in memory.

use super::{Format, KeepMetadata, Limits, OpenOptions, create, open};
use crate::error::Result;
use crate::image::{Image, Rows};
use crate::window::Band;
use std::io::{Cursor, Read, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A growing file in memory that its maker can still read after an encoder has consumed its clone.
#[derive(Clone, Debug, Default)]
pub struct MemoryFile(Arc<Mutex<Cursor<Vec<u8>>>>);

impl MemoryFile {
    fn lock(&self) -> MutexGuard<'_, Cursor<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the bytes out; the file is empty afterwards.
    pub fn take_bytes(&self) -> Vec<u8> {
        std::mem::take(&mut *self.lock()).into_inner()
    }
}

impl Read for MemoryFile {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        self.lock().read(to)
    }
}

impl Write for MemoryFile {
    fn write(&mut self, from: &[u8]) -> std::io::Result<usize> {
        self.lock().write(from)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Seek for MemoryFile {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.lock().seek(to)
    }
}

/// Decodes a whole image.
pub fn decode(bytes: Vec<u8>, limits: &Limits, options: &OpenOptions) -> Result<Image> {
    let mut source = open(Box::new(Cursor::new(bytes)), limits, options)?;
    let shape = source.shape();
    let mut rows = Rows::zeroed(shape, 0..shape.rows);
    source.read(&mut Band::of(&mut rows))?;
    Ok(Image {
        rows,
        metadata: source.metadata().clone(),
    })
}

/// Encodes a whole image.
pub fn encode(image: &Image, format: &Format, keep: KeepMetadata) -> Result<Vec<u8>> {
    let file = MemoryFile::default();
    let mut sink = create(
        Box::new(file.clone()),
        format,
        image.shape(),
        &image.metadata,
        keep,
    )?;
    sink.write(&image.rows)?;
    sink.finish()?;
    Ok(file.take_bytes())
}
