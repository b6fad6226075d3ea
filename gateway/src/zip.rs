//! Writes a zip archive as a stream: entries are stored as they are, sizes and checksums follow them (APPNOTE 6.3.10), and
//! what does not fit into 32 bits has its zip64 form. Holds no more than the directory.

use crc32fast::Hasher;

/// What does not fit is told elsewhere.
const NARROW: u64 = 0xffff_ffff;
/// Checksum and sizes follow; the name is UTF-8.
const FLAGS: u16 = 1 << 3 | 1 << 11;
/// By Unix, so that permissions count; zip64 is known.
const MADE_BY: u16 = 3 << 8 | 45;
/// A plain file that others may read.
const MODE: u32 = 0o100_644 << 16;
/// 1 January 1980: the same results are the same bytes whenever they are asked for.
const DATE: u16 = 1 << 5 | 1;

/// An entry of the directory.
#[derive(Debug)]
struct Entry {
    name: String,
    offset: u64,
    size: u64,
    crc: u32,
    wide: bool,
}

/// An archive under way.
#[derive(Debug, Default)]
pub(crate) struct Zip {
    written: u64,
    entries: Vec<Entry>,
    crc: Hasher,
}

impl Zip {
    /// The head of an entry of at most `most` bytes. Its bytes come next.
    pub(crate) fn begin(&mut self, name: String, most: u64) -> Vec<u8> {
        let wide = most >= NARROW;
        let mut head = Vec::with_capacity(30 + name.len() + 20);
        put32(&mut head, 0x0403_4b50);
        put16(&mut head, version(wide));
        put16(&mut head, FLAGS);
        put16(&mut head, 0);
        put16(&mut head, 0);
        put16(&mut head, DATE);
        put32(&mut head, 0);
        let unknown = if wide { NARROW as u32 } else { 0 };
        put32(&mut head, unknown);
        put32(&mut head, unknown);
        put16(&mut head, name.len() as u16);
        put16(&mut head, if wide { 20 } else { 0 });
        head.extend_from_slice(name.as_bytes());
        if wide {
            put16(&mut head, 1);
            put16(&mut head, 16);
            put64(&mut head, 0);
            put64(&mut head, 0);
        }
        self.entries.push(Entry {
            name,
            offset: self.written,
            size: 0,
            crc: 0,
            wide,
        });
        self.crc = Hasher::new();
        self.written += head.len() as u64;
        head
    }

    /// Counts bytes of the entry; they go out as they are.
    pub(crate) fn count(&mut self, bytes: &[u8]) {
        self.crc.update(bytes);
        self.written += bytes.len() as u64;
        if let Some(entry) = self.entries.last_mut() {
            entry.size += bytes.len() as u64;
        }
    }

    /// What follows the bytes of an entry. None if there were more than was said, so that the archive would be wrong.
    pub(crate) fn end(&mut self) -> Option<Vec<u8>> {
        let entry = self.entries.last_mut()?;
        if !entry.wide && entry.size >= NARROW {
            return None;
        }
        entry.crc = self.crc.clone().finalize();
        let mut tail = Vec::with_capacity(24);
        put32(&mut tail, 0x0807_4b50);
        put32(&mut tail, entry.crc);
        for _ in 0..2 {
            match entry.wide {
                true => put64(&mut tail, entry.size),
                false => put32(&mut tail, entry.size as u32),
            }
        }
        self.written += tail.len() as u64;
        Some(tail)
    }

    /// The directory, which ends the archive.
    pub(crate) fn finish(self) -> Vec<u8> {
        let begin = self.written;
        let mut out = Vec::new();
        for entry in &self.entries {
            directory_entry(&mut out, entry);
        }
        let (size, n) = (out.len() as u64, self.entries.len() as u64);
        if n >= 0xffff || begin >= NARROW || size >= NARROW {
            let end = begin + size;
            put32(&mut out, 0x0606_4b50);
            put64(&mut out, 44);
            put16(&mut out, MADE_BY);
            put16(&mut out, 45);
            put32(&mut out, 0);
            put32(&mut out, 0);
            put64(&mut out, n);
            put64(&mut out, n);
            put64(&mut out, size);
            put64(&mut out, begin);
            put32(&mut out, 0x0706_4b50);
            put32(&mut out, 0);
            put64(&mut out, end);
            put32(&mut out, 1);
        }
        put32(&mut out, 0x0605_4b50);
        put32(&mut out, 0);
        put16(&mut out, n.min(0xffff) as u16);
        put16(&mut out, n.min(0xffff) as u16);
        put32(&mut out, size.min(NARROW) as u32);
        put32(&mut out, begin.min(NARROW) as u32);
        put16(&mut out, 0);
        out
    }
}

fn directory_entry(out: &mut Vec<u8>, entry: &Entry) {
    // Only what does not fit is in the extra field, in this order.
    let mut extra = Vec::new();
    if entry.wide {
        put64(&mut extra, entry.size);
        put64(&mut extra, entry.size);
    }
    let far = entry.offset >= NARROW;
    if far {
        put64(&mut extra, entry.offset);
    }
    put32(out, 0x0201_4b50);
    put16(out, MADE_BY);
    put16(out, version(entry.wide || far));
    put16(out, FLAGS);
    put16(out, 0);
    put16(out, 0);
    put16(out, DATE);
    put32(out, entry.crc);
    for _ in 0..2 {
        let size = if entry.wide { NARROW } else { entry.size };
        put32(out, size as u32);
    }
    put16(out, entry.name.len() as u16);
    let field = if extra.is_empty() { 0 } else { extra.len() + 4 };
    put16(out, field as u16);
    put16(out, 0);
    put16(out, 0);
    put16(out, 0);
    put32(out, MODE);
    put32(out, entry.offset.min(NARROW) as u32);
    out.extend_from_slice(entry.name.as_bytes());
    if !extra.is_empty() {
        put16(out, 1);
        put16(out, extra.len() as u16);
        out.extend_from_slice(&extra);
    }
}

fn version(wide: bool) -> u16 {
    if wide { 45 } else { 20 }
}

fn put16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn put32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn put64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_into_32_bits_is_wide() {
        let mut zip = Zip::default();
        assert_eq!(zip.begin("a".into(), NARROW - 1).len(), 31);
        zip.count(b"abc");
        assert_eq!(zip.end().unwrap().len(), 16);
        assert_eq!(zip.begin("b".into(), NARROW).len(), 51);
        assert_eq!(zip.end().unwrap().len(), 24);
        // As after many bytes.
        zip.written = NARROW;
        zip.begin("c".into(), 1);
        assert!(zip.end().is_some());
        let directory = zip.finish();
        let has = |signature: u32| {
            let signature = signature.to_le_bytes();
            directory.windows(4).any(|window| window == signature)
        };
        assert!(has(0x0606_4b50) && has(0x0706_4b50) && has(0x0605_4b50));
    }

    #[test]
    fn an_entry_that_grew_too_long_is_noticed() {
        let mut zip = Zip::default();
        zip.begin("a".into(), 10);
        zip.entries[0].size = NARROW;
        assert!(zip.end().is_none());
    }

    #[test]
    fn many_entries_are_counted_in_the_wide_form() {
        let mut zip = Zip::default();
        for n in 0..0xffff {
            zip.begin(format!("{n}"), 0);
            zip.end().unwrap();
        }
        let directory = zip.finish();
        let signature = 0x0606_4b50u32.to_le_bytes();
        let at = directory.windows(4).position(|window| window == signature);
        let count = &directory[at.unwrap() + 24..][..8];
        assert_eq!(count, 0xffffu64.to_le_bytes());
    }
}
