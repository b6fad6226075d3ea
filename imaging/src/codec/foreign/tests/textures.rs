//! Textures: masks, palettes, blocks.

use crate::codec::hostile::{flipped, small, try_decode};
use crate::codec::probe;
use crate::image::{Color, SampleType};

/// A texture of 3x2 pixels that is not packed.
fn texture(flags: u32, bits: u32, masks: [u32; 4], pixels: &[u8]) -> Vec<u8> {
    let mut file = b"DDS ".to_vec();
    let mut head = [0u32; 31];
    (head[0], head[2], head[3]) = (124, 2, 3);
    (head[18], head[19], head[21]) = (32, flags, bits);
    head[22..26].copy_from_slice(&masks);
    head.iter().for_each(|n| file.extend(n.to_le_bytes()));
    file.extend(pixels);
    file
}

#[test]
fn textures_that_are_not_packed_are_read_by_their_masks() {
    let bgra: Vec<u8> = (0..24).collect();
    let masks = [0xFF_0000, 0xFF00, 0xFF, 0xFF00_0000];
    let file = texture(0x41, 32, masks, &bgra);
    let image = try_decode(&file).unwrap();
    assert_eq!(image.shape().color, Color::Rgba);
    assert_eq!(image.rows.data.bytes()[..8], [2, 1, 0, 3, 6, 5, 4, 7]);
    // Five, six and five bits: the top of each is white.
    let file565 = texture(0x40, 16, [0xF800, 0x7E0, 0x1F, 0], &[0xFF; 12]);
    assert_eq!(try_decode(&file565).unwrap().rows.data.bytes(), [255; 18]);
    let gray = texture(0x2_0000, 8, [0xFF, 0, 0, 0], &[9, 8, 7, 6, 5, 4]);
    assert_eq!(
        try_decode(&gray).unwrap().rows.data.bytes(),
        [9, 8, 7, 6, 5, 4]
    );
    // Masks beyond the pixel.
    let beyond = [0xFF00_0000, 0, 0, 0xFF00_0000];
    let gray = texture(0x2_0000, 8, beyond, &[9, 8, 7, 6, 5, 4]);
    assert_eq!(try_decode(&gray).unwrap().rows.data.bytes()[..2], [9, 8]);
    let with_alpha = texture(0x2_0001, 16, beyond, &bgra[..12]);
    let image = try_decode(&with_alpha).unwrap();
    assert_eq!(image.shape().color, Color::GrayAlpha);
    assert_eq!(image.rows.data.bytes()[..4], [0, 1, 2, 3]);
    // A channel without bits is 0.
    let none = texture(0x40, 24, [0, 0xFF00, 0, 0], &bgra[..18]);
    assert_eq!(
        try_decode(&none).unwrap().rows.data.bytes()[..6],
        [0, 1, 0, 0, 4, 0]
    );
    // Indices of colours.
    let mut palette = vec![0; 1024];
    palette[4 * 9..4 * 10].copy_from_slice(&[1, 2, 3, 4]);
    let indexed = texture(
        0x20,
        8,
        [0; 4],
        &[&palette[..], &[9, 0, 9, 9, 9, 9]].concat(),
    );
    let image = try_decode(&indexed).unwrap();
    assert_eq!(image.rows.data.bytes()[..8], [1, 2, 3, 4, 0, 0, 0, 0]);
    for len in 0..file.len() {
        assert!(try_decode(&file[..len]).is_err(), "cut at {len}");
    }
    flipped(&file, 500);
}

/// A texture of four by four pixels of a DXGI format.
fn dxgi(format: u32, data: &[u8]) -> Vec<u8> {
    let mut file = texture(4, 0, [0; 4], &[]);
    let number = |file: &mut Vec<u8>, at: usize, v: u32| {
        file[at..at + 4].copy_from_slice(&v.to_le_bytes());
    };
    number(&mut file, 12, 4);
    number(&mut file, 16, 4);
    file[84..88].copy_from_slice(b"DX10");
    for field in [format, 3, 0, 1, 0] {
        file.extend(field.to_le_bytes());
    }
    file.extend(data);
    file
}

#[test]
fn blocks_are_unpacked() {
    // One brightness for all: both ends of the block, and indices 0.
    let flat = [77, 77, 0, 0, 0, 0, 0, 0];
    for (format, blocks, color, first) in [
        // BC4 and BC5: one channel, two channels.
        (80, vec![flat], Color::Gray, vec![77]),
        (83, vec![flat, flat], Color::Rgb, vec![77, 77, 0]),
        // BC1: five, six, five bits of white.
        (71, vec![[0xFF; 8]], Color::Rgba, vec![0, 0, 0, 0]),
    ] {
        let file = dxgi(format, &blocks.concat());
        let image = try_decode(&file).unwrap();
        assert_eq!(image.shape().color, color, "format {format}");
        assert_eq!((image.shape().rows, image.shape().cols), (4, 4));
        assert_eq!(
            image.rows.data.bytes()[..first.len()],
            first,
            "format {format}"
        );
        for len in 0..file.len() {
            assert!(
                try_decode(&file[..len]).is_err(),
                "format {format} cut at {len}"
            );
        }
        flipped(&file, 300);
    }
    // BC7 of mode 6, both ends alike: seven bits and a shared one.
    let mut block = [0u8; 16];
    block[0] = 0x40;
    let file = dxgi(98, &block);
    assert_eq!(
        try_decode(&file).unwrap().rows.data.bytes()[..4],
        [0, 0, 0, 0]
    );
    flipped(&file, 300);
    // BC3 has four colours whatever the order of their ends: black, white, a third, two thirds.
    for (ends, indices) in [
        ([0, 0, 0xFF, 0xFF], 0b11_10_01_00),
        ([0xFF, 0xFF, 0, 0], 0b10_11_00_01),
    ] {
        let mut block = [255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, indices, 0, 0, 0];
        block[8..12].copy_from_slice(&ends);
        let row = try_decode(&dxgi(77, &block))
            .unwrap()
            .rows
            .row::<u8>(0)
            .to_vec();
        assert_eq!(row[..8], [0, 0, 0, 255, 255, 255, 255, 255], "{ends:?}");
        assert_eq!(row[8..], [85, 85, 85, 255, 170, 170, 170, 255], "{ends:?}");
    }
    // BC6: floats.
    let file = dxgi(95, &[0; 16]);
    let header = probe(&mut std::io::Cursor::new(file), &small()).unwrap();
    assert_eq!(
        (header.shape.color, header.shape.sample),
        (Color::Rgb, SampleType::F32)
    );
}

#[test]
fn pixels_of_dxgi_are_read_and_what_is_not_is_named() {
    let rgba: Vec<u8> = (0..64).collect();
    // R8G8B8A8, as numbers and as sRGB.
    for format in [28, 29] {
        let image = try_decode(&dxgi(format, &rgba)).unwrap();
        assert_eq!(image.rows.data.bytes(), rgba);
    }
    let wide: Vec<u8> = (0..128).collect();
    assert_eq!(
        try_decode(&dxgi(11, &wide)).unwrap().shape().sample,
        SampleType::U16
    );
    let unknown = try_decode(&dxgi(113, &rgba)).unwrap_err().to_string();
    assert!(unknown.contains("DDS"), "{unknown}");
    let mut strange = texture(4, 0, [0; 4], &rgba);
    strange[84..88].copy_from_slice(b"WHAT");
    let strange = try_decode(&strange).unwrap_err().to_string();
    assert!(strange.contains("`WHAT`"), "{strange}");
}
