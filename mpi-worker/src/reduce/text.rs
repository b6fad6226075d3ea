//! Numbers in text: separated by blanks, line ends, commas or semicolons; `#` begins a comment.
//!
//! Decimal numbers in any usual notation, `inf`, `infinity` and `nan` in any case. Conversion is
//! correctly rounded. Between two separators of the kind `,` or `;` there must be a value, since a
//! missing one would shift all that follow; a line may end with one. A first line without any number names
//! columns and is no data.

use super::double::two_product;
use super::files::Opened;
use super::values::{BLOCK, Block, Source};
use imaging::{Error, Result};
use std::io::Read;
use std::path::{Path, PathBuf};

const VALUE: u8 = 0;
const BLANK: u8 = 1;
const LINE: u8 = 2;
const FIELD: u8 = 3;
const COMMENT: u8 = 4;

const CLASS: [u8; 256] = {
    let mut class = [VALUE; 256];
    class[b' ' as usize] = BLANK;
    class[b'\t' as usize] = BLANK;
    class[b'\r' as usize] = BLANK;
    class[0x0b] = BLANK;
    class[0x0c] = BLANK;
    class[b'\n' as usize] = LINE;
    class[b',' as usize] = FIELD;
    class[b';' as usize] = FIELD;
    class[b'#' as usize] = COMMENT;
    class
};

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

struct Wrong {
    at: usize,
    what: &'static str,
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

const TENS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

const POWERS: [u64; 8] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000];

/// The number of eight digits, a byte each, the first in the lowest byte.
#[inline(always)]
fn eight(v: u64) -> u64 {
    let v = v.wrapping_mul(2561) >> 8;
    let v = (v & 0x00ff_00ff_00ff_00ff).wrapping_mul(6_553_601) >> 16;
    (v & 0x0000_ffff_0000_ffff).wrapping_mul(42_949_672_960_001) >> 32
}

/// Appends the digits from `at` on to `value`; returns where they end. Eight bytes at a time, without a branch that
/// depends on how many of them are digits, since that is what cannot be foreseen.
#[inline(always)]
fn digits(bytes: &[u8], mut at: usize, mut value: u64) -> (usize, u64) {
    while let Some(word) = bytes
        .get(at..at + 8)
        .and_then(|w| <[u8; 8]>::try_from(w).ok())
    {
        let v = u64::from_le_bytes(word) ^ 0x3030_3030_3030_3030;
        // The lowest marked byte is the first that is no digit; those above it may be marked wrongly.
        let others = (v.wrapping_add(0x7676_7676_7676_7676) | v) & 0x8080_8080_8080_8080;
        if others == 0 {
            value = value.wrapping_mul(100_000_000).wrapping_add(eight(v));
            at += 8;
            continue;
        }
        let count = others.trailing_zeros() / 8;
        // Shifted in two steps, so that no digit at all is no special case.
        let v = (v << (56 - 8 * count)) << 8;
        let power = POWERS[count as usize & 7];
        return (
            at + count as usize,
            value.wrapping_mul(power).wrapping_add(eight(v)),
        );
    }
    while let Some(digit) = bytes.get(at).map(|b| b.wrapping_sub(b'0'))
        && digit < 10
    {
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
        at += 1;
    }
    (at, value)
}

