//! Images packed tile by tile in a table (FITS standard 4.0, chapter 10): RICE_1, GZIP_1, GZIP_2 and none; floats that
//! were made whole numbers become floats again, with their dither taken out.

use super::header::bad;
use super::rice;
use crate::codec::ReadSeek;
use crate::codec::limits::read_full;
use crate::codec::raw::Raw;
use crate::error::{Error, Result};
use std::collections::HashMap;
use std::io::{Read, SeekFrom};

/// How a tile's numbers are packed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// Differences of numbers of so many bytes, in blocks of so many.
    Rice(usize, usize),
    Gzip,
    /// The bytes of numbers stand apart.
    Shuffled,
    Plain,
}

/// How floats were made whole numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Dither {
    No,
    Subtractive,
    /// The same, with zeros kept.
    ZeroKept,
}

/// Where a column lies in a row of the table.
#[derive(Clone, Copy, Debug)]
struct Column {
    at: usize,
    /// Whether places of what varies in length have 64 bits.
    wide: bool,
    kind: u8,
}

/// An image in a table of tiles.
#[derive(Clone, Debug)]
pub struct Packed {
    kind: Kind,
    sides: [usize; 3],
    tile: [usize; 3],
    row: usize,
    rows: usize,
    table: u64,
    heap: u64,
    data: Option<Column>,
    gzip: Option<Column>,
    plain: Option<Column>,
    scale: Option<Column>,
    zero: Option<Column>,
    /// Where they are the same for all tiles.
    fixed: Option<(f64, f64)>,
    blank: Option<i64>,
    dither: Dither,
    first: usize,
}

/// Least and greatest of what is said of sizes.
fn whole(cards: &HashMap<String, String>, key: &str) -> Option<i64> {
    cards.get(key)?.parse().ok()
}

impl Packed {
    /// What the cards of a table say, which begins at `table`; its image has these sides.
    pub fn of(
        cards: &HashMap<String, String>,
        table: u64,
        (row, rows): (u64, u64),
        sides: &[u64],
    ) -> Result<Packed> {
        let side = |k: usize| sides.get(k).map_or(1, |&n| n as usize);
        let sides = [side(0), side(1), side(2)];
        let tile: [usize; 3] = std::array::from_fn(|k| {
            let usual = if k == 0 { sides[0] } else { 1 };
            let given =
                whole(cards, &format!("ZTILE{}", k + 1)).and_then(|n| usize::try_from(n).ok());
            given.unwrap_or(usual).clamp(1, sides[k].max(1))
        });
        let named = |name: &str| {
            (1..=99).find_map(|k| {
                (cards.get(&format!("ZNAME{k}"))? == name)
                    .then(|| whole(cards, &format!("ZVAL{k}")))?
            })
        };
        let kind = match cards.get("ZCMPTYPE").map_or("", String::as_str) {
            "RICE_1" | "RICE_ONE" => {
                let bytes = named("BYTEPIX").unwrap_or(4);
                let block = named("BLOCKSIZE").unwrap_or(32);
                match (bytes, block) {
                    (1 | 2 | 4, 1..=1024) => Kind::Rice(bytes as usize, block as usize),
                    _ => {
                        return Err(bad(format!(
                            "numbers of {bytes} bytes in blocks of {block}"
                        )));
                    }
                }
            }
            "GZIP_1" => Kind::Gzip,
            "GZIP_2" => Kind::Shuffled,
            "NOCOMPRESS" => Kind::Plain,
            other => {
                return Err(Error::Decode(format!(
                    "FITS images packed by {other} are not read (RICE_1, GZIP_1 and GZIP_2 are; funpack unpacks it)"
                )));
            }
        };
        let columns = columns(cards)?;
        let find = |name: &str| columns.iter().find(|(n, _)| n == name).map(|(_, c)| *c);
        let real = |key: &str| cards.get(key).and_then(|v| v.parse::<f64>().ok());
        let gap = whole(cards, "THEAP").and_then(|n| u64::try_from(n).ok());
        let gap = gap.unwrap_or(row.saturating_mul(rows));
        let packed = Packed {
            kind,
            sides,
            tile,
            row: row as usize,
            rows: rows as usize,
            table,
            heap: table.saturating_add(gap),
            data: find("COMPRESSED_DATA"),
            gzip: find("GZIP_COMPRESSED_DATA"),
            plain: find("UNCOMPRESSED_DATA"),
            scale: find("ZSCALE"),
            zero: find("ZZERO"),
            fixed: real("ZSCALE").zip(real("ZZERO")),
            blank: whole(cards, "ZBLANK"),
            dither: match cards.get("ZQUANTIZ").map_or("", String::as_str) {
                "SUBTRACTIVE_DITHER_1" => Dither::Subtractive,
                "SUBTRACTIVE_DITHER_2" => Dither::ZeroKept,
                _ => Dither::No,
            },
            first: whole(cards, "ZDITHER0").map_or(1, |n| n.clamp(1, 10_000) as usize) - 1,
        };
        let tiles: usize = (0..3).map(|k| packed.count(k)).product();
        let ends = columns
            .iter()
            .map(|(_, c)| c.at + if c.wide { 16 } else { 8 });
        if tiles != packed.rows || ends.max().unwrap_or(usize::MAX) > packed.row {
            return Err(bad(format!(
                "{} tiles where {tiles} are needed",
                packed.rows
            )));
        }
        Ok(packed)
    }

