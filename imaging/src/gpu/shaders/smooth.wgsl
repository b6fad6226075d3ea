// Weighted and plain means: down the columns into 16 bits, then along the rows.

@group(0) @binding(1) var<storage, read_write> dst: array<u32>;

fn store_halves(id: vec3<u32>, v: vec4<i32>) {
    let u = vec4<u32>(v) & vec4<u32>(65535u);
    let at = id.y * pass_.out_pitch + id.x * 2u;
    dst[at] = u.x | (u.y << 16u);
    dst[at + 1u] = u.z | (u.w << 16u);
}

fn half_at(row: i32, i: i32) -> u32 {
    return (src[u32(row + (i >> 1u))] >> (u32(i & 1) * 16u)) & 65535u;
}

fn word(y: i32, x: u32) -> vec4<i32> {
    let row = row_of(y);
    if row < 0 {
        return vec4<i32>(0);
    }
    return unpack(src[u32(row) + x]);
}

// TAPS pairs of distance and weight in data; p: bits beyond eight, and half of that unit. 256 times the value less 32768.
@compute @workgroup_size(64, 4)
fn weighted_down(@builtin(global_invocation_id) id: vec3<u32>) {
    if first_sample(id) < 0 {
        return;
    }
    let y = pass_.out_first + i32(id.y);
    var sum = vec4<i32>(pass_.p[1]);
    for (var t = 0u; t < u32(TAPS); t++) {
        let d = i32(data[2u * t]);
        let weight = i32(data[2u * t + 1u]);
        var v = word(y - d, id.x);
        if d != 0 {
            v += word(y + d, id.x);
        }
        sum += v * weight;
    }
    store_halves(id, (sum >> vec4<u32>(u32(pass_.p[0]))) - vec4<i32>(32768));
}

fn signed_half(row: i32, i: i32) -> i32 {
    return i32(half_at(row, i) << 16u) >> 16u;
}

// Four neighbouring signed samples, all inside of the row.
fn four_halves(row: i32, i: i32) -> vec4<i32> {
    let at = u32(row + (i >> 1u));
    var a = src[at];
    var b = src[at + 1u];
    if (i & 1) != 0 {
        let c = src[at + 2u];
        a = (a >> 16u) | (b << 16u);
        b = (b >> 16u) | (c << 16u);
    }
    return vec4<i32>(i32(a << 16u), i32(a), i32(b << 16u), i32(b)) >> vec4<u32>(16u);
}

// As above; p: fractional bits of the weights.
@compute @workgroup_size(64, 4)
fn weighted_along(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = first_sample(id);
    if i < 0 {
        return;
    }
    let row = row_of(pass_.out_first + i32(id.y));
    let channels = pass_.in_channels;
    let len = pass_.in_cols * channels;
    let reach = i32(data[2u * u32(TAPS) - 2u]) * channels;
    var sum = vec4<i32>(0);
    if i - reach >= 0 && i + 3 + reach < len {
        for (var t = 0u; t < u32(TAPS); t++) {
            let d = i32(data[2u * t]) * channels;
            let weight = i32(data[2u * t + 1u]);
            var v = four_halves(row, i - d);
            if d != 0 {
                v += four_halves(row, i + d);
            }
            sum += v * weight;
        }
    } else {
        for (var k = 0; k < 4; k++) {
            if i + k < len {
                let x = (i + k) / channels;
                let c = (i + k) % channels;
                for (var t = 0u; t < u32(TAPS); t++) {
                    let d = i32(data[2u * t]);
                    let weight = i32(data[2u * t + 1u]);
                    var v = outside_black(row, x - d, c);
                    if d != 0 {
                        v += outside_black(row, x + d, c);
                    }
                    sum[k] += v * weight;
                }
            }
        }
    }
    let low = (vec4<u32>(sum >> vec4<u32>(u32(pass_.p[0]))) & vec4<u32>(65535u)) ^ vec4<u32>(32768u);
    let rounded = ((low + vec4<u32>(128u)) & vec4<u32>(65535u)) >> vec4<u32>(8u);
    dst[id.y * pass_.out_pitch + id.x] = pack(vec4<i32>(rounded));
}

