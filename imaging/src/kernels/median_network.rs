//! Programs of minima and maxima that select the median of a square window.
//!
//! Instructions work on whole pieces of rows, so every value is at hand for all columns at once: a
//! sorted column is computed once and read at several offsets, sorted groups of columns double in width,
//! and neighbouring output rows share the columns' common rows. Elements that too many others bound from
//! above or below are dropped on the way. (A. Adams, "Fast median filters using separable sorting
//! networks", 2021, describes the principle; merging is by Batcher's odd-even networks.)

use std::collections::HashMap;

/// A value read some pixels to the right of where it is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct At {
    value: usize,
    shift: usize,
}

/// How a value comes about.
#[derive(Clone, Copy, Debug)]
enum Source {
    /// A row of the input.
    Row,
    Min(At, At),
    Max(At, At),
}

/// Slots `low` and `high` receive the smaller and the greater of two values read from the slots `a` and
/// `b`, beginning some pixels into them. One of the two results may be unwanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// Slot and offset in pixels of one operand.
    pub a: (usize, usize),
    /// Slot and offset in pixels of the other.
    pub b: (usize, usize),
    /// Slot of the smaller, or [`UNWANTED`].
    pub low: usize,
    /// Slot of the greater, or [`UNWANTED`].
    pub high: usize,
    /// Pixels to compute beyond the number of output pixels.
    pub beyond: usize,
}

/// No slot: this result is not needed.
pub const UNWANTED: usize = usize::MAX;

/// A program that makes the medians of some output rows at once.
#[derive(Clone, Debug)]
pub struct Program {
    /// Radius of the window.
    pub radius: usize,
    /// Number of output rows.
    pub n_outputs: usize,
    /// Input row `i` lies in slot `i`, from `radius` pixels left of the first output pixel to as many
    /// right of the last; the first row is `radius` above the first output row.
    pub n_inputs: usize,
    /// Number of slots, inputs included.
    pub n_slots: usize,
    /// In the order to run.
    pub instructions: Vec<Instruction>,
    /// Slot and offset in pixels of each output row.
    pub outputs: Vec<(usize, usize)>,
}

impl Program {
    /// The program for windows of `2 radius + 1` pixels square, `n_outputs` (a power of two) rows at once.
    pub fn new(radius: usize, n_outputs: usize) -> Program {
        let mut builder = Builder {
            side: 2 * radius + 1,
            sources: vec![Source::Row; 2 * radius + n_outputs],
            known: HashMap::new(),
        };
        let side = builder.side;
        let mut outputs = Vec::new();
        let shared = builder.group(n_outputs - 1..side);
        let all = Rest {
            total: side * side,
            rank: side * side / 2 + 1,
        };
        builder.split(0..n_outputs, shared, all, &mut outputs);
        builder.schedule(radius, &outputs)
    }
}

/// What is left to select from: so many elements, of which one of this rank (from 1) is wanted.
#[derive(Clone, Copy)]
struct Rest {
    total: usize,
    rank: usize,
}

struct Builder {
    side: usize,
    sources: Vec<Source>,
    known: HashMap<(bool, At, At), usize>,
}

impl Builder {
    /// The smaller and the greater of two values.
    fn compare(&mut self, a: At, b: At) -> (At, At) {
        let shift = a.shift.min(b.shift);
        let near = |v: At| At {
            value: v.value,
            shift: v.shift - shift,
        };
        let (a, b) = (near(a), near(b));
        let mut value = |greater: bool, source: Source| {
            let sources = &mut self.sources;
            let value = *self.known.entry((greater, a, b)).or_insert_with(|| {
                sources.push(source);
                sources.len() - 1
            });
            At { value, shift }
        };
        let low = value(false, Source::Min(a, b));
        let high = value(true, Source::Max(a, b));
        (low, high)
    }

    /// Batcher's odd-even merge of two sorted lists.
    fn merge(&mut self, a: &[At], b: &[At]) -> Vec<At> {
        if a.is_empty() || b.is_empty() {
            return [a, b].concat();
        }
        if a.len() == 1 && b.len() == 1 {
            let (low, high) = self.compare(a[0], b[0]);
            return vec![low, high];
        }
        let every = |list: &[At], from: usize| -> Vec<At> {
            list.iter().skip(from).step_by(2).copied().collect()
        };
        let odd = self.merge(&every(a, 0), &every(b, 0));
        let even = self.merge(&every(a, 1), &every(b, 1));
        let mut merged = vec![odd[0]];
        for i in 0..even.len().max(odd.len() - 1) {
            match (even.get(i), odd.get(i + 1)) {
                (Some(&e), Some(&o)) => {
                    let (low, high) = self.compare(e, o);
                    merged.extend([low, high]);
                }
                (Some(&v), None) | (None, Some(&v)) => merged.push(v),
                (None, None) => {}
            }
        }
        merged
    }

