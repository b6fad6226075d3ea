//! Writing: each frame fills the screen and has a palette of its own, exact for up to 256 colours, else made by
//! NeuQuant. The bytes depend on the pixels alone.

use crate::codec::table::Target;
use crate::codec::{NextPage, RowSink, WriteSeek};
use crate::error::{Error, Result};
use crate::image::{Color, Metadata, Rows, Shape};
use crate::{Warning, WarningKind};
use gif::{DisposalMethod, Encoder, EncodingError, Frame, Repeat};
use std::collections::HashSet;
use std::io::{BufWriter, Write as _};

/// How thoroughly the quantizer looks at pixels, 1 (all) to 30: every tenth is hard to tell from all.
const SAMPLING: i32 = 10;

type File = Encoder<BufWriter<Box<dyn WriteSeek>>>;

fn failed(error: EncodingError) -> Error {
    match error {
        EncodingError::Io(error) => error.into(),
        other => Error::Encode(format!("this is no image for GIF: {other}")),
    }
}

pub(super) fn create(target: Target<'_>) -> Result<Box<dyn RowSink>> {
    let Target {
        output,
        shape,
        metadata,
        ..
    } = target;
    let side = |n: usize| u16::try_from(n).ok();
    let (Some(cols), Some(rows)) = (side(shape.cols), side(shape.rows)) else {
        return Err(Error::Encode(format!(
            "{}x{} is too large for GIF, which holds 65535 pixels each way (tiff and png hold more)",
            shape.cols, shape.rows
        )));
    };
    let output = BufWriter::new(output);
    let mut file = Encoder::new(output, cols, rows, &[]).map_err(failed)?;
    if metadata.pages > 1 {
        match metadata.loops {
            Some(0) => file.set_repeat(Repeat::Infinite).map_err(failed)?,
            Some(shown @ 2..) => {
                let again = u16::try_from(shown - 1).unwrap_or(u16::MAX);
                file.set_repeat(Repeat::Finite(again)).map_err(failed)?;
            }
            _ => {}
        }
    }
    Ok(Box::new(Sink {
        file,
        screen: shape,
        shape,
        delay_ms: metadata.delay_ms,
        pixels: Vec::with_capacity(4 * shape.pixels()),
        halves: 0,
        frame: None,
        warnings: Vec::new(),
    }))
}

struct Sink {
    file: File,
    screen: Shape,
    shape: Shape,
    delay_ms: Option<u32>,
    /// RGBA.
    pixels: Vec<u8>,
    /// Pixels that were neither opaque nor transparent.
    halves: u64,
    frame: Option<Frame<'static>>,
    warnings: Vec<Warning>,
}

impl Sink {
    /// Makes the palette, once all rows are there.
    fn paint(&mut self) {
        let mut colors = HashSet::new();
        let whole = |p: &[u8]| {
            if p[3] == 0 {
                [0; 4]
            } else {
                [p[0], p[1], p[2], 255]
            }
        };
        let many = self.pixels.chunks_exact(4).any(|p| {
            colors.insert(whole(p));
            colors.len() > 256
        });
        if many {
            self.warnings.push(Warning::new(
                WarningKind::Converted,
                "more than 256 colours became the 256 of a GIF",
            ));
        }
        if self.halves > 0 {
            let text = format!(
                "{} half transparent pixels became opaque or transparent, which is all that GIF holds",
                self.halves
            );
            self.warnings
                .push(Warning::new(WarningKind::Converted, text));
        }
        // The sides were checked when the file began.
        let (cols, rows) = (self.shape.cols as u16, self.shape.rows as u16);
        let mut frame = Frame::from_rgba_speed(cols, rows, &mut self.pixels, SAMPLING);
        self.pixels = Vec::new();
        let hundredths = self.delay_ms.unwrap_or(0).saturating_add(5) / 10;
        frame.delay = u16::try_from(hundredths).unwrap_or(u16::MAX);
        // Each frame is whole: nothing of the one before may show through.
        frame.dispose = DisposalMethod::Background;
        self.frame = Some(frame);
    }

    fn end(&mut self) -> Result<()> {
        match self.frame.take() {
            Some(frame) => self.file.write_frame(&frame).map_err(failed),
            None => Err(Error::Encode("rows of the GIF are missing".into())),
        }
    }
}

impl RowSink for Sink {
    fn write(&mut self, rows: &Rows) -> Result<()> {
        let bytes = &rows.data.bytes()[..rows.count * self.shape.row_bytes()];
        match self.shape.color {
            Color::Rgba => {
                for pixel in bytes.chunks_exact(4) {
                    let alpha = if pixel[3] < 128 { 0 } else { 255 };
                    self.halves += u64::from(alpha != pixel[3]);
                    let opaque = [pixel[0], pixel[1], pixel[2], 255];
                    let kept = if alpha == 0 { [0; 4] } else { opaque };
                    self.pixels.extend(kept);
                }
            }
            _ => {
                let opaque = bytes.chunks_exact(3).flat_map(|p| [p[0], p[1], p[2], 255]);
                self.pixels.extend(opaque);
            }
        }
        if rows.range().end == self.shape.rows {
            self.paint();
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        self.end()?;
        close(self.file)
    }

    fn finish_page(mut self: Box<Self>) -> Result<Box<dyn NextPage>> {
        self.end()?;
        Ok(Box::new(Next {
            file: self.file,
            screen: self.screen,
        }))
    }

    fn warnings(&self) -> Vec<Warning> {
        self.warnings.clone()
    }
}

fn close(file: File) -> Result<()> {
    let mut output = file.into_inner().map_err(failed)?;
    Ok(output.flush()?)
}

struct Next {
    file: File,
    screen: Shape,
}

impl NextPage for Next {
    fn begin(self: Box<Self>, shape: Shape, metadata: &Metadata) -> Result<Box<dyn RowSink>> {
        crate::codec::same_size("GIF", self.screen, shape)?;
        Ok(Box::new(Sink {
            file: self.file,
            screen: self.screen,
            shape,
            delay_ms: metadata.delay_ms,
            pixels: Vec::with_capacity(4 * shape.pixels()),
            halves: 0,
            frame: None,
            warnings: Vec::new(),
        }))
    }

    fn end(self: Box<Self>) -> Result<()> {
        close(self.file)
    }
}
