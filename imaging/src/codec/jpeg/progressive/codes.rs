//! A Huffman table as the fastest reading wants it: by the next bits, first bit lowest.

use mozjpeg_sys as sys;

/// How many bits are looked up at once.
const LOOK: u32 = 10;
/// Set in an entry that tells symbol and value.
const WHOLE: u32 = 1 << 7;

/// What the next bits say.
#[derive(Clone, Copy)]
pub struct Entry(u32);

impl Entry {
    /// Whether a coefficient was found whole: code and value.
    pub fn is_whole(self) -> bool {
        self.0 & WHOLE != 0
    }

    /// Bits of the code, and of the value too if whole; 0 for a code longer than was looked up.
    pub fn len(self) -> u32 {
        self.0 & 0x1F
    }

    /// The code's symbol: the run of zeros in the upper half, the value's size in the lower one.
    pub fn symbol(self) -> u32 {
        self.0 >> 8 & 0xFF
    }

    /// The run of zeros before the coefficient.
    pub fn run(self) -> u32 {
        self.0 >> 12 & 0xF
    }

    /// The value, if whole.
    pub fn value(self) -> i32 {
        self.0 as i32 >> 16
    }
}

pub struct Codes {
    look: [Entry; 1 << LOOK],
    /// The largest code of each length, -1 where there is none; ITU-T T.81 figure F.15.
    largest: [i32; 17],
    /// From a code to its place in `symbols`, by length.
    offset: [i32; 17],
    symbols: [u8; 256],
}

impl Codes {
    pub const fn new() -> Codes {
        Codes {
            look: [Entry(0); 1 << LOOK],
            largest: [-1; 17],
            offset: [0; 17],
            symbols: [0; 256],
        }
    }

    /// Takes over a table that libjpeg found sound. Values of more than `most` bits are left to be
    /// read apart from their code.
    pub fn build(&mut self, table: &sys::JHUFF_TBL, most: u32) {
        self.look.fill(Entry(0));
        self.symbols = table.huffval;
        let (mut code, mut at) = (0u32, 0usize);
        for len in 1..=16u32 {
            let count = usize::from(table.bits[len as usize]).min(256 - at);
            self.offset[len as usize] = at as i32 - code as i32;
            for symbol in &table.huffval[at..at + count] {
                if len <= LOOK {
                    self.enter(code, len, u32::from(*symbol), most);
                }
                code += 1;
            }
            at += count;
            self.largest[len as usize] = if count > 0 { code as i32 - 1 } else { -1 };
            code <<= 1;
        }
    }

    fn enter(&mut self, code: u32, len: u32, symbol: u32, most: u32) {
        let start = code.reverse_bits() >> (32 - len);
        let size = symbol & 15;
        for after in 0..1u32 << (LOOK - len) {
            let entry = if size > 0 && size <= most && len + size <= LOOK {
                let value = value_of(after, size);
                (value as u32) << 16 | symbol << 8 | WHOLE | (len + size)
            } else {
                symbol << 8 | len
            };
            if let Some(place) = self.look.get_mut((start | after << len) as usize) {
                *place = Entry(entry);
            }
        }
    }

    #[inline(always)]
    pub fn look(&self, bits: u64) -> Entry {
        self.look[bits as usize & ((1 << LOOK) - 1)]
    }

    /// The symbol of a code of this length; none where the code must be longer.
    pub fn symbol(&self, code: i32, len: u32) -> Option<u32> {
        let len = len as usize;
        if code > self.largest[len] {
            return None;
        }
        let at = (code + self.offset[len]) as usize & 255;
        Some(u32::from(self.symbols[at]))
    }
}

/// The number that `size` bits (first bit lowest) stand for: ITU-T T.81 figure F.12.
#[inline(always)]
pub fn value_of(bits: u32, size: u32) -> i32 {
    let plain = (bits.reverse_bits() >> (32 - size)) as i32;
    // A first bit of 0 says that the number is negative.
    if bits & 1 == 0 {
        plain + 1 - (1 << size)
    } else {
        plain
    }
}
