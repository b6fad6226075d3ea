//! The TIFF container: byte order, directories and their values, classic and BigTIFF.
//!
//! Sources: TIFF revision 6.0 (1992) and the BigTIFF design of libtiff. All positions are checked
//! against the file's length before they are used, and every allocation is bounded by it.

use crate::codec::ReadSeek;
use crate::codec::limits::read_full;
use crate::error::{Error, Result};
use std::io::SeekFrom;

/// An error for a file that breaks the rules.
pub fn bad(what: impl std::fmt::Display) -> Error {
    Error::Decode(format!("not a sound TIFF file: {what}"))
}

/// An error for a file that ends before something it names.
pub fn truncated() -> Error {
    Error::Decode("truncated TIFF: the file ends too early".into())
}

/// A file open for reading.
pub struct File<'r> {
    input: &'r mut dyn ReadSeek,
    /// Bytes of the file.
    pub len: u64,
    /// Numbers have their high byte first.
    pub big: bool,
    /// BigTIFF: positions have 64 bits.
    pub wide: bool,
    /// Position of the first directory.
    pub first: u64,
}

/// One entry of a directory.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// What it tells.
    pub tag: u16,
    /// Type of its values (TIFF 6.0, page 15).
    pub kind: u16,
    /// Number of values.
    pub count: u64,
    /// The values, or their position.
    slot: [u8; 8],
}

/// What stands in one directory.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    /// Entries whose values lie within the file.
    pub entries: Vec<Entry>,
    /// Tags of those whose values do not.
    pub broken: Vec<u16>,
    /// Position of the next directory, 0 after the last; none where the file ends before it.
    pub next: Option<u64>,
}

/// Bytes of one value of that type; 0 for types that are not known.
pub fn kind_bytes(kind: u16) -> u64 {
    match kind {
        1 | 2 | 6 | 7 => 1,
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 | 16 | 17 | 18 => 8,
        _ => 0,
    }
}

