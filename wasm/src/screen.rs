//! Samples of any type in the 8 bits of a screen.

use imaging::{Buffer, Color, Rows};

/// How samples become bytes: floats of 0..=1 as they are, images with values beyond it from their least to their
/// greatest, since they have units of their own.
#[derive(Clone, Copy, Debug)]
pub struct Screen {
    low: f64,
    scale: f64,
}

impl Screen {
    /// For all of an image.
    pub fn of(rows: &Rows) -> Screen {
        let (low, high) = match &rows.data {
            Buffer::U8(_) | Buffer::U16(_) => (0.0, 1.0),
            Buffer::F32(v) => span(v.iter().map(|v| f64::from(*v))),
            Buffer::F64(v) => span(v.iter().copied()),
        };
        let scale = if high > low {
            255.0 / (high - low)
        } else {
            0.0
        };
        Screen { low, scale }
    }

    fn float(&self, value: f64) -> u8 {
        // NaN becomes 0.
        ((value - self.low) * self.scale + 0.5) as u8
    }

    /// The samples of row `y` as bytes.
    pub fn row(&self, rows: &Rows, y: usize, bytes: &mut Vec<u8>) {
        let len = rows.shape.row_len();
        let at = (y - rows.first) * len;
        let range = at..at + len;
        bytes.clear();
        match &rows.data {
            Buffer::U8(v) => bytes.extend_from_slice(&v[range]),
            Buffer::U16(v) => bytes.extend(v[range].iter().map(|v| sixteen(*v))),
            Buffer::F32(v) => bytes.extend(v[range].iter().map(|v| self.float(f64::from(*v)))),
            Buffer::F64(v) => bytes.extend(v[range].iter().map(|v| self.float(*v))),
        }
    }
}

fn sixteen(value: u16) -> u8 {
    ((u32::from(value) * 255 + 32767) / 65535) as u8
}

/// 0..=1, or the least and the greatest of finite values where one lies beyond it.
fn span(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let finite = values.filter(|v| v.is_finite());
    let (low, high) = finite.fold((f64::MAX, f64::MIN), |(low, high), v| {
        (low.min(v), high.max(v))
    });
    match low > high || (low >= 0.0 && high <= 1.0) {
        true => (0.0, 1.0),
        false => (low, high),
    }
}

/// Where red, green and blue stand in a pixel: of bands the first three, or the first alone.
pub(crate) fn places(color: Color) -> [usize; 3] {
    match color {
        Color::Rgb | Color::Rgba => [0, 1, 2],
        Color::Bands(n) if n >= 3 => [0, 1, 2],
        Color::Gray | Color::GrayAlpha | Color::Bands(_) => [0, 0, 0],
    }
}

/// All pixels as red, green, blue and alpha.
pub fn rgba(rows: &Rows) -> Vec<u8> {
    let (screen, color) = (Screen::of(rows), rows.shape.color);
    let (step, [r, g, b]) = (color.channels(), places(color));
    let mut all = Vec::with_capacity(rows.count * rows.shape.cols * 4);
    let mut bytes = Vec::new();
    for y in rows.range() {
        screen.row(rows, y, &mut bytes);
        for pixel in bytes.chunks_exact(step) {
            let alpha = if color.has_alpha() {
                pixel[step - 1]
            } else {
                255
            };
            all.extend_from_slice(&[pixel[r], pixel[g], pixel[b], alpha]);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use imaging::{Image, SampleType, Shape};

    fn shown(color: Color, data: Buffer) -> Vec<u8> {
        let sample = data.sample();
        let cols = data.len() / color.channels();
        rgba(&Image::new(Shape::new(1, cols, color, sample), data).rows)
    }

    #[test]
    fn samples_of_all_types_come_to_the_screen() {
        let gray = Color::Gray;
        assert_eq!(shown(gray, Buffer::U8(vec![7])), [7, 7, 7, 255]);
        assert_eq!(shown(gray, Buffer::U16(vec![65535])), [255; 4]);
        // Half of 16 bits is half of 8.
        assert_eq!(
            shown(gray, Buffer::U16(vec![128 * 257])),
            [128, 128, 128, 255]
        );
        assert_eq!(shown(gray, Buffer::F32(vec![1.0]))[0], 255);
        // Units of their own: from the least to the greatest, and what is no number is black.
        let heights = shown(gray, Buffer::F64(vec![-10.0, f64::NAN, 90.0, 65.0]));
        let heights: Vec<u8> = heights.chunks(4).map(|p| p[0]).collect();
        assert_eq!(heights, [0, 0, 255, 191]);
        assert_eq!(shown(gray, Buffer::F32(vec![9.0]))[3], 255);
        assert_eq!(SampleType::F64.bytes(), 8);
    }

    #[test]
    fn channels_find_their_places() {
        assert_eq!(
            shown(Color::GrayAlpha, Buffer::U8(vec![5, 6])),
            [5, 5, 5, 6]
        );
        assert_eq!(
            shown(Color::Rgba, Buffer::U8(vec![1, 2, 3, 4])),
            [1, 2, 3, 4]
        );
        let five = Buffer::U8(vec![9, 8, 7, 6, 5]);
        assert_eq!(shown(Color::Bands(5), five), [9, 8, 7, 255]);
        assert_eq!(
            shown(Color::Bands(2), Buffer::U8(vec![9, 8])),
            [9, 9, 9, 255]
        );
    }
}
