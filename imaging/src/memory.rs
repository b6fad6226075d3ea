//! How much memory a plan will take, so that a cap can be kept and a number announced beforehand.

use crate::bands::{band_rows, forced_rows};
use crate::executor::MESSAGE_BYTES;
use crate::image::Shape;
use crate::plan::{Head, Plan, Segment, Stage};

/// Rows of the input of each step that one walk holds: those for the first band, which all come at once, or those that
/// stay from band to band with room for the next ones.
fn rows_held(segment: &Segment) -> Vec<usize> {
    let output = segment.output().rows;
    let band = band_rows(segment).min(output.max(1));
    let (mut first, mut next) = (0..band, band);
    let mut held = vec![0; segment.locals.len()];
    for k in (0..held.len()).rev() {
        first = segment.need(k, first);
        let rows = segment.shapes[k].rows;
        let at = (rows / 2).min(rows.saturating_sub(2 * next));
        let need = segment.need(k, at..(at + next).min(rows));
        let after = segment.need(k, (at + next).min(rows)..(at + 2 * next).min(rows));
        // A walk that goes up computes all of them anew.
        next = match after.end.checked_sub(need.end) {
            Some(more @ 1..) => more.min(need.len()),
            _ => need.len(),
        };
        // Those that stay are moved up when the next ones come.
        held[k] = first.len().max(need.len() + next);
    }
    held
}

/// Bytes held by one walk down a segment: rolling buffers and the kernels' own rows.
pub fn walk_bytes(segment: &Segment) -> usize {
    let held = rows_held(segment);
    let mut bytes = 0;
    for (k, rows) in held.into_iter().enumerate() {
        if k > 0 {
            bytes += rows * segment.input_of(k).row_bytes();
        }
        // Row scratch of the kernel, padded and widened.
        let (input, output) = (segment.input_of(k), segment.shapes[k]);
        let samples = input.row_len().max(output.row_len());
        bytes += 12 * samples * input.sample.bytes().max(2);
    }
    bytes
}

/// Output rows computed at once when rows are streamed by `threads` threads: enough for several parts
/// a thread, each much taller than the rows that its walk computes twice.
pub fn superband_rows(segment: &Segment, threads: usize) -> usize {
    const MOST_BYTES: usize = 8 << 20;
    if let Some(offload) = &segment.gpu {
        // As much as lets the device work on some pieces while others travel.
        return offload.device().piece_rows(segment) * 4;
    }
    let band = band_rows(segment);
    if forced_rows().is_some() {
        return 2 * band;
    }
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
        1 if segment.gpu.is_none() => {
            let held = rows_held(segment).first().copied().unwrap_or(need);
            held * input + step * output + walk_bytes(segment)
        }
        // The next rows are decoded and the previous ones encoded meanwhile; pieces of rows that are done with are
        // kept, to be used again.
        n => {
            let rows = (3 * need).min(segment.input.rows);
            let bands = (2 * step).min(segment.output().rows);
            rows * input + bands * output + n * walk_bytes(segment)
        }
    }
}

/// Bytes that a decoder and an encoder hold beside the rows that they hand out and are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Codecs {
    /// The decoder's, until its last row is read.
    pub decoder: usize,
    /// Ranks that hold a decoder.
    pub decoders: usize,
    /// The encoder's, from its first row on.
    pub encoder: usize,
}

/// Peak bytes of an image on all of `ranks` ranks of `threads` threads that share its rows. With one rank,
/// local plans stream from the decoder to the encoder, and of others the decoder is gone before the
/// second stage begins.
pub fn plan_bytes(plan: &Plan, ranks: usize, threads: usize, codecs: Codecs) -> usize {
    device_bytes(plan) + processor_bytes(plan, ranks, threads, codecs)
}

