//! Pixels for the screen: any rows as 8-bit RGBA, smaller copies, histograms.

use imaging::{Buffer, Color, Rows};

/// A picture of 8-bit RGBA, not premultiplied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Four bytes a pixel.
    pub rgba: Vec<u8>,
}

/// How often each of 256 levels occurs: red, green, blue, brightness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram(pub [[u64; 256]; 4]);

/// A picture and halves of it, the largest first.
#[derive(Clone, Debug)]
pub struct Pyramid(pub Vec<Picture>);

/// Appends rows as RGBA. Bands of data are shown by their first three, or as gray.
pub fn append_rgba(rows: &Rows, rgba: &mut Vec<u8>) {
    let channels = rows.shape.channels();
    let pick = picked(rows.shape.color);
    let mut put = |level: &dyn Fn(usize) -> u8, pixels: usize| {
        rgba.reserve(pixels * 4);
        for pixel in 0..pixels {
            let at = pixel * channels;
            let alpha = pick[3].map_or(255, |c| level(at + c));
            let color = [0, 1, 2].map(|c: usize| level(at + pick[c].unwrap_or(0)));
            rgba.extend([color[0], color[1], color[2], alpha]);
        }
    };
    let pixels = rows.count * rows.shape.cols;
    match &rows.data {
        Buffer::U8(v) if pick == [Some(0), Some(1), Some(2), None] && channels == 3 => {
            rgba.reserve(pixels * 4);
            rgba.extend(v.chunks_exact(3).flat_map(|p| [p[0], p[1], p[2], 255]));
        }
        Buffer::U8(v) => put(&|at| v[at], pixels),
        Buffer::U16(v) => put(&|at| ((u32::from(v[at]) + 128) / 257) as u8, pixels),
        Buffer::F32(v) => put(&|at| (v[at].clamp(0.0, 1.0) * 255.0).round() as u8, pixels),
        Buffer::F64(v) => put(&|at| (v[at].clamp(0.0, 1.0) * 255.0).round() as u8, pixels),
    }
}

/// The channels that stand for red, green, blue and alpha.
fn picked(color: Color) -> [Option<usize>; 4] {
    match color {
        Color::Gray => [Some(0), Some(0), Some(0), None],
        Color::GrayAlpha => [Some(0), Some(0), Some(0), Some(1)],
        Color::Rgb => [Some(0), Some(1), Some(2), None],
        Color::Rgba => [Some(0), Some(1), Some(2), Some(3)],
        Color::Bands(n) if n >= 3 => [Some(0), Some(1), Some(2), None],
        Color::Bands(_) => [Some(0), Some(0), Some(0), None],
    }
}

impl Picture {
    /// A picture of whole rows.
    pub fn of(rows: &Rows) -> Picture {
        let mut rgba = Vec::new();
        append_rgba(rows, &mut rgba);
        Picture {
            width: rows.shape.cols,
            height: rows.count,
            rgba,
        }
    }

    /// A pixel.
    pub fn at(&self, x: usize, y: usize) -> [u8; 4] {
        let at = (y.min(self.height - 1) * self.width + x.min(self.width - 1)) * 4;
        [0, 1, 2, 3].map(|c| self.rgba[at + c])
    }

    /// Each pixel the mean of two by two.
    fn half(&self) -> Picture {
        let (width, height) = (self.width.div_ceil(2), self.height.div_ceil(2));
        let mut rgba = Vec::with_capacity(width * height * 4);
        for y in 0..height {
            let row = |dy: usize| {
                let y = (2 * y + dy).min(self.height - 1) * self.width * 4;
                &self.rgba[y..y + self.width * 4]
            };
            let (a, b) = (row(0), row(1));
            for x in 0..width {
                let (l, r) = (8 * x, (8 * x + 4).min(self.width * 4 - 4));
                for c in 0..4 {
                    let sum = [a[l + c], a[r + c], b[l + c], b[r + c]].map(u32::from);
                    rgba.push((sum.iter().sum::<u32>().div_ceil(2) / 2) as u8);
                }
            }
        }
        Picture {
            width,
            height,
            rgba,
        }
    }

