//! The directories of an EXIF block, with values that can be changed in place.
//!
//! What does not fit into its old place is appended, and so is the first directory when it gets one
//! more entry: nothing that is there moves.

use super::{LONG, SHORT};
use std::ops::Range;

/// A block that begins with a sound header.
pub struct Block {
    bytes: Vec<u8>,
    big: bool,
}

/// Where in a block there is room for a thumbnail.
#[cfg(not(target_arch = "wasm32"))]
pub struct Room {
    /// Position of its bytes.
    pub at: usize,
    /// Position of the number that says how many they are.
    pub len_at: usize,
    big: bool,
}

#[cfg(not(target_arch = "wasm32"))]
impl Room {
    /// The bytes of a number in the block.
    pub fn number(&self, value: u32) -> [u8; 4] {
        match self.big {
            true => value.to_be_bytes(),
            false => value.to_le_bytes(),
        }
    }
}

/// Which directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The first.
    Main,
    /// That of the exposure, which the first points to.
    Exif,
}

const EXIF: u16 = 0x8769;
const GPS: u16 = 0x8825;
const INTEROPERABILITY: u16 = 0xA005;
const THUMBNAIL: [u16; 2] = [0x0201, 0x0202];
const STRIPS: [u16; 2] = [0x0111, 0x0117];

/// Bytes of one value; 0 for types that are not known.
fn size_of(kind: u16) -> usize {
    match kind {
        1 | 2 | 6 | 7 => 1,
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 => 8,
        _ => 0,
    }
}

impl Block {
    /// The block, unless its header is not that of a TIFF.
    pub fn of(exif: &[u8]) -> Option<Block> {
        let big = match exif.get(..4)? {
            [b'I', b'I', 42, 0] => false,
            [b'M', b'M', 0, 42] => true,
            _ => return None,
        };
        let block = Block {
            bytes: exif.to_vec(),
            big,
        };
        block.directory(Place::Main)?;
        Some(block)
    }

