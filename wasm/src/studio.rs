//! A picture before and after its pipeline, as a page shows it.

use imaging::codec::{self, Format, Header, KeepMetadata, Limits, MemoryFile, OpenOptions};
use imaging::codec::{RowSink, orientation};
use imaging::color::{Choice, manage};
use imaging::comm::serial::Serial;
use imaging::executor::{Context, run_file, run_rows};
use imaging::metadata::{self, Change};
use imaging::plan::Stage;
use imaging::{Buffer, Color, Error, Image, Metadata, Pipeline, Plan, Result, Rows, SampleType};
use imaging::{Shape, Warning};
use std::io::Cursor;

/// Bytes that a plan may take: browsers give WebAssembly 4 GiB at the most, and less where memory is short.
const MEMORY: u64 = 2 << 30;

/// Which of the two pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// As it was opened, upright.
    Before,
    /// What the pipeline made of it.
    After,
}

/// One picture at a time.
#[derive(Default)]
pub struct Studio {
    open: Option<Picture>,
}

struct Picture {
    /// The file and its header; none where pixels were handed over.
    file: Option<(Vec<u8>, Header)>,
    before: Rows,
    after: Option<Rows>,
    pipeline: Pipeline,
    warnings: Vec<Warning>,
}

fn limits() -> Limits {
    Limits {
        max_pixels: 100_000_000,
        max_bytes: 1 << 30,
        ..Limits::default()
    }
}

/// Refuses what would not fit. In 64 bits, since sizes that a pipeline asks for may be beyond the addresses of a module.
fn check(plan: &Plan) -> Result<()> {
    let bytes = |shape: Shape| {
        let sample = (shape.channels() * shape.sample.bytes()) as u64;
        shape.rows as u64 * shape.cols as u64 * sample
    };
    // Whole images lie between stages, and the picture before stays there.
    let stage = |stage: &Stage| {
        let made = bytes(stage.segment.input) + bytes(stage.segment.output());
        bytes(stage.input) + made
    };
    let most = plan.stages.iter().map(stage).max().unwrap_or(0);
    let needed = bytes(plan.input) + most;
    if needed > MEMORY {
        return Err(imaging::Limit::Memory.exceeded(format!(
            "it would take {} MiB of memory, more than the {} MiB of a page (a smaller image will do, or a job)",
            needed >> 20,
            MEMORY >> 20
        )));
    }
    Ok(())
}

fn run(plan: &Plan, rows: Rows) -> Result<Rows> {
    check(plan)?;
    let comm = Serial::default();
    run_rows(&mut Context::new(&comm), plan, rows)
}

impl Studio {
    /// Opens a file's first page. What was open before is gone, also when this fails.
    pub fn open(&mut self, bytes: Vec<u8>) -> Result<()> {
        self.open = None;
        let limits = limits();
        let header = codec::probe(&mut Cursor::new(&bytes[..]), &limits)?;
        let image = codec::decode(bytes.clone(), &limits, &OpenOptions::default())?;
        let upright = Plan::from_steps(&orientation::steps(header.orientation), header.shape)?;
        self.open = Some(Picture {
            before: run(&upright, image.rows)?,
            file: Some((bytes, header)),
            after: None,
            pipeline: Pipeline::default(),
            warnings: upright.warnings.clone(),
        });
        Ok(())
    }

