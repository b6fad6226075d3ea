//! The frames of an animation, composed to whole pictures: GIF, APNG and WebP say the same in three ways.

use super::whole::Whole;
use crate::error::Result;
use crate::image::{Element, Metadata, SampleType, Shape};

/// What becomes of a frame's place once its time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dispose {
    /// It stays.
    Keep,
    /// It is made transparent.
    Clear,
    /// It is as it was before the frame.
    Restore,
}

/// Where and how a frame lies on the canvas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Placed {
    pub left: usize,
    pub top: usize,
    pub cols: usize,
    pub rows: usize,
    pub dispose: Dispose,
    /// Whether what is transparent lets through what was there; otherwise it replaces it.
    pub blends: bool,
    /// Whether no pixel can be transparent.
    pub opaque: bool,
    pub delay_ms: u32,
}

impl Placed {
    fn covers(&self, shape: Shape) -> bool {
        (self.left, self.top) == (0, 0) && self.cols >= shape.cols && self.rows >= shape.rows
    }

    /// Whether nothing of what was there before shows.
    fn hides_all(&self, shape: Shape) -> bool {
        self.covers(shape) && (self.opaque || !self.blends)
    }
}

/// Whether a composed picture may have transparent pixels.
pub(super) fn transparent(frames: &[Placed], shape: Shape) -> bool {
    let Some(first) = frames.first() else {
        return false;
    };
    let more = frames.len() > 1;
    let cleared = frames
        .windows(2)
        .any(|pair| pair[0].dispose == Dispose::Clear && !pair[1].hides_all(shape));
    let replaced = frames.iter().any(|frame| !frame.opaque && !frame.blends);
    !first.covers(shape)
        || !first.opaque
        || cleared
        || replaced
        || more && first.dispose == Dispose::Restore
}

/// The first frame that picture `page` needs.
pub(super) fn first_needed(frames: &[Placed], shape: Shape, page: usize) -> usize {
    (0..=page)
        .rev()
        .find_map(|at| {
            let frame = &frames[at];
            if at < page && frame.dispose == Dispose::Clear && frame.covers(shape) {
                return Some(at + 1);
            }
            let lasts = at == page || frame.dispose == Dispose::Keep;
            (lasts && frame.hides_all(shape)).then_some(at)
        })
        .unwrap_or(0)
}

/// Picture `page` on a canvas of `shape`. `decode` is called for each frame that is needed, in order, and gives its
/// samples, with as many channels as the canvas has or without its alpha.
pub(super) fn compose<T: Element>(
    frames: &[Placed],
    shape: Shape,
    page: usize,
    mut decode: impl FnMut(usize) -> Result<Vec<T>>,
) -> Result<Vec<T>> {
    let mut canvas = vec![T::default(); shape.rows * shape.row_len()];
    for at in first_needed(frames, shape, page)..=page {
        let frame = &frames[at];
        let last = at == page;
        let before = (!last && frame.dispose == Dispose::Restore).then(|| canvas.clone());
        draw(&mut canvas, shape, frame, &decode(at)?);
        match frame.dispose {
            _ if last => {}
            Dispose::Keep => {}
            Dispose::Clear => clear(&mut canvas, shape, frame),
            Dispose::Restore => canvas = before.unwrap_or(canvas),
        }
    }
    Ok(canvas)
}

/// The same as a source of rows, with the frame's time.
pub(super) fn source(
    frames: &[Placed],
    shape: Shape,
    page: usize,
    metadata: Metadata,
    mut decode: impl FnMut(usize) -> Result<Vec<u8>>,
) -> Result<Whole> {
    let samples = match shape.sample {
        SampleType::U16 => {
            let pair = |b: &[u8]| u16::from_ne_bytes([b[0], b[1]]);
            let wide = |at| Ok(decode(at)?.chunks_exact(2).map(pair).collect());
            bytemuck::cast_slice(&compose::<u16>(frames, shape, page, wide)?).to_vec()
        }
        _ => compose::<u8>(frames, shape, page, decode)?,
    };
    Ok(Whole::new(shape, metadata, samples))
}

fn clear<T: Element>(canvas: &mut [T], shape: Shape, frame: &Placed) {
    for y in frame.top..(frame.top + frame.rows).min(shape.rows) {
        let at = y * shape.row_len();
        let (from, to) = (frame.left, (frame.left + frame.cols).min(shape.cols));
        let n = shape.channels();
        canvas[at + from.min(to) * n..at + to * n].fill(T::default());
    }
}

