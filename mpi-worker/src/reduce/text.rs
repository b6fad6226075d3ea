//! Numbers in text: separated by blanks, line ends, commas or semicolons; `#` begins a comment.
//!
//! Decimal numbers in any usual notation, `inf`, `infinity` and `nan` in any case. Conversion is
//! correctly rounded. Between two separators of the kind `,` or `;` there must be a value, since a
//! missing one would shift all that follow; a line may end with one. A first line without any number names
//! columns and is no data.

use super::decimal::{BLANK, CLASS, COMMENT, FIELD, LINE, VALUE, Wrong, number};
use super::files::Opened;
use super::values::{BLOCK, Block, Source};
use imaging::{Error, Result};
use std::io::Read;
use std::path::{Path, PathBuf};

const BUFFER: usize = 256 << 10;

/// Reads the numbers of a text file.
pub struct Text {
    file: Opened,
    path: PathBuf,
    buffer: Vec<u8>,
    /// Bytes of `buffer` that are parsed, that end with a separator, and that are read.
    at: usize,
    whole: usize,
    end: usize,
    ended: bool,
    lines_before: usize,
    before: Before,
}

/// What came before the place where parsing goes on.
#[derive(Clone, Copy, PartialEq)]
enum Before {
    LineStart,
    Value,
    Field,
    Comment,
}

impl Text {
    /// A reader of the open file.
    pub fn new(file: Opened, path: &Path) -> Text {
        Text {
            file,
            path: path.to_owned(),
            buffer: vec![0; BUFFER],
            at: 0,
            whole: 0,
            end: 0,
            ended: false,
            lines_before: 0,
            before: Before::LineStart,
        }
    }

    /// Steps over a first line that names columns: one in which nothing is a number. Only at the beginning.
    pub fn header(&mut self) -> Result<Option<String>> {
        if !self.fill()? {
            return Ok(None);
        }
        let rest = &self.buffer[self.at..self.whole];
        let end = match rest.iter().position(|&b| b == b'\n') {
            Some(end) => end,
            None if self.ended => rest.len(),
            None => return Ok(None),
        };
        let line = String::from_utf8_lossy(&rest[..end]).trim().to_owned();
        let names = |part: &str| {
            let part = part.trim().trim_matches('"');
            let number = part.parse::<f64>().is_ok();
            !number && part.starts_with(|c: char| c.is_alphabetic() || c == '_')
        };
        // Names of nothing are no names.
        let follows = rest[(end + 1).min(rest.len())..]
            .iter()
            .any(|b| !b.is_ascii_whitespace());
        let is_header = follows
            && !line.is_empty()
            && line
                .split([',', ';', '\t', ' '])
                .filter(|p| !p.trim().is_empty())
                .all(names);
        if is_header {
            self.at += (end + 1).min(rest.len());
            self.before = Before::LineStart;
        }
        Ok(is_header.then_some(line))
    }

    /// The number of values in the whole file, without converting them.
    pub fn count(mut self) -> Result<usize> {
        let mut count = 0;
        while self.fill()? {
            let bytes = &self.buffer[self.at..self.whole];
            let mut inside = false;
            let mut comment = self.before == Before::Comment;
            for &byte in bytes {
                let class = CLASS[byte as usize];
                if comment {
                    comment = class != LINE;
                    continue;
                }
                comment = class == COMMENT;
                count += usize::from(class == VALUE && !inside);
                inside = class == VALUE;
            }
            self.before = match comment {
                true => Before::Comment,
                false => Before::Value,
            };
            self.at = self.whole;
        }
        Ok(count)
    }

    /// Reads on when all whole numbers in the buffer are used up; false at the end.
    fn fill(&mut self) -> Result<bool> {
        let first = self.lines_before == 0 && self.end == 0;
        while self.at == self.whole {
            if self.ended {
                return Ok(false);
            }
            self.lines_before += lines(&self.buffer[..self.at]);
            self.buffer.copy_within(self.at..self.end, 0);
            self.end -= self.at;
            self.at = 0;
            if self.end == self.buffer.len() {
                let wrong = Wrong {
                    at: 0,
                    what: "not a number",
                };
                return Err(self.wrong(wrong));
            }
            while self.end < self.buffer.len() {
                let n = self.file.read(&mut self.buffer[self.end..]);
                let n = n.map_err(|e| Error::Io(format!("{}: {e}", self.path.display())))?;
                if n == 0 {
                    self.ended = true;
                    break;
                }
                self.end += n;
            }
            self.whole = match self.ended {
                true => self.end,
                false => {
                    let separator = |b: &u8| CLASS[*b as usize] != VALUE;
                    let last = self.buffer[..self.end].iter().rposition(separator);
                    last.map_or(0, |last| last + 1)
                }
            };
        }
        if first && self.buffer[..self.end].starts_with(b"\xef\xbb\xbf") {
            self.at = 3;
        }
        Ok(true)
    }

