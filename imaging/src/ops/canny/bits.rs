//! One bit per pixel: candidates for edges, and the edges that grow along them.
//!
//! Growing works on words of 64 pixels: a run of candidates inside a word is filled by one addition,
//! and words that gained pixels wait on a stack until their neighbours have taken notice. The result is
//! the least fixed point, so it does not depend on the order in which words are visited.

/// Pixels in a word.
pub const WORD: usize = 64;

/// Candidates and edges in some consecutive rows of `width` words.
pub struct Grid<'a> {
    /// Words in a row.
    pub width: usize,
    /// Pixels that become edges once they touch one; includes the edges. None beyond the last column.
    pub open: &'a [u64],
    /// The edges so far.
    pub edge: &'a mut [u64],
}

/// All runs of `open` with at least one bit of `seed` (which must be part of `open`).
#[inline(always)]
fn fill(open: u64, seed: u64) -> u64 {
    // A carry runs from the lowest seed up to the run's end and clears all bits on its way that are no seeds.
    let up = open & (!open.wrapping_add(seed) | seed);
    // The way down by doubling steps: `path` marks where k bits in a row are open.
    let (mut down, mut path) = (up, open);
    for shift in [1, 2, 4, 8, 16, 32] {
        down |= path & (down >> shift);
        path &= path >> shift;
    }
    down
}

/// The bits of word `i` that touch the edges of the row `next` above or below it.
#[inline(always)]
fn touched(next: &[u64], i: usize) -> u64 {
    let left = if i > 0 { next[i - 1] >> (WORD - 1) } else { 0 };
    let right = next.get(i + 1).map_or(0, |w| w << (WORD - 1));
    let here = next[i];
    here | here << 1 | here >> 1 | left | right
}

impl Grid<'_> {
    fn rows(&self) -> usize {
        self.edge.len() / self.width.max(1)
    }

    /// Grows word `at` by candidates among `bits`; true if it gained any.
    #[inline(always)]
    fn grow(&mut self, at: usize, bits: u64) -> bool {
        let (open, edge) = (self.open[at], self.edge[at]);
        let new = bits & open & !edge;
        if new != 0 {
            self.edge[at] = fill(open, edge | new);
        }
        new != 0
    }

    /// Grows all edges from nothing but their seeds: down, up, then along whatever is left.
    pub fn flood(&mut self) {
        let width = self.width;
        for y in 0..self.rows() {
            let (done, row) = self.edge.split_at_mut(y * width);
            let above = y.checked_sub(1).map(|y| &done[y * width..]);
            let open = &self.open[y * width..][..width];
            let mut left = 0;
            for i in 0..width {
                let seed = row[i] | left | above.map_or(0, |above| touched(above, i));
                if seed & open[i] != 0 {
                    row[i] = fill(open[i], seed & open[i]);
                }
                left = row[i] >> (WORD - 1);
            }
        }
        let mut stack = Vec::new();
        for y in (0..self.rows()).rev() {
            for i in (0..width).rev() {
                let at = y * width + i;
                if self.open[at] == self.edge[at] {
                    continue;
                }
                let below = match y + 1 < self.rows() {
                    true => touched(&self.edge[(y + 1) * width..][..width], i),
                    false => 0,
                };
                let right = if i + 1 < width {
                    self.edge[at + 1] << (WORD - 1)
                } else {
                    0
                };
                if self.grow(at, below | right) {
                    stack.push(at);
                }
            }
        }
        self.settle(&mut stack);
    }

    /// Grows from the words on the stack (indices into the words) until nothing changes.
    pub fn settle(&mut self, stack: &mut Vec<usize>) {
        let (width, rows) = (self.width, self.rows());
        while let Some(at) = stack.pop() {
            let (y, i) = (at / width, at % width);
            let here = self.edge[at];
            let middle = here | here << 1 | here >> 1;
            let (left, right) = (here << (WORD - 1), here >> (WORD - 1));
            for row in y.saturating_sub(1)..(y + 2).min(rows) {
                let base = row * width;
                if i > 0 && left != 0 && self.grow(base + i - 1, left) {
                    stack.push(base + i - 1);
                }
                if row != y && self.grow(base + i, middle) {
                    stack.push(base + i);
                }
                if i + 1 < width && right != 0 && self.grow(base + i + 1, right) {
                    stack.push(base + i + 1);
                }
            }
        }
    }

    /// Grows row `y` by what touches the edges of the row `next` to it, and all that follows.
    /// True if anything changed.
    pub fn meet(&mut self, y: usize, next: &[u64]) -> bool {
        let mut stack = Vec::new();
        for i in 0..self.width {
            let at = y * self.width + i;
            if self.grow(at, touched(next, i)) {
                stack.push(at);
            }
        }
        let changed = !stack.is_empty();
        self.settle(&mut stack);
        changed
    }

    /// Lets edges cross the seams before the rows `starts`, above and below which all is settled.
    pub fn join(&mut self, starts: impl Iterator<Item = usize>) {
        let mut stack = Vec::new();
        for y in starts {
            stack.extend((y.saturating_sub(1) * self.width)..(y + 1) * self.width);
        }
        self.settle(&mut stack);
    }
}