impl<'r> File<'r> {
    /// Reads the header.
    pub fn open(input: &'r mut dyn ReadSeek) -> Result<File<'r>> {
        let len = input.seek(SeekFrom::End(0))?;
        let mut file = File {
            input,
            len,
            big: false,
            wide: false,
            first: 0,
        };
        let mut head = [0; 8];
        file.read_at(0, &mut head)?;
        file.big = match &head[..2] {
            b"II" => false,
            b"MM" => true,
            _ => return Err(bad("it begins with neither II nor MM")),
        };
        match file.number(&head[2..4]) {
            42 => file.first = file.number(&head[4..8]),
            43 => {
                if file.number(&head[4..6]) != 8 || head[6..8] != [0, 0] {
                    return Err(bad("BigTIFF with positions that have not 8 bytes"));
                }
                let mut first = [0; 8];
                file.read_at(8, &mut first)?;
                file.wide = true;
                file.first = file.number(&first);
            }
            other => return Err(bad(format!("version {other}"))),
        }
        Ok(file)
    }

    /// A file whose header was read before.
    pub fn resume(input: &'r mut dyn ReadSeek, len: u64) -> File<'r> {
        File {
            input,
            len,
            big: false,
            wide: false,
            first: 0,
        }
    }

    /// Fills `to` from position `at`.
    pub fn read_at(&mut self, at: u64, to: &mut [u8]) -> Result<()> {
        self.check(at, to.len() as u64)?;
        self.input.seek(SeekFrom::Start(at))?;
        read_full(self.input, to, "TIFF")
    }

    /// Whether the file has that many bytes there.
    pub fn check(&self, at: u64, bytes: u64) -> Result<()> {
        match at.checked_add(bytes) {
            Some(end) if end <= self.len => Ok(()),
            _ => Err(truncated()),
        }
    }

    /// A number of 1 to 8 bytes in the file's order.
    pub fn number(&self, bytes: &[u8]) -> u64 {
        let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        match self.big {
            true => bytes.iter().fold(0, add),
            false => bytes.iter().rev().fold(0, add),
        }
    }

    /// Number of entries of a directory.
    fn directory_len(&mut self, at: u64) -> Result<u64> {
        let (count_bytes, entry_bytes, _) = self.sizes();
        let mut number = [0; 8];
        self.read_at(at, &mut number[..count_bytes])?;
        let count = self.number(&number[..count_bytes]);
        let entries = count
            .checked_mul(entry_bytes as u64)
            .ok_or_else(truncated)?;
        self.check(at + count_bytes as u64, entries)?;
        if count == 0 {
            return Err(bad("a directory without entries"));
        }
        Ok(count)
    }

    fn sizes(&self) -> (usize, usize, usize) {
        if self.wide { (8, 20, 8) } else { (2, 12, 4) }
    }

    /// The directory at `at`. Entries whose values lie beyond the file's end are left out and named.
    pub fn directory(&mut self, at: u64) -> Result<Directory> {
        let count = self.directory_len(at)?;
        if count > 65_535 {
            return Err(bad(format!("a directory of {count} entries")));
        }
        let (count_bytes, entry_bytes, next_bytes) = self.sizes();
        let mut raw = vec![0; count as usize * entry_bytes];
        self.read_at(at + count_bytes as u64, &mut raw)?;
        let mut directory = Directory {
            entries: Vec::with_capacity(count as usize),
            broken: Vec::new(),
            next: None,
        };
        for raw in raw.chunks_exact(entry_bytes) {
            let half = if self.wide { 12 } else { 8 };
            let mut slot = [0; 8];
            slot[..entry_bytes - half].copy_from_slice(&raw[half..]);
            let entry = Entry {
                tag: self.number(&raw[..2]) as u16,
                kind: self.number(&raw[2..4]) as u16,
                count: self.number(&raw[4..half]),
                slot,
            };
            if kind_bytes(entry.kind) == 0 {
                continue;
            }
            match self.place(&entry) {
                Ok(_) => directory.entries.push(entry),
                Err(_) => directory.broken.push(entry.tag),
            }
        }
        let mut next = [0; 8];
        let after = at + (count_bytes + raw.len()) as u64;
        if self.read_at(after, &mut next[..next_bytes]).is_ok() {
            directory.next = Some(self.number(&next[..next_bytes]));
        }
        Ok(directory)
    }

    /// Bytes of an entry's values, and their position unless they stand in the entry itself.
    fn place(&self, entry: &Entry) -> Result<(u64, Option<u64>)> {
        let bytes = entry
            .count
            .checked_mul(kind_bytes(entry.kind))
            .ok_or_else(truncated)?;
        let inline = if self.wide { 8 } else { 4 };
        if bytes <= inline {
            return Ok((bytes, None));
        }
        let at = self.number(&entry.slot[..inline as usize]);
        self.check(at, bytes)?;
        Ok((bytes, Some(at)))
    }

    /// The bytes of an entry's first values, at most `most` bytes.
    pub fn bytes(&mut self, entry: &Entry, most: usize) -> Result<Vec<u8>> {
        let (bytes, at) = self.place(entry)?;
        let len = bytes.min(most as u64) as usize;
        match at {
            None => Ok(entry.slot[..len].to_vec()),
            Some(at) => {
                let mut out = vec![0; len];
                self.read_at(at, &mut out)?;
                Ok(out)
            }
        }
    }

    /// An entry's first whole numbers, at most `most`.
    pub fn numbers(&mut self, entry: &Entry, most: usize) -> Result<Vec<u64>> {
        let size = match entry.kind {
            // Some writers give lengths as signed numbers.
            1 | 3 | 4 | 6..=9 | 13 | 16..=18 => kind_bytes(entry.kind) as usize,
            kind => {
                return Err(bad(format!("tag {} has type {kind}", entry.tag)));
            }
        };
        let raw = self.bytes(entry, most.saturating_mul(size))?;
        Ok(raw.chunks_exact(size).map(|v| self.number(v)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn message(bytes: &[u8]) -> String {
        let mut cursor = Cursor::new(bytes.to_vec());
        let read = |file: &mut File<'_>| file.directory(file.first);
        match File::open(&mut cursor).and_then(|mut file| read(&mut file)) {
            Ok(d) => format!(
                "{} entries, broken {:?}, next {:?}",
                d.entries.len(),
                d.broken,
                d.next
            ),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn directories_are_read_in_either_order_and_broken_entries_are_named() {
        let little = b"II*\0\x08\0\0\0\x01\0\0\x01\x03\0\x01\0\0\0\x05\0\0\0\0\0\0\0";
        assert_eq!(message(little), "1 entries, broken [], next Some(0)");
        let big = b"MM\0*\0\0\0\x08\0\x01\x01\0\0\x03\0\0\0\x01\0\x05\0\0\0\0\0\0";
        assert_eq!(message(big), "1 entries, broken [], next Some(0)");
        let mut many = little.to_vec();
        many[14..18].fill(0xFF);
        assert_eq!(message(&many), "0 entries, broken [256], next Some(0)");
        for len in 0..22 {
            assert!(message(&little[..len]).contains("truncated"));
        }
        assert_eq!(message(&little[..25]), "1 entries, broken [], next None");
    }
}
