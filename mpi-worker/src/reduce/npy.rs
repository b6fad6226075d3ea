//! NumPy's `.npy`: the header, reading numbers of any usual type, and the header to write.
//!
//! Versions 1 to 3; floats of 16, 32 and 64 bits, signed and unsigned integers of 8 to 64 bits and
//! truth values, in either byte order. Arrays in Fortran order are held whole while they are read.

use super::files::Opened;
use super::values::{BLOCK, Block, Source};
use imaging::{Error, Result};
use std::io::Read;
use std::path::{Path, PathBuf};

/// The type of the numbers in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `f2`, `f4`, `f8`.
    Float,
    /// `i1` to `i8`.
    Signed,
    /// `u1` to `u8`, `b1`.
    Unsigned,
}

/// What the header says.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    kind: Kind,
    bytes: usize,
    big_endian: bool,
    /// Whether the first index changes fastest.
    fortran: bool,
    /// Lengths of the dimensions; empty for a single number.
    pub shape: Vec<usize>,
}

impl Header {
    /// Number of values.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether the values are integers.
    pub fn integers(&self) -> bool {
        self.kind != Kind::Float
    }

    /// Reads the header and leaves the file at the first value.
    pub fn read(file: &mut Opened, path: &Path) -> Result<Header> {
        let wrong = |what: &str| Error::Decode(format!("{}: {what}", path.display()));
        let io = |e: std::io::Error| match e.kind() {
            std::io::ErrorKind::UnexpectedEof => wrong("the .npy header is cut off"),
            _ => Error::Io(format!("{}: {e}", path.display())),
        };
        let mut start = [0; 10];
        file.read_exact(&mut start).map_err(io)?;
        let mut length = usize::from(u16::from_le_bytes([start[8], start[9]]));
        match start[6] {
            1 => {}
            2 | 3 => {
                let mut high = [0; 2];
                file.read_exact(&mut high).map_err(io)?;
                length |= usize::from(u16::from_le_bytes(high)) << 16;
            }
            other => {
                return Err(wrong(&format!(
                    "version {other} of .npy is not known (1 to 3 are)"
                )));
            }
        }
        if length > 1 << 20 {
            return Err(wrong("the .npy header is longer than 1 MiB"));
        }
        let mut text = vec![0; length];
        file.read_exact(&mut text).map_err(io)?;
        let text = String::from_utf8_lossy(&text);
        Header::parse(&text).map_err(|what| wrong(&what))
    }

    fn parse(text: &str) -> Result<Header, String> {
        let field = |name: &str| {
            let quoted = [format!("'{name}'"), format!("\"{name}\"")];
            let rest = quoted.iter().find_map(|q| text.split_once(q.as_str()));
            let value = rest.and_then(|(_, rest)| rest.trim_start().strip_prefix(':'));
            value
                .map(str::trim_start)
                .ok_or_else(|| format!("the .npy header has no `{name}`"))
        };
        let descr = field("descr")?;
        let descr = match descr.strip_prefix(['\'', '"']) {
            Some(rest) => rest.split(['\'', '"']).next().unwrap_or_default(),
            None => return Err("arrays of records are not read (hint: save one field)".into()),
        };
        let unknown = || {
            format!(
                "numbers of type `{descr}` are not read (f2, f4, f8, i1 to i8, u1 to u8 and b1 are)"
            )
        };
        let (order, kind) = match descr.as_bytes() {
            [order @ (b'<' | b'>' | b'|' | b'='), _, ..] => (*order, &descr[1..]),
            _ => (b'=', descr),
        };
        let (kind, bytes) = match kind {
            "f2" => (Kind::Float, 2),
            "f4" => (Kind::Float, 4),
            "f8" => (Kind::Float, 8),
            "i1" => (Kind::Signed, 1),
            "i2" => (Kind::Signed, 2),
            "i4" => (Kind::Signed, 4),
            "i8" => (Kind::Signed, 8),
            "u1" | "b1" | "?" => (Kind::Unsigned, 1),
            "u2" => (Kind::Unsigned, 2),
            "u4" => (Kind::Unsigned, 4),
            "u8" => (Kind::Unsigned, 8),
            _ => return Err(unknown()),
        };
        let big_endian = match order {
            b'>' => true,
            b'=' => cfg!(target_endian = "big"),
            _ => false,
        };
        let shape = field("shape")?;
        let inside = shape.strip_prefix('(').and_then(|s| s.split_once(')'));
        let Some((inside, _)) = inside else {
            return Err("the .npy header's `shape` is no tuple".into());
        };
        let mut lengths = Vec::new();
        let mut total = 1usize;
        for part in inside.split(',').map(str::trim).filter(|p| !p.is_empty()) {
            let length: usize = part
                .parse()
                .map_err(|_| format!("the .npy header's `shape` has `{part}`"))?;
            total = total
                .checked_mul(length)
                .filter(|&n| n <= 1 << 48)
                .ok_or("the .npy header's `shape` is too large")?;
            lengths.push(length);
        }
        let fortran = field("fortran_order")?.starts_with("True")
            && lengths.iter().filter(|&&n| n > 1).count() > 1;
        Ok(Header {
            kind,
            bytes,
            big_endian,
            fortran,
            shape: lengths,
        })
    }
}