    /// Counts its levels.
    pub fn histogram(&self) -> Histogram {
        let mut counts = [[0_u64; 256]; 4];
        for p in self.rgba.chunks_exact(4) {
            for c in 0..3 {
                counts[c][usize::from(p[c])] += 1;
            }
            // The weights of Rec. 601, as the operation `gray` has them.
            let luma = 299 * u32::from(p[0]) + 587 * u32::from(p[1]) + 114 * u32::from(p[2]);
            counts[3][((luma + 500) / 1000) as usize] += 1;
        }
        Histogram(counts)
    }
}

impl Pyramid {
    /// The picture and its halves, down to some hundred pixels.
    pub fn of(picture: Picture) -> Pyramid {
        let mut levels = vec![picture];
        while let Some(last) = levels.last().filter(|p| p.width.max(p.height) > 512) {
            let half = last.half();
            levels.push(half);
        }
        Pyramid(levels)
    }

    /// The picture as it is.
    pub fn full(&self) -> &Picture {
        &self.0[0]
    }

    /// The smallest picture that has at least `scale` times the pixels of the first along each side.
    pub fn for_scale(&self, scale: f32) -> &Picture {
        let levels = self.0.iter().enumerate();
        let enough = levels.take_while(|(n, _)| 0.5_f32.powi(*n as i32) >= scale * 0.999);
        enough.last().map_or(&self.0[0], |(_, picture)| picture)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use imaging::{SampleType, Shape};

    fn rows(color: Color, data: Buffer, cols: usize) -> Rows {
        let shape = Shape::new(1, cols, color, data.sample());
        Rows {
            shape,
            first: 0,
            count: 1,
            data,
        }
    }

    #[test]
    fn samples_of_all_types_become_levels() {
        let eight = Picture::of(&rows(Color::GrayAlpha, Buffer::U8(vec![7, 9]), 1));
        assert_eq!(eight.rgba, [7, 7, 7, 9]);
        let sixteen = Picture::of(&rows(Color::Rgb, Buffer::U16(vec![0, 32896, 65535]), 1));
        assert_eq!(sixteen.rgba, [0, 128, 255, 255]);
        let float = Picture::of(&rows(Color::Gray, Buffer::F32(vec![-1.0, 0.5, 2.0]), 3));
        assert_eq!(
            float.rgba,
            [0, 0, 0, 255, 128, 128, 128, 255, 255, 255, 255, 255]
        );
        let bands = Picture::of(&rows(Color::Bands(4), Buffer::U8(vec![1, 2, 3, 4]), 1));
        assert_eq!(bands.rgba, [1, 2, 3, 255]);
        assert_eq!(SampleType::U8.bytes(), 1);
    }

    #[test]
    fn halves_are_means_and_enough_for_their_scale() {
        let picture = Picture {
            width: 1025,
            height: 3,
            rgba: vec![100; 1025 * 3 * 4],
        };
        let pyramid = Pyramid::of(picture);
        let widths: Vec<usize> = pyramid.0.iter().map(|p| p.width).collect();
        assert_eq!(widths, [1025, 513, 257]);
        assert!(pyramid.0.iter().all(|p| p.rgba.iter().all(|v| *v == 100)));
        assert_eq!(pyramid.for_scale(1.0).width, 1025);
        assert_eq!(pyramid.for_scale(0.5).width, 513);
        assert_eq!(pyramid.for_scale(0.3).width, 513);
        assert_eq!(pyramid.for_scale(0.01).width, 257);
    }

    #[test]
    fn histograms_count_every_pixel() {
        let picture = Picture {
            width: 2,
            height: 1,
            rgba: vec![255, 0, 0, 255, 10, 10, 10, 255],
        };
        let Histogram(counts) = picture.histogram();
        assert_eq!((counts[0][255], counts[0][10], counts[1][0]), (1, 1, 1));
        assert_eq!((counts[3][76], counts[3][10]), (1, 1));
    }
}
