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
        3 => three(source, target, &block),
        4 => turn::<[u8; 4]>(source, target, &block),
        6 => turn::<[u8; 6]>(source, target, &block),
        8 => turn::<[u8; 8]>(source, target, &block),
        12 => turn::<[u8; 12]>(source, target, &block),
        16 => turn::<[u8; 16]>(source, target, &block),
        _ => any(source, target, pixel, &block),
    }
}

/// Pixels of any other number of bytes.
fn any(source: &[u8], target: &mut [u8], pixel: usize, block: &Block) {
    let (cols, height) = (block.cols, source.len() / pixel / block.cols);
    for (y, row) in target.chunks_exact_mut(height * pixel).enumerate() {
        for (x, t) in row.chunks_exact_mut(pixel).enumerate() {
            let (from, column) = match block.clockwise {
                true => (height - 1 - x, block.columns.start + y),
                false => (x, block.columns.end - 1 - y),
            };
            let at = (from * cols + column) * pixel;
            t.copy_from_slice(&source[at..at + pixel]);
        }
    }
}

struct Block {
    cols: usize,
    columns: Range<usize>,
    clockwise: bool,
}

fn three(source: &[u8], target: &mut [u8], block: &Block) {
    #[cfg(target_arch = "x86_64")]
    if crate::simd::level() >= crate::simd::Level::Sse41 {
        // SAFETY: the level includes SSSE3.
        return unsafe { x86::three(source, target, block) };
    }
    turn::<[u8; 3]>(source, target, block);
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Block;
    use std::arch::x86_64::*;

    /// Rows of a tile of the target.
    const HIGH: usize = 64;
    /// Columns of a tile: long runs, so that the processor fetches ahead.
    const WIDE: usize = 1024;

    /// Squares of four by four pixels in registers, the rest pixel by pixel. A square's stores reach
    /// four bytes beyond it, into pixels to its right that are written later.
    // SAFETY: callers check for SSSE3. A square is taken only where its loads of 16 bytes end inside
    // `source` and its stores of 16 bytes inside their row of `target`.
    #[target_feature(enable = "ssse3")]
    pub unsafe fn three(source: &[u8], target: &mut [u8], block: &Block) {
        let (cols, height) = (block.cols, source.len() / 3 / block.cols);
        let count = block.columns.len();
        for top in (0..count).step_by(HIGH) {
            let bottom = (top + HIGH).min(count);
            for left in (0..height).step_by(WIDE) {
                let right = (left + WIDE).min(height);
                for y in (top..bottom).step_by(4) {
                    let mut x = left;
                    // Two pixels to the right take the bytes that are written beyond a square.
                    while y + 4 <= bottom && x + 4 <= right && x + 6 <= height {
                        let column = match block.clockwise {
                            true => block.columns.start + y,
                            false => block.columns.end - 4 - y,
                        };
                        let row = |i: usize| match block.clockwise {
                            true => height - 1 - x - i,
                            false => x + i,
                        };
                        let lowest = row(0).max(row(3));
                        if 3 * (lowest * cols + column) + 16 > source.len() {
                            break;
                        }
                        // SAFETY: checked above.
                        unsafe {
                            let from = |i: usize| source.as_ptr().add(3 * (row(i) * cols + column));
                            let to = |k: usize| {
                                let k = if block.clockwise { k } else { 3 - k };
                                3 * ((y + k) * height + x)
                            };
                            square(from, |k, v| {
                                _mm_storeu_si128(target.as_mut_ptr().add(to(k)).cast(), v);
                            });
                        }
                        x += 4;
                    }
                    for y in y..(y + 4).min(bottom) {
                        for x in x..right {
                            let (row, column) = match block.clockwise {
                                true => (height - 1 - x, block.columns.start + y),
                                false => (x, block.columns.end - 1 - y),
                            };
                            let (to, from) = (3 * (y * height + x), 3 * (row * cols + column));
                            target[to..to + 3].copy_from_slice(&source[from..from + 3]);
                        }
                    }
                }
            }
        }
    }

    /// Turns four rows of four pixels into four columns.
    // SAFETY: callers check for SSSE3 and that 16 bytes can be read at each `from`.
    #[inline]
    #[target_feature(enable = "ssse3")]
    unsafe fn square(from: impl Fn(usize) -> *const u8, mut store: impl FnMut(usize, __m128i)) {
        let z = -1;
        let widen = _mm_setr_epi8(0, 1, 2, z, 3, 4, 5, z, 6, 7, 8, z, 9, 10, 11, z);
        let narrow = _mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, z, z, z, z);
        // SAFETY: promised by the caller.
        let row = |i| unsafe { _mm_shuffle_epi8(_mm_loadu_si128(from(i).cast()), widen) };
        let (a, b, c, d) = (row(0), row(1), row(2), row(3));
        let (ab, cd) = (_mm_unpacklo_epi32(a, b), _mm_unpacklo_epi32(c, d));
        store(0, _mm_shuffle_epi8(_mm_unpacklo_epi64(ab, cd), narrow));
        store(1, _mm_shuffle_epi8(_mm_unpackhi_epi64(ab, cd), narrow));
        let (ab, cd) = (_mm_unpackhi_epi32(a, b), _mm_unpackhi_epi32(c, d));
        store(2, _mm_shuffle_epi8(_mm_unpacklo_epi64(ab, cd), narrow));
        store(3, _mm_shuffle_epi8(_mm_unpackhi_epi64(ab, cd), narrow));
    }
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
        for pixel in [1, 2, 3, 4, 5, 6, 8, 12, 16, 40] {
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