    fn sort(&mut self, list: &[At]) -> Vec<At> {
        if list.len() < 2 {
            return list.to_vec();
        }
        let (a, b) = list.split_at(list.len() / 2);
        let (a, b) = (self.sort(a), self.sort(b));
        self.merge(&a, &b)
    }

    /// The elements of these input rows over the window's whole width, as sorted lists, widest first.
    fn group(&mut self, rows: std::ops::Range<usize>) -> Vec<Vec<At>> {
        let column: Vec<At> = rows.map(|value| At { value, shift: 0 }).collect();
        let mut widths = vec![self.sort(&column)];
        while 2 << (widths.len() - 1) <= self.side {
            let half = 1 << (widths.len() - 1);
            let last = widths[widths.len() - 1].clone();
            let moved = moved(&last, half);
            widths.push(self.merge(&last, &moved));
        }
        let (mut lists, mut at) = (Vec::new(), 0);
        for (k, list) in widths.iter().enumerate().rev() {
            if self.side & (1 << k) != 0 {
                lists.push(moved(list, at));
                at += 1 << k;
            }
        }
        lists
    }

    /// Joins sorted lists to one, dropping what cannot be the wanted element.
    fn join(&mut self, mut lists: Vec<Vec<At>>, rest: &mut Rest) -> Vec<At> {
        for list in &mut lists {
            drop_impossible(list, rest);
        }
        while lists.len() > 1 {
            lists.sort_by_key(|list| std::cmp::Reverse(list.len()));
            let (Some(a), Some(b)) = (lists.pop(), lists.pop()) else {
                break;
            };
            let mut merged = self.merge(&a, &b);
            drop_impossible(&mut merged, rest);
            lists.push(merged);
        }
        lists.pop().unwrap_or_default()
    }

    /// Medians of the output rows, whose common input rows are in `shared`.
    fn split(
        &mut self,
        outputs: std::ops::Range<usize>,
        shared: Vec<Vec<At>>,
        mut rest: Rest,
        medians: &mut Vec<At>,
    ) {
        let list = self.join(shared, &mut rest);
        if outputs.len() == 1 {
            return medians.push(list[rest.rank - 1]);
        }
        let middle = outputs.start + outputs.len() / 2;
        let above = (outputs.start..middle, middle - 1..outputs.end - 1);
        let below = (
            middle..outputs.end,
            outputs.start + self.side..middle + self.side,
        );
        for (part, rows) in [above, below] {
            let mut lists = self.group(rows);
            let mut rest = rest;
            if part.len() > 1 {
                lists.push(list.clone());
                self.split(part, lists, rest, medians);
            } else {
                let own = self.join(lists, &mut rest);
                let mut list = list.clone();
                drop_impossible(&mut list, &mut rest);
                medians.push(self.select(&list, &own, rest.rank));
            }
        }
    }

    /// The element of that rank (from 1) of two sorted lists: the least of the greater ones of all
    /// pairs whose ranks add up to it.
    fn select(&mut self, a: &[At], b: &[At], rank: usize) -> At {
        let mut least: Option<At> = None;
        for i in 0..=rank.min(a.len()) {
            let j = rank - i;
            let greater = match (i, j) {
                (_, j) if j > b.len() => continue,
                (0, j) => b[j - 1],
                (i, 0) => a[i - 1],
                (i, j) => self.compare(a[i - 1], b[j - 1]).1,
            };
            least = Some(least.map_or(greater, |least| self.compare(least, greater).0));
        }
        match least {
            Some(least) => least,
            None => unreachable!("the rank is at most the number of elements"),
        }
    }

