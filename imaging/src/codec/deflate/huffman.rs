//! Huffman codes of bounded length, and how deflate stores them.

/// A code as it is written: bits in the order of the stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Code {
    /// The code, its first bit lowest.
    pub bits: u16,
    /// Number of bits; 0 for a symbol that does not occur.
    pub length: u8,
}

/// Code lengths of at most `limit` bits for symbols that occur so often. At least two symbols get a
/// code, as some decoders refuse a code of one symbol.
///
/// The minimum-redundancy lengths are found in place (Moffat and Katajainen 1995); lengths beyond the
/// limit are cut to it and the shortest possible others are lengthened to make room.
pub fn lengths<const N: usize>(counts: &[u32; N], limit: usize) -> [u8; N] {
    let mut used: Vec<(u32, usize)> = (0..N)
        .filter(|&s| counts[s] > 0)
        .map(|s| (counts[s], s))
        .collect();
    for symbol in 0..N {
        if used.len() >= 2 {
            break;
        }
        if counts[symbol] == 0 {
            used.push((0, symbol));
        }
    }
    used.sort_unstable();
    let mut weights: Vec<u64> = used.iter().map(|&(count, _)| u64::from(count)).collect();
    minimum_redundancy(&mut weights);
    let mut numbers = vec![0usize; limit + 1];
    for &depth in &weights {
        numbers[(depth as usize).min(limit)] += 1;
    }
    // How far the code is overfull, in units of the longest codes.
    let mut total: usize = (1..=limit).map(|l| numbers[l] << (limit - l)).sum();
    while total > 1 << limit {
        numbers[limit] -= 1;
        for length in (1..limit).rev() {
            if numbers[length] > 0 {
                numbers[length] -= 1;
                numbers[length + 1] += 2;
                break;
            }
        }
        total -= 1;
    }
    let mut result = [0; N];
    let mut rarest_first = used.iter();
    for length in (1..=limit).rev() {
        for &(_, symbol) in rarest_first.by_ref().take(numbers[length]) {
            result[symbol] = length as u8;
        }
    }
    result
}

/// Replaces at least two ascending weights by their depths in a Huffman tree.
fn minimum_redundancy(a: &mut [u64]) {
    let n = a.len();
    // Inner nodes replace leaves from the left; `a[node]` becomes its parent's index.
    a[0] += a[1];
    let (mut root, mut leaf) = (0, 2);
    for next in 1..n - 1 {
        let mut take = |a: &mut [u64]| {
            if leaf >= n || (root < next && a[root] < a[leaf]) {
                let weight = a[root];
                a[root] = next as u64;
                root += 1;
                weight
            } else {
                leaf += 1;
                a[leaf - 1]
            }
        };
        let first = take(a);
        let second = take(a);
        a[next] = first + second;
    }
    // Depths of inner nodes, from the root down.
    a[n - 2] = 0;
    for node in (0..n - 2).rev() {
        a[node] = a[a[node] as usize] + 1;
    }
    // Depths of leaves.
    let (mut available, mut depth) = (1usize, 0);
    let (mut node, mut next) = (n as isize - 2, n as isize - 1);
    while available > 0 {
        let mut inner = 0;
        while node >= 0 && a[node as usize] == depth {
            inner += 1;
            node -= 1;
        }
        while available > inner {
            a[next as usize] = depth;
            next -= 1;
            available -= 1;
        }
        available = 2 * inner;
        depth += 1;
    }
}

/// The canonical code of these lengths (RFC 1951, 3.2.2).
pub fn canonical<const N: usize>(lengths: &[u8; N]) -> [Code; N] {
    let mut codes = [Code::default(); N];
    let mut next = 0u32;
    for length in 1..=15u8 {
        for symbol in 0..N {
            if lengths[symbol] == length {
                let bits = (next.reverse_bits() >> (32 - u32::from(length))) as u16;
                codes[symbol] = Code { bits, length };
                next += 1;
            }
        }
        next <<= 1;
    }
    codes
}

/// Code lengths as deflate stores them: (symbol, extra value, extra bits).
pub fn run_lengths(lengths: &[u8]) -> Vec<(u8, u8, u8)> {
    let mut symbols = Vec::new();
    let mut at = 0;
    while at < lengths.len() {
        let value = lengths[at];
        let run = lengths[at..].iter().take_while(|&&l| l == value).count();
        at += run;
        let mut left = run;
        if value == 0 {
            while left >= 3 {
                let n = left.min(138);
                symbols.push(match n {
                    3..=10 => (17, n as u8 - 3, 3),
                    _ => (18, n as u8 - 11, 7),
                });
                left -= n;
            }
        } else {
            symbols.push((value, 0, 0));
            left -= 1;
            while left >= 3 {
                let n = left.min(6);
                symbols.push((16, n as u8 - 3, 2));
                left -= n;
            }
        }
        symbols.extend(std::iter::repeat_n((value, 0, 0), left));
    }
    symbols
}
