// Histograms of planes of an image. A workgroup counts in its own memory and adds to the sums at its end.

@group(0) @binding(1) var<storage, read_write> sums: array<atomic<u32>>;

var<workgroup> counts: array<atomic<u32>, BINS>;

fn add(at: i32) {
    atomicAdd(&counts[at], 1u);
}

// PLANE: 0 all colour channels, 1 the greatest, 2 Y of YCrCb, 3 gray, 4 three channels apart.
fn add_pixel(row: i32, x: i32) {
    let at = x * pass_.in_channels;
    // What is wholly transparent does not count.
    let alpha = pass_.in_channels == 2 || pass_.in_channels == 4;
    if alpha && byte_at(row, at + pass_.in_channels - 1) == 0u {
        return;
    }
    let r = i32(byte_at(row, at));
    if pass_.in_channels < 3 {
        add(r);
        return;
    }
    let g = i32(byte_at(row, at + 1));
    let b = i32(byte_at(row, at + 2));
    if PLANE == 0 {
        add(r);
        add(g);
        add(b);
    } else if PLANE == 1 {
        add(max(max(r, g), b));
    } else if PLANE == 2 {
        add((r * 4899 + g * 9617 + b * 1868 + 8192) >> 14u);
    } else if PLANE == 3 {
        add((r * 9798 + g * 19235 + b * 3735 + 16384) >> 15u);
    } else {
        add(r);
        add(256 + g);
        add(512 + b);
    }
}

// Rows out_first and on; a workgroup takes every p[0]th.
@compute @workgroup_size(256)
fn count(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3<u32>) {
    for (var k = lane; k < u32(BINS); k += 256u) {
        atomicStore(&counts[k], 0u);
    }
    workgroupBarrier();
    for (var y = i32(group.x); y < pass_.out_count; y += pass_.p[0]) {
        let row = row_of(pass_.out_first + y);
        for (var x = i32(lane); x < pass_.in_cols; x += 256) {
            add_pixel(row, x);
        }
    }
    workgroupBarrier();
    for (var k = lane; k < u32(BINS); k += 256u) {
        let n = atomicLoad(&counts[k]);
        if n != 0u {
            atomicAdd(&sums[k], n);
        }
    }
}
