//! Writing an animation: each frame fills the canvas and goes to the file as it comes; the size of the whole and
//! whether there is alpha are filled in at the end.

use super::container::{self, ALPHA, ANIMATION};
use crate::codec::WriteSeek;
use crate::error::{Error, Result};
use crate::image::{Color, Metadata, Shape};
use std::io::SeekFrom;

/// Where the flags are.
const FLAGS: u64 = 20;
/// In the frame's flags: what was there before does not show through.
const REPLACES: u8 = 2;

pub(super) struct Animation {
    pub canvas: Shape,
    flags: u8,
    /// Bytes written.
    len: u64,
    /// Chunks behind the frames.
    side: Vec<u8>,
}

impl Animation {
    /// Writes what comes before the frames.
    pub fn begin(
        output: &mut dyn WriteSeek,
        canvas: Shape,
        metadata: &Metadata,
    ) -> Result<Animation> {
        let mut flags = ANIMATION;
        let (mut out, mut side) = (b"RIFF\0\0\0\0WEBP".to_vec(), Vec::new());
        container::append(b"VP8X", &container::canvas(canvas, flags), &mut out)?;
        if let Some(icc) = &metadata.icc {
            flags |= container::ICC;
            container::append(b"ICCP", icc, &mut out)?;
        }
        let loops = u16::try_from(metadata.loops.unwrap_or(1)).unwrap_or(u16::MAX);
        let control = [&[0; 4][..], &loops.to_le_bytes()].concat();
        container::append(b"ANIM", &control, &mut out)?;
        if let Some(exif) = &metadata.exif {
            flags |= container::EXIF;
            container::append(b"EXIF", exif, &mut side)?;
        }
        if let Some(xmp) = &metadata.xmp {
            flags |= container::XMP;
            container::append(b"XMP ", xmp, &mut side)?;
        }
        output.write_all(&out)?;
        Ok(Animation {
            canvas,
            flags,
            len: out.len() as u64,
            side,
        })
    }

    /// Writes a frame, which is a WebP of its own.
    pub fn append(
        &mut self,
        output: &mut dyn WriteSeek,
        webp: &[u8],
        shape: Shape,
        delay_ms: Option<u32>,
    ) -> Result<()> {
        if shape.color == Color::Rgba {
            self.flags |= ALPHA;
        }
        let size = container::canvas(shape, 0);
        let delay = delay_ms.unwrap_or(0).min(0xFF_FFFF).to_le_bytes();
        let mut frame = vec![0; 6];
        frame.extend(&size[4..]);
        frame.extend(&delay[..3]);
        frame.push(REPLACES);
        let body = webp.get(12..).unwrap_or(&[]);
        for (name, data) in container::chunks(body).filter(|(name, _)| *name != b"VP8X") {
            container::append(name, data, &mut frame)?;
        }
        let mut out = Vec::with_capacity(frame.len() + 8);
        container::append(b"ANMF", &frame, &mut out)?;
        output.write_all(&out)?;
        self.len += out.len() as u64;
        Ok(())
    }

    /// Ends the file.
    pub fn end(&mut self, output: &mut dyn WriteSeek) -> Result<()> {
        output.write_all(&self.side)?;
        let len = self.len + self.side.len() as u64 - 8;
        let Ok(len) = u32::try_from(len) else {
            return Err(Error::Encode("a WebP holds at most 4 GiB".into()));
        };
        output.seek(SeekFrom::Start(4))?;
        output.write_all(&len.to_le_bytes())?;
        output.seek(SeekFrom::Start(FLAGS))?;
        output.write_all(&[self.flags])?;
        output.seek(SeekFrom::End(0))?;
        Ok(output.flush()?)
    }
}