/// Bits of 8 bytes that hold 0 or 1 each, the first lowest.
#[inline(always)]
fn gather(bytes: u64) -> u64 {
    bytes.wrapping_mul(0x0102_0408_1020_4080) >> 56
}

/// Packs one row of a map of 0 (none), 1 (candidate) and 2 (edge).
pub fn pack(map: &[u8], open: &mut [u64], edge: &mut [u64]) {
    const ONES: u64 = 0x0101_0101_0101_0101;
    for ((part, open), edge) in map.chunks(WORD).zip(open).zip(edge) {
        let mut padded = [0; WORD];
        let bytes = match <&[u8; WORD]>::try_from(part) {
            Ok(bytes) => bytes,
            Err(_) => {
                padded[..part.len()].copy_from_slice(part);
                &padded
            }
        };
        (*open, *edge) = (0, 0);
        for (i, eight) in bytes.as_chunks::<8>().0.iter().enumerate() {
            let eight = u64::from_le_bytes(*eight);
            *open |= gather((eight | eight >> 1) & ONES) << (8 * i);
            *edge |= gather((eight >> 1) & ONES) << (8 * i);
        }
    }
}

/// Writes 255 where a bit is set, 0 elsewhere.
pub fn unpack(edge: &[u64], target: &mut [u8]) {
    for (word, part) in edge.iter().zip(target.chunks_mut(WORD)) {
        if *word == 0 {
            part.fill(0);
            continue;
        }
        for (i, eight) in part.chunks_mut(8).enumerate() {
            let spread = (word >> (8 * i) & 0xff).wrapping_mul(0x0101_0101_0101_0101);
            // Bit k of byte k, moved to its byte's top and from there to all of the byte.
            let tops = (spread & 0x8040_2010_0804_0201).wrapping_add(0x007f_7f7f_7f7f_7f7f);
            let bytes = ((tops >> 7) & 0x0101_0101_0101_0101).wrapping_mul(255);
            eight.copy_from_slice(&bytes.to_le_bytes()[..eight.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_filled_both_ways() {
        assert_eq!(fill(0b0111_1011, 0b0001_0000), 0b0111_1000);
        assert_eq!(fill(0b0111_1011, 0b0101_0010), 0b0111_1011);
        assert_eq!(fill(u64::MAX, 1 << 63), u64::MAX);
        assert_eq!(fill(u64::MAX, 1), u64::MAX);
        assert_eq!(fill(u64::MAX, 1 << 30 | 1 << 40), u64::MAX);
        assert_eq!(fill(0b1011, 0), 0);
    }

    #[test]
    fn packing_and_unpacking_are_inverse() {
        for cols in [1usize, 7, 8, 9, 63, 64, 65, 200] {
            let map: Vec<u8> = (0..cols).map(|x| ((x * 7 + x / 5) % 3) as u8).collect();
            let width = cols.div_ceil(WORD);
            let (mut open, mut edge) = (vec![9; width], vec![9; width]);
            pack(&map, &mut open, &mut edge);
            let (mut opened, mut edges) = (vec![7; cols], vec![7; cols]);
            unpack(&open, &mut opened);
            unpack(&edge, &mut edges);
            for x in 0..cols {
                assert_eq!(opened[x] > 0, map[x] > 0);
                assert_eq!(edges[x], if map[x] == 2 { 255 } else { 0 });
            }
        }
    }
}