    fn wrong(&self, wrong: Wrong) -> Error {
        let line = self.lines_before + lines(&self.buffer[..wrong.at]) + 1;
        let rest = &self.buffer[wrong.at..self.end];
        let separator = |b: &u8| CLASS[*b as usize] != VALUE;
        let token = &rest[..rest.iter().position(separator).unwrap_or(rest.len())];
        let mut shown = String::from_utf8_lossy(&token[..token.len().min(40)]).into_owned();
        if token.len() > 40 {
            shown.push('…');
        }
        let shown = shown.escape_debug();
        let (path, what) = (self.path.display(), wrong.what);
        Error::Decode(match token.is_empty() {
            true => format!("{path}, line {line}: {what}"),
            false => format!("{path}, line {line}: `{shown}` is {what}"),
        })
    }
}

fn lines(bytes: &[u8]) -> usize {
    bytes.iter().filter(|&&b| b == b'\n').count()
}

impl Source for Text {
    fn next(&mut self, block: &mut Block) -> Result<()> {
        block.clear();
        while block.hi.len() < BLOCK && self.fill()? {
            let bytes = &self.buffer[..self.whole];
            match parse(bytes, self.at, self.before, block) {
                Ok((at, before)) => (self.at, self.before) = (at, before),
                Err(wrong) => return Err(self.wrong(wrong)),
            }
        }
        Ok(())
    }
}

/// Parses whole numbers until the bytes or the room in the block are used up.
fn parse(
    bytes: &[u8],
    mut at: usize,
    mut before: Before,
    block: &mut Block,
) -> Result<(usize, Before), Wrong> {
    let missing = |at| Wrong {
        at,
        what: "a value is missing between two separators",
    };
    while at < bytes.len() {
        if before == Before::Comment {
            match bytes[at..].iter().position(|&b| b == b'\n') {
                Some(length) => at += length,
                None => return Ok((bytes.len(), before)),
            }
        }
        match CLASS[bytes[at] as usize] {
            VALUE => {
                if block.hi.len() == BLOCK {
                    return Ok((at, before));
                }
                at = number(bytes, at, block)?;
                before = Before::Value;
                continue;
            }
            BLANK => {}
            LINE => before = Before::LineStart,
            FIELD if before == Before::Value => before = Before::Field,
            FIELD => return Err(missing(at)),
            _ => before = Before::Comment,
        }
        at += 1;
    }
    Ok((at, before))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(text: &str) -> Result<Block, (usize, &'static str)> {
        let mut block = Block::new();
        match parse(text.as_bytes(), 0, Before::LineStart, &mut block) {
            Ok(_) => Ok(block),
            Err(wrong) => Err((wrong.at, wrong.what)),
        }
    }

    #[test]
    fn separators_and_notations() {
        let block =
            all("# a comment, 1 2\n1 2,3;4\t5\r\n+6.5,-7.25e1,\n.5 5. 1E-3 inf -Infinity # x\n-0")
                .unwrap();
        let expected = [
            1.0,
            2.0,
            3.0,
            4.0,
            5.0,
            6.5,
            -72.5,
            0.5,
            5.0,
            1e-3,
            f64::INFINITY,
            f64::NEG_INFINITY,
            -0.0,
        ];
        assert_eq!(block.hi, expected);
        assert!(!block.integers);
        assert!(all("nan").unwrap().hi[0].is_nan());
        assert!(all("1 -2\n9223372036854775807").unwrap().integers);
        assert!(!all("9223372036854775808").unwrap().integers);
    }

    #[test]
    fn what_is_no_number() {
        for (text, at) in [
            ("1 x", 2),
            ("1e", 0),
            ("1.2.3", 0),
            ("--1", 0),
            ("0x10", 0),
            ("1_0", 0),
            (".", 0),
            ("1 é", 2),
        ] {
            assert_eq!(all(text).unwrap_err(), (at, "not a number"), "{text}");
        }
        for (text, at) in [("1,,2", 2), (",1", 0), ("1\n;2", 2), ("1, ,2", 3)] {
            assert_eq!(all(text).unwrap_err().0, at, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn rounds_as_the_standard_library_does(
            negative: bool, a in "[0-9]{0,20}", b in "[0-9]{0,20}", e in proptest::option::of(-330i32..320), bits: u64
        ) {
            let mut texts = vec![format!("{:e}", f64::from_bits(bits)), format!("{}", f64::from_bits(bits)), format!("{:.18e}", f64::from_bits(bits))];
            let mut text = format!("{}{a}.{b}", if negative { "-" } else { "" });
            if let Some(e) = e {
                text.push_str(&format!("e{e}"));
            }
            if !(a.is_empty() && b.is_empty()) {
                texts.push(text);
            }
            for text in texts {
                let expected: f64 = text.parse().unwrap();
                let block = all(&text).unwrap();
                prop_assert!(block.hi[0].to_bits() == expected.to_bits() || expected.is_nan(), "{text}: {} {expected}", block.hi[0]);
            }
        }
    }
}
