//! Turning a block of pixels by 90 degrees, in tiles that fit the cache.

use std::ops::Range;

/// Side of a tile in pixels.
const TILE: usize = 32;

/// Turns columns `columns` of `source`, whose rows are `cols` pixels of `pixel` bytes, into the rows of
/// `target`. Clockwise, the first column is the first row and runs upwards; else the last column is the
/// first row and runs downwards.
pub fn turn_block(
    source: &[u8],
    cols: usize,
    columns: Range<usize>,
    target: &mut [u8],
    pixel: usize,
    clockwise: bool,
) {
    let block = Block {
        cols,
        columns,
        clockwise,
    };
    match pixel {
        1 => turn::<[u8; 1]>(source, target, &block),
        2 => turn::<[u8; 2]>(source, target, &block),
        3 => turn::<[u8; 3]>(source, target, &block),
        4 => turn::<[u8; 4]>(source, target, &block),
        6 => turn::<[u8; 6]>(source, target, &block),
        8 => turn::<[u8; 8]>(source, target, &block),
        12 => turn::<[u8; 12]>(source, target, &block),
        16 => turn::<[u8; 16]>(source, target, &block),
        other => unreachable!("no pixel has {other} bytes"),
    }
}

struct Block {
    cols: usize,
    columns: Range<usize>,
    clockwise: bool,
}

crate::simd! {
    fn turn<P: bytemuck::Pod>(source: &[u8], target: &mut [u8], block: &Block) {
        let source: &[P] = bytemuck::cast_slice(source);
        let target: &mut [P] = bytemuck::cast_slice_mut(target);
        let (cols, height) = (block.cols, source.len() / block.cols);
        for top in (0..block.columns.len()).step_by(TILE) {
            let rows = top..(top + TILE).min(block.columns.len());
            for left in (0..height).step_by(TILE) {
                let right = (left + TILE).min(height);
                for y in rows.clone() {
                    let out = &mut target[y * height + left..y * height + right];
                    if block.clockwise {
                        let column = block.columns.start + y;
                        let first = (height - right) * cols + column;
                        let taken = source[first..].iter().step_by(cols);
                        // Rows of the source run upwards.
                        for (t, s) in out.iter_mut().rev().zip(taken) {
                            *t = *s;
                        }
                    } else {
                        let column = block.columns.end - 1 - y;
                        let taken = source[left * cols + column..].iter().step_by(cols);
                        for (t, s) in out.iter_mut().zip(taken) {
                            *t = *s;
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pixel_lands_where_it_belongs() {
        for pixel in [1, 2, 3, 4, 6, 8, 12, 16] {
            for (rows, cols) in [
                (1, 1),
                (1, 9),
                (7, 1),
                (5, 6),
                (33, 70),
                (64, 37),
                (40, 129),
            ] {
                let source: Vec<u8> = (0..rows * cols * pixel)
                    .map(|i| (i * 11 + i / 251) as u8)
                    .collect();
                for columns in [0..cols, 0..1, cols / 2..cols] {
                    for clockwise in [true, false] {
                        let mut target = vec![0; columns.len() * rows * pixel];
                        turn_block(
                            &source,
                            cols,
                            columns.clone(),
                            &mut target,
                            pixel,
                            clockwise,
                        );
                        for y in 0..columns.len() {
                            for x in 0..rows {
                                let (from_y, from_x) = match clockwise {
                                    true => (rows - 1 - x, columns.start + y),
                                    false => (x, columns.end - 1 - y),
                                };
                                let (to, from) =
                                    ((y * rows + x) * pixel, (from_y * cols + from_x) * pixel);
                                assert_eq!(
                                    target[to..to + pixel],
                                    source[from..from + pixel],
                                    "{pixel} bytes, {rows} x {cols}, {columns:?}, clockwise {clockwise}, ({y}, {x})"
                                );
                            }
                        }
                    }
                }
            }
        }
    }
}
