//! How much memory a plan will take, so that a cap can be kept and a number announced beforehand.

use crate::bands::band_rows;
use crate::plan::{Head, Plan, Segment, Stage};

/// Bytes held by one walk down a segment: rolling buffers and the kernels' own rows.
pub fn walk_bytes(segment: &Segment) -> usize {
    let rows = segment.output().rows;
    let step = band_rows(segment).min(rows.max(1));
    let mut out = rows / 2..(rows / 2 + step).min(rows);
    let mut bytes = 0;
    for k in (0..segment.locals.len()).rev() {
        let need = segment.need(k, out.clone());
        let row = segment.input_of(k).row_bytes();
        if k > 0 {
            // A rolling buffer grows to twice its live rows.
            bytes += 2 * need.len() * row;
        }
        // Row scratch of the kernel, padded and widened.
        bytes += 16
            * segment
                .input_of(k)
                .row_len()
                .max(segment.shapes[k].row_len())
            * 4;
        out = need;
    }
    bytes
}

/// Output rows computed at once when rows are streamed by `threads` threads: enough for several parts
/// a thread, each much taller than the rows that its walk computes twice.
pub fn superband_rows(segment: &Segment, threads: usize) -> usize {
    const MOST_BYTES: usize = 8 << 20;
    let band = band_rows(segment);
    match threads {
        1 => band,
        n => {
            let wanted = 4 * n * band.max(16);
            let bounded = wanted.min(MOST_BYTES / segment.widest_row().max(1));
            bounded.max(2 * n * band).max(8 * segment.depth())
        }
    }
}

/// Bytes of input and output rows held while a segment streams from a decoder to an encoder.
pub fn streaming_bytes(segment: &Segment, threads: usize) -> usize {
    let rows = segment.output().rows;
    let step = superband_rows(segment, threads).min(rows.max(1));
    let need = segment
        .rows_needed(rows / 2..(rows / 2 + step).min(rows))
        .len();
    let input = segment.input.row_bytes();
    let output = segment.output().row_bytes();
    match threads {
        1 => 2 * need * input + step * output + walk_bytes(segment),
        // The next rows are decoded and the previous ones encoded meanwhile.
        n => (2 * need + step) * input + 2 * step * output + n * walk_bytes(segment),
    }
}

/// Peak bytes of pixels on one rank when `ranks` ranks of `threads` threads share the image's rows.
/// With one rank, local plans stream from the decoder to the encoder.
pub fn plan_bytes(plan: &Plan, ranks: usize, threads: usize) -> usize {
    let share = |bytes: usize| bytes.div_ceil(ranks);
    let whole = |stage: &Stage| stage.segment.output().bytes();
    let walks = |segment: &Segment| threads * walk_bytes(segment);
    if ranks == 1 && plan.streams() {
        return streaming_bytes(&plan.stages[0].segment, threads);
    }
    let last = plan.stages.len() - 1;
    // One thread streams from the decoder and never holds the input.
    let mut peak = match (ranks, threads) {
        (1, 1) => 0,
        _ => share(plan.input.bytes()),
    };
    for (i, stage) in plan.stages.iter().enumerate() {
        let input = share(stage.input.bytes());
        let halo = stage.segment.depth() * 2 * stage.segment.input.row_bytes();
        let head = match &stage.head {
            Head::Source => 0,
            Head::Measured(_) => input,
            Head::Collective(c) => {
                let made = match c.in_place(stage.input) {
                    true => 0,
                    false => share(stage.segment.input.bytes()),
                };
                input + made + c.memory(stage.input, ranks)
            }
        };
        let held = share(stage.segment.input.bytes());
        let body = if ranks > 1 {
            held + share(whole(stage)) + halo + walks(&stage.segment)
        } else if i == 0 && threads == 1 {
            // Streams from the decoder into memory.
            whole(stage) + walk_bytes(&stage.segment) + 64 * stage.input.row_bytes()
        } else if i == 0 {
            let out = if stage.segment.locals.is_empty() {
                0
            } else {
                whole(stage)
            };
            held + out + walks(&stage.segment)
        } else if i == last {
            held + superband_rows(&stage.segment, threads) * plan.output.row_bytes()
                + walks(&stage.segment)
        } else {
            held + whole(stage) + walks(&stage.segment)
        };
        peak = peak.max(head).max(body);
    }
    peak
}