/// Reads the numbers of a `.npy` file.
pub struct Npy {
    file: Opened,
    path: PathBuf,
    header: Header,
    left: usize,
    bytes: Vec<u8>,
    /// All bytes in C order, of an array in Fortran order.
    turned: Option<Vec<u8>>,
}

impl Npy {
    /// A reader of the open file, which is at its beginning.
    pub fn new(mut file: Opened, path: &Path) -> Result<Npy> {
        let header = Header::read(&mut file, path)?;
        let left = header.len();
        Ok(Npy {
            file,
            path: path.to_owned(),
            header,
            left,
            bytes: Vec::new(),
            turned: None,
        })
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.header
    }
}

impl Npy {
    fn cut_off(&self, error: std::io::Error) -> Error {
        let path = self.path.display();
        match error.kind() {
            std::io::ErrorKind::UnexpectedEof => Error::Decode(format!(
                "{path}: the file is cut off: {} values of {} are announced",
                self.header.len(),
                super::layout::describe(&self.header.shape)
            )),
            _ => Error::Io(format!("{path}: {error}")),
        }
    }

    /// All bytes with the last index changing fastest.
    fn turn(&mut self) -> Result<Vec<u8>> {
        let (size, shape) = (self.header.bytes, self.header.shape.clone());
        let total = self.header.len() * size;
        // What is announced is only believed as far as it comes.
        let mut stored = Vec::new();
        let read = (&mut self.file).take(total as u64).read_to_end(&mut stored);
        read.map_err(|error| self.cut_off(error))?;
        if stored.len() < total {
            return Err(self.cut_off(std::io::ErrorKind::UnexpectedEof.into()));
        }
        let mut turned = Vec::with_capacity(total);
        let mut index = vec![0usize; shape.len()];
        for _ in 0..self.header.len() {
            let at = (index.iter().zip(&shape).rev()).fold(0, |at, (i, n)| at * n + i) * size;
            turned.extend_from_slice(&stored[at..at + size]);
            for (i, n) in index.iter_mut().zip(&shape).rev() {
                *i += 1;
                if *i < *n {
                    break;
                }
                *i = 0;
            }
        }
        Ok(turned)
    }
}

/// The value of a 16-bit float.
fn half(bits: u16) -> f64 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 1023));
    let size = match exponent {
        0 => fraction * f64::exp2(-24.0),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        e => (1024.0 + fraction) * f64::exp2(f64::from(e - 25)),
    };
    if bits >> 15 == 1 { -size } else { size }
}

impl Source for Npy {
    fn next(&mut self, block: &mut Block) -> Result<()> {
        block.clear();
        let n = self.left.min(BLOCK);
        let size = self.header.bytes;
        if self.header.fortran {
            if self.turned.is_none() {
                self.turned = Some(self.turn()?);
            }
            let at = (self.header.len() - self.left) * size;
            let all = self.turned.as_deref().unwrap_or_default();
            self.bytes.clear();
            self.bytes.extend_from_slice(&all[at..at + n * size]);
        } else {
            self.bytes.resize(n * size, 0);
            let read = self.file.read_exact(&mut self.bytes);
            read.map_err(|error| self.cut_off(error))?;
        }
        self.left -= n;
        if self.header.big_endian {
            self.bytes.chunks_exact_mut(size).for_each(<[u8]>::reverse);
        }
        block.integers &= n == 0 || self.header.integers();
        convert(&self.bytes, self.header.kind, size, block);
        Ok(())
    }
}

