//! A fast deflate encoder for filtered image rows: runs of one byte, and a Huffman code of its own for
//! each block.
//!
//! Rows that went through a PNG filter or a TIFF predictor are noise around zero: searching them for
//! repeated strings costs much and saves little. This encoder (RFC 1951) looks for runs alone, so its
//! speed is that of counting and of writing codes, and its result depends on nothing but the input.

mod huffman;

use huffman::{Code, canonical, lengths};

/// Longest code of a literal or length: four codes and a remainder of seven bits fit into 64 bits.
const LIMIT: usize = 12;
const END: usize = 256;
const SYMBOLS: usize = 286;
/// The order in which RFC 1951 stores the lengths of the code for lengths.
const ORDER: [usize; 19] = [
    16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
];
const LENGTH_BASE: [u16; 29] = [
    3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131,
    163, 195, 227, 258,
];
const LENGTH_EXTRA: [u8; 29] = [
    0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0,
];

/// Literals, then a run of the last of them.
struct Token {
    literals: u32,
    run: u32,
}

/// Writes bits from the lowest up, as deflate wants them.
struct Bits<'a> {
    out: &'a mut [u8],
    at: usize,
    held: u64,
    count: u32,
}

impl Bits<'_> {
    /// Adds up to 16 bits to the at most 48 held.
    #[inline(always)]
    fn push(&mut self, bits: u32, count: u32) {
        self.held |= u64::from(bits) << self.count;
        self.count += count;
    }

    /// Stores all whole bytes held.
    #[inline(always)]
    fn flush(&mut self) {
        self.out[self.at..self.at + 8].copy_from_slice(&self.held.to_le_bytes());
        let bytes = self.count / 8;
        self.at += bytes as usize;
        self.held >>= bytes * 8;
        self.count &= 7;
    }

    fn put(&mut self, bits: u32, count: u32) {
        self.push(bits, count);
        self.flush();
    }

    /// Fills the last byte with zero bits.
    fn align(&mut self) {
        self.count = self.count.div_ceil(8) * 8;
        self.flush();
    }
}

/// Appends `data` as one deflate block that is not the last, followed by an empty stored block, so
/// that the result ends on a byte and blocks made apart can follow one another.
pub fn append_block(data: &[u8], out: &mut Vec<u8>) {
    let tokens = scan(data);
    let counts = count(data, &tokens);
    let code_lengths = lengths(&counts, LIMIT);
    let codes = canonical(&code_lengths);
    let cost: u64 = (0..SYMBOLS)
        .map(|s| {
            let extra = if s > END {
                LENGTH_EXTRA[s - 257] + 1
            } else {
                0
            };
            u64::from(counts[s]) * u64::from(code_lengths[s] + extra)
        })
        .sum();
    if cost / 8 + 100 >= data.len() as u64 {
        return append_stored(data, out);
    }
    let start = out.len();
    out.resize(start + (cost / 8) as usize + 512, 0);
    let mut bits = Bits {
        out: &mut out[start..],
        at: 0,
        held: 0,
        count: 0,
    };
    bits.put(0b100, 3);
    write_code(&code_lengths, &mut bits);
    write_tokens(data, &tokens, &codes, &mut bits);
    // An empty stored block.
    bits.put(0, 3);
    bits.align();
    bits.put(0, 16);
    bits.put(0xffff, 16);
    let end = start + bits.at;
    out.truncate(end);
}

/// Appends `data` uncompressed: blocks that are not the last.
pub fn append_stored(data: &[u8], out: &mut Vec<u8>) {
    out.reserve(data.len() + data.len() / 0xffff * 5 + 5);
    for piece in data.chunks(0xffff) {
        let length = piece.len() as u16;
        out.push(0);
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&(!length).to_le_bytes());
        out.extend_from_slice(piece);
    }
}

/// Appends the empty last block of a stream.
pub fn append_end(out: &mut Vec<u8>) {
    out.extend_from_slice(&[3, 0]);
}

/// `data` as a zlib stream of its own (RFC 1950).
pub fn zlib(data: &[u8]) -> Vec<u8> {
    let mut out = vec![0x78, 0x01];
    for block in data.chunks(256 << 10) {
        append_block(block, &mut out);
    }
    append_end(&mut out);
    out.extend_from_slice(&adler(data).to_be_bytes());
    out
}

