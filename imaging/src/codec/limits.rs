//! What a file may ask for, checked before anything is allocated for it.

use super::ReadSeek;
use crate::error::{Error, Limit, Result};
use crate::image::{Color, SampleType, Shape};
use std::io::{Read, SeekFrom};

/// Bounds on one image.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Most pixels (width times height).
    pub max_pixels: u64,
    /// Most bytes of the file, and of its decoded pixels.
    pub max_bytes: u64,
    /// Most bytes of ICC profile, EXIF and text together.
    pub max_metadata: usize,
}

impl Default for Limits {
    /// 500 million pixels, 8 GiB, 16 MiB of metadata.
    fn default() -> Self {
        Limits {
            max_pixels: 500_000_000,
            max_bytes: 8 << 30,
            max_metadata: 16 << 20,
        }
    }
}

impl Limits {
    /// The shape of a sound size within the limits.
    pub fn shape(&self, rows: u64, cols: u64, color: Color, sample: SampleType) -> Result<Shape> {
        if rows == 0 || cols == 0 {
            return Err(Error::Decode(format!(
                "its size is {cols}x{rows}: no pixels"
            )));
        }
        let pixels = u128::from(rows) * u128::from(cols);
        if pixels > u128::from(self.max_pixels) {
            return Err(Limit::Pixels.exceeded(format!(
                "{cols}x{rows} is {pixels} pixels, more than the limit of {} (raise it with --max-pixels)",
                self.max_pixels
            )));
        }
        let bytes = pixels * (color.channels() * sample.bytes()) as u128;
        if bytes > u128::from(self.max_bytes) || bytes > isize::MAX as u128 {
            return Err(Limit::Bytes.exceeded(format!(
                "{cols}x{rows} decodes to {bytes} bytes, more than the limit of {} (raise it with --max-bytes)",
                self.max_bytes
            )));
        }
        // Both fit: their product does and neither is zero.
        Ok(Shape::new(rows as usize, cols as usize, color, sample))
    }

    /// Checks the file's length and goes back to its beginning.
    pub fn file(&self, input: &mut dyn ReadSeek) -> Result<u64> {
        let bytes = input.seek(SeekFrom::End(0))?;
        input.seek(SeekFrom::Start(0))?;
        match bytes <= self.max_bytes {
            true => Ok(bytes),
            false => Err(Limit::Bytes.exceeded(format!(
                "the file has {bytes} bytes, more than the limit of {} (raise it with --max-bytes)",
                self.max_bytes
            ))),
        }
    }

    /// Checks the bytes of metadata found so far.
    pub fn metadata(&self, bytes: usize) -> Result<()> {
        match bytes <= self.max_metadata {
            true => Ok(()),
            false => Err(Limit::Metadata.exceeded(format!(
                "more than {} bytes of ICC profile, EXIF and text",
                self.max_metadata
            ))),
        }
    }
}

/// Fills `to`; an end before that is a truncated file.
pub(super) fn read_full(input: &mut (impl Read + ?Sized), to: &mut [u8], kind: &str) -> Result<()> {
    input.read_exact(to).map_err(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => {
            Error::Decode(format!("truncated {kind}: the file ends too early"))
        }
        _ => error.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(limits: &Limits, rows: u64, cols: u64) -> Result<Shape> {
        limits.shape(rows, cols, Color::Rgb, SampleType::U8)
    }

    #[test]
    fn sizes_beyond_a_limit_name_the_flag_that_raises_it() {
        let limits = Limits {
            max_pixels: 100,
            max_bytes: 200,
            max_metadata: 10,
        };
        assert!(check(&limits, 6, 11).is_ok());
        let message = |e: Result<Shape>| e.unwrap_err().to_string();
        assert!(
            message(check(&limits, 10, 11))
                .contains("110 pixels, more than the limit of 100 (raise it with --max-pixels)")
        );
        assert!(
            message(check(&limits, 10, 10))
                .contains("300 bytes, more than the limit of 200 (raise it with --max-bytes)")
        );
        assert!(matches!(
            check(&limits, u64::MAX, u64::MAX),
            Err(Error::Limit { .. })
        ));
        assert!(matches!(check(&limits, 0, 5), Err(Error::Decode(_))));
        assert!(limits.metadata(11).is_err());
    }
}