    /// Takes pixels of red, green, blue and alpha; alpha is dropped where all are opaque.
    pub fn take(&mut self, pixels: Vec<u8>, cols: usize, rows: usize) -> Result<()> {
        self.open = None;
        if cols == 0 || rows == 0 || cols.checked_mul(rows * 4) != Some(pixels.len()) {
            return Err(Error::Decode(format!(
                "{} bytes are no {cols} x {rows} pixels of 4 bytes",
                pixels.len()
            )));
        }
        let (most, all) = (limits().max_pixels, cols as u64 * rows as u64);
        if all > most {
            return Err(imaging::Limit::Pixels.exceeded(format!(
                "{cols} x {rows} pixels are more than the {most} of a page (submit a job)"
            )));
        }
        let opaque = pixels.chunks_exact(4).all(|p| p[3] == 255);
        let (color, data) = match opaque {
            true => {
                let rgb = pixels.chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]);
                (Color::Rgb, rgb.collect())
            }
            false => (Color::Rgba, pixels),
        };
        let shape = Shape::new(rows, cols, color, SampleType::U8);
        self.open = Some(Picture {
            before: Image::new(shape, Buffer::U8(data)).rows,
            file: None,
            after: None,
            pipeline: Pipeline::default(),
            warnings: Vec::new(),
        });
        Ok(())
    }

    fn picture(&self) -> Result<&Picture> {
        let nothing = || Error::Unsuitable("no image is open".into());
        self.open.as_ref().ok_or_else(nothing)
    }

    /// Runs a pipeline on the picture as it was opened. The result of an earlier one is gone, also when this fails.
    pub fn run(&mut self, pipeline: Pipeline) -> Result<()> {
        self.picture()?;
        let Some(picture) = &mut self.open else {
            return Ok(());
        };
        picture.after = None;
        picture.pipeline = Pipeline::default();
        let plan = Plan::new(&pipeline, picture.before.shape)?;
        picture.after = Some(run(&plan, picture.before.clone())?);
        picture.warnings.clone_from(&plan.warnings);
        picture.pipeline = pipeline;
        Ok(())
    }

    /// The pixels of a side; before anything was run, both are alike.
    pub fn rows(&self, side: Side) -> Result<&Rows> {
        let picture = self.picture()?;
        Ok(match (side, &picture.after) {
            (Side::After, Some(after)) => after,
            _ => &picture.before,
        })
    }

    /// What the file is called and holds; none where pixels were handed over.
    pub fn header(&self) -> Option<&Header> {
        let (_, header) = self.open.as_ref()?.file.as_ref()?;
        Some(header)
    }

    /// What is to be said of the latest run.
    pub fn warnings(&self) -> &[Warning] {
        self.open.as_ref().map_or(&[], |picture| &picture.warnings)
    }

    /// The result as a file: what `sundog run` makes of the same file, to the last byte.
    pub fn encode(&self, format: &Format) -> Result<Vec<u8>> {
        let picture = self.picture()?;
        let Some((bytes, header)) = &picture.file else {
            let rows = self.rows(Side::After)?.clone();
            let image = Image {
                rows,
                metadata: Metadata::default(),
            };
            return codec::encode(&image, format, KeepMetadata::All);
        };
        let mut steps = orientation::steps(header.orientation);
        steps.extend(picture.pipeline.steps()?);
        let plan = Plan::from_steps(&steps, header.shape)?;
        check(&plan)?;
        let input = Box::new(Cursor::new(bytes.clone()));
        let source = codec::open(input, &limits(), &OpenOptions::default())?;
        let (keep, stored) = (KeepMetadata::All, format.stored(plan.output).color);
        let mut source = manage(source, stored, format.kind(), &Choice::Keep, keep)?;
        let change = Change::of(header.shape, &plan, 1);
        let (mut metadata, _) =
            metadata::for_output(source.metadata(), &change, keep, format.kind());
        if !picture.pipeline.keeps_units() {
            metadata.stored = None;
        }
        let file = MemoryFile::default();
        let output = Box::new(file.clone());
        let mut sink: Box<dyn RowSink> =
            codec::create(output, format, plan.output, &metadata, keep)?;
        let comm = Serial::default();
        run_file(&mut Context::new(&comm), &plan, &mut *source, &mut *sink)?;
        sink.finish()?;
        Ok(file.take_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pixels(alpha: u8) -> Vec<u8> {
        [[10, 20, 30, 255], [40, 50, 60, alpha]].concat()
    }

    #[test]
    fn pixels_are_taken_and_alpha_only_where_there_is_some() {
        let mut studio = Studio::default();
        studio.take(pixels(255), 2, 1).unwrap();
        assert_eq!(studio.rows(Side::Before).unwrap().shape.color, Color::Rgb);
        studio.take(pixels(7), 1, 2).unwrap();
        let shape = studio.rows(Side::After).unwrap().shape;
        assert_eq!((shape.color, shape.rows), (Color::Rgba, 2));
        let error = studio.take(pixels(255), 3, 1).unwrap_err().to_string();
        assert!(error.contains("3 x 1 pixels"), "{error}");
        // What could not be opened leaves nothing behind.
        assert!(studio.rows(Side::Before).is_err());
    }

    #[test]
    fn a_pipeline_begins_at_the_picture_as_it_was_opened() {
        let mut studio = Studio::default();
        studio.take(pixels(255), 2, 1).unwrap();
        let invert = || Pipeline::parse("invert").unwrap();
        for _ in 0..2 {
            studio.run(invert()).unwrap();
            let after = studio.rows(Side::After).unwrap();
            assert_eq!(after.data.bytes(), [245, 235, 225, 215, 205, 195]);
        }
        let png = studio.encode(&Format::parse("png").unwrap()).unwrap();
        studio.open(png).unwrap();
        assert_eq!(studio.rows(Side::Before).unwrap().data.bytes()[0], 245);
        // After a refusal there is no result, and the picture is still there.
        let bands = Pipeline::parse("select(bands=[9])").unwrap();
        assert!(studio.run(bands).is_err());
        assert_eq!(studio.rows(Side::After).unwrap().data.bytes()[0], 245);
        studio.run(invert()).unwrap();
        assert_eq!(studio.rows(Side::After).unwrap().data.bytes()[0], 10);
    }

    #[test]
    fn what_a_page_has_no_memory_for_is_refused_with_numbers() {
        let mut studio = Studio::default();
        studio.take(pixels(255), 2, 1).unwrap();
        let large = Pipeline::parse("resize(width=60000, height=60000)").unwrap();
        let error = studio.run(large).unwrap_err().to_string();
        assert!(error.contains("MiB of a page"), "{error}");
    }
}
