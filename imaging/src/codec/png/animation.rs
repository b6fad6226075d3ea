//! The chunks of an animation that is written (APNG, PNG third edition 11.3.6): each frame fills the canvas and
//! replaces the one before.

use super::write::append_chunk;
use crate::codec::WriteSeek;
use crate::error::{Error, Result};
use crate::image::{Metadata, Shape};
use std::io::SeekFrom;

pub(super) struct Animation {
    shape: Shape,
    /// Where the number of frames stands.
    control: u64,
    promised: u32,
    loops: u32,
    frames: u32,
    /// The number of the next chunk.
    sequence: u32,
}

impl Animation {
    /// Appends the control chunks before the first frame's pixels.
    pub fn begin(
        promised: u32,
        shape: Shape,
        metadata: &Metadata,
        out: &mut Vec<u8>,
    ) -> Result<Animation> {
        let mut animation = Animation {
            shape,
            control: out.len() as u64,
            promised,
            loops: metadata.loops.unwrap_or(1),
            frames: 0,
            sequence: 0,
        };
        out.extend(animation.counts(promised)?);
        out.extend(animation.next(shape, metadata)?);
        Ok(animation)
    }

    fn counts(&self, frames: u32) -> Result<Vec<u8>> {
        let mut chunk = Vec::new();
        let data = [frames.to_be_bytes(), self.loops.to_be_bytes()].concat();
        append_chunk(b"acTL", &data, &mut chunk)?;
        Ok(chunk)
    }

    /// The control chunk of the next frame.
    pub fn next(&mut self, shape: Shape, metadata: &Metadata) -> Result<Vec<u8>> {
        crate::codec::same_size("PNG", self.shape, shape)?;
        if shape != self.shape {
            return Err(Error::Encode(format!(
                "a PNG's frames are all alike: {} {} cannot follow {} {}",
                shape.sample.name(),
                shape.color.name(),
                self.shape.sample.name(),
                self.shape.color.name()
            )));
        }
        let delay = metadata.delay_ms.unwrap_or(0);
        let (delay, per_second) = match u16::try_from(delay) {
            Ok(delay) => (delay, 1000u16),
            Err(_) => (u16::try_from(delay / 100).unwrap_or(u16::MAX), 10),
        };
        let mut data = Vec::with_capacity(26);
        let (cols, rows) = (shape.cols as u32, shape.rows as u32);
        for field in [self.sequence, cols, rows, 0, 0] {
            data.extend(field.to_be_bytes());
        }
        data.extend(delay.to_be_bytes());
        data.extend(per_second.to_be_bytes());
        // It stays, and what is transparent does not let the one before through.
        data.extend([0, 0]);
        self.sequence += 1;
        self.frames += 1;
        let mut chunk = Vec::new();
        append_chunk(b"fcTL", &data, &mut chunk)?;
        Ok(chunk)
    }

    /// Whether pixels go into numbered chunks, as those of all frames but the first do.
    pub fn numbers(&self) -> bool {
        self.frames > 1
    }

    /// Pixels in a numbered chunk.
    pub fn data(&mut self, pixels: &[u8]) -> Result<Vec<u8>> {
        let data = [&self.sequence.to_be_bytes(), pixels].concat();
        self.sequence += 1;
        let mut chunk = Vec::with_capacity(data.len() + 12);
        append_chunk(b"fdAT", &data, &mut chunk)?;
        Ok(chunk)
    }

    /// Ends the file; the number of frames is put right if it was not the one promised.
    pub fn end(&self, output: &mut dyn WriteSeek) -> Result<()> {
        let mut end = Vec::new();
        append_chunk(b"IEND", &[], &mut end)?;
        output.write_all(&end)?;
        if self.frames != self.promised {
            output.seek(SeekFrom::Start(self.control))?;
            output.write_all(&self.counts(self.frames)?)?;
            output.seek(SeekFrom::End(0))?;
        }
        Ok(output.flush()?)
    }
}
