//! The result's file: text, CSV, `.npy` or an image, which appears whole or not at all.

use super::layout::{Found, name};
use super::turned::Turning;
use super::{Bits, Op, Request, Results, npy};
use crate::atomic::{Digested, Pending, Writer};
use imaging::codec::orientation::turns;
use imaging::codec::{Format, FormatKind, KeepMetadata, RowSink, create};
use imaging::{Element, Error, Metadata, Result, Rows, SampleType, Shape, by_any_sample};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// What the output's extension asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// Numbers with a blank between those of one row.
    Text,
    /// Numbers with a comma between those of one row.
    Csv,
    /// A NumPy array.
    Npy,
    /// An image.
    Image(Format),
}

impl Target {
    /// By the extension.
    pub fn of(path: &Path) -> Result<Target> {
        let extension = path.extension().unwrap_or_default().to_string_lossy();
        match extension.to_ascii_lowercase().as_str() {
            "txt" => Ok(Target::Text),
            "csv" => Ok(Target::Csv),
            "npy" => Ok(Target::Npy),
            other => match FormatKind::from_extension(other) {
                Some(kind) => Ok(Target::Image(Format::of(kind))),
                None => Err(Error::Encode(format!(
                    "{}: the name must end with .txt, .csv, .npy or an image format's extension",
                    path.display()
                ))),
            },
        }
    }

    /// By its name: `txt`, `csv`, `npy` or an image format with its options.
    pub fn parse(text: &str) -> Result<Target> {
        match text {
            "txt" => Ok(Target::Text),
            "csv" => Ok(Target::Csv),
            "npy" => Ok(Target::Npy),
            other => Format::parse(other).map(Target::Image),
        }
    }

    /// What names of such files end with.
    pub fn extension(&self) -> &'static str {
        match self {
            Target::Text => "txt",
            Target::Csv => "csv",
            Target::Npy => "npy",
            Target::Image(format) => format.extension(),
        }
    }

    /// The media type of such files.
    pub fn media_type(&self) -> &'static str {
        match self {
            Target::Text => "text/plain",
            Target::Csv => "text/csv",
            Target::Npy => "application/octet-stream",
            Target::Image(format) => format.kind().media_type(),
        }
    }
}

/// The output being written.
pub struct Output {
    path: PathBuf,
    pending: Pending,
    sink: Sink,
    /// Where the results of turned images are gathered until they are turned upright.
    turning: Option<Turning>,
}

enum Sink {
    Text(Lines),
    Npy(Array),
    Image(Picture),
}

impl Output {
    /// Makes sure that the result can be written, before anything is computed.
    pub fn create(target: Target, request: &Request, found: Found) -> Result<Output> {
        let Found {
            layout,
            metadata,
            header,
            ..
        } = &found;
        let path = request.output.clone();
        if request.bits.is_some() && !matches!(target, Target::Image(_)) {
            return Err(Error::Encode(format!(
                "{}: --bits is for images; numbers are written as they are",
                path.display()
            )));
        }
        let turning = turns(layout.orientation);
        let turning = (!turning.is_empty()).then(|| Turning::new(layout, turning));
        let (dims, picture) = match &turning {
            Some(turning) => (
                turning.dims(),
                layout.picture.map(|shape| turning.shape(shape)),
            ),
            None => (layout.dims.clone(), layout.picture),
        };
        let pending = Pending::create(&path)?;
        let columns = match dims.len() {
            0 | 1 => 1,
            _ => dims[1..].iter().product(),
        };
        let writer = pending.writer();
        let sink = match (target, picture) {
            (Target::Text, _) => Sink::Text(Lines::new(writer, " ", columns)),
            (Target::Csv, _) => {
                let mut lines = Lines::new(writer, ",", columns);
                if let Some(header) = header {
                    lines.text = format!("{header}\n");
                }
                Sink::Text(lines)
            }
            (Target::Npy, _) => Sink::Npy(Array::new(writer, dims, request.op)),
            (Target::Image(format), Some(shape)) => {
                let read = shape.sample;
                let sample = match request.bits {
                    None => read,
                    Some(Bits::Eight) => SampleType::U8,
                    Some(Bits::Sixteen) => SampleType::U16,
                    Some(Bits::Float) => SampleType::F32,
                };
                let shape = Shape { sample, ..shape };
                let metadata = Metadata {
                    pages: 0,
                    // Means of integers are none, and what is written is asked for.
                    stored: None,
                    ..metadata.clone()
                };
                let stored = format.stored(shape).sample;
                if request.bits.is_some() && stored != sample {
                    return Err(Error::Encode(format!(
                        "{}: {} has no {} samples (hint: .tif)",
                        path.display(),
                        format.kind().name(),
                        sample.name()
                    )));
                }
                let keep = KeepMetadata::Icc;
                let sink = create(Box::new(writer), &format, shape, &metadata, keep);
                let sink = sink.map_err(|error| name(&path, error))?;
                Sink::Image(Picture::new(sink, shape, read))
            }
            (Target::Image(_), None) => {
                return Err(Error::Encode(format!(
                    "{}: numbers cannot be written as an image (hint: .txt, .csv or .npy)",
                    path.display()
                )));
            }
        };
        Ok(Output {
            path,
            pending,
            sink,
            turning,
        })
    }

