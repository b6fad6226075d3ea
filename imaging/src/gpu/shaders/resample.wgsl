// Resampling with weights of 22 fractional bits. data: the first old sample of each new one, how many there are of each,
// then the weights of each, p[0] places apart; p[1] new samples in all.

@group(0) @binding(1) var<storage, read_write> dst: array<u32>;

fn rounded(sum: vec4<i32>) -> u32 {
    return pack(clamp(sum >> vec4<u32>(22u), vec4<i32>(0), vec4<i32>(255)));
}

@compute @workgroup_size(64, 4)
fn down(@builtin(global_invocation_id) id: vec3<u32>) {
    if first_sample(id) < 0 {
        return;
    }
    let y = u32(pass_.out_first + i32(id.y));
    let len = u32(pass_.p[1]);
    let first = i32(data[y]);
    let count = data[len + y];
    let weights = 2u * len + y * u32(pass_.p[0]);
    var sum = vec4<i32>(1 << 21u);
    for (var t = 0u; t < count; t++) {
        let row = row_of(first + i32(t));
        sum += unpack(src[u32(row) + id.x]) * i32(data[weights + t]);
    }
    dst[id.y * pass_.out_pitch + id.x] = rounded(sum);
}

@compute @workgroup_size(64, 4)
fn along(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = first_sample(id);
    if i < 0 {
        return;
    }
    let row = row_of(pass_.out_first + i32(id.y));
    let channels = pass_.out_channels;
    let len = u32(pass_.p[1]);
    var sum = vec4<i32>(1 << 21u);
    for (var k = 0; k < 4; k++) {
        let x = (i + k) / channels;
        if x < pass_.out_cols {
            let at = i32(data[x]) * channels + (i + k) % channels;
            let weights = 2u * len + u32(x * pass_.p[0]);
            let count = i32(data[len + u32(x)]);
            for (var t = 0; t < count; t++) {
                sum[k] += i32(byte_at(row, at + t * channels)) * i32(data[weights + u32(t)]);
            }
        }
    }
    dst[id.y * pass_.out_pitch + id.x] = rounded(sum);
}

// Multiplies colours by their alpha.
@compute @workgroup_size(64, 4)
fn premultiply(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = first_sample(id);
    if i < 0 {
        return;
    }
    let row = row_of(pass_.out_first + i32(id.y));
    let channels = pass_.in_channels;
    var v = unpack(src[u32(row) + id.x]);
    for (var k = 0; k < 4; k++) {
        let x = (i + k) / channels;
        if x < pass_.in_cols && (i + k) % channels != channels - 1 {
            let alpha = i32(byte_at(row, x * channels + channels - 1));
            let product = v[k] * alpha + 128;
            v[k] = (product + (product >> 8u)) >> 8u;
        }
    }
    dst[id.y * pass_.out_pitch + id.x] = pack(v);
}

// Divides colours by their alpha.
@compute @workgroup_size(64, 4)
fn unpremultiply(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = first_sample(id);
    if i < 0 {
        return;
    }
    let row = row_of(pass_.out_first + i32(id.y));
    let channels = pass_.in_channels;
    var v = unpack(src[u32(row) + id.x]);
    for (var k = 0; k < 4; k++) {
        let x = (i + k) / channels;
        if x < pass_.in_cols && (i + k) % channels != channels - 1 {
            let alpha = i32(byte_at(row, x * channels + channels - 1));
            if alpha != 0 && alpha != 255 {
                v[k] = min(255 * v[k] / alpha, 255);
            }
        }
    }
    dst[id.y * pass_.out_pitch + id.x] = pack(v);
}
