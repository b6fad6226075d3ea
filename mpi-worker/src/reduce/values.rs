//! What sources hand over: a run of values of one file, in order.
//!
//! A value is an unevaluated sum of two doubles. `hi` is the value rounded to a double and `lo` what
//! is missing, which is zero for floats and keeps 64-bit integers exact.

use imaging::Result;

/// Most values that a source hands over at once.
pub const BLOCK: usize = 8192;

/// Consecutive values of one file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Block {
    /// The values rounded to doubles.
    pub hi: Vec<f64>,
    /// What rounding took away; empty when it is zero for all of them.
    pub lo: Vec<f64>,
    /// How much each counts; empty when all count alike.
    pub weights: Vec<f64>,
    /// Set to false by the first value that is not an integer of at most 64 bits.
    pub integers: bool,
}

impl Block {
    /// An empty block with room for [`BLOCK`] values.
    pub fn new() -> Block {
        Block {
            hi: Vec::with_capacity(BLOCK),
            lo: Vec::new(),
            weights: Vec::new(),
            integers: true,
        }
    }

    /// Forgets the values; whether all so far were integers is kept.
    pub fn clear(&mut self) {
        self.hi.clear();
        self.lo.clear();
        self.weights.clear();
    }

    /// Adds a float.
    #[inline(always)]
    pub fn push_float(&mut self, value: f64) {
        self.integers = false;
        self.hi.push(value);
        if !self.lo.is_empty() {
            self.lo.push(0.0);
        }
    }

    /// Adds an integer of at most 64 bits.
    #[inline(always)]
    pub fn push_integer(&mut self, value: i128) {
        let hi = value as f64;
        let lo = (value - hi as i128) as f64;
        if lo != 0.0 && self.lo.is_empty() {
            self.lo.resize(self.hi.len(), 0.0);
        }
        self.hi.push(hi);
        if lo != 0.0 || !self.lo.is_empty() {
            self.lo.push(lo);
        }
    }

    /// The integer at `index`. Only for blocks of integers.
    pub fn integer(&self, index: usize) -> i128 {
        self.hi[index] as i128 + self.lo.get(index).map_or(0, |&lo| lo as i128)
    }
}

/// The values of one file, in order.
pub trait Source: Send {
    /// Replaces the block's values by the next, at most [`BLOCK`]; none at the end of the file.
    fn next(&mut self, block: &mut Block) -> Result<()>;
}

#[cfg(test)]
mod tests {
    use super::Block;

    #[test]
    fn integers_of_64_bits_stay_exact() {
        let values = [
            0,
            -1,
            1 << 53,
            (1 << 53) + 1,
            -(1 << 53) - 1,
            i64::MAX as i128,
            i64::MIN as i128,
            u64::MAX as i128,
        ];
        let mut block = Block::new();
        values.iter().for_each(|&v| block.push_integer(v));
        assert!(block.integers);
        let back: Vec<i128> = (0..values.len()).map(|i| block.integer(i)).collect();
        assert_eq!(back, values);
    }
}