/// Little-endian bytes to values.
fn convert(bytes: &[u8], kind: Kind, size: usize, block: &mut Block) {
    macro_rules! values {
        ($t:ty, $wide:ty) => {{
            let (chunks, _) = bytes.as_chunks();
            let values = chunks
                .iter()
                .map(|&b| <$t>::from_le_bytes(b) as $wide as f64);
            block.hi.extend(values)
        }};
    }
    macro_rules! integers {
        ($t:ty) => {{
            let (chunks, _) = bytes.as_chunks();
            for &b in chunks {
                block.push_integer(i128::from(<$t>::from_le_bytes(b)));
            }
        }};
    }
    match (kind, size) {
        (Kind::Float, 2) => {
            let (chunks, _) = bytes.as_chunks();
            let values = chunks.iter().map(|&b| half(u16::from_le_bytes(b)));
            block.hi.extend(values)
        }
        (Kind::Float, 4) => values!(f32, f32),
        (Kind::Float, _) => values!(f64, f64),
        (Kind::Signed, 1) => values!(i8, i32),
        (Kind::Signed, 2) => values!(i16, i32),
        (Kind::Signed, 4) => values!(i32, i32),
        (Kind::Signed, _) => integers!(i64),
        (Kind::Unsigned, 1) => values!(u8, u32),
        (Kind::Unsigned, 2) => values!(u16, u32),
        (Kind::Unsigned, 4) => values!(u32, u32),
        (Kind::Unsigned, _) => integers!(u64),
    }
}

/// The bytes before the values of an array of `shape` with numbers of type `descr`, as `<f8`.
pub fn header_bytes(descr: &str, shape: &[usize]) -> Vec<u8> {
    let mut lengths: String = shape.iter().map(|n| format!("{n}, ")).collect();
    if shape.len() > 1 {
        lengths.truncate(lengths.len() - 2);
    } else {
        lengths.truncate(lengths.trim_end().len());
    }
    let mut text =
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({lengths}), }}");
    let unpadded = 10 + text.len() + 1;
    text.push_str(&" ".repeat(unpadded.next_multiple_of(64) - unpadded));
    text.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.into_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers() {
        let text = "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }";
        let header = Header::parse(text).unwrap();
        assert_eq!((header.len(), header.integers()), (12, false));
        let text = "{'descr': '>i2', 'fortran_order': True, 'shape': (5,), }";
        let header = Header::parse(text).unwrap();
        assert!(header.big_endian && header.integers() && header.shape == [5]);
        assert!(!header.fortran, "one dimension has one order");
        let text = "{'descr': '<f2', 'fortran_order': True, 'shape': (3, 2)}";
        assert!(Header::parse(text).unwrap().fortran);
        for (text, part) in [
            (
                "{'descr': '<c8', 'fortran_order': False, 'shape': (3,)}",
                "`<c8`",
            ),
            (
                "{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (3,)}",
                "records",
            ),
            ("{'descr': '<f8', 'fortran_order': False}", "`shape`"),
            (
                "{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999, 99999999999)}",
                "too large",
            ),
        ] {
            assert!(Header::parse(text).unwrap_err().contains(part), "{text}");
        }
    }

    #[test]
    fn halves() {
        let values = [0x3C00, 0xC000, 0x7BFF, 0x0001, 0x3555, 0x7C00].map(half);
        assert_eq!(values[..4], [1.0, -2.0, 65504.0, 2f64.powi(-24)]);
        assert!((values[4] - 1.0 / 3.0).abs() < 1e-4 && values[5].is_infinite());
        assert!(half(0x7E00).is_nan());
    }

    #[test]
    fn header_is_padded_to_64_bytes() {
        for shape in [&[][..], &[7], &[2, 3], &[2, 3, 4]] {
            let bytes = header_bytes("<f8", shape);
            assert_eq!(bytes.len() % 64, 0);
            let text = String::from_utf8_lossy(&bytes[10..]).into_owned();
            assert_eq!(Header::parse(&text).unwrap().shape, shape);
        }
    }
}