/// The checksum at the end of a zlib stream.
pub fn adler(data: &[u8]) -> u32 {
    let mut sum = simd_adler32::Adler32::new();
    sum.write(data);
    sum.finish()
}

/// The checksum of two pieces of data, of which the second has `len` bytes.
pub fn adler_of_both(first: u32, second: u32, len: usize) -> u32 {
    const PRIME: u64 = 65521;
    let (a1, b1) = (u64::from(first & 0xffff), u64::from(first >> 16));
    let (a2, b2) = (u64::from(second & 0xffff), u64::from(second >> 16));
    let a = (a1 + a2 + PRIME - 1) % PRIME;
    let b = (b1 + b2 + (len as u64 % PRIME) * (a1 + PRIME - 1)) % PRIME;
    (b << 16 | a) as u32
}

fn word(data: &[u8], at: usize) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&data[at..at + 8]);
    u64::from_le_bytes(bytes)
}

/// Finds runs of at least nine equal bytes.
fn scan(data: &[u8]) -> Vec<Token> {
    let mut tokens = Vec::new();
    let (mut start, mut at) = (0, 1);
    while at + 8 <= data.len() {
        if word(data, at) != word(data, at - 1) {
            at += 8;
            continue;
        }
        let byte = data[at];
        let mut from = at;
        while from > start + 1 && data[from - 2] == byte {
            from -= 1;
        }
        let mut end = at + 8;
        while end + 8 <= data.len() && word(data, end) == word(data, end - 1) {
            end += 8;
        }
        while end < data.len() && data[end] == byte {
            end += 1;
        }
        tokens.push(Token {
            literals: (from - start) as u32,
            run: (end - from) as u32,
        });
        start = end;
        // The run's next match needs a literal before it.
        at = end + 1;
    }
    if start < data.len() {
        tokens.push(Token {
            literals: (data.len() - start) as u32,
            run: 0,
        });
    }
    tokens
}

/// Calls `match_of` with the lengths (3..=258) that make up a run.
#[inline(always)]
fn cut_run(mut run: u32, mut match_of: impl FnMut(u32)) {
    while run > 0 {
        let length = match run {
            0..=258 => run,
            259..=260 => 255,
            _ => 258,
        };
        match_of(length);
        run -= length;
    }
}

fn length_index(length: u32) -> usize {
    LENGTH_BASE.partition_point(|&base| u32::from(base) <= length) - 1
}

fn count(data: &[u8], tokens: &[Token]) -> [u32; SYMBOLS] {
    // Four tables: equal neighbours would otherwise wait for one another.
    let mut tables = [[0u32; 256]; 4];
    let mut counts = [0; SYMBOLS];
    let mut at = 0;
    for token in tokens {
        let literals = &data[at..at + token.literals as usize];
        let mut fours = literals.chunks_exact(4);
        for four in &mut fours {
            tables[0][four[0] as usize] += 1;
            tables[1][four[1] as usize] += 1;
            tables[2][four[2] as usize] += 1;
            tables[3][four[3] as usize] += 1;
        }
        for &byte in fours.remainder() {
            tables[0][byte as usize] += 1;
        }
        cut_run(token.run, |length| counts[257 + length_index(length)] += 1);
        at += (token.literals + token.run) as usize;
    }
    for byte in 0..256 {
        counts[byte] = tables.iter().map(|table| table[byte]).sum();
    }
    counts[END] = 1;
    counts
}

