//! An EXIF block (a TIFF structure): single values read and changed where they stand, so that
//! maker notes, which hold positions within the block, stay whole.

mod block;

use super::tiff;
use crate::metadata::{Resolution, Text, cut};
#[cfg(not(target_arch = "wasm32"))]
pub(in crate::codec) use block::Room;
use block::{Block, Place};

const IMAGE_DESCRIPTION: u16 = 0x010E;
const ORIENTATION: u16 = 0x0112;
const X_RESOLUTION: u16 = 0x011A;
const Y_RESOLUTION: u16 = 0x011B;
const RESOLUTION_UNIT: u16 = 0x0128;
const COPYRIGHT: u16 = 0x8298;
const COLOR_SPACE: u16 = 0xA001;
const WIDTH: u16 = 0xA002;
const HEIGHT: u16 = 0xA003;
const ASCII: u16 = 2;
const SHORT: u16 = 3;
const LONG: u16 = 4;
const RATIONAL: u16 = 5;

/// The orientation 1..=8; 1 where none is given or the block is not sound.
pub fn orientation(exif: &[u8]) -> u8 {
    stated_orientation(exif).unwrap_or(1)
}

/// The orientation 1..=8 that a block names, as SHORT or, against the rules, as LONG.
pub fn stated_orientation(exif: &[u8]) -> Option<u8> {
    let block = Block::of(exif)?;
    let value = block.number(Place::Main, ORIENTATION)?;
    u8::try_from(value).ok().filter(|v| (1..=8).contains(v))
}

/// The same block with orientation 1, for pixels that were turned upright.
pub fn upright(exif: Vec<u8>) -> Vec<u8> {
    edit(exif, |block| {
        if block.number(Place::Main, ORIENTATION).is_some() {
            block.set_number(Place::Main, ORIENTATION, 1);
        }
    })
}

/// For an image of that size with that resolution.
pub fn adapted(
    exif: Vec<u8>,
    (cols, rows): (usize, usize),
    resolution: Option<&Resolution>,
) -> Vec<u8> {
    edit(exif, |block| {
        for (tag, value) in [(WIDTH, cols), (HEIGHT, rows)] {
            if block.number(Place::Exif, tag).is_some() {
                block.set_number(Place::Exif, tag, value as u32);
            }
        }
        let Some(resolution) = resolution else { return };
        if block.has(Place::Main, X_RESOLUTION) || block.has(Place::Main, Y_RESOLUTION) {
            set_resolution(block, resolution);
        }
    })
}

/// The block, or a new one, with that resolution.
pub fn with_resolution(exif: Option<Vec<u8>>, resolution: &Resolution) -> Vec<u8> {
    edit(exif.unwrap_or_else(empty), |block| {
        set_resolution(block, resolution)
    })
}

fn set_resolution(block: &mut Block, resolution: &Resolution) {
    let fraction = |v: f64| {
        let (above, below) = crate::metadata::fraction(v);
        [above, below]
    };
    block.set_longs(Place::Main, X_RESOLUTION, RATIONAL, &fraction(resolution.x));
    block.set_longs(Place::Main, Y_RESOLUTION, RATIONAL, &fraction(resolution.y));
    let unit = u32::from(resolution.exif_unit());
    block.set_number(Place::Main, RESOLUTION_UNIT, unit);
}

/// The resolution that the block names.
pub fn resolution(exif: &[u8]) -> Option<Resolution> {
    let block = Block::of(exif)?;
    let read = |tag| {
        let values = block.longs(Place::Main, tag, RATIONAL)?;
        let [above, below] = values[..].try_into().ok()?;
        (below != 0).then(|| f64::from(above) / f64::from(below))
    };
    let unit = block.number(Place::Main, RESOLUTION_UNIT).unwrap_or(2);
    Resolution::of_exif(read(X_RESOLUTION)?, read(Y_RESOLUTION)?, unit as u16)
}

/// What the block says of the colours: 1 is sRGB, 65535 anything else.
pub fn with_color_space(exif: Vec<u8>, srgb: bool) -> Vec<u8> {
    edit(exif, |block| {
        if block.has(Place::Exif, COLOR_SPACE) {
            block.set_number(Place::Exif, COLOR_SPACE, if srgb { 1 } else { 65535 });
        }
    })
}