    /// Tiles along an axis.
    fn count(&self, axis: usize) -> usize {
        self.sides[axis].div_ceil(self.tile[axis])
    }

    /// All numbers, as they would lie in a file that is not packed.
    pub fn unpack(&self, input: &mut dyn ReadSeek, raw: Raw) -> Result<Vec<u8>> {
        let bytes = raw.bytes();
        let [cols, rows, planes] = self.sides;
        let mut out = vec![0; cols * rows * planes * bytes];
        let mut line = vec![0; self.row];
        for number in 0..self.rows {
            input.seek(SeekFrom::Start(self.table + (number * self.row) as u64))?;
            read_full(input, &mut line, "FITS")?;
            let (across, up) = (self.count(0), self.count(1));
            let tile = [
                number % across,
                number / across % up,
                number / (across * up),
            ];
            let from: [usize; 3] = std::array::from_fn(|k| tile[k] * self.tile[k]);
            let size: [usize; 3] =
                std::array::from_fn(|k| self.tile[k].min(self.sides[k] - from[k]));
            let numbers = self.tile(input, &line, number, size.iter().product(), raw)?;
            for (at, part) in numbers.chunks_exact(size[0] * bytes).enumerate() {
                let (y, z) = (from[1] + at % size[1], from[2] + at / size[1]);
                let to = ((z * rows + y) * cols + from[0]) * bytes;
                out[to..to + part.len()].copy_from_slice(part);
            }
        }
        Ok(out)
    }

    /// One tile's numbers.
    fn tile(
        &self,
        input: &mut dyn ReadSeek,
        line: &[u8],
        number: usize,
        count: usize,
        raw: Raw,
    ) -> Result<Vec<u8>> {
        let float = matches!(raw, Raw::F32 | Raw::F64);
        let mut bytes = |column: Option<Column>| match column {
            Some(column) => self.heap(input, line, column),
            None => Ok(Vec::new()),
        };
        let needed = count * raw.bytes();
        let data = bytes(self.data)?;
        if data.is_empty() {
            // What could not be packed otherwise.
            let gzip = bytes(self.gzip)?;
            let plain = match gzip.is_empty() {
                true => bytes(self.plain)?,
                false => inflate(&gzip, needed)?,
            };
            return exactly(plain, needed);
        }
        let scale = match (self.scale, self.zero, self.fixed) {
            (Some(scale), Some(zero), _) => Some((double(line, scale), double(line, zero))),
            (_, _, fixed) => fixed,
        };
        let quantized = float && scale.is_some();
        let width = if quantized { 4 } else { raw.bytes() };
        let numbers = match self.kind {
            Kind::Rice(from, block) if !float || quantized => {
                widened(&rice::unpack(&data, count, from, block)?, from, width)
            }
            Kind::Rice(..) => return Err(bad("floats packed as whole numbers")),
            // Programs of before the standard pack numbers of four bytes whatever the image has.
            Kind::Gzip if !float && width < 4 => match inflate(&data, count * 4)? {
                data if data.len() == count * 4 => narrowed(&data, width)?,
                data => data,
            },
            Kind::Gzip => inflate(&data, count * width)?,
            Kind::Shuffled => gathered(&inflate(&data, count * width)?, width),
            Kind::Plain => data,
        };
        let numbers = exactly(numbers, count * width)?;
        match scale.filter(|_| quantized) {
            Some((scale, zero)) => Ok(self.floats(&numbers, number, scale, zero, raw)),
            None => Ok(numbers),
        }
    }