fn outside_black(row: i32, x: i32, c: i32) -> i32 {
    let at = index(x, pass_.in_cols);
    if at < 0 {
        return -32768;
    }
    return signed_half(row, at * pass_.in_channels + c);
}

// p: the radius. The sum of 2 * radius + 1 rows.
@compute @workgroup_size(64, 4)
fn box_down(@builtin(global_invocation_id) id: vec3<u32>) {
    if first_sample(id) < 0 {
        return;
    }
    let y = pass_.out_first + i32(id.y);
    var sum = vec4<i32>(0);
    for (var d = -pass_.p[0]; d <= pass_.p[0]; d++) {
        sum += word(y + d, id.x);
    }
    store_halves(id, sum);
}

// The product of a whole number below 2^24 and a float, rounded to a float, then to a whole number, both half to
// even. p[2] is the float's significand of 24 bits, which is in units of 2^-p[3].
fn scaled(sum: u32) -> i32 {
    let m = u32(pass_.p[2]);
    // 48 bits as two words.
    let a = (sum >> 12u) * (m >> 12u);
    let b = (sum >> 12u) * (m & 4095u) + (sum & 4095u) * (m >> 12u);
    let c = (sum & 4095u) * (m & 4095u);
    // a * 2^24 + b * 2^12 + c, kept as 24 low bits and the rest.
    let low = ((b & 4095u) << 12u) + c;
    let high = a + (b >> 12u) + (low >> 24u);
    let rest = low & 16777215u;
    if high == 0u {
        // At most 24 bits: exact.
        return whole(rest, u32(pass_.p[3]));
    }
    let drop = 32u - countLeadingZeros(high);
    let kept = (high << (24u - drop)) | (rest >> drop);
    let lost = rest & ((1u << drop) - 1u);
    let middle = 1u << (drop - 1u);
    let up = lost > middle || (lost == middle && (kept & 1u) == 1u);
    return whole(kept + select(0u, 1u, up), u32(pass_.p[3]) - drop);
}

// v * 2^-bits rounded half to even.
fn whole(v: u32, bits: u32) -> i32 {
    if bits > 26u {
        return 0;
    }
    let kept = v >> bits;
    let lost = v & ((1u << bits) - 1u);
    let middle = (1u << bits) >> 1u;
    let up = lost > middle || (lost == middle && (kept & 1u) == 1u);
    return i32(kept + select(0u, 1u, up));
}

fn outside_none(row: i32, x: i32, c: i32) -> u32 {
    let at = index(x, pass_.in_cols);
    if at < 0 {
        return 0u;
    }
    return half_at(row, at * pass_.in_channels + c);
}

// p: radius; the window's area where the mean is taken in whole numbers, else 0; then as for `scaled`.
@compute @workgroup_size(64, 4)
fn box_along(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = first_sample(id);
    if i < 0 {
        return;
    }
    let row = row_of(pass_.out_first + i32(id.y));
    let channels = pass_.in_channels;
    let len = pass_.in_cols * channels;
    let radius = pass_.p[0];
    var v = vec4<i32>(0);
    for (var k = 0; k < 4; k++) {
        if i + k < len {
            let x = (i + k) / channels;
            let c = (i + k) % channels;
            var sum = 0u;
            if x >= radius && x + radius < pass_.in_cols {
                for (var d = -radius; d <= radius; d++) {
                    sum += half_at(row, i + k + d * channels);
                }
            } else {
                for (var d = -radius; d <= radius; d++) {
                    sum += outside_none(row, x + d, c);
                }
            }
            let area = u32(pass_.p[1]);
            if area != 0u {
                v[k] = i32((sum + area / 2u) / area);
            } else {
                v[k] = min(scaled(sum), 255);
            }
        }
    }
    dst[id.y * pass_.out_pitch + id.x] = pack(v);
}