/// Without the thumbnail and the directory that describes it. `None` where the block is woven in such
/// a way that it cannot be taken out.
pub fn without_thumbnail(exif: Vec<u8>) -> Option<Vec<u8>> {
    match Block::of(&exif) {
        Some(mut block) => block.cut_thumbnail().then(|| block.into_bytes()),
        None => Some(exif),
    }
}

/// The JPEG that is the block's thumbnail.
pub fn thumbnail(exif: &[u8]) -> Option<Vec<u8>> {
    let block = Block::of(exif)?;
    block.thumbnail().map(<[u8]>::to_vec)
}

/// A block with room for a thumbnail of at most so many bytes, which is empty. None where the block is not sound or has
/// one already.
#[cfg(not(target_arch = "wasm32"))]
pub(in crate::codec) fn with_room(exif: &[u8], room: usize) -> Option<(Vec<u8>, Room)> {
    let mut block = Block::of(exif)?;
    let place = block.add_thumbnail(room)?;
    Some((block.into_bytes(), place))
}

/// The text of a tag in the first directory.
pub fn text(exif: &[u8], tag: u16) -> Option<String> {
    let block = Block::of(exif)?;
    let bytes = block.bytes(Place::Main, tag, ASCII)?;
    Some(Text::comment(bytes).text).filter(|text| !text.is_empty())
}

/// The copyright that the block names.
pub fn copyright(exif: &[u8]) -> Option<String> {
    text(exif, COPYRIGHT)
}

/// The description that the block holds.
pub fn description(exif: &[u8]) -> Option<String> {
    text(exif, IMAGE_DESCRIPTION)
}

/// The block, or a new one, with that text in its first directory.
pub fn with_text(exif: Option<Vec<u8>>, tag: u16, text: &str) -> Vec<u8> {
    edit(exif.unwrap_or_else(empty), |block| {
        let bytes = [text.as_bytes(), b"\0"].concat();
        block.set_bytes(Place::Main, tag, ASCII, &bytes);
    })
}

/// A block that names the owner of the rights and nothing else.
pub fn only_copyright(text: &str) -> Vec<u8> {
    with_text(None, COPYRIGHT, text)
}

/// At most `most` bytes of a block, made anew: the description is cut first, then maker notes and
/// comments go, last all of it. Also what was done.
pub fn shortened(exif: &[u8], most: usize) -> (Option<Vec<u8>>, Option<String>) {
    const MAKER_NOTE: u16 = 0x927C;
    const USER_COMMENT: u16 = 0x9286;
    const EXIF: u16 = 0x8769;
    let mut fields = tiff::fields_of(exif);
    if !fields.iter().any(|field| field.tag == ORIENTATION) {
        fields.push(tiff::Field::shorts(
            ORIENTATION,
            &[u16::from(orientation(exif))],
        ));
    }
    let written = |fields: &[tiff::Field]| {
        let mut block = b"II*\0\x08\0\0\0".to_vec();
        block.extend(tiff::serialise(fields, 8, false));
        block
    };
    let text = fields
        .iter_mut()
        .find(|field| field.tag == IMAGE_DESCRIPTION);
    let text = text.map(|field| (field.count, std::mem::take(&mut field.data)));
    fields.retain(|field| field.tag != IMAGE_DESCRIPTION);
    let mut did = Vec::new();
    for tag in [MAKER_NOTE, USER_COMMENT] {
        if written(&fields).len() <= most {
            break;
        }
        if let Some(inner) = (fields.iter_mut())
            .find(|field| field.tag == EXIF)
            .and_then(|field| field.inner.as_mut())
        {
            inner.retain(|field| field.tag != tag);
        }
        did.push(if tag == MAKER_NOTE {
            "maker notes were left out"
        } else {
            "the user's comment was left out"
        });
    }
    let len = written(&fields).len();
    if len > most {
        return (None, Some("it was left out".into()));
    }
    if let Some((_, text)) = text {
        // An entry, a closing zero, and evenness.
        let room = (most - len).saturating_sub(12 + 2);
        let text = Text::comment(&text).text;
        let short = cut(&text, room.saturating_sub(1));
        if short.len() < text.len() {
            did.push("the description was cut");
        }
        let data = [short.as_bytes(), b"\0"].concat();
        fields.push(tiff::Field::new(IMAGE_DESCRIPTION, ASCII, data.len(), data));
    }
    let did = (!did.is_empty()).then(|| did.join(", "));
    (Some(written(&fields)), did)
}