fn draw<T: Element>(canvas: &mut [T], shape: Shape, frame: &Placed, samples: &[T]) {
    let n = shape.channels();
    let given = samples.len() / (frame.cols * frame.rows).max(1);
    let blends = frame.blends && given == n && shape.color.has_alpha();
    let cols = frame.cols.min(shape.cols.saturating_sub(frame.left));
    for (y, row) in samples.chunks_exact(frame.cols * given).enumerate() {
        if cols == 0 || frame.top + y >= shape.rows {
            break;
        }
        let at = (frame.top + y) * shape.row_len() + frame.left * n;
        let to = canvas[at..at + cols * n].chunks_exact_mut(n);
        for (to, from) in to.zip(row.chunks_exact(given)) {
            if blends {
                over(to, from);
            } else {
                to[..given].copy_from_slice(from);
                if given < n {
                    to[given] = T::saturate(T::TOP);
                }
            }
        }
    }
}

/// A pixel with its alpha last over another. All products are whole numbers that an f64 holds.
fn over<T: Element>(to: &mut [T], from: &[T]) {
    let last = to.len() - 1;
    let (above, below) = (from[last].to_f64(), to[last].to_f64());
    if above == T::TOP || below == 0.0 {
        to.copy_from_slice(from);
    } else if above > 0.0 {
        let (above, below) = (above * T::TOP, below * (T::TOP - above));
        for c in 0..last {
            let sum = from[c].to_f64() * above + to[c].to_f64() * below;
            to[c] = T::saturate(sum / (above + below));
        }
        to[last] = T::saturate((above + below) / T::TOP);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Color;

    fn frame(left: usize, cols: usize, dispose: Dispose, blends: bool) -> Placed {
        Placed {
            left,
            top: 0,
            cols,
            rows: 1,
            dispose,
            blends,
            opaque: false,
            delay_ms: 0,
        }
    }

    /// Pictures of one row of three gray pixels with alpha.
    fn pictures(frames: &[Placed], samples: &[&[u8]]) -> Vec<Vec<u8>> {
        let shape = Shape::new(1, 3, Color::GrayAlpha, SampleType::U8);
        let decode = |at: usize| Ok(samples[at].to_vec());
        (0..frames.len())
            .map(|page| compose(frames, shape, page, decode).unwrap())
            .collect()
    }

    #[test]
    fn frames_lie_on_what_the_ones_before_left() {
        let frames = [
            frame(0, 3, Dispose::Keep, false),
            frame(1, 1, Dispose::Restore, true),
            frame(0, 2, Dispose::Clear, true),
            frame(2, 1, Dispose::Keep, true),
        ];
        let all = pictures(
            &frames,
            &[
                &[10, 255, 20, 255, 30, 255],
                &[99, 255],
                &[7, 0, 8, 255],
                &[200, 128],
            ],
        );
        assert_eq!(all[0], [10, 255, 20, 255, 30, 255]);
        assert_eq!(all[1], [10, 255, 99, 255, 30, 255]);
        assert_eq!(all[2], [10, 255, 8, 255, 30, 255]);
        // 200 with half its weight over 30.
        assert_eq!(all[3], [0, 0, 0, 0, 115, 255]);
    }

    #[test]
    fn what_does_not_blend_replaces_its_place() {
        let frames = [
            frame(0, 3, Dispose::Keep, false),
            frame(1, 2, Dispose::Keep, false),
        ];
        let all = pictures(&frames, &[&[9, 255, 9, 255, 9, 255], &[4, 0, 5, 100]]);
        assert_eq!(all[1], [9, 255, 4, 0, 5, 100]);
    }

    #[test]
    fn no_frame_is_decoded_that_nothing_is_left_of() {
        let shape = Shape::new(1, 3, Color::GrayAlpha, SampleType::U8);
        let whole = frame(0, 3, Dispose::Keep, false);
        let part = frame(1, 1, Dispose::Keep, true);
        let cleared = frame(0, 3, Dispose::Clear, true);
        let frames = [part, whole, part, cleared, part, part];
        let needed: Vec<usize> = (0..6).map(|k| first_needed(&frames, shape, k)).collect();
        assert_eq!(needed, [0, 1, 1, 1, 4, 4]);
        assert!(transparent(&frames, shape));
        let solid = Placed {
            opaque: true,
            ..whole
        };
        assert!(!transparent(
            &[
                solid,
                Placed {
                    opaque: true,
                    ..part
                }
            ],
            shape
        ));
        assert!(transparent(
            &[Placed {
                opaque: true,
                ..part
            }],
            shape
        ));
    }
}