/// What a device takes of this process' memory: buffers for the ways there and back, and where stages stay there the
/// result, which comes back whole.
fn device_bytes(plan: &Plan) -> usize {
    let mut offloads = plan.stages.iter().filter_map(|s| s.segment.gpu.as_ref());
    let whole = match plan.streams() {
        true => 0,
        false => plan.output.bytes(),
    };
    offloads
        .next()
        .map_or(0, |o| o.device().host_bytes() + whole)
}

fn processor_bytes(plan: &Plan, ranks: usize, threads: usize, codecs: Codecs) -> usize {
    if ranks > 1 {
        return shared_bytes(plan, ranks, threads, codecs);
    }
    let last = plan.stages.len() - 1;
    if last == 0 {
        let streaming = streaming_bytes(&plan.stages[0].segment, threads);
        return streaming + codecs.decoder + codecs.encoder;
    }
    let walks = |stage: &Stage| threads * walk_bytes(&stage.segment);
    let stages = plan.stages.iter().enumerate().map(|(i, stage)| {
        let held = stage.segment.input.bytes();
        let whole = match stage.segment.locals.is_empty() {
            true => 0,
            false => stage.segment.output().bytes(),
        };
        let body = match i {
            0 if whole == 0 => held + codecs.decoder,
            // Streams from the decoder into memory, through a few rows.
            0 if threads == 1 => {
                whole + walks(stage) + codecs.decoder + 64 * stage.input.row_bytes()
            }
            0 => held + codecs.decoder.max(whole + walks(stage)),
            // One band is encoded while the next is computed.
            i if i == last => {
                let rows = superband_rows(&stage.segment, threads).min(plan.output.rows);
                let bands = threads.min(2) * rows * plan.output.row_bytes();
                held + bands + walks(stage) + codecs.encoder
            }
            _ => held + whole + walks(stage),
        };
        body.max(head_bytes(stage, 1))
    });
    stages.max().unwrap_or(0)
}

/// Peak bytes of all of several ranks. Each decodes its rows or is handed them, and lets go of its decoder before the
/// first stage; after the last one rank 0 encodes its own rows and the others', a message at a time.
fn shared_bytes(plan: &Plan, ranks: usize, threads: usize, codecs: Codecs) -> usize {
    let message = |shape: Shape| MESSAGE_BYTES.min(shape.bytes() / ranks) + shape.row_bytes();
    let decoding = match codecs.decoders {
        0..=1 => codecs.decoder + 2 * message(plan.input),
        decoders => decoders * codecs.decoder,
    };
    let encoding = codecs.encoder + 2 * message(plan.output);
    (plan.input.bytes() + decoding)
        .max(ranks * rank_bytes(plan, ranks, threads))
        .max(plan.output.bytes() + encoding)
}

/// Peak bytes of pixels on one of several ranks while it computes.
fn rank_bytes(plan: &Plan, ranks: usize, threads: usize) -> usize {
    let share = |bytes: usize| bytes.div_ceil(ranks);
    let stages = plan.stages.iter().map(|stage| {
        let segment = &stage.segment;
        let body = match segment.locals.is_empty() {
            true => share(segment.input.bytes()),
            false => {
                // What comes from the neighbours, and as much on its way to them; there are none beyond the ends.
                let halo = 2 * segment.depth() * segment.input.row_bytes();
                let halo = halo * (ranks - 1) / ranks;
                share(segment.input.bytes())
                    + share(segment.output().bytes())
                    + halo
                    + threads * walk_bytes(segment)
            }
        };
        body.max(head_bytes(stage, ranks))
    });
    stages.max().unwrap_or(0)
}

/// Bytes on each rank while a stage's head is at work.
fn head_bytes(stage: &Stage, ranks: usize) -> usize {
    let input = stage.input.bytes().div_ceil(ranks);
    match &stage.head {
        Head::Source => 0,
        Head::Measured(_) => input,
        Head::Collective(collective) => {
            let made = match collective.in_place(stage.input) {
                true => 0,
                false => stage.segment.input.bytes().div_ceil(ranks),
            };
            input + made + collective.memory(stage.input, ranks)
        }
    }
}
