//! Medians of small windows: runs a [`Program`] over pieces of rows that fit the first cache.

use super::median_network::{Program, UNWANTED};
use super::ranked::{Key, Ranked};
use crate::border::Border;
use crate::image::Shape;
use crate::window::{Band, Window};

/// Keys that instructions work on at a time; all lengths are multiples of it.
const LANES: usize = 64;

/// Bytes of one slot, unless the window's width asks for more.
const SLOT_BYTES: usize = 512;

/// The slots that a program works in.
#[derive(Default)]
pub struct Slots<K> {
    slots: Vec<Vec<K>>,
}

/// Fills `out` with medians.
pub fn fill<T: Ranked>(
    program: &Program,
    input: &Window<'_>,
    out: &mut Band<'_>,
    slots: &mut Slots<T::Key>,
) {
    let shape = input.shape();
    let (channels, radius) = (shape.channels(), program.radius);
    let margin = 2 * radius * channels;
    let keys = (SLOT_BYTES / size_of::<T::Key>()).max(2 * margin);
    let length = keys.next_multiple_of(LANES);
    let step = (length - margin) / channels;
    slots.slots.resize_with(program.n_slots, Vec::new);
    for slot in &mut slots.slots {
        // Reading from an offset may run past the end by less than the margin and one group.
        slot.resize(length + margin + LANES, T::Key::default());
    }
    let range = out.range();
    for y in range.clone().step_by(program.n_outputs) {
        let rows: Vec<&[T]> = (0..program.n_inputs)
            .map(|i| {
                let last = (range.end + radius - 1) as isize;
                input.row::<T>((y as isize + i as isize - radius as isize).min(last))
            })
            .collect();
        for x in (0..shape.cols).step_by(step) {
            let width = step.min(shape.cols - x);
            for (slot, row) in slots.slots.iter_mut().zip(&rows) {
                load(slot, row, x, width, radius, shape);
            }
            run::<T::Key>(program, &mut slots.slots, channels, width * channels);
            for (i, &(slot, offset)) in program.outputs.iter().enumerate() {
                if y + i < range.end {
                    let row = &mut out.row::<T>(y + i)[x * channels..][..width * channels];
                    let keys = &slots.slots[slot][offset * channels..];
                    for (sample, key) in row.iter_mut().zip(keys) {
                        *sample = T::of_key(*key);
                    }
                }
            }
        }
    }
}

/// Copies pixels `x - radius..x + width + radius` of a row, the edge repeated.
fn load<T: Ranked>(
    slot: &mut [T::Key],
    row: &[T],
    x: usize,
    width: usize,
    radius: usize,
    shape: Shape,
) {
    let channels = shape.channels();
    let inside = x.saturating_sub(radius)..(x + width + radius).min(shape.cols);
    let left = inside.start + radius - x;
    let samples = &row[inside.start * channels..inside.end * channels];
    for (key, sample) in slot[left * channels..].iter_mut().zip(samples) {
        *key = sample.key();
    }
    let edges = (0..left).chain(left + inside.len()..width + 2 * radius);
    for at in edges {
        let column = (x + at) as isize - radius as isize;
        let Some(column) = Border::Replicate.index(column, shape.cols) else {
            unreachable!("this border always names a column")
        };
        for c in 0..channels {
            slot[at * channels + c] = row[column * channels + c].key();
        }
    }
}

crate::simd! {
    /// Runs the instructions on `length` keys and what lies beyond.
    fn run<K: Key>(program: &Program, slots: &mut [Vec<K>], channels: usize, length: usize) {
        for step in &program.instructions {
            let groups = (length + step.beyond * channels).div_ceil(LANES);
            let taken = |slots: &mut [Vec<K>], slot: usize| match slot {
                UNWANTED => Vec::new(),
                slot => std::mem::take(&mut slots[slot]),
            };
            let mut low = taken(slots, step.low);
            let mut high = taken(slots, step.high);
            let a = slots[step.a.0][step.a.1 * channels..].chunks_exact(LANES);
            let b = slots[step.b.0][step.b.1 * channels..].chunks_exact(LANES);
            match (step.low, step.high) {
                (_, UNWANTED) => {
                    for ((t, a), b) in low.chunks_exact_mut(LANES).take(groups).zip(a).zip(b) {
                        for i in 0..LANES {
                            t[i] = a[i].min(b[i]);
                        }
                    }
                }
                (UNWANTED, _) => {
                    for ((t, a), b) in high.chunks_exact_mut(LANES).take(groups).zip(a).zip(b) {
                        for i in 0..LANES {
                            t[i] = a[i].max(b[i]);
                        }
                    }
                }
                _ => {
                    let targets = low.chunks_exact_mut(LANES).zip(high.chunks_exact_mut(LANES));
                    for (((s, t), a), b) in targets.take(groups).zip(a).zip(b) {
                        for i in 0..LANES {
                            let (a, b) = (a[i], b[i]);
                            s[i] = a.min(b);
                            t[i] = a.max(b);
                        }
                    }
                }
            }
            for (slot, vec) in [(step.low, low), (step.high, high)] {
                if slot != UNWANTED {
                    slots[slot] = vec;
                }
            }
        }
    }
}