    /// What a row of the table has somewhere behind it.
    fn heap(&self, input: &mut dyn ReadSeek, line: &[u8], column: Column) -> Result<Vec<u8>> {
        let number = |at: usize, len: usize| {
            let raw = &line[column.at + at..column.at + at + len];
            raw.iter().fold(0u64, |all, &b| all << 8 | u64::from(b))
        };
        let (count, at) = match column.wide {
            true => (number(0, 8), number(8, 8)),
            false => (number(0, 4), number(4, 4)),
        };
        let each = match column.kind {
            b'I' => 2,
            b'J' | b'E' => 4,
            b'K' | b'D' => 8,
            _ => 1,
        };
        let (at, len) = (self.heap.saturating_add(at), count.saturating_mul(each));
        let end = input.seek(SeekFrom::End(0))?;
        if at.saturating_add(len) > end {
            return Err(Error::Decode(
                "truncated FITS: a tile lies beyond its end".into(),
            ));
        }
        let mut data = vec![0; len as usize];
        input.seek(SeekFrom::Start(at))?;
        read_full(input, &mut data, "FITS")?;
        Ok(data)
    }

    /// Floats of the whole numbers that they were made.
    fn floats(&self, numbers: &[u8], tile: usize, scale: f64, zero: f64, raw: Raw) -> Vec<u8> {
        const ZERO: i32 = -2_147_483_646;
        let mut dither = Randoms::at(self.first + tile);
        let mut out = Vec::with_capacity(numbers.len() / 4 * raw.bytes());
        for number in numbers.as_chunks::<4>().0 {
            let number = i32::from_be_bytes(*number);
            let random = match self.dither {
                Dither::No => 0.5,
                _ => dither.next(),
            };
            let value = match self.blank {
                Some(blank) if blank == i64::from(number) => f64::NAN,
                _ if number == ZERO && self.dither == Dither::ZeroKept => 0.0,
                _ => (f64::from(number) - random + 0.5) * scale + zero,
            };
            match raw {
                Raw::F64 => out.extend(value.to_be_bytes()),
                _ => out.extend((value as f32).to_be_bytes()),
            }
        }
        out
    }
}

/// The columns of a table that begin with their name: where each lies, and what it holds.
fn columns(cards: &HashMap<String, String>) -> Result<Vec<(String, Column)>> {
    let fields = whole(cards, "TFIELDS").unwrap_or(0).clamp(0, 999);
    let mut found = Vec::new();
    let mut at = 0usize;
    for k in 1..=fields {
        let form = cards.get(&format!("TFORM{k}")).map_or("", String::as_str);
        let digits = form.bytes().take_while(u8::is_ascii_digit).count();
        let count = form[..digits].parse().unwrap_or(1usize);
        let kinds = &form.as_bytes()[digits..];
        let kind = kinds.first().copied().unwrap_or(0);
        let bytes = match kind {
            b'L' | b'B' | b'A' => 1,
            b'I' => 2,
            b'J' | b'E' => 4,
            b'K' | b'D' | b'C' | b'P' => 8,
            b'M' | b'Q' => 16,
            b'X' => 0,
            _ => return Err(bad(format!("a column of the form `{form}`"))),
        };
        let len = match kind {
            b'X' => Some(count.div_ceil(8)),
            _ => count.checked_mul(bytes),
        };
        let name = cards.get(&format!("TTYPE{k}")).cloned().unwrap_or_default();
        let column = Column {
            at,
            wide: kind == b'Q',
            kind: match kind {
                b'P' | b'Q' => kinds.get(1).copied().unwrap_or(b'B'),
                other => other,
            },
        };
        let varies = matches!(kind, b'P' | b'Q') && count == 1;
        let known = match name.as_str() {
            "COMPRESSED_DATA" | "GZIP_COMPRESSED_DATA" | "UNCOMPRESSED_DATA" => varies,
            "ZSCALE" | "ZZERO" => kind == b'D' && count == 1,
            _ => false,
        };
        if known {
            found.push((name, column));
        }
        at = len
            .and_then(|len| at.checked_add(len))
            .ok_or_else(|| bad("the columns of its table"))?;
    }
    Ok(found)
}

