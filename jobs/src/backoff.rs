//! How long what failed and may pass is waited for.

use crate::Ms;

/// Before the second attempt.
const FIRST: Ms = 1000;
/// No wait is longer.
const LONGEST: Ms = 256_000;

/// The wait before an attempt, from 2: 1 s, 4 s, 16 s, and so on, between three quarters and five quarters of it.
pub fn before(attempt: u32, dice: &mut Dice) -> Ms {
    let power = attempt.saturating_sub(2).min(8);
    jittered((FIRST << (2 * power)).min(LONGEST), dice)
}

/// The wait after a node refused a span for the n-th time: short, since another is asked.
pub fn after_rejection(n: u32, dice: &mut Dice) -> Ms {
    jittered(2 << n.min(3), dice)
}

fn jittered(wait: Ms, dice: &mut Dice) -> Ms {
    wait - wait / 4 + dice.below(wait / 2 + 1)
}

/// Chance that is the same for the same seed (xorshift64*, Vigna 2014).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// From a seed.
    pub fn new(seed: u64) -> Dice {
        Dice(seed | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `bound`; 0 where that is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// A number from 0 to below 1.
    pub fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_fourfold_around_their_middle() {
        let mut dice = Dice::new(7);
        for (attempt, middle) in [(2, 1000), (3, 4000), (4, 16_000), (99, LONGEST)] {
            for _ in 0..100 {
                let wait = before(attempt, &mut dice);
                assert!(wait >= middle * 3 / 4 && wait <= middle * 5 / 4, "{wait}");
            }
        }
        assert!((0..1000).all(|_| dice.below(3) < 3 && dice.share() < 1.0));
        assert_eq!(dice.below(0), 0);
    }
}