    /// The block as it is now.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    fn short(&self, at: usize) -> Option<u16> {
        let raw = self.bytes.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(match self.big {
            true => u16::from_be_bytes(raw),
            false => u16::from_le_bytes(raw),
        })
    }

    fn long(&self, at: usize) -> Option<u32> {
        let raw = self.bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(match self.big {
            true => u32::from_be_bytes(raw),
            false => u32::from_le_bytes(raw),
        })
    }

    fn short_bytes(&self, value: u16) -> [u8; 2] {
        match self.big {
            true => value.to_be_bytes(),
            false => value.to_le_bytes(),
        }
    }

    fn long_bytes(&self, value: u32) -> [u8; 4] {
        match self.big {
            true => value.to_be_bytes(),
            false => value.to_le_bytes(),
        }
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        if let Some(to) = self.bytes.get_mut(at..at + bytes.len()) {
            to.copy_from_slice(bytes);
        }
    }

    /// Positions of the entries of the directory at `at`, as far as they lie within the block.
    fn entries(&self, at: usize) -> Option<Vec<usize>> {
        let count = usize::from(self.short(at)?);
        let first = at.checked_add(2)?;
        let held = self.bytes.len().saturating_sub(first) / 12;
        Some((0..count.min(held)).map(|k| first + 12 * k).collect())
    }

    fn directory(&self, place: Place) -> Option<usize> {
        let main = self.long(4)? as usize;
        match place {
            Place::Main => self.entries(main).map(|_| main),
            Place::Exif => self.pointed(main, EXIF),
        }
    }

    fn pointed(&self, directory: usize, tag: u16) -> Option<usize> {
        let entry = self.entry_in(directory, tag)?;
        let at = self.long(entry + 8)? as usize;
        self.entries(at).map(|_| at)
    }

    fn entry_in(&self, directory: usize, tag: u16) -> Option<usize> {
        let entries = self.entries(directory)?;
        entries.into_iter().find(|&at| self.short(at) == Some(tag))
    }

    fn entry(&self, place: Place, tag: u16) -> Option<usize> {
        self.entry_in(self.directory(place)?, tag)
    }

    /// Where an entry's values lie; none where they are not within the block.
    fn value(&self, entry: usize) -> Option<Range<usize>> {
        let size = size_of(self.short(entry + 2)?);
        let len = size.checked_mul(self.long(entry + 4)? as usize)?;
        let at = match len <= 4 {
            true => entry + 8,
            false => self.long(entry + 8)? as usize,
        };
        let end = at.checked_add(len)?;
        (size > 0 && end <= self.bytes.len()).then_some(at..end)
    }

    /// Whether there is such an entry.
    pub fn has(&self, place: Place, tag: u16) -> bool {
        self.entry(place, tag).is_some()
    }

    /// The values of a type as bytes.
    pub fn bytes(&self, place: Place, tag: u16, kind: u16) -> Option<&[u8]> {
        let entry = self.entry(place, tag)?;
        let range = self.value(entry)?;
        (self.short(entry + 2) == Some(kind)).then(|| &self.bytes[range])
    }

    /// A single whole number.
    pub fn number(&self, place: Place, tag: u16) -> Option<u32> {
        let entry = self.entry(place, tag)?;
        let at = self.value(entry)?.start;
        match (self.short(entry + 2)?, self.long(entry + 4)?) {
            (SHORT, 1) => self.short(at).map(u32::from),
            (LONG, 1) => self.long(at),
            _ => None,
        }
    }

    /// 32-bit numbers, of a type that is made of them.
    pub fn longs(&self, place: Place, tag: u16, kind: u16) -> Option<Vec<u32>> {
        let entry = self.entry(place, tag)?;
        let range = self.value(entry)?;
        if self.short(entry + 2)? != kind {
            return None;
        }
        range.step_by(4).map(|at| self.long(at)).collect()
    }

    /// Sets a single whole number, in two bytes if it fits.
    pub fn set_number(&mut self, place: Place, tag: u16, value: u32) {
        match u16::try_from(value) {
            Ok(value) => {
                let bytes = self.short_bytes(value);
                self.set(place, tag, SHORT, 1, &bytes);
            }
            Err(_) => {
                let bytes = self.long_bytes(value);
                self.set(place, tag, LONG, 1, &bytes);
            }
        }
    }

    /// Sets 32-bit numbers of a type that is made of them.
    pub fn set_longs(&mut self, place: Place, tag: u16, kind: u16, values: &[u32]) {
        let bytes: Vec<u8> = values.iter().flat_map(|&v| self.long_bytes(v)).collect();
        let count = bytes.len() / size_of(kind).max(1);
        self.set(place, tag, kind, count as u32, &bytes);
    }

    /// Sets values that are bytes.
    pub fn set_bytes(&mut self, place: Place, tag: u16, kind: u16, bytes: &[u8]) {
        self.set(place, tag, kind, bytes.len() as u32, bytes);
    }

    fn set(&mut self, place: Place, tag: u16, kind: u16, count: u32, bytes: &[u8]) {
        let Some(entry) = self.entry(place, tag).or_else(|| self.add(place, tag)) else {
            return;
        };
        let old = self.value(entry).filter(|old| old.len() > 4);
        let (kind, count) = (self.short_bytes(kind), self.long_bytes(count));
        self.put(entry + 2, &kind);
        self.put(entry + 4, &count);
        if bytes.len() <= 4 {
            self.put(entry + 8, &[0; 4]);
            self.put(entry + 8, bytes);
            return;
        }
        let at = match old.filter(|old| old.len() >= bytes.len()) {
            Some(old) => {
                self.bytes[old.clone()].fill(0);
                self.bytes[old.start..old.start + bytes.len()].copy_from_slice(bytes);
                old.start
            }
            None => self.append(bytes),
        };
        let at = self.long_bytes(at as u32);
        self.put(entry + 8, &at);
    }

    /// Appends at an even position.
    fn append(&mut self, bytes: &[u8]) -> usize {
        if self.bytes.len() % 2 == 1 {
            self.bytes.push(0);
        }
        let at = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        at
    }

    /// A copy of the first directory with one more entry; the old one is no longer pointed to.
    fn add(&mut self, place: Place, tag: u16) -> Option<usize> {
        if place != Place::Main {
            return None;
        }
        let main = self.directory(Place::Main)?;
        let entries = self.entries(main)?;
        let before = (entries.iter())
            .filter(|&&at| self.short(at).is_some_and(|t| t < tag))
            .count();
        let raw = self.bytes.get(main + 2..main + 2 + 12 * entries.len())?;
        let (low, high) = raw.split_at(12 * before);
        let count = u16::try_from(entries.len() + 1).ok()?;
        let next = self.long(main + 2 + 12 * entries.len()).unwrap_or(0);
        let new = [
            &self.short_bytes(count)[..],
            low,
            &self.short_bytes(tag),
            &[0; 10],
            high,
            &self.long_bytes(next),
        ]
        .concat();
        let at = self.append(&new);
        let pointer = self.long_bytes(at as u32);
        self.put(4, &pointer);
        Some(at + 2 + 12 * before)
    }

    /// What the directories other than the thumbnail's take up.
    fn used(&self) -> Vec<Range<usize>> {
        let header = 0..8;
        let mut all = vec![header];
        let Some(main) = self.directory(Place::Main) else {
            return all;
        };
        let exif = self.pointed(main, EXIF);
        let gps = self.pointed(main, GPS);
        let interoperability = exif.and_then(|exif| self.pointed(exif, INTEROPERABILITY));
        for at in [Some(main), exif, gps, interoperability]
            .into_iter()
            .flatten()
        {
            let entries = self.entries(at).unwrap_or_default();
            all.push(at..(at + 2 + 12 * entries.len() + 4).min(self.bytes.len()));
            all.extend(entries.iter().filter_map(|&entry| self.value(entry)));
        }
        all
    }

    /// The position of the pointer to the thumbnail's directory, and that.
    fn second(&self) -> Option<(usize, u32)> {
        let main = self.directory(Place::Main)?;
        let pointer = main + 2 + 12 * self.entries(main)?.len();
        Some((pointer, self.long(pointer)?))
    }

    /// The JPEG that is the thumbnail; none where it is empty.
    pub fn thumbnail(&self) -> Option<&[u8]> {
        let (_, at) = self.second().filter(|(_, at)| *at != 0)?;
        let number = |tag| {
            let entry = self.entry_in(at as usize, tag)?;
            self.long(entry + 8).map(|v| v as usize)
        };
        let [start, len] = THUMBNAIL.map(number);
        let bytes = self.bytes.get(start?..start?.checked_add(len?)?)?;
        Some(bytes).filter(|bytes| !bytes.is_empty())
    }

    /// Appends the directory of a thumbnail that is empty, and room for one.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn add_thumbnail(&mut self, room: usize) -> Option<Room> {
        let (pointer, _) = self.second().filter(|(_, at)| *at == 0)?;
        let entry = |tag: u16, kind: u16, value: [u8; 4]| {
            let one = self.long_bytes(1);
            [
                &self.short_bytes(tag)[..],
                &self.short_bytes(kind),
                &one,
                &value,
            ]
            .concat()
        };
        const COMPRESSION: u16 = 0x0103;
        // An even position, as `append` makes it; the bytes follow the directory.
        let at = self.bytes.len().next_multiple_of(2);
        let start = at + 2 + 3 * 12 + 4;
        let [a, b] = self.short_bytes(6);
        let directory = [
            self.short_bytes(3).to_vec(),
            entry(COMPRESSION, SHORT, [a, b, 0, 0]),
            entry(
                THUMBNAIL[0],
                LONG,
                self.long_bytes(u32::try_from(start).ok()?),
            ),
            entry(THUMBNAIL[1], LONG, [0; 4]),
            vec![0; 4 + room],
        ]
        .concat();
        let at = self.append(&directory);
        let bytes = self.long_bytes(at as u32);
        self.put(pointer, &bytes);
        Some(Room {
            at: start,
            len_at: at + 2 + 2 * 12 + 8,
            big: self.big,
        })
    }

    /// Overwrites the thumbnail and its directory; false where other values lie in them.
    pub fn cut_thumbnail(&mut self) -> bool {
        let Some(main) = self.directory(Place::Main) else {
            return true;
        };
        let pointer = main + 2 + 12 * self.entries(main).unwrap_or_default().len();
        let Some(at) = self.long(pointer).filter(|&at| at != 0) else {
            return true;
        };
        self.put(pointer, &[0; 4]);
        let at = at as usize;
        let Some(entries) = self.entries(at) else {
            return true;
        };
        let end = (at + 2 + 12 * entries.len() + 4).min(self.bytes.len());
        let directory = at..end;
        let mut gone = vec![directory];
        gone.extend(entries.iter().filter_map(|&entry| self.value(entry)));
        for [from, len] in [THUMBNAIL, STRIPS] {
            let list = |tag| -> Vec<usize> {
                let Some(entry) = self.entry_in(at, tag) else {
                    return Vec::new();
                };
                let Some(range) = self.value(entry) else {
                    return Vec::new();
                };
                match self.short(entry + 2) {
                    Some(SHORT) => (range.step_by(2))
                        .filter_map(|at| self.short(at).map(usize::from))
                        .collect(),
                    Some(LONG) => (range.step_by(4))
                        .filter_map(|at| self.long(at).map(|v| v as usize))
                        .collect(),
                    _ => Vec::new(),
                }
            };
            for (start, len) in list(from).into_iter().zip(list(len)) {
                let end = start.saturating_add(len).min(self.bytes.len());
                gone.push(start.min(end)..end);
            }
        }
        let used = self.used();
        let overlap = |a: &Range<usize>, b: &Range<usize>| a.start < b.end && b.start < a.end;
        if gone
            .iter()
            .any(|gone| used.iter().any(|used| overlap(gone, used)))
        {
            return false;
        }
        for range in gone {
            self.bytes[range].fill(0);
        }
        // What lay at the end is not kept as zeros.
        let last = used.iter().map(|used| used.end).max().unwrap_or(0);
        let held = self
            .bytes
            .iter()
            .rposition(|&b| b != 0)
            .map_or(0, |at| at + 1);
        self.bytes
            .truncate(held.max(last).next_multiple_of(2).min(self.bytes.len()));
        true
    }
}
