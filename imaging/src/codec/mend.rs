//! A file as it should have been: some bytes are replaced while it is read, and an end is appended.
//!
//! So decoders stay strict, and what is forgiven is said in one place of each format.

use std::io::{Read, Result, Seek, SeekFrom};

/// A file that is mended as it is read.
pub(super) struct Mended<R> {
    input: R,
    /// Where bytes are replaced, and by which.
    patches: Vec<(u64, Vec<u8>)>,
    /// Bytes of the file that are used.
    len: u64,
    /// What follows them.
    tail: &'static [u8],
    at: u64,
}

impl<R: Read + Seek> Mended<R> {
    /// A file to which nothing is done yet, from its beginning.
    pub fn new(mut input: R) -> Result<Mended<R>> {
        let len = input.seek(SeekFrom::End(0))?;
        input.seek(SeekFrom::Start(0))?;
        Ok(Mended {
            input,
            patches: Vec::new(),
            len,
            tail: &[],
            at: 0,
        })
    }

    /// Bytes that are there to be read.
    pub fn len(&self) -> u64 {
        self.len + self.tail.len() as u64
    }

    /// Puts these bytes in the place of as many that begin there.
    pub fn replace(&mut self, at: u64, bytes: Vec<u8>) {
        self.patches.push((at, bytes));
    }

    /// Ends the file there, with these bytes.
    pub fn end(&mut self, len: u64, tail: &'static [u8]) {
        (self.len, self.tail) = (len.min(self.len), tail);
    }
}

impl<R: Read + Seek> Read for Mended<R> {
    fn read(&mut self, to: &mut [u8]) -> Result<usize> {
        if self.at >= self.len {
            let past = usize::try_from(self.at - self.len).unwrap_or(usize::MAX);
            let rest = self.tail.get(past..).unwrap_or(&[]);
            let count = rest.len().min(to.len());
            to[..count].copy_from_slice(&rest[..count]);
            self.at += count as u64;
            return Ok(count);
        }
        let most = usize::try_from(self.len - self.at).unwrap_or(usize::MAX);
        let most = most.min(to.len());
        let count = self.input.read(&mut to[..most])?;
        for (place, bytes) in &self.patches {
            let first = (*place).max(self.at);
            let last = (place + bytes.len() as u64).min(self.at + count as u64);
            for here in first..last {
                to[(here - self.at) as usize] = bytes[(here - place) as usize];
            }
        }
        self.at += count as u64;
        Ok(count)
    }
}

impl<R: Read + Seek> Seek for Mended<R> {
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        let whole = self.len + self.tail.len() as u64;
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => whole.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        let wrong = || std::io::Error::from(std::io::ErrorKind::InvalidInput);
        self.at = at.ok_or_else(wrong)?;
        self.input.seek(SeekFrom::Start(self.at.min(self.len)))?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    #[test]
    fn bytes_are_replaced_and_an_end_appended_wherever_reading_begins() {
        let mut mended = Mended::new(Cursor::new(b"0123456789".to_vec())).unwrap();
        mended.replace(2, b"ab".to_vec());
        mended.replace(6, b"c".to_vec());
        mended.end(8, b"END");
        let whole = b"01ab45c7END";
        for from in 0..=whole.len() + 1 {
            for step in 1..5 {
                mended.seek(SeekFrom::Start(from as u64)).unwrap();
                let mut all = Vec::new();
                let mut piece = vec![0; step];
                loop {
                    match mended.read(&mut piece).unwrap() {
                        0 => break,
                        n => all.extend_from_slice(&piece[..n]),
                    }
                }
                assert_eq!(all, whole[from.min(whole.len())..]);
            }
        }
        assert_eq!(mended.seek(SeekFrom::End(-3)).unwrap(), 8);
        assert!(mended.seek(SeekFrom::Current(-9)).is_err());
    }
}