/// A block of an empty directory.
fn empty() -> Vec<u8> {
    b"II*\0\x08\0\0\0\0\0\0\0\0\0".to_vec()
}

fn edit(exif: Vec<u8>, change: impl FnOnce(&mut Block)) -> Vec<u8> {
    match Block::of(&exif) {
        Some(mut block) => {
            change(&mut block);
            block.into_bytes()
        }
        None => exif,
    }
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

    /// A block with an exposure's directory and a thumbnail of the given bytes.
    pub fn whole(thumbnail: &[u8]) -> Vec<u8> {
        let entry = |tag: u16, kind: u16, count: u32, value: u32| {
            [
                &tag.to_le_bytes()[..],
                &kind.to_le_bytes(),
                &count.to_le_bytes(),
                &value.to_le_bytes(),
            ]
            .concat()
        };
        let mut out = b"II*\0\x08\0\0\0\x03\0".to_vec();
        out.extend(entry(0x0112, 3, 1, 6));
        out.extend(entry(0x011A, 5, 1, 80));
        out.extend(entry(0x8769, 4, 1, 50));
        out.extend(88u32.to_le_bytes());
        out.extend(2u16.to_le_bytes());
        out.extend(entry(0xA002, 3, 1, 80));
        out.extend(entry(0xA003, 4, 1, 60));
        out.extend(0u32.to_le_bytes());
        out.extend([72, 0, 0, 0, 1, 0, 0, 0]);
        out.extend(2u16.to_le_bytes());
        out.extend(entry(0x0201, 4, 1, 118));
        out.extend(entry(0x0202, 4, 1, thumbnail.len() as u32));
        out.extend(0u32.to_le_bytes());
        out.extend(thumbnail);
        out
    }

    #[test]
    fn sizes_and_resolution_follow_and_the_thumbnail_goes() {
        let exif = whole(b"the whole picture");
        assert_eq!(orientation(&exif), 6);
        let inch = |v| Resolution::new(v, v, crate::metadata::Unit::Inch).unwrap();
        assert_eq!(resolution(&exif), None);
        let cut = without_thumbnail(exif.clone()).unwrap();
        assert_eq!(cut.len(), 88);
        assert!(!cut.windows(5).any(|w| w == b"whole"));
        let new = adapted(cut, (70_000, 20), Some(&inch(36.0)));
        assert_eq!(resolution(&new), Some(inch(36.0)));
        let block = Block::of(&new).unwrap();
        assert_eq!(block.number(Place::Exif, WIDTH), Some(70_000));
        assert_eq!(block.number(Place::Exif, HEIGHT), Some(20));
        assert_eq!(orientation(&new), 6);
        assert_eq!(orientation(&upright(new)), 1);
        for len in 0..exif.len() {
            let cut = exif[..len].to_vec();
            let _ = without_thumbnail(cut.clone());
            adapted(cut, (3, 3), Some(&inch(1.0)));
        }
    }

    #[test]
    fn a_thumbnail_that_lies_over_other_values_is_not_taken_out() {
        let mut exif = whole(b"picture");
        exif[88 + 2 + 8..][..4].copy_from_slice(&50u32.to_le_bytes());
        assert_eq!(without_thumbnail(exif), None);
    }

    #[test]
    fn texts_are_added_without_moving_what_is_there() {
        let exif = with_text(Some(block(true, 6)), COPYRIGHT, "me, 2026");
        assert_eq!(copyright(&exif).as_deref(), Some("me, 2026"));
        assert_eq!(orientation(&exif), 6);
        assert_eq!(text(&exif, 0x010F).as_deref(), Some("abc"));
        let longer = with_text(Some(exif), COPYRIGHT, "me and many others");
        assert_eq!(copyright(&longer).as_deref(), Some("me and many others"));
        let only = only_copyright("ab");
        assert_eq!(copyright(&only).as_deref(), Some("ab"));
        assert_eq!(description(&only), None);
    }

    #[test]
    fn an_orientation_of_32_bits_counts() {
        let mut exif = block(false, 6);
        exif[8 + 2 + 12 + 2] = 4;
        assert_eq!(orientation(&exif), 6);
        assert_eq!(orientation(&upright(exif)), 1);
    }
}
