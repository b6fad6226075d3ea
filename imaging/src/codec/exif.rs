//! The orientation tag inside an EXIF block (a TIFF structure); all else is kept as raw bytes.

const ORIENTATION: u16 = 0x0112;
const SHORT: u16 = 3;

/// The orientation 1..=8; 1 where none is given or the block is not sound.
pub fn orientation(exif: &[u8]) -> u8 {
    match find(exif) {
        Some((at, big)) => match short(exif, at, big) {
            Some(value @ 1..=8) => value as u8,
            _ => 1,
        },
        None => 1,
    }
}

/// The same block with orientation 1, for pixels that were turned upright.
pub fn upright(mut exif: Vec<u8>) -> Vec<u8> {
    if let Some((at, big)) = find(&exif) {
        exif[at..at + 2].copy_from_slice(&if big { [0, 1] } else { [1, 0] });
    }
    exif
}

/// The position of the orientation's two bytes, and whether the block is big-endian.
fn find(exif: &[u8]) -> Option<(usize, bool)> {
    let big = match exif.get(..4)? {
        [b'I', b'I', 42, 0] => false,
        [b'M', b'M', 0, 42] => true,
        _ => return None,
    };
    let directory = long(exif, 4, big)? as usize;
    let entries = short(exif, directory, big)? as usize;
    let first = directory.checked_add(2)?;
    (0..entries).map(|k| first + 12 * k).find_map(|at| {
        let found = short(exif, at, big)? == ORIENTATION
            && short(exif, at + 2, big)? == SHORT
            && long(exif, at + 4, big)? == 1;
        (found && at + 10 <= exif.len()).then_some((at + 8, big))
    })
}

fn short(bytes: &[u8], at: usize, big: bool) -> Option<u16> {
    let raw = bytes.get(at..at.checked_add(2)?)?.try_into().ok()?;
    Some(if big {
        u16::from_be_bytes(raw)
    } else {
        u16::from_le_bytes(raw)
    })
}

fn long(bytes: &[u8], at: usize, big: bool) -> Option<u32> {
    let raw = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
    Some(if big {
        u32::from_be_bytes(raw)
    } else {
        u32::from_le_bytes(raw)
    })
}

#[cfg(test)]
pub(in crate::codec) mod tests {
    use super::*;

    /// A block with a make of no meaning and an orientation.
    pub fn block(big: bool, orientation: u16) -> Vec<u8> {
        let s = |v: u16| {
            if big {
                v.to_be_bytes()
            } else {
                v.to_le_bytes()
            }
        };
        let l = |v: u32| {
            if big {
                v.to_be_bytes()
            } else {
                v.to_le_bytes()
            }
        };
        let mut out = if big {
            b"MM\0*".to_vec()
        } else {
            b"II*\0".to_vec()
        };
        out.extend(l(8));
        out.extend(s(2));
        out.extend([&s(0x010F)[..], &s(2), &l(4), b"abc\0"].concat());
        out.extend([&s(0x0112)[..], &s(3), &l(1), &s(orientation), &s(0)].concat());
        out.extend(l(0));
        out
    }

    #[test]
    fn the_orientation_is_read_and_reset() {
        for big in [false, true] {
            for value in 1..=8 {
                let exif = block(big, value);
                assert_eq!(u16::from(orientation(&exif)), value);
                assert_eq!(upright(exif), block(big, 1));
            }
            assert_eq!(orientation(&block(big, 9)), 1);
        }
    }

    #[test]
    fn unsound_blocks_are_left_alone() {
        let exif = block(true, 6);
        for len in 0..exif.len() {
            let cut = exif[..len].to_vec();
            orientation(&cut);
            assert_eq!(upright(cut).len(), len);
        }
        let mut wild = exif.clone();
        wild[4..8].fill(0xFF);
        assert_eq!(orientation(&wild), 1);
    }
}
