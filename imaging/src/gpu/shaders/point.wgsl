// Operations that make each pixel from one pixel.

@group(0) @binding(1) var<storage, read_write> dst: array<u32>;

fn table_at(at: i32) -> i32 {
    return i32((data[u32(at >> 2u)] >> (u32(at & 3) * 8u)) & 255u);
}

fn alpha_sample(i: i32) -> bool {
    return i % pass_.in_channels == pass_.in_channels - 1;
}

// p: whether the last channel is alpha.
@compute @workgroup_size(64, 4)
fn table(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = first_sample(id);
    if i < 0 {
        return;
    }
    let row = row_of(pass_.out_first + i32(id.y));
    let v = unpack(src[u32(row) + id.x]);
    var made = vec4<i32>(table_at(v.x), table_at(v.y), table_at(v.z), table_at(v.w));
    if pass_.p[0] != 0 {
        for (var k = 0; k < 4; k++) {
            if alpha_sample(i + k) {
                made[k] = v[k];
            }
        }
    }
    dst[id.y * pass_.out_pitch + id.x] = pack(made);
}

// The source's alpha in place of the output's; both have the same shape. src is the step's input, dst its output.
@compute @workgroup_size(64, 4)
fn alpha(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = first_sample(id);
    if i < 0 {
        return;
    }
    let origin = unpack(src[u32(row_of(pass_.out_first + i32(id.y))) + id.x]);
    let at = id.y * pass_.out_pitch + id.x;
    var v = unpack(dst[at]);
    for (var k = 0; k < 4; k++) {
        if alpha_sample(i + k) {
            v[k] = origin[k];
        }
    }
    dst[at] = pack(v);
}

fn pixel(row: i32, x: i32) -> vec4<i32> {
    let at = x * pass_.in_channels;
    var v = vec4<i32>(0);
    for (var c = 0; c < pass_.in_channels; c++) {
        v[c] = i32(byte_at(row, at + c));
    }
    return v;
}

fn luma(p: vec4<i32>) -> i32 {
    return (p.x * 4899 + p.y * 9617 + p.z * 1868 + 8192) >> 14u;
}

fn from_luma(p: vec4<i32>) -> vec4<i32> {
    let y = luma(p);
    let middle = 8192 + (128 << 14u);
    let cr = clamp(((p.x - y) * 11682 + middle) >> 14u, 0, 255) - 128;
    let cb = clamp(((p.z - y) * 9241 + middle) >> 14u, 0, 255) - 128;
    let luma_made = table_at(y);
    let r = luma_made + ((cr * 22987 + 8192) >> 14u);
    let g = luma_made + ((cr * -11698 + cb * -5636 + 8192) >> 14u);
    let b = luma_made + ((cb * 29049 + 8192) >> 14u);
    return vec4<i32>(clamp(vec3<i32>(r, g, b), vec3<i32>(0), vec3<i32>(255)), p.w);
}

// KIND: 0 gray, 1 to RGB, 2 new value (a table of 256 samples for each greatest channel), 3 new luma (a table),
// 4 a table for each of three channels.
fn made(p: vec4<i32>) -> vec4<i32> {
    let last = p[pass_.in_channels - 1];
    if KIND == 0 {
        return vec4<i32>((p.x * 9798 + p.y * 19235 + p.z * 3735 + 16384) >> 15u, last, 0, 0);
    }
    if KIND == 1 {
        return vec4<i32>(p.x, p.x, p.x, p.y);
    }
    if KIND == 2 {
        let at = max(max(p.x, p.y), p.z) * 256;
        return vec4<i32>(table_at(at + p.x), table_at(at + p.y), table_at(at + p.z), p.w);
    }
    if KIND == 3 {
        return from_luma(p);
    }
    return vec4<i32>(table_at(p.x), table_at(256 + p.y), table_at(512 + p.z), p.w);
}

@compute @workgroup_size(64, 4)
fn pixels(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = first_sample(id);
    if i < 0 {
        return;
    }
    let row = row_of(pass_.out_first + i32(id.y));
    let channels = pass_.out_channels;
    var v = vec4<i32>(0);
    var x = -1;
    var p = vec4<i32>(0);
    for (var k = 0; k < 4; k++) {
        let at = (i + k) / channels;
        if at < pass_.out_cols {
            if at != x {
                x = at;
                p = made(pixel(row, x));
            }
            v[k] = p[(i + k) % channels];
        }
    }
    dst[id.y * pass_.out_pitch + id.x] = pack(v);
}

// Pixels change place. p: a and b of the source row a + b * y, then of the source column.
@compute @workgroup_size(64, 4)
fn gather(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = first_sample(id);
    if i < 0 {
        return;
    }
    let y = pass_.out_first + i32(id.y);
    let row = row_of(pass_.p[0] + pass_.p[1] * y);
    let channels = pass_.out_channels;
    var v = vec4<i32>(0);
    for (var k = 0; k < 4; k++) {
        let x = (i + k) / channels;
        if x < pass_.out_cols {
            let origin = pass_.p[2] + pass_.p[3] * x;
            v[k] = i32(byte_at(row, origin * channels + (i + k) % channels));
        }
    }
    dst[id.y * pass_.out_pitch + id.x] = pack(v);
}
