//! The bits of a scan, first bit lowest.
//!
//! The buffer is filled when libjpeg would fill its own, and by as much: so the input stands where
//! libjpeg would leave it, whatever comes after the scan.

use super::codes::{Codes, value_of};
use super::layout::{Cinfo, tail};
use mozjpeg_sys as sys;

/// What stays between two blocks.
#[derive(Clone, Copy, Default)]
pub struct Kept {
    buffer: u64,
    left: u32,
}

/// The slow paths take and give it by value, so that the fast ones may hold it in registers.
#[derive(Clone, Copy)]
pub struct Bits {
    cinfo: Cinfo,
    next: *const u8,
    available: usize,
    /// Zero from bit `left` on.
    buffer: u64,
    left: u32,
}

/// libjpeg's least number of bits after a filling.
const FULL: u32 = 57;

/// `count` ones.
#[inline(always)]
fn ones(count: u32) -> u64 {
    debug_assert!(count < 64);
    (1 << count) - 1
}

/// Each byte's bits in the opposite order.
#[inline(always)]
fn mirrored(word: u64) -> u64 {
    const BY_1: u64 = 0x5555_5555_5555_5555;
    const BY_2: u64 = 0x3333_3333_3333_3333;
    const BY_4: u64 = 0x0F0F_0F0F_0F0F_0F0F;
    let word = (word >> 1 & BY_1) | (word & BY_1) << 1;
    let word = (word >> 2 & BY_2) | (word & BY_2) << 2;
    (word >> 4 & BY_4) | (word & BY_4) << 4
}

#[inline(always)]
fn has_ff(word: u64) -> bool {
    let zero = !word;
    zero.wrapping_sub(0x0101_0101_0101_0101) & !zero & 0x8080_8080_8080_8080 != 0
}

impl Bits {
    /// # Safety
    /// `cinfo` must be a decoder within a scan, and nothing else may use its source until
    /// [`Bits::keep`].
    #[inline(always)]
    pub unsafe fn resume(cinfo: Cinfo, kept: Kept) -> Bits {
        // SAFETY: a decoder within a scan has a source.
        let (next, available) = unsafe {
            let source = (*cinfo).src;
            ((*source).next_input_byte, (*source).bytes_in_buffer)
        };
        Bits {
            cinfo,
            next,
            available,
            buffer: kept.buffer,
            left: kept.left,
        }
    }

    #[inline(always)]
    pub fn keep(self) -> Kept {
        // SAFETY: as for `resume`.
        unsafe {
            let source = (*self.cinfo).src;
            (*source).next_input_byte = self.next;
            (*source).bytes_in_buffer = self.available;
        }
        Kept {
            buffer: self.buffer,
            left: self.left,
        }
    }

    #[inline(always)]
    fn fill(&mut self) {
        debug_assert!(self.left < 16);
        // SAFETY: the decoder outlives `self`; eight bytes are there.
        unsafe {
            if self.available >= 8 && (*tail(self.cinfo)).unread_marker == 0 {
                let word = u64::from_le(self.next.cast::<u64>().read_unaligned());
                if !has_ff(word) {
                    let bytes = (64 - self.left) / 8;
                    let fits = mirrored(word) & (!0 >> (64 - 8 * bytes));
                    self.buffer |= fits << self.left;
                    self.left += 8 * bytes;
                    self.next = self.next.add(bytes as usize);
                    self.available -= bytes as usize;
                    return;
                }
            }
        }
        *self = self.filled_by_bytes();
    }

    /// Filled up to the scan's end: a marker.
    #[cold]
    #[inline(never)]
    fn filled_by_bytes(mut self) -> Bits {
        // SAFETY: the decoder outlives `self`.
        let marker = unsafe { &raw mut (*tail(self.cinfo)).unread_marker };
        // SAFETY: as above.
        while self.left < FULL && unsafe { *marker } == 0 {
            let mut byte = self.byte();
            if byte == 0xFF {
                while byte == 0xFF {
                    byte = self.byte();
                }
                if byte != 0 {
                    // SAFETY: as above.
                    unsafe { *marker = i32::from(byte) };
                    break;
                }
                byte = 0xFF;
            }
            self.buffer |= u64::from(byte.reverse_bits()) << self.left;
            self.left += 8;
        }
        self
    }

    fn byte(&mut self) -> u8 {
        // SAFETY: the source says how many bytes there are; ours gives more or unwinds.
        unsafe {
            while self.available == 0 {
                let source = (*self.cinfo).src;
                if let Some(fill) = (*source).fill_input_buffer {
                    fill(&mut *self.cinfo);
                }
                self.next = (*source).next_input_byte;
                self.available = (*source).bytes_in_buffer;
            }
            self.available -= 1;
            let byte = *self.next;
            self.next = self.next.add(1);
            byte
        }
    }

