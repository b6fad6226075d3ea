//! Images packed in tables, made number by number.

use super::super::tests::part;
use crate::codec::hostile::{flipped, try_decode};
use crate::image::Buffer;
use std::io::Write as _;

/// A file of an empty first part and a table of tiles.
fn table(
    cards: &[(&str, &str)],
    columns: &[(&str, &str)],
    rows: &[u8],
    count: usize,
    heap: &[u8],
) -> Vec<u8> {
    let primary = part(&[("SIMPLE", "T"), ("BITPIX", "8"), ("NAXIS", "0")], &[]);
    let numbers: Vec<String> = [rows.len() / count, count, heap.len(), columns.len()]
        .iter()
        .map(usize::to_string)
        .collect();
    let mut all = vec![
        ("XTENSION".to_owned(), "'BINTABLE'".to_owned()),
        ("BITPIX".into(), "8".into()),
        ("NAXIS".into(), "2".into()),
        ("NAXIS1".into(), numbers[0].clone()),
        ("NAXIS2".into(), numbers[1].clone()),
        ("PCOUNT".into(), numbers[2].clone()),
        ("GCOUNT".into(), "1".into()),
        ("TFIELDS".into(), numbers[3].clone()),
        ("ZIMAGE".into(), "T".into()),
    ];
    for (at, (name, form)) in columns.iter().enumerate() {
        all.push((format!("TTYPE{}", at + 1), format!("'{name}'")));
        all.push((format!("TFORM{}", at + 1), format!("'{form}'")));
    }
    all.extend(
        cards
            .iter()
            .map(|(key, value)| (key.to_string(), value.to_string())),
    );
    let cards: Vec<(&str, &str)> = all.iter().map(|(k, v)| (&k[..], &v[..])).collect();
    [primary, part(&cards, &[rows, heap].concat())].concat()
}

/// Rows of places of tiles, and the tiles.
fn tiles(all: &[Vec<u8>]) -> (Vec<u8>, Vec<u8>) {
    let (mut rows, mut heap) = (Vec::new(), Vec::new());
    for tile in all {
        rows.extend((tile.len() as u32).to_be_bytes());
        rows.extend((heap.len() as u32).to_be_bytes());
        heap.extend(tile);
    }
    (rows, heap)
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(data).unwrap();
    out.finish().unwrap()
}

const NUMBERS: [i16; 6] = [5, -300, 7, 32767, -32768, 0];
const SIDES: [(&str, &str); 4] = [
    ("ZBITPIX", "16"),
    ("ZNAXIS", "2"),
    ("ZNAXIS1", "3"),
    ("ZNAXIS2", "2"),
];

/// The lowest row is the first.
fn upright() -> Buffer {
    Buffer::F32(
        [&NUMBERS[3..], &NUMBERS[..3]]
            .concat()
            .into_iter()
            .map(f32::from)
            .collect(),
    )
}

fn big(numbers: &[i16]) -> Vec<u8> {
    numbers.iter().flat_map(|v| v.to_be_bytes()).collect()
}

#[test]
fn tiles_by_gzip_are_read_with_their_bytes_apart_or_not() {
    for (kind, form, apart) in [("'GZIP_1'", "1PB(40)", false), ("'GZIP_2'", "1PB", true)] {
        let packed = |numbers: &[i16]| {
            let bytes = big(numbers);
            let odd = bytes.iter().skip(1).step_by(2);
            let even = bytes.iter().step_by(2);
            let split: Vec<u8> = even.chain(odd).copied().collect();
            gzip(if apart { &split } else { &bytes })
        };
        let (rows, heap) = tiles(&[packed(&NUMBERS[..3]), packed(&NUMBERS[3..])]);
        let cards = [&SIDES[..], &[("ZCMPTYPE", kind)]].concat();
        let file = table(&cards, &[("COMPRESSED_DATA", form)], &rows, 2, &heap);
        assert_eq!(try_decode(&file).unwrap().rows.data, upright(), "{kind}");
        flipped(&file, 500);
        assert!(try_decode(&file[..file.len() - 2880]).is_err());
        // Tiles of one column and both rows.
        let column = |x: usize| packed(&[NUMBERS[x], NUMBERS[x + 3]]);
        let (rows, heap) = tiles(&[column(0), column(1), column(2)]);
        let cards = [&cards[..], &[("ZTILE1", "1"), ("ZTILE2", "2")]].concat();
        let file = table(&cards, &[("COMPRESSED_DATA", form)], &rows, 3, &heap);
        assert_eq!(try_decode(&file).unwrap().rows.data, upright(), "{kind}");
    }
}

#[test]
fn tiles_of_wider_numbers_than_the_image_are_read_where_those_fit() {
    let read = |beyond: i32| {
        let wide = |numbers: &[i16]| {
            let all = numbers.iter().map(|&v| i32::from(v) + beyond);
            gzip(&all.flat_map(i32::to_be_bytes).collect::<Vec<u8>>())
        };
        let (rows, heap) = tiles(&[wide(&NUMBERS[..3]), wide(&NUMBERS[3..])]);
        let cards = [&SIDES[..], &[("ZCMPTYPE", "'GZIP_1'")]].concat();
        try_decode(&table(
            &cards,
            &[("COMPRESSED_DATA", "1PB")],
            &rows,
            2,
            &heap,
        ))
    };
    assert_eq!(read(0).unwrap().rows.data, upright());
    let error = read(1).unwrap_err().to_string();
    assert!(error.contains("32768"), "{error}");
}