/// Converts the number at `start` and returns where it ends.
#[inline(always)]
fn number(bytes: &[u8], start: usize, block: &mut Block) -> Result<usize, Wrong> {
    let negative = bytes[start] == b'-';
    let first = start + usize::from(negative || bytes[start] == b'+');
    let (mut at, mut value) = digits(bytes, first, 0);
    let (mut count, mut scale, mut whole) = (at - first, 0i32, true);
    if bytes.get(at) == Some(&b'.') {
        let after = at + 1;
        (at, value) = digits(bytes, after, value);
        count += at - after;
        scale = -((at - after).min(1 << 20) as i32);
        whole = false;
    }
    if count > 0 && bytes.get(at).is_some_and(|b| b | 32 == b'e') {
        let up = bytes.get(at + 1) == Some(&b'+');
        let down = bytes.get(at + 1) == Some(&b'-');
        let after = at + 1 + usize::from(up || down);
        let (end, exponent) = digits(bytes, after, 0);
        if end == after || end - after > 6 {
            return slow(bytes, start, block);
        }
        scale += if down { -1 } else { 1 } * exponent as i32;
        at = end;
        whole = false;
    }
    let ends = bytes.get(at).is_none_or(|&b| CLASS[b as usize] != VALUE);
    // 19 digits always fit 64 bits.
    if count == 0 || count > 19 || !ends {
        return slow(bytes, start, block);
    }
    if whole {
        if value < 1 << 53 && !(negative && value == 0) {
            let hi = value as f64;
            block.hi.push(signed_by(hi, negative));
            if !block.lo.is_empty() {
                block.lo.push(0.0);
            }
            return Ok(at);
        }
        let signed = match negative {
            true => -i128::from(value),
            false => i128::from(value),
        };
        if i64::try_from(signed).is_err() || value == 0 {
            return slow(bytes, start, block);
        }
        block.push_integer(signed);
        return Ok(at);
    }
    let Some(magnitude) = scaled(value, scale) else {
        return slow(bytes, start, block);
    };
    block.push_float(signed_by(magnitude, negative));
    Ok(at)
}

/// Signs come as they like, so that they are no branch.
#[inline(always)]
fn signed_by(magnitude: f64, negative: bool) -> f64 {
    f64::from_bits(magnitude.to_bits() | (u64::from(negative) << 63))
}

/// `value * 10^scale` correctly rounded, where that is certain without long arithmetic.
#[inline(always)]
fn scaled(value: u64, scale: i32) -> Option<f64> {
    let power = *TENS.get(scale.unsigned_abs() as usize)?;
    if value <= 1 << 53 {
        let value = value as f64;
        return Some(if scale < 0 {
            value / power
        } else {
            value * power
        });
    }
    if scale >= 0 {
        return None;
    }
    // Both parts are exact; the quotient is good to about 2^-104 of its value, so it is rounded the
    // right way unless it lies that close to the middle of two doubles.
    let (hi, lo) = ((value & !2047) as f64, (value & 2047) as f64);
    let quotient = (hi + lo) / power;
    let (product, error) = two_product(quotient, power);
    let rest = (((hi - product) - error) + lo) / power;
    let margin = quotient * 2f64.powi(-98);
    let (low, high) = (quotient + (rest - margin), quotient + (rest + margin));
    (low == high).then_some(low)
}

/// Any notation, by the standard library.
#[cold]
#[inline(never)]
fn slow(bytes: &[u8], start: usize, block: &mut Block) -> Result<usize, Wrong> {
    let wrong = Wrong {
        at: start,
        what: "not a number",
    };
    let rest = &bytes[start..];
    let end = rest.iter().position(|&b| CLASS[b as usize] != VALUE);
    let end = end.unwrap_or(rest.len());
    let Ok(token) = std::str::from_utf8(&rest[..end]) else {
        return Err(wrong);
    };
    match token.parse::<i64>() {
        // A negative zero is kept for what becomes of it among floats.
        Ok(0) if token.starts_with('-') => {
            block.hi.push(-0.0);
            if !block.lo.is_empty() {
                block.lo.push(0.0);
            }
        }
        Ok(integer) => block.push_integer(i128::from(integer)),
        Err(_) => match token.parse::<f64>() {
            Ok(float) => block.push_float(float),
            Err(_) => return Err(wrong),
        },
    }
    Ok(start + end)
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
    fn digits_end_at_any_other_byte() {
        for count in 0..=19 {
            let number: String = "1234567890987654321"[..count].into();
            for other in (0..=u8::MAX).filter(|b| !b.is_ascii_digit()) {
                for after in [b"".as_slice(), b"9", b"99999999", b"\0\xff:/0123456789"] {
                    let bytes = [b"7", number.as_bytes(), &[other], after].concat();
                    let expected = number.parse().unwrap_or(0);
                    assert_eq!(digits(&bytes, 1, 0), (count + 1, expected), "{bytes:?}");
                }
            }
        }
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

        #[test]
        fn sixteen_to_nineteen_digits(value: u64, scale in -22i32..=0) {
            if let Some(float) = scaled(value, scale) {
                let expected: f64 = format!("{value}e{scale}").parse().unwrap();
                prop_assert_eq!(float, expected);
            }
        }
    }
}
