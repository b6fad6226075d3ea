// What all programs share: the description of a pass and access to rows of samples.
//
// Bytes lie four to a word, rows begin at multiples of `pitch` words. An invocation makes four samples that lie side by
// side. All arithmetic is in integers, as that of the processor's kernels.

struct Pass {
    in_pitch: u32,
    in_first: i32,
    in_rows: i32,
    in_cols: i32,
    in_channels: i32,
    out_pitch: u32,
    out_first: i32,
    out_count: i32,
    out_rows: i32,
    out_cols: i32,
    out_channels: i32,
    border: i32,
    p: array<i32, 12>,
}

@group(0) @binding(0) var<storage, read> src: array<u32>;
@group(0) @binding(2) var<storage, read> pass_: Pass;
@group(0) @binding(3) var<storage, read> data: array<u32>;

// The index inside 0..n that stands for i; -1 where the border is constant.
fn index(i: i32, n: i32) -> i32 {
    if i >= 0 && i < n {
        return i;
    }
    switch pass_.border {
        case 0: {
            if n == 1 {
                return 0;
            }
            let period = 2 * n - 2;
            let at = ((i % period) + period) % period;
            return select(period - at, at, at < n);
        }
        case 1: {
            let period = 2 * n;
            let at = ((i % period) + period) % period;
            return select(period - 1 - at, at, at < n);
        }
        case 2: {
            return clamp(i, 0, n - 1);
        }
        default: {
            return -1;
        }
    }
}

// Where row y of the input begins, in words; -1 for a row of zeros.
fn row_of(y: i32) -> i32 {
    let at = index(y, pass_.in_rows);
    if at < 0 {
        return -1;
    }
    return (at - pass_.in_first) * i32(pass_.in_pitch);
}

fn byte_at(row: i32, i: i32) -> u32 {
    return (src[u32(row + (i >> 2u))] >> (u32(i & 3) * 8u)) & 255u;
}

fn unpack(word: u32) -> vec4<i32> {
    return vec4<i32>((vec4<u32>(word) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(255u));
}

// Values must lie in 0..=255.
fn pack(v: vec4<i32>) -> u32 {
    let u = vec4<u32>(v);
    return u.x | (u.y << 8u) | (u.z << 16u) | (u.w << 24u);
}

// Bytes i + dx pixels up to three bytes further of a row, columns outside by the border.
fn quad(row: i32, i: i32, dx: i32) -> vec4<i32> {
    if row < 0 {
        return vec4<i32>(0);
    }
    let channels = pass_.in_channels;
    let len = pass_.in_cols * channels;
    let at = i + dx * channels;
    if at >= 0 && at + 3 < len {
        let word = u32(row + (at >> 2u));
        let shift = u32(at & 3) * 8u;
        if shift == 0u {
            return unpack(src[word]);
        }
        return unpack((src[word] >> shift) | (src[word + 1u] << (32u - shift)));
    }
    var v = vec4<i32>(0);
    for (var k = 0; k < 4; k++) {
        let sample = i + k;
        if sample < len {
            let x = index(sample / channels + dx, pass_.in_cols);
            if x >= 0 {
                v[k] = i32(byte_at(row, x * channels + sample % channels));
            }
        }
    }
    return v;
}

// The output's first sample of an invocation in its row, or -1 where it has none.
fn first_sample(id: vec3<u32>) -> i32 {
    let i = i32(id.x) * 4;
    let len = pass_.out_cols * pass_.out_channels;
    if i >= len || i32(id.y) >= pass_.out_count {
        return -1;
    }
    return i;
}