    /// Takes the results of the next indices.
    pub fn push(&mut self, results: Results) -> Result<()> {
        match &mut self.turning {
            Some(turning) => {
                turning.push(results);
                Ok(())
            }
            None => self.write(results),
        }
    }

    fn write(&mut self, results: Results) -> Result<()> {
        let written = match &mut self.sink {
            Sink::Text(lines) => lines.push(&results),
            Sink::Npy(array) => array.push(&results),
            Sink::Image(picture) => picture.push(&results),
        };
        written.map_err(|error| name(&self.path, error))
    }

    /// Ends the file and gives it its name.
    pub fn finish(mut self) -> Result<Digested> {
        if let Some(results) = self.turning.take().and_then(Turning::upright) {
            self.write(results)?;
        }
        let ended = match self.sink {
            Sink::Text(lines) => lines.finish(),
            Sink::Npy(array) => array.finish(),
            Sink::Image(picture) => picture.sink.finish(),
        };
        ended.map_err(|error| name(&self.path, error))?;
        let committed = self.pending.commit();
        committed.map_err(|e| Error::Io(format!("{}: {e}", self.path.display())))
    }
}

struct Lines {
    writer: Writer,
    separator: &'static str,
    columns: usize,
    column: usize,
    text: String,
}

impl Lines {
    fn new(writer: Writer, separator: &'static str, columns: usize) -> Lines {
        Lines {
            writer,
            separator,
            columns: columns.max(1),
            column: 0,
            text: String::new(),
        }
    }

    fn push(&mut self, results: &Results) -> Result<()> {
        use std::fmt::Write as _;
        let count = match results {
            Results::Integers(values) => values.len(),
            Results::Floats(values) => values.len(),
        };
        for i in 0..count {
            // Writing to a string cannot fail.
            let _ = match results {
                Results::Integers(values) => write!(self.text, "{}", values[i]),
                Results::Floats(values) => float(&mut self.text, values[i]),
            };
            self.column += 1;
            if self.column == self.columns {
                self.column = 0;
                self.text.push('\n');
            } else {
                self.text.push_str(self.separator);
            }
        }
        self.writer.write_all(self.text.as_bytes())?;
        self.text.clear();
        Ok(())
    }

    fn finish(mut self) -> Result<()> {
        Ok(self.writer.flush()?)
    }
}

/// The shortest digits that read back as the same double.
fn float(text: &mut String, value: f64) -> std::fmt::Result {
    use std::fmt::Write as _;
    let size = value.abs();
    if value.is_nan() {
        text.push_str("nan");
        Ok(())
    } else if size == 0.0 || !(1e-5..1e17).contains(&size) && size.is_finite() {
        match size == 0.0 {
            true => write!(text, "{value}"),
            false => write!(text, "{value:e}"),
        }
    } else {
        write!(text, "{value}")
    }
}

/// Doubles, or 64-bit integers that turn out signed or unsigned at the end.
struct Array {
    writer: Writer,
    dims: Vec<usize>,
    begun: Option<&'static str>,
    op: Op,
    least: i128,
    most: i128,
    bytes: Vec<u8>,
}

impl Array {
    fn new(writer: Writer, dims: Vec<usize>, op: Op) -> Array {
        Array {
            writer,
            dims,
            begun: None,
            op,
            least: 0,
            most: 0,
            bytes: Vec::new(),
        }
    }

    fn begin(&mut self, descr: &'static str) -> Result<()> {
        if self.begun.is_none() {
            self.writer
                .write_all(&npy::header_bytes(descr, &self.dims))?;
            self.begun = Some(descr);
        }
        Ok(())
    }