/// Bits, the highest first.
#[derive(Default)]
struct Bits(Vec<bool>);

impl Bits {
    fn put(&mut self, value: u32, count: u32) {
        self.0
            .extend((0..count).rev().map(|at| value >> at & 1 == 1));
    }

    fn bytes(&self) -> Vec<u8> {
        let byte = |bits: &[bool]| {
            (0..8).fold(0, |all, at| {
                all << 1 | u8::from(bits.get(at) == Some(&true))
            })
        };
        self.0.chunks(8).map(byte).collect()
    }
}

#[test]
fn differences_of_numbers_are_undone() {
    // In blocks of two: split at three bits; as they are; all alike.
    let mut numbers = vec![100i16, 105, -20_000, 20_000, 20_000, 20_000];
    let mut bits = Bits::default();
    bits.put(100, 16);
    bits.put(4, 4);
    for mapped in [0u32, 10] {
        bits.put(1, mapped / 8 + 1);
        bits.put(mapped % 8, 3);
    }
    bits.put(15, 4);
    for difference in [-20_105i32, 40_000 - 65_536] {
        let mapped = if difference < 0 {
            !(difference << 1)
        } else {
            difference << 1
        };
        bits.put(mapped as u32 & 0xFFFF, 16);
    }
    bits.put(0, 4);
    let (rows, heap) = tiles(&[bits.bytes()]);
    let cards = [
        ("ZBITPIX", "16"),
        ("ZNAXIS", "2"),
        ("ZNAXIS1", "6"),
        ("ZNAXIS2", "1"),
        ("ZCMPTYPE", "'RICE_1'"),
        ("ZNAME1", "'BLOCKSIZE'"),
        ("ZVAL1", "2"),
        ("ZNAME2", "'BYTEPIX'"),
        ("ZVAL2", "2"),
    ];
    let file = table(&cards, &[("COMPRESSED_DATA", "1PB(9)")], &rows, 1, &heap);
    let image = try_decode(&file).unwrap();
    let expected: Vec<f32> = numbers.drain(..).map(f32::from).collect();
    assert_eq!(image.rows.data, Buffer::F32(expected));
    flipped(&file, 500);
}

#[test]
fn floats_that_were_made_whole_become_floats_and_tiles_that_could_not_stay() {
    let whole: Vec<u8> = [4i32, -2, i32::MIN]
        .iter()
        .flat_map(|v| v.to_be_bytes())
        .collect();
    let floats: Vec<u8> = [0.5f32, 1e9, -3.0]
        .iter()
        .flat_map(|v| v.to_be_bytes())
        .collect();
    let (packed, other) = (gzip(&whole), gzip(&floats));
    let mut rows = Vec::new();
    // Place in one column or the other, scale and zero.
    rows.extend((packed.len() as u32).to_be_bytes());
    rows.extend([0; 12]);
    rows.extend([0.25f64, 10.0].iter().flat_map(|v| v.to_be_bytes()));
    rows.extend([0; 8]);
    rows.extend((other.len() as u32).to_be_bytes());
    rows.extend((packed.len() as u32).to_be_bytes());
    rows.extend([0; 16]);
    let columns = [
        ("COMPRESSED_DATA", "1PB(9)"),
        ("GZIP_COMPRESSED_DATA", "1PB(9)"),
        ("ZSCALE", "1D"),
        ("ZZERO", "1D"),
    ];
    let cards = [
        ("ZBITPIX", "-32"),
        ("ZNAXIS", "2"),
        ("ZNAXIS1", "3"),
        ("ZNAXIS2", "2"),
        ("ZBLANK", "-2147483648"),
        ("ZCMPTYPE", "'GZIP_1'"),
    ];
    let heap = [packed, other].concat();
    let file = table(&cards, &columns, &rows, 2, &heap);
    let Buffer::F32(values) = try_decode(&file).unwrap().rows.data else {
        panic!("floats")
    };
    assert_eq!(values[..5], [0.5, 1e9, -3.0, 11.0, 9.5]);
    assert!(values[5].is_nan());
    flipped(&file, 500);
    // Dither moves values by less than half a step, and zeros stay in the second kind.
    for (kind, zero) in [
        ("'SUBTRACTIVE_DITHER_1'", false),
        ("'SUBTRACTIVE_DITHER_2'", true),
    ] {
        let cards = [&cards[..], &[("ZQUANTIZ", kind), ("ZDITHER0", "7")]].concat();
        let file = table(&cards, &columns, &rows, 2, &heap);
        let Buffer::F32(moved) = try_decode(&file).unwrap().rows.data else {
            panic!("floats")
        };
        let off = (moved[3] - 11.0).abs();
        assert!(off > 0.0 && off <= 0.125, "{kind} {off} {zero}");
    }
}

#[test]
fn a_packing_that_is_not_read_is_named_with_the_way_out() {
    let (rows, heap) = tiles(&[vec![1], vec![2]]);
    let cards = [&SIDES[..], &[("ZCMPTYPE", "'HCOMPRESS_1'")]].concat();
    let file = table(&cards, &[("COMPRESSED_DATA", "1PB(1)")], &rows, 2, &heap);
    let error = try_decode(&file).unwrap_err().to_string();
    assert!(
        error.contains("HCOMPRESS_1") && error.contains("funpack"),
        "{error}"
    );
}
