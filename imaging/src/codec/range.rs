//! What of floats an integer format cannot hold.

use crate::image::{Element, Rows, SampleType};
use crate::warning::{Warning, WarningKind};

/// Samples beyond 0..1, counted.
#[derive(Clone, Debug, Default)]
pub(super) struct Clipped {
    all: u64,
    beyond: u64,
    none: u64,
    /// The least and the largest of those beyond.
    low: f64,
    high: f64,
}

impl Clipped {
    /// Counts rows of floats.
    pub fn count(&mut self, rows: &Rows) {
        match rows.shape.sample {
            SampleType::F32 => self.samples(f32::of(&rows.data)),
            SampleType::F64 => self.samples(f64::of(&rows.data)),
            SampleType::U8 | SampleType::U16 => {}
        }
    }

    fn samples<T: Element>(&mut self, samples: &[T]) {
        self.all += samples.len() as u64;
        for value in samples.iter().map(|v| v.to_f64()) {
            if (0.0..=1.0).contains(&value) {
                continue;
            }
            if value.is_nan() {
                self.none += 1;
                continue;
            }
            if self.beyond == 0 {
                (self.low, self.high) = (value, value);
            }
            self.beyond += 1;
            self.low = self.low.min(value);
            self.high = self.high.max(value);
        }
    }

    /// What is told, where there is something.
    pub fn warning(&self) -> Option<Warning> {
        let Clipped {
            all,
            beyond,
            none,
            low,
            high,
        } = self;
        let text = match (beyond, none) {
            (0, 0) => return None,
            (0, _) => format!("{none} of {all} samples are no numbers and became 0"),
            (_, 0) => format!(
                "{beyond} of {all} samples lie outside of 0..1, from {low} to {high}, and were clipped (range(low=min, high=max) maps them)"
            ),
            (_, _) => format!(
                "{beyond} of {all} samples lie outside of 0..1, from {low} to {high}, and were clipped, {none} are no numbers and became 0 (range(low=min, high=max) maps them)"
            ),
        };
        Some(Warning::new(WarningKind::Range, text))
    }
}

#[cfg(test)]
mod tests {
    use crate::codec::{Format, KeepMetadata, MemoryFile, create};
    use crate::image::{Buffer, Color, Image, SampleType, Shape};

    fn told(format: &str, data: Buffer) -> Vec<String> {
        let shape = Shape::new(1, data.len(), Color::Gray, data.sample());
        let image = Image::new(shape, data);
        let format = Format::parse(format).unwrap();
        let file = Box::new(MemoryFile::default());
        let mut sink = create(file, &format, shape, &image.metadata, KeepMetadata::All).unwrap();
        sink.write(&image.rows).unwrap();
        let told = sink.warnings().iter().map(ToString::to_string).collect();
        sink.finish().unwrap();
        told
    }

    #[test]
    fn what_is_clipped_is_told_with_its_numbers() {
        let floats = || Buffer::F32(vec![0.0, 0.5, -1.5, 3000.25, f32::NAN, 1.0]);
        let said = told("png", floats());
        assert_eq!(said.len(), 1);
        assert!(said[0].contains("2 of 6 samples lie outside of 0..1, from -1.5 to 3000.25"));
        assert!(said[0].contains("1 are no numbers"));
        assert!(told("tiff", floats()).is_empty());
        assert!(told("png", Buffer::F32(vec![0.0, 1.0])).is_empty());
        let said = told("jpeg", Buffer::F64(vec![f64::INFINITY, 0.25]));
        assert!(
            said[0].contains("1 of 2") && said[0].contains("inf"),
            "{said:?}"
        );
    }

    #[test]
    fn images_of_integers_are_never_clipped() {
        assert!(told("jpeg", Buffer::U16(vec![0, 65535])).is_empty());
        assert_eq!(SampleType::U16.bits(), 16);
    }
}
