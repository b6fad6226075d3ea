// Operations on small windows of bytes: 3 x 3 formulas, medians, least and greatest samples.

@group(0) @binding(1) var<storage, read_write> dst: array<u32>;

// The whole number nearest to the square root, at most 255.
fn root(squared: vec4<i32>) -> vec4<i32> {
    // 255.5 squared lies between 65280 and 65281.
    let s = min(squared, vec4<i32>(65281));
    var r = vec4<i32>(sqrt(vec4<f32>(s)));
    // The device's root may be off by a little: put right in whole numbers.
    r = select(r, r - vec4<i32>(1), r * r > s);
    r = select(r, r + vec4<i32>(1), (r + vec4<i32>(1)) * (r + vec4<i32>(1)) <= s);
    r = select(r, r + vec4<i32>(1), s > r * r + r);
    return min(r, vec4<i32>(255));
}

// KIND: 0 magnitude, 1 x, 2 y of a gradient of weights p[0] (corners) and p[1] (sides); 3 laplacian; 4 emboss;
// 5 sharpen by p[0]; 6 roberts.
fn formula(n: array<vec4<i32>, 9>) -> vec4<i32> {
    let white = vec4<i32>(255);
    if KIND <= 2 {
        let down = n[8] - n[0];
        let up = n[2] - n[6];
        let x = pass_.p[0] * (down + up) + pass_.p[1] * (n[5] - n[3]);
        let y = pass_.p[0] * (down - up) + pass_.p[1] * (n[7] - n[1]);
        if KIND == 1 {
            return min(abs(x), white);
        }
        if KIND == 2 {
            return min(abs(y), white);
        }
        return root(x * x + y * y);
    }
    if KIND == 3 {
        return min(abs(n[1] + n[3] + n[5] + n[7] - 4 * n[4]), white);
    }
    if KIND == 4 {
        return clamp(n[4] + n[5] + n[7] - n[1] - n[3] + 2 * (n[8] - n[0]), vec4<i32>(0), white);
    }
    if KIND == 5 {
        return clamp(n[4] + pass_.p[0] * (4 * n[4] - n[1] - n[3] - n[5] - n[7]), vec4<i32>(0), white);
    }
    let d = n[4] - n[8];
    let e = n[5] - n[7];
    return root(d * d + e * e);
}

fn neighbours(id: vec3<u32>, i: i32) -> array<vec4<i32>, 9> {
    let y = pass_.out_first + i32(id.y);
    let a = row_of(y - 1);
    let b = row_of(y);
    let c = row_of(y + 1);
    return array<vec4<i32>, 9>(
        quad(a, i, -1), quad(a, i, 0), quad(a, i, 1),
        quad(b, i, -1), quad(b, i, 0), quad(b, i, 1),
        quad(c, i, -1), quad(c, i, 0), quad(c, i, 1),
    );
}

@compute @workgroup_size(64, 4)
fn stencil(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = first_sample(id);
    if i < 0 {
        return;
    }
    dst[id.y * pass_.out_pitch + id.x] = pack(formula(neighbours(id, i)));
}

fn middle(a: vec4<i32>, b: vec4<i32>, c: vec4<i32>) -> vec4<i32> {
    return max(min(a, b), min(max(a, b), c));
}

// The middle of nine: of the greatest of the least, the middle of the middle and the least of the greatest of three
// columns, the middle one.
@compute @workgroup_size(64, 4)
fn median_of_nine(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = first_sample(id);
    if i < 0 {
        return;
    }
    let n = neighbours(id, i);
    let least = max(max(min(min(n[0], n[3]), n[6]), min(min(n[1], n[4]), n[7])), min(min(n[2], n[5]), n[8]));
    let most = min(min(max(max(n[0], n[3]), n[6]), max(max(n[1], n[4]), n[7])), max(max(n[2], n[5]), n[8]));
    let mid = middle(middle(n[0], n[3], n[6]), middle(n[1], n[4], n[7]), middle(n[2], n[5], n[8]));
    dst[id.y * pass_.out_pitch + id.x] = pack(middle(least, mid, most));
}

// The middle sample of a window of radius R, found bit by bit: the least value that more than half do not exceed.
@compute @workgroup_size(64, 4)
fn median(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = first_sample(id);
    if i < 0 {
        return;
    }
    let y = pass_.out_first + i32(id.y);
    const SIDE = 2 * RADIUS + 1;
    const HALF = (SIDE * SIDE) / 2;
    var held: array<u32, SIDE * SIDE>;
    for (var dy = 0; dy < SIDE; dy++) {
        let row = row_of(y + dy - RADIUS);
        for (var dx = 0; dx < SIDE; dx++) {
            held[dy * SIDE + dx] = pack(quad(row, i, dx - RADIUS));
        }
    }
    var found = vec4<i32>(0);
    for (var bit = 128; bit > 0; bit = bit >> 1u) {
        // Samples below the trial value.
        let trial = found + vec4<i32>(bit);
        var below = vec4<i32>(0);
        for (var k = 0; k < SIDE * SIDE; k++) {
            below += select(vec4<i32>(0), vec4<i32>(1), unpack(held[k]) < trial);
        }
        found = select(found, trial, below <= vec4<i32>(HALF));
    }
    dst[id.y * pass_.out_pitch + id.x] = pack(found);
}

fn pick(a: vec4<i32>, b: vec4<i32>) -> vec4<i32> {
    if GREATEST == 1 {
        return max(a, b);
    }
    return min(a, b);
}

// The least or greatest sample of 2 * p[0] + 1 rows.
@compute @workgroup_size(64, 4)
fn extremum_down(@builtin(global_invocation_id) id: vec3<u32>) {
    if first_sample(id) < 0 {
        return;
    }
    let y = pass_.out_first + i32(id.y);
    var found = unpack(src[u32(row_of(y)) + id.x]);
    for (var d = 1; d <= pass_.p[0]; d++) {
        found = pick(found, unpack(src[u32(row_of(y - d)) + id.x]));
        found = pick(found, unpack(src[u32(row_of(y + d)) + id.x]));
    }
    dst[id.y * pass_.out_pitch + id.x] = pack(found);
}

// The same of 2 * p[0] + 1 columns.
@compute @workgroup_size(64, 4)
fn extremum_along(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = first_sample(id);
    if i < 0 {
        return;
    }
    let row = row_of(pass_.out_first + i32(id.y));
    var found = quad(row, i, 0);
    for (var d = 1; d <= pass_.p[0]; d++) {
        found = pick(found, quad(row, i, -d));
        found = pick(found, quad(row, i, d));
    }
    dst[id.y * pass_.out_pitch + id.x] = pack(found);
}

// The same under an element of p[0] rows above and below the centre, whose half-widths are data.
@compute @workgroup_size(64, 4)
fn element(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = first_sample(id);
    if i < 0 {
        return;
    }
    let y = pass_.out_first + i32(id.y);
    var found = quad(row_of(y), i, 0);
    for (var dy = -pass_.p[0]; dy <= pass_.p[0]; dy++) {
        let row = row_of(y + dy);
        let half = i32(data[u32(abs(dy))]);
        for (var dx = -half; dx <= half; dx++) {
            found = pick(found, quad(row, i, dx));
        }
    }
    dst[id.y * pass_.out_pitch + id.x] = pack(found);
}
