//! Our entropy decoding against libjpeg's own: the same pixels, the same errors.

use super::Scans;
use super::block::{Block, Change, Masks, Plain};
use super::samples::{SCRIPTS, encoded};
use crate::codec::hostile::small;
use crate::codec::jpeg::{decode::Decoder, header};
use crate::codec::{ReadSeek, RowSource};
use crate::error::Result;
use crate::image::Rows;
use crate::simd::{self, Level};
use crate::window::Band;
use std::io::{Cursor, Read, Seek, SeekFrom};

/// Gives a few bytes at a time, so that every place is once the end of a buffer.
struct Trickle(Cursor<Vec<u8>>, usize);

impl Read for Trickle {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let most = buffer.len().min(self.1);
        self.0.read(&mut buffer[..most])
    }
}

impl Seek for Trickle {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.0.seek(to)
    }
}

/// Pixels and warnings.
fn decoded(file: &[u8], shrink: u32, pieces: usize, ours: bool) -> Result<(Rows, Vec<String>)> {
    let head = header::parse(&mut Cursor::new(file), &small())?;
    let input: Box<dyn ReadSeek> = Box::new(Trickle(Cursor::new(file.to_vec()), pieces));
    let mut source = Decoder::with(input, head, shrink, Scans::new(ours))?;
    assert_eq!(source.scans().attached(), ours);
    let shape = source.shape();
    let mut rows = Rows::zeroed(shape, 0..shape.rows);
    source.read(&mut Band::of(&mut rows))?;
    Ok((
        rows,
        source.warnings().iter().map(|w| w.text.clone()).collect(),
    ))
}

/// Both ways, told whether that is an image.
fn same(file: &[u8], shrink: u32, pieces: usize, what: &dyn Fn() -> String) -> bool {
    let expected = decoded(file, shrink, 1 << 16, false);
    let got = decoded(file, shrink, pieces, true);
    assert!(
        expected == got,
        "{}: {:?}, {:?}",
        what(),
        expected.err(),
        got.err()
    );
    expected.is_ok()
}

fn for_all_levels(mut work: impl FnMut(Level)) {
    for level in Level::ALL.into_iter().filter(|l| *l <= simd::best()) {
        assert!(simd::force(level));
        work(level);
    }
    simd::force(simd::best());
}

#[test]
fn every_script_gives_libjpegs_pixels() {
    for_all_levels(|level| {
        for script in SCRIPTS {
            for (rows, cols) in [(1, 1), (8, 8), (23, 17), (67, 131)] {
                let file = encoded(*script, rows, cols);
                for (shrink, pieces) in [(1, 1 << 16), (1, 1), (2, 7), (4, 1000), (8, 33)] {
                    let what = || format!("{} {rows}x{cols} {shrink} {level:?}", script.name);
                    assert!(same(&file, shrink, pieces, &what), "{}", what());
                }
            }
        }
    });
}

#[test]
fn cut_files_give_libjpegs_errors() {
    for script in SCRIPTS {
        let file = encoded(*script, 33, 27);
        // Without the end marker alone, and what fills up the last byte, all pixels are there.
        for len in (0..file.len() - 3).step_by(3) {
            let what = || format!("{} cut at {len}", script.name);
            assert!(!same(&file[..len], 1, 1 << 16, &what), "{}", what());
        }
        // The same with an end marker: data that stops within a scan.
        for len in (0..file.len()).step_by(3) {
            let ended = [&file[..len], &[0xFF, 0xD9]].concat();
            same(&ended, 1, 5, &|| format!("{} ended at {len}", script.name));
        }
    }
}

#[test]
fn broken_files_give_libjpegs_pixels_or_errors() {
    let mut state = 0x9E37_79B9u32;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as usize % below
    };
    let mut images = 0;
    for_all_levels(|level| {
        for script in SCRIPTS {
            let file = encoded(*script, 41, 37);
            for case in 0..600 {
                let mut wild = file.clone();
                for _ in 0..1 + next(2) {
                    // Scan data only: headers are libjpeg's matter.
                    let at = 600.min(wild.len() / 2) + next(wild.len() / 2);
                    let at = at.min(wild.len() - 1);
                    match next(8) {
                        0..5 => wild[at] ^= 1 << next(8),
                        5 => wild[at] = 0xFF,
                        6 => drop(wild.remove(at)),
                        _ => wild.insert(at, next(256) as u8),
                    }
                }
                let pieces = if case % 8 == 0 { 1 + next(20) } else { 1 << 16 };
                let what = || format!("{} case {case} {level:?}", script.name);
                images += u32::from(same(&wild, 1, pieces, &what));
            }
        }
    });
    assert!(images > 100, "only {images} of these are images");
}

/// What all masks do, one bit and coefficient at a time.
struct Slow;

impl Masks for Slow {
    unsafe fn used(block: &Block) -> u64 {
        (0..64).fold(0, |mask, k| {
            mask | u64::from(block[usize::from(super::block::PLACES[k])] != 0) << k
        })
    }

    unsafe fn below(mask: u64, end: u32) -> u64 {
        (0..end).fold(0, |kept, k| kept | mask & 1 << k)
    }

    unsafe fn nth(mask: u64, count: u32) -> u32 {
        let mut set = (0..64).filter(|k| mask >> k & 1 == 1);
        set.nth(count as usize).unwrap_or(64)
    }

    unsafe fn chosen(mask: u64, chosen: u64) -> u64 {
        let set = (0..64).filter(|k| mask >> k & 1 == 1);
        set.enumerate()
            .filter(|(i, _)| chosen >> i & 1 == 1)
            .fold(0, |all, (_, k)| all | 1 << k)
    }

    unsafe fn change(block: &mut Block, change: Change, low: u32) {
        for k in 0..64 {
            let value = &mut block[usize::from(super::block::PLACES[k])];
            let step = if *value < 0 { -1 } else { 1 };
            if change.grown >> k & 1 == 1 && *value >> low & 1 == 0 {
                *value = value.wrapping_add(step << low);
            }
            if change.plus >> k & 1 == 1 {
                *value = 1 << low;
            }
            if change.minus >> k & 1 == 1 {
                *value = -1 << low;
            }
        }
    }
}

fn masks_agree<M: Masks>() {
    let mut state = 0x0123_4567_89AB_CDEFu64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for case in 0..20_000 {
        let thin = [u64::MAX, next(), next() & next() & next()][case % 3];
        let (mask, choice, count) = (next() & thin, next() & thin, (next() % 16) as u32);
        let mut block: Block = std::array::from_fn(|k| (next() as i16) * (thin >> k & 1) as i16);
        let plus = next() & next();
        let change = Change {
            grown: mask,
            plus,
            minus: choice & !plus,
        };
        let mut other = block;
        let low = (next() % 14) as u32;
        // SAFETY: callers check for the features.
        unsafe {
            assert_eq!(M::used(&block), Slow::used(&block));
            assert_eq!(
                M::below(mask, 4 * count + 4),
                Slow::below(mask, 4 * count + 4)
            );
            assert_eq!(M::nth(mask, count).min(64), Slow::nth(mask, count));
            assert_eq!(M::chosen(mask, choice), Slow::chosen(mask, choice));
            M::change(&mut block, change, low);
            Slow::change(&mut other, change, low);
        }
        assert_eq!(block, other, "{change:?} {low}");
    }
}

#[test]
fn masks_do_as_they_say() {
    masks_agree::<Plain>();
    #[cfg(target_arch = "x86_64")]
    if simd::best() == Level::Avx512 {
        masks_agree::<super::block::Wide>();
    }
}
