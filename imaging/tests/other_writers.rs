//! Small files written by other programs decode to the pixels that they were made of.

use imaging::codec::{Limits, OpenOptions, decode};
use imaging::{Buffer, Image};

const ROWS: usize = 11;
const COLS: usize = 13;

fn open(name: &str) -> Image {
    let path = format!("{}/tests/data/{name}", env!("CARGO_MANIFEST_DIR"));
    let bytes = std::fs::read(&path).expect("a readable file");
    decode(bytes, &Limits::default(), &OpenOptions::default()).expect("a sound image")
}

/// The samples of all pixels, of which `pixel(x, y)` gives the channels.
fn made_of<const N: usize>(pixel: impl Fn(usize, usize) -> [u8; N]) -> Vec<u8> {
    (0..ROWS * COLS)
        .flat_map(|at| pixel(at % COLS, at / COLS))
        .collect()
}

fn rgba(x: usize, y: usize) -> [u8; 4] {
    [
        x * 19 + y * 3,
        x * 5 + y * 23,
        x * 7 * (y % 3) + y * 11,
        255 - (x * 13 + y * 7) % 256,
    ]
    .map(|v| (v % 256) as u8)
}

fn rgb(x: usize, y: usize) -> [u8; 3] {
    let [r, g, b, _] = rgba(x, y);
    [r, g, b]
}

#[test]
fn strips_of_pillow_and_opencv() {
    let image = open("pillow_lzw.tif");
    assert_eq!(image.rows.data, Buffer::U8(made_of(rgb)));
    let image = open("opencv_deflate16.tif");
    let wide = made_of(rgb).iter().map(|&v| u16::from(v) * 257).collect();
    assert_eq!(image.rows.data, Buffer::U16(wide));
    let image = open("pillow_bits_packbits.tif");
    let bits = made_of(|x, y| [if rgba(x, y)[0] > 100 { 255 } else { 0 }]);
    assert_eq!(image.rows.data, Buffer::U8(bits));
}

#[test]
fn tiles_and_float_predictors_of_vips() {
    let image = open("vips_tiled_big.tif");
    assert_eq!(image.rows.data, Buffer::U8(made_of(rgba)));
    let image = open("vips_float.tif");
    let floats = made_of(rgb).iter().map(|&v| f32::from(v) / 255.0).collect();
    assert_eq!(image.rows.data, Buffer::F32(floats));
}

#[test]
fn interlaced_and_animated_png() {
    let image = open("vips_interlaced.png");
    assert_eq!(image.rows.data, Buffer::U8(made_of(rgba)));
    let image = open("pillow_animated.png");
    assert_eq!(image.rows.data, Buffer::U8(made_of(rgb)));
}

#[test]
fn palettes_of_pillow() {
    const COLORS: [[u8; 3]; 5] = [
        [10, 20, 30],
        [200, 100, 50],
        [0, 255, 0],
        [1, 2, 3],
        [255, 255, 255],
    ];
    let expected = Buffer::U8(made_of(|x, y| COLORS[(x + y) % 5]));
    for name in [
        "pillow_palette.png",
        "pillow_palette.tif",
        "pillow_palette.gif",
    ] {
        assert_eq!(open(name).rows.data, expected, "{name}");
    }
}