    /// Drops what no output needs, pairs minima with maxima, and gives each value a slot for as long
    /// as it is needed.
    fn schedule(&self, radius: usize, outputs: &[At]) -> Program {
        let n = self.sources.len();
        // Range of offsets at which each value is read; empty (None) where it is not.
        let mut reach: Vec<Option<(usize, usize)>> = vec![None; n];
        let mut last_use = vec![0usize; n];
        let read = |reach: &mut Vec<Option<(usize, usize)>>, at: At, low: usize, high: usize| {
            let (from, to) = (low + at.shift, high + at.shift);
            reach[at.value] = Some(match reach[at.value] {
                None => (from, to),
                Some((a, b)) => (a.min(from), b.max(to)),
            });
        };
        for &output in outputs {
            read(&mut reach, output, 0, 0);
        }
        for value in (0..n).rev() {
            // A maximum comes just after its minimum; both are computed over the range that either needs.
            if let (Source::Max(..), Some(low)) = (self.sources[value], value.checked_sub(1))
                && let (Some((a, b)), Some((c, d))) = (reach[low], reach[value])
            {
                let both = Some((a.min(c), b.max(d)));
                (reach[low], reach[value]) = (both, both);
            }
            if let (Some((low, high)), Source::Min(a, b) | Source::Max(a, b)) =
                (reach[value], self.sources[value])
            {
                read(&mut reach, a, low, high);
                read(&mut reach, b, low, high);
            }
        }
        // Inputs always begin at offset 0.
        let n_inputs = 2 * radius + outputs.len();
        for range in &mut reach[..n_inputs] {
            *range = Some((0, 2 * radius));
        }
        let start = |value: usize| reach[value].map_or(0, |(low, _)| low);
        let mut steps: Vec<(At, At, Option<usize>, Option<usize>)> = Vec::new();
        let mut step_of: HashMap<(At, At), usize> = HashMap::new();
        for value in 0..n {
            let (greater, a, b) = match self.sources[value] {
                Source::Min(a, b) => (false, a, b),
                Source::Max(a, b) => (true, a, b),
                Source::Row => continue,
            };
            if reach[value].is_none() {
                continue;
            }
            let step = *step_of.entry((a, b)).or_insert_with(|| {
                steps.push((a, b, None, None));
                steps.len() - 1
            });
            match greater {
                false => steps[step].2 = Some(value),
                true => steps[step].3 = Some(value),
            }
        }
        for (k, (a, b, _, _)) in steps.iter().enumerate() {
            last_use[a.value] = k;
            last_use[b.value] = k;
        }
        for output in outputs {
            last_use[output.value] = usize::MAX;
        }
        let mut program = Program {
            radius,
            n_outputs: outputs.len(),
            n_inputs,
            n_slots: n_inputs,
            instructions: Vec::with_capacity(steps.len()),
            outputs: Vec::new(),
        };
        let mut slot: Vec<usize> = (0..n)
            .map(|v| if v < n_inputs { v } else { UNWANTED })
            .collect();
        let mut free: Vec<usize> = Vec::new();
        for (k, &(a, b, low, high)) in steps.iter().enumerate() {
            let mut take = |value: Option<usize>| {
                let Some(value) = value else { return UNWANTED };
                let taken = free.pop().unwrap_or_else(|| {
                    program.n_slots += 1;
                    program.n_slots - 1
                });
                slot[value] = taken;
                taken
            };
            let (to_low, to_high) = (take(low), take(high));
            let range = low.or(high).and_then(|value| reach[value]);
            let (from, to) = range.unwrap_or((0, 0));
            let operand = |at: At| (slot[at.value], from + at.shift, start(at.value));
            let place = |(slot, at, start): (usize, usize, usize)| (slot, at - start);
            program.instructions.push(Instruction {
                a: place(operand(a)),
                b: place(operand(b)),
                low: to_low,
                high: to_high,
                beyond: to - from,
            });
            for at in [a, b] {
                if last_use[at.value] == k && !free.contains(&slot[at.value]) {
                    free.push(slot[at.value]);
                }
            }
        }
        for &at in outputs {
            program
                .outputs
                .push((slot[at.value], at.shift - start(at.value)));
        }
        program
    }
}

/// The list read further right.
fn moved(list: &[At], by: usize) -> Vec<At> {
    let later = |at: &At| At {
        value: at.value,
        shift: at.shift + by,
    };
    list.iter().map(later).collect()
}

/// Drops elements of a sorted list that have too many others below or above them.
fn drop_impossible(list: &mut Vec<At>, rest: &mut Rest) {
    // The first of the list is below all others of it: at least `len` elements from the top.
    while list.len() > rest.total - rest.rank + 1 {
        list.remove(0);
        rest.total -= 1;
        rest.rank -= 1;
    }
    while list.len() > rest.rank {
        list.pop();
        rest.total -= 1;
    }
}
