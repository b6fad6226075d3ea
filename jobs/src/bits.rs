//! A set of small numbers, a bit each.

/// Numbers below a bound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bits {
    words: Box<[u64]>,
    count: u32,
}

impl Bits {
    /// No number, of those below `bound`.
    pub fn new(bound: u32) -> Bits {
        Bits {
            words: vec![0; (bound as usize).div_ceil(64)].into(),
            count: 0,
        }
    }

    /// Whether a number is in it.
    pub fn has(&self, n: u32) -> bool {
        let word = self.words.get(n as usize / 64);
        word.is_some_and(|word| word >> (n % 64) & 1 == 1)
    }

    /// Adds a number; whether it was new. One that is not below the bound is not added.
    pub fn add(&mut self, n: u32) -> bool {
        let Some(word) = self.words.get_mut(n as usize / 64) else {
            return false;
        };
        let new = *word >> (n % 64) & 1 == 0;
        *word |= 1 << (n % 64);
        self.count += u32::from(new);
        new
    }

    /// Takes a number out.
    pub fn remove(&mut self, n: u32) {
        if self.has(n) {
            self.words[n as usize / 64] &= !(1 << (n % 64));
            self.count -= 1;
        }
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_in_and_out_and_are_counted() {
        let mut bits = Bits::new(70);
        assert!(bits.add(0) && bits.add(69) && !bits.add(69));
        assert!(!bits.add(200));
        assert_eq!(bits.count(), 2);
        assert!(bits.has(69) && !bits.has(1) && !bits.has(200));
        bits.remove(69);
        bits.remove(69);
        bits.remove(200);
        assert_eq!((bits.count(), bits.has(69)), (1, false));
    }
}
