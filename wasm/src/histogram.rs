//! How often each of 256 values occurs: of brightness and of the channels.

use crate::screen::{Screen, places};
use imaging::ops::gray::luma_row;
use imaging::{Color, Rows};
use serde::Serialize;

/// Pixels by their value on a screen. Those of gray images are alike; alpha is not counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Histograms {
    /// Brightness, as the operation `grayscale` computes it.
    pub luma: Vec<u64>,
    /// Red.
    pub red: Vec<u64>,
    /// Green.
    pub green: Vec<u64>,
    /// Blue.
    pub blue: Vec<u64>,
}

impl Histograms {
    /// Of all pixels.
    pub fn of(rows: &Rows) -> Histograms {
        let (screen, color) = (Screen::of(rows), rows.shape.color);
        let (step, [r, g, b]) = (color.channels(), places(color));
        let mut counts = [[0u64; 256]; 4];
        let (mut bytes, mut gray) = (Vec::new(), vec![0; rows.shape.cols]);
        // Bands are no colours until they are shown as such.
        let mut triple = Vec::new();
        for y in rows.range() {
            screen.row(rows, y, &mut bytes);
            triple.clear();
            triple.extend(bytes.chunks_exact(step).flat_map(|p| [p[r], p[g], p[b]]));
            match (r, b) {
                (r, b) if r == b => gray.clone_from_slice(&every(&bytes, step)),
                _ => luma_row(&triple, Color::Rgb, &mut gray),
            }
            for (pixel, gray) in triple.chunks_exact(3).zip(&gray) {
                counts[0][usize::from(*gray)] += 1;
                counts[1][usize::from(pixel[0])] += 1;
                counts[2][usize::from(pixel[1])] += 1;
                counts[3][usize::from(pixel[2])] += 1;
            }
        }
        let [luma, red, green, blue] = counts.map(|counts| counts.to_vec());
        Histograms {
            luma,
            red,
            green,
            blue,
        }
    }
}

fn every(bytes: &[u8], step: usize) -> Vec<u8> {
    bytes.iter().step_by(step).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use imaging::{Buffer, Image, Shape};

    #[test]
    fn every_pixel_is_counted_once_in_each() {
        let data = Buffer::U8(vec![255, 0, 0, 10, 20, 30]);
        let shape = Shape::new(1, 2, Color::Rgb, data.sample());
        let found = Histograms::of(&Image::new(shape, data).rows);
        let at = |counts: &[u64]| -> Vec<usize> {
            let found = counts.iter().enumerate().filter(|(_, n)| **n > 0);
            found.map(|(value, _)| value).collect()
        };
        assert_eq!(at(&found.red), [10, 255]);
        assert_eq!(at(&found.green), [0, 20]);
        assert_eq!(at(&found.blue), [0, 30]);
        // 0.299 of 255; and 2.99 + 11.74 + 3.42.
        assert_eq!(at(&found.luma), [18, 76]);
    }

    #[test]
    fn gray_counts_in_all_four_and_alpha_in_none() {
        let data = Buffer::U8(vec![4, 200, 4, 9, 7, 4]);
        let shape = Shape::new(3, 1, Color::GrayAlpha, data.sample());
        let found = Histograms::of(&Image::new(shape, data).rows);
        assert_eq!((found.luma[4], found.luma[7], found.luma[200]), (2, 1, 0));
        assert!(
            [&found.red, &found.green, &found.blue]
                .iter()
                .all(|c| **c == found.luma)
        );
    }
}