    /// Has `count` bits in the buffer, up to 16.
    #[inline(always)]
    fn need(&mut self, count: u32) {
        if self.left < count {
            self.fill();
            if self.left < count {
                self.starved();
                self.left = FULL;
            }
        }
    }

    /// The data ended too early: zeros follow, should the warning be bearable.
    #[cold]
    #[inline(never)]
    fn starved(self) {
        // SAFETY: the decoder outlives `self`.
        unsafe {
            let entropy = (*tail(self.cinfo)).entropy;
            if (*entropy).insufficient_data == 0 {
                self.warn(sys::JWRN_HIT_MARKER);
                (*entropy).insufficient_data = 1;
            }
        }
    }

    #[cold]
    #[inline(never)]
    pub fn warn(self, code: sys::J_MESSAGE_CODE) {
        // SAFETY: the decoder outlives `self`; the error manager may unwind.
        unsafe {
            let errors = (*self.cinfo).common.err;
            (*errors).msg_code = code as _;
            if let Some(emit) = (*errors).emit_message {
                emit(&mut (*self.cinfo).common, -1);
            }
        }
    }

    #[inline(always)]
    fn get(&mut self, count: u32) -> u32 {
        let bits = (self.buffer & ones(count)) as u32;
        self.buffer >>= count;
        self.left -= count;
        bits
    }

    /// One bit.
    #[inline(always)]
    pub fn bit(&mut self) -> u32 {
        self.need(1);
        self.get(1)
    }

    /// A number of `count` bits, 1 to 15, first bit highest.
    #[inline(always)]
    pub fn number(&mut self, count: u32) -> u32 {
        self.need(count);
        self.get(count).reverse_bits() >> (32 - count)
    }

    /// A coefficient's value of `size` bits, 1 to 15.
    #[inline(always)]
    pub fn value(&mut self, size: u32) -> i32 {
        self.need(size);
        let bits = self.get(size);
        value_of(bits, size)
    }

    /// The next `count` bits, up to 63, first bit lowest.
    #[inline(always)]
    pub fn many(&mut self, count: u32) -> u64 {
        if count <= self.left {
            let bits = self.buffer & ones(count);
            self.buffer >>= count;
            self.left -= count;
            bits
        } else {
            let (after, bits) = self.many_with_fill(count);
            *self = after;
            bits
        }
    }

    #[cold]
    #[inline(never)]
    fn many_with_fill(mut self, count: u32) -> (Bits, u64) {
        let (mut bits, mut got) = (0, 0);
        while got < count {
            self.need(1);
            let part = self.left.min(count - got);
            bits |= (self.buffer & ones(part)) << got;
            self.buffer >>= part;
            self.left -= part;
            got += part;
        }
        (self, bits)
    }

    /// The run of zeros and the value of the next coefficient, if both are found at once.
    #[inline(always)]
    pub fn coefficient(&mut self, codes: &Codes) -> Option<(u32, i32)> {
        if self.left < 8 {
            self.fill();
        }
        let entry = codes.look(self.buffer);
        let found = entry.is_whole() && entry.len() <= self.left;
        found.then(|| {
            self.buffer >>= entry.len();
            self.left -= entry.len();
            (entry.run(), entry.value())
        })
    }

    /// The next code's symbol, after [`Bits::coefficient`] found none.
    #[inline(always)]
    pub fn symbol(&mut self, codes: &Codes) -> u32 {
        let entry = codes.look(self.buffer);
        if !entry.is_whole() && entry.len() > 0 && entry.len() <= self.left {
            self.buffer >>= entry.len();
            self.left -= entry.len();
            return entry.symbol();
        }
        let (after, symbol) = self.symbol_by_bits(codes);
        *self = after;
        symbol
    }

    /// ITU-T T.81 figure F.16.
    #[inline(never)]
    fn symbol_by_bits(mut self, codes: &Codes) -> (Bits, u32) {
        let (mut code, mut len) = (0, 0);
        // libjpeg asks for nine bits at once where it knows that the code is longer than eight.
        if self.left >= 8 && self.is_long(codes) {
            self.need(9);
        }
        while len < 16 {
            code = code << 1 | self.bit() as i32;
            len += 1;
            if let Some(symbol) = codes.symbol(code, len) {
                return (self, symbol);
            }
        }
        self.bit();
        self.warn(sys::JWRN_HUFF_BAD_CODE);
        (self, 0)
    }

    /// Whether no code of up to eight bits comes next.
    fn is_long(self, codes: &Codes) -> bool {
        (1..=8).all(|len| {
            let code = self.buffer.reverse_bits() >> (64 - len);
            codes.symbol(code as i32, len).is_none()
        })
    }
}