fn double(line: &[u8], column: Column) -> f64 {
    let mut raw = [0; 8];
    raw.copy_from_slice(&line[column.at..column.at + 8]);
    f64::from_be_bytes(raw)
}

fn exactly(data: Vec<u8>, len: usize) -> Result<Vec<u8>> {
    match data.len() == len {
        true => Ok(data),
        false => Err(bad(format!(
            "a tile of {} bytes where {len} are needed",
            data.len()
        ))),
    }
}

fn inflate(data: &[u8], most: usize) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(most);
    let mut stream = flate2::read::GzDecoder::new(data).take(most as u64 + 1);
    stream
        .read_to_end(&mut out)
        .map_err(|_| bad("a tile that cannot be unpacked"))?;
    Ok(out)
}

/// Numbers whose first bytes all come first, then their second ones.
fn gathered(data: &[u8], width: usize) -> Vec<u8> {
    let count = data.len() / width.max(1);
    (0..count * width)
        .map(|at| data[at % width * count + at / width])
        .collect()
}

/// Big-endian numbers of `to` bytes of signed ones of `from`; those of a byte have no sign.
fn widened(data: &[u8], from: usize, to: usize) -> Vec<u8> {
    if from == to {
        return data.to_vec();
    }
    let numbers = data.chunks_exact(from).map(|raw| match raw {
        [v] => i64::from(*v),
        [a, b] => i64::from(i16::from_be_bytes([*a, *b])),
        [a, b, c, d] => i64::from(i32::from_be_bytes([*a, *b, *c, *d])),
        _ => 0,
    });
    numbers
        .flat_map(|v| v.to_be_bytes().into_iter().skip(8 - to.min(8)))
        .collect()
}

/// Big-endian numbers of `to` bytes of signed ones of four; those of a byte have no sign.
fn narrowed(data: &[u8], to: usize) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(data.len() / 4 * to);
    for raw in data.as_chunks::<4>().0 {
        let number = i32::from_be_bytes(*raw);
        let fits = match to {
            1 => u8::try_from(number).is_ok(),
            _ => i16::try_from(number).is_ok(),
        };
        if !fits {
            return Err(bad(format!("{number} in a tile, beyond its {to} bytes")));
        }
        out.extend_from_slice(&raw[4 - to..]);
    }
    Ok(out)
}

/// The sequence of numbers in 0..1 that all programs dither by (chapter 10.2.1, appendix I).
struct Randoms {
    all: Vec<f64>,
    row: usize,
    at: usize,
}

impl Randoms {
    const COUNT: usize = 10_000;

    fn at(tile: usize) -> Randoms {
        let mut seed = 1u64;
        let all: Vec<f64> = (0..Self::COUNT)
            .map(|_| {
                seed = seed * 16807 % 2_147_483_647;
                f64::from((seed as f64 / 2_147_483_647.0) as f32)
            })
            .collect();
        let row = tile % Self::COUNT;
        let at = (all[row] * 500.0) as usize;
        Randoms { all, row, at }
    }

    fn next(&mut self) -> f64 {
        let value = self.all[self.at];
        self.at += 1;
        if self.at == Self::COUNT {
            self.row = (self.row + 1) % Self::COUNT;
            self.at = (self.all[self.row] * 500.0) as usize;
        }
        value
    }
}

#[cfg(test)]
#[path = "packed_tests.rs"]
mod tests;