/// Writes the lengths of the literal and length code, and a distance code that knows distance 1.
fn write_code(code_lengths: &[u8; SYMBOLS], bits: &mut Bits<'_>) {
    let used = code_lengths
        .iter()
        .rposition(|&length| length > 0)
        .map_or(257, |last| (last + 1).max(257));
    let mut all: Vec<u8> = code_lengths[..used].to_vec();
    all.push(1);
    let symbols = huffman::run_lengths(&all);
    let mut counts = [0u32; 19];
    for &(symbol, _, _) in &symbols {
        counts[symbol as usize] += 1;
    }
    let lengths_of_lengths = lengths(&counts, 7);
    let codes = canonical(&lengths_of_lengths);
    let stored = ORDER
        .iter()
        .rposition(|&symbol| lengths_of_lengths[symbol] > 0)
        .map_or(4, |last| (last + 1).max(4));
    bits.put(used as u32 - 257, 5);
    bits.put(0, 5);
    bits.put(stored as u32 - 4, 4);
    for &symbol in &ORDER[..stored] {
        bits.put(u32::from(lengths_of_lengths[symbol]), 3);
    }
    for (symbol, extra, extra_bits) in symbols {
        let code = codes[symbol as usize];
        bits.push(u32::from(code.bits), u32::from(code.length));
        bits.put(u32::from(extra), u32::from(extra_bits));
    }
}

fn write_tokens(data: &[u8], tokens: &[Token], codes: &[Code; SYMBOLS], bits: &mut Bits<'_>) {
    let mut table = [0u32; 256];
    for (entry, code) in table.iter_mut().zip(codes) {
        *entry = u32::from(code.bits) | u32::from(code.length) << 16;
    }
    let mut at = 0;
    for token in tokens {
        let literals = &data[at..at + token.literals as usize];
        let mut fours = literals.chunks_exact(4);
        for four in &mut fours {
            for &byte in four {
                let entry = table[byte as usize];
                bits.push(entry & 0xffff, entry >> 16);
            }
            bits.flush();
        }
        for &byte in fours.remainder() {
            let entry = table[byte as usize];
            bits.put(entry & 0xffff, entry >> 16);
        }
        cut_run(token.run, |length| {
            let index = length_index(length);
            let code = codes[257 + index];
            bits.push(u32::from(code.bits), u32::from(code.length));
            let extra = length - u32::from(LENGTH_BASE[index]);
            bits.push(extra, u32::from(LENGTH_EXTRA[index]));
            // The only distance code: one zero bit.
            bits.put(0, 1);
        });
        at += (token.literals + token.run) as usize;
    }
    let end = codes[END];
    bits.put(u32::from(end.bits), u32::from(end.length));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn inflate(stream: &[u8], len: usize) -> Vec<u8> {
        let mut out = vec![0; len];
        let size = libdeflater::Decompressor::new()
            .zlib_decompress(stream, &mut out)
            .expect("a sound stream");
        assert_eq!(size, len);
        out
    }

    fn check(data: &[u8]) {
        assert!(inflate(&zlib(data), data.len()) == data);
    }

    #[test]
    fn streams_inflate_to_their_data() {
        check(&[]);
        check(&[7]);
        check(&[0; 3]);
        for len in [
            9, 10, 17, 258, 259, 260, 261, 262, 516, 517, 518, 520, 1000, 600_000,
        ] {
            check(&vec![5; len]);
            let mut data = vec![0; len];
            data.extend([1, 2, 3]);
            data.extend(vec![3; len]);
            check(&data);
        }
        let steps: Vec<u8> = (0..400_000u32).map(|i| (i / 11 % 251) as u8).collect();
        check(&steps);
        // Counts like the Fibonacci numbers ask for codes longer than the limit.
        let (mut a, mut b) = (1usize, 1usize);
        let mut deep = Vec::new();
        for symbol in 0..24u8 {
            deep.extend((0..a).flat_map(|i| [symbol, 200 + (i % 3) as u8]));
            (a, b) = (b, a + b);
        }
        check(&deep);
    }

    #[test]
    fn checksums_of_pieces_combine() {
        let data: Vec<u8> = (0..100_000u32)
            .map(|i| (i.wrapping_mul(i) >> 7) as u8)
            .collect();
        for cut in [0, 1, 500, 70_000, 100_000] {
            let (a, b) = data.split_at(cut);
            assert_eq!(adler_of_both(adler(a), adler(b), b.len()), adler(&data));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_survive(runs in proptest::collection::vec((any::<u8>(), 1usize..400), 0..200)) {
            let data: Vec<u8> = runs.iter().flat_map(|&(byte, n)| {
                (0..n).map(move |i| if n % 3 == 0 { byte } else { byte.wrapping_mul(i as u8) >> (n % 7) })
            }).collect();
            check(&data);
        }
    }
}
