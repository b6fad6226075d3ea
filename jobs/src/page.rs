//! A page of a job's plan as the conductor holds it: which inputs have ended, which are on their way, what is next.

use crate::bits::Bits;

/// Inputs of one span at most, however little they cost.
const WIDEST: u32 = 256;

/// A page.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Predicted cost of each input in microseconds; empty once all are on their way.
    costs: Box<[u32]>,
    inputs: u32,
    /// What all of them cost.
    total: u32,
    ended: Bits,
    /// Those that have ended, are on their way, or wait to be tried again.
    taken: Bits,
    /// Inputs that are worth a span each, the cheapest first.
    heavy: Vec<u32>,
    /// No input before this one waits, heavy ones apart.
    next: u32,
}

impl Page {
    /// A page of inputs with these costs, and what is a span's worth.
    pub fn new(costs: Vec<u32>, span: u32) -> Page {
        let inputs = costs.len() as u32;
        let total: u64 = costs.iter().map(|cost| u64::from(*cost)).sum();
        let mut heavy: Vec<u32> = (0..inputs).filter(|&n| costs[n as usize] >= span).collect();
        heavy.sort_by_key(|&n| (costs[n as usize], std::cmp::Reverse(n)));
        Page {
            costs: costs.into(),
            inputs,
            total: total.min(u64::from(u32::MAX)) as u32,
            ended: Bits::new(inputs),
            taken: Bits::new(inputs),
            heavy,
            next: 0,
        }
    }

    /// Its inputs.
    pub fn inputs(&self) -> u32 {
        self.inputs
    }

    /// What all of them cost, in microseconds.
    pub fn total(&self) -> u32 {
        self.total
    }

    /// Inputs that have ended.
    pub fn ended(&self) -> u32 {
        self.ended.count()
    }

    /// Whether all have.
    pub fn is_done(&self) -> bool {
        self.ended() == self.inputs
    }

    /// Whether an input waits to be sent for the first time.
    pub fn has_waiting(&self) -> bool {
        self.taken.count() < self.inputs
    }

    /// Whether an input has ended.
    pub fn has_ended(&self, input: u32) -> bool {
        self.ended.has(input)
    }

    /// An input has ended; whether that is new.
    pub fn end(&mut self, input: u32) -> bool {
        self.taken.add(input);
        self.ended.add(input)
    }

    /// An input is on its way, or waits to be tried again; false if it was so already.
    pub fn take(&mut self, input: u32) -> bool {
        self.taken.add(input)
    }

    /// What an input costs, in microseconds.
    pub fn cost(&self, input: u32) -> u32 {
        self.costs.get(input as usize).copied().unwrap_or(0)
    }

    /// Takes the next span: inputs worth `span` microseconds, or one that is worth more. First the costliest alone, so that
    /// none of them is left at the end.
    pub fn cut(&mut self, span: u32) -> Option<(u32, u32, u64)> {
        while let Some(input) = self.heavy.pop() {
            if self.taken.add(input) {
                return Some((input, input, u64::from(self.cost(input))));
            }
        }
        while self.next < self.inputs && self.taken.has(self.next) {
            self.next += 1;
        }
        let first = self.next;
        let mut cost = 0;
        while self.next < self.inputs && self.next - first < WIDEST {
            let one = u64::from(self.cost(self.next));
            let full = self.next > first && cost + one > u64::from(span);
            if full || !self.taken.add(self.next) {
                break;
            }
            cost += one;
            self.next += 1;
        }
        let cut = (self.next > first).then(|| (first, self.next - 1, cost));
        if !self.has_waiting() {
            self.costs = Box::default();
        }
        cut
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_cut_by_cost_with_each_input_in_one() {
        let mut page = Page::new(vec![10, 10, 70, 10, 90, 10, 10, 10, 10], 50);
        page.end(3);
        let mut cuts = Vec::new();
        while let Some((first, last, cost)) = page.cut(30) {
            cuts.push((first, last, cost));
        }
        let expected = [(4, 4, 90), (2, 2, 70), (0, 1, 20), (5, 7, 30), (8, 8, 10)];
        assert_eq!(cuts, expected);
        assert!(!page.has_waiting() && !page.is_done());
        assert_eq!(page.ended(), 1);
    }

    #[test]
    fn inputs_that_cost_nothing_do_not_make_endless_spans() {
        let mut page = Page::new(vec![0; 1000], 50);
        assert_eq!(page.cut(50), Some((0, WIDEST - 1, 0)));
    }
}