    fn push(&mut self, results: &Results) -> Result<()> {
        self.bytes.clear();
        match results {
            Results::Floats(values) => {
                self.begin("<f8")?;
                let plain = |v: &f64| if v.is_nan() { f64::NAN } else { *v };
                self.bytes
                    .extend(values.iter().flat_map(|v| plain(v).to_le_bytes()));
            }
            Results::Integers(values) => {
                self.begin("<i8")?;
                for &value in values {
                    self.least = self.least.min(value);
                    self.most = self.most.max(value);
                    let signed =
                        self.least >= i128::from(i64::MIN) && self.most <= i128::from(i64::MAX);
                    if !signed && (self.least < 0 || self.most > i128::from(u64::MAX)) {
                        return Err(self.too_large());
                    }
                    self.bytes.extend((value as u64).to_le_bytes());
                }
            }
        }
        Ok(self.writer.write_all(&self.bytes)?)
    }

    fn too_large(&self) -> Error {
        let (op, least, most) = (self.op.name(), self.least, self.most);
        let (low, high) = (i64::MIN, u64::MAX);
        Error::Encode(if most > i128::from(high) {
            format!("the {op} reaches {most}, and 64 bits end at {high} (hint: write .txt)")
        } else if least < i128::from(low) {
            format!("the {op} reaches {least}, and 64 bits begin at {low} (hint: write .txt)")
        } else {
            format!(
                "the {op} goes from {least} to {most}, and no type of 64 bits holds both: \
                 with a sign it ends at {} (hint: write .txt)",
                i64::MAX
            )
        })
    }

    fn finish(mut self) -> Result<()> {
        self.begin("<f8")?;
        if self.most > i128::from(i64::MAX) {
            self.writer.seek(SeekFrom::Start(0))?;
            self.writer
                .write_all(&npy::header_bytes("<u8", &self.dims))?;
        }
        Ok(self.writer.flush()?)
    }
}

/// Gathers whole rows for an encoder.
struct Picture {
    sink: Box<dyn RowSink>,
    rows: Rows,
    filled: usize,
    /// What a result is multiplied by, so that white stays white in samples of another type.
    scale: f64,
}

impl Picture {
    fn new(sink: Box<dyn RowSink>, shape: Shape, read: SampleType) -> Picture {
        let top = |sample| match sample {
            SampleType::U8 => u8::TOP,
            SampleType::U16 => u16::TOP,
            SampleType::F32 | SampleType::F64 => 1.0,
        };
        let count = super::picture::band_rows(shape, 1 << 16);
        Picture {
            sink,
            rows: Rows::zeroed(shape, 0..count),
            filled: 0,
            scale: top(shape.sample) / top(read),
        }
    }

    fn push(&mut self, results: &Results) -> Result<()> {
        let count = match results {
            Results::Integers(values) => values.len(),
            Results::Floats(values) => values.len(),
        };
        let mut done = 0;
        while done < count {
            let n = (self.rows.data.len() - self.filled).min(count - done);
            let (from, to) = (done..done + n, self.filled..self.filled + n);
            let scale = self.scale;
            by_any_sample!(self.rows.shape.sample, T => {
                let mut data = self.rows.data.as_mut();
                let samples = &mut T::of_mut(&mut data)[to];
                match results {
                    Results::Integers(values) => {
                        for (sample, &v) in samples.iter_mut().zip(&values[from]) {
                            *sample = T::saturate(v as f64 * scale);
                        }
                    }
                    Results::Floats(values) => {
                        for (sample, &v) in samples.iter_mut().zip(&values[from]) {
                            *sample = T::saturate(v * scale);
                        }
                    }
                }
            });
            self.filled += n;
            done += n;
            if self.filled == self.rows.data.len() {
                self.sink.write(&self.rows)?;
                let shape = self.rows.shape;
                let first = self.rows.range().end;
                let count = self.rows.count.min(shape.rows - first);
                if count < self.rows.count {
                    self.rows = Rows::zeroed(shape, first..first + count);
                }
                self.rows.first = first;
                self.filled = 0;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_read_back_as_they_were() {
        for value in [
            0.0,
            -0.0,
            1.0,
            0.1,
            1e-5,
            9e-6,
            1e17,
            123456789.125,
            1e300,
            5e-324,
            f64::INFINITY,
            -f64::INFINITY,
        ] {
            let mut text = String::new();
            float(&mut text, value).unwrap();
            assert_eq!(
                text.parse::<f64>().unwrap().to_bits(),
                value.to_bits(),
                "{text}"
            );
            assert!(text.len() < 25, "{text}");
        }
    }

    #[test]
    fn targets() {
        assert_eq!(Target::of(Path::new("a/B.TXT")).unwrap(), Target::Text);
        assert!(matches!(
            Target::of(Path::new("x.jpg")).unwrap(),
            Target::Image(_)
        ));
        assert!(
            Target::of(Path::new("x"))
                .unwrap_err()
                .to_string()
                .contains(".npy")
        );
    }
}
