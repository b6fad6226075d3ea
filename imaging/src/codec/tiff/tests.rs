//! Round trips, files built field by field, truncation and damage.

use super::fields::{Field, serialise};
use crate::codec::hostile::{flipped, picture, pictures, round_trip, small, try_decode};
use crate::codec::{Format, KeepMetadata, Limits, OpenOptions, decode, encode, exif, open, probe};
use crate::error::Error;
use crate::image::{Buffer, Color, Image, Rows, SampleType, Shape};
use crate::window::Band;
use std::io::Cursor;

mod library;
mod nested;
mod pages;
mod samples;

const COLORS: [Color; 4] = [Color::Gray, Color::GrayAlpha, Color::Rgb, Color::Rgba];
const SAMPLES: [SampleType; 3] = [SampleType::U8, SampleType::U16, SampleType::F32];
const ALL: [&str; 4] = ["none", "lzw", "deflate", "packbits"];

fn tiff(compression: &str) -> Format {
    Format::parse(&format!("tiff(compression={compression})")).unwrap()
}

#[test]
fn every_kind_of_image_survives_every_compression() {
    for image in pictures(&COLORS, &SAMPLES) {
        for compression in ALL {
            assert_eq!(round_trip(&image, &tiff(compression)), image);
        }
    }
}

#[test]
fn many_strips_survive_on_any_number_of_threads_and_rows_are_found_by_number() {
    for (rows, cols) in [(3, 100_000), (1500, 700)] {
        let image = picture(rows, cols, Color::Rgb, SampleType::U8);
        for compression in ALL {
            let format = tiff(compression);
            let alone = encode(&image, &format, KeepMetadata::All).unwrap();
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(3)
                .build()
                .unwrap();
            let (limits, options) = (Limits::default(), OpenOptions::default());
            pool.install(|| {
                assert!(alone == encode(&image, &format, KeepMetadata::All).unwrap());
                assert!(decode(alone.clone(), &limits, &options).unwrap() == image);
            });
            let mut source = open(Box::new(Cursor::new(alone)), &limits, &options).unwrap();
            for at in [rows - 1, 0, rows / 2, 1] {
                assert!(source.seek_row(at).unwrap());
                let mut part = Rows::zeroed(image.shape(), at..at + 1);
                source.read(&mut Band::of(&mut part)).unwrap();
                assert!(part.data.bytes() == image.rows.bytes_of(at..at + 1));
            }
        }
    }
}

#[test]
fn metadata_survives() {
    let mut image = picture(5, 7, Color::Rgb, SampleType::U8);
    image.metadata.icc = Some((0..3000u32).map(|i| (i / 7) as u8).collect());
    image.metadata.exif = Some(exif::tests::block(true, 1));
    let format = Format::of(crate::codec::FormatKind::Tiff);
    let once = round_trip(&image, &format);
    assert_eq!(once.rows, image.rows);
    assert_eq!(once.metadata.icc, image.metadata.icc);
    // The maker's name of the block, now in little-endian order.
    assert_eq!(once.metadata.exif, Some(exif::tests::block(false, 1)));
    assert_eq!(round_trip(&once, &format), once);
}

/// The same image after it was written and read.
fn round(image: &Image, compression: &str) -> Image {
    let bytes = encode(image, &tiff(compression), KeepMetadata::All).unwrap();
    try_decode(&bytes).unwrap()
}

/// A TIFF built field by field.
#[derive(Clone)]
struct Made {
    wide: bool,
    fields: Vec<Field>,
    chunks: Vec<Vec<u8>>,
    /// Numbers of chunks that are not in the file.
    left_out: Vec<usize>,
    tiled: bool,
}

impl Made {
    fn new(rows: u64, cols: u64, bits: &[u16], photometric: u16) -> Made {
        Made {
            wide: false,
            fields: vec![
                Field::longs(256, &[cols], false),
                Field::longs(257, &[rows], false),
                Field::shorts(258, bits),
                Field::shorts(262, &[photometric]),
                Field::shorts(277, &[bits.len() as u16]),
            ],
            chunks: Vec::new(),
            left_out: Vec::new(),
            tiled: false,
        }
    }

    fn with(mut self, tag: u16, values: &[u16]) -> Made {
        self.fields.push(Field::shorts(tag, values));
        self
    }

    fn text(mut self, tag: u16, text: &str) -> Made {
        let data = [text.as_bytes(), b"\0"].concat();
        self.fields.push(Field::new(tag, 2, data.len(), data));
        self
    }

    /// A field whose values would lie beyond the file.
    fn lost(mut self, tag: u16) -> Made {
        let mut field = Field::new(tag, 7, 1 << 30, b"\0\0\0\x7F".to_vec());
        field.count = 1 << 30;
        self.fields.retain(|field| field.tag != tag);
        self.fields.push(field);
        self
    }

    fn chunks(mut self, chunks: &[&[u8]]) -> Made {
        self.chunks = chunks.iter().map(|c| c.to_vec()).collect();
        self
    }

    fn tiles(mut self, side: u16) -> Made {
        self.tiled = true;
        self.with(322, &[side]).with(323, &[side])
    }

    fn entries(&self) -> usize {
        self.fields.len() + 2
    }

    /// The chunks, then the directory.
    fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.append(&mut out);
        out
    }

    /// Appends a file, or a page to a file that is not empty, and answers where its directory is.
    fn append(&self, out: &mut Vec<u8>) -> usize {
        let begins = out.is_empty();
        if begins && self.wide {
            out.extend(b"II+\0\x08\0\0\0\0\0\0\0\0\0\0\0");
        } else if begins {
            out.extend(b"II*\0\0\0\0\0");
        }
        let mut places = Vec::new();
        for (number, chunk) in self.chunks.iter().enumerate() {
            if self.left_out.contains(&number) {
                places.push((0, 0));
                continue;
            }
            places.push((out.len() as u64, chunk.len() as u64));
            out.extend(chunk);
        }
        out.resize(out.len().div_ceil(2) * 2, 0);
        let offsets: Vec<u64> = places.iter().map(|p| p.0).collect();
        let lengths: Vec<u64> = places.iter().map(|p| p.1).collect();
        let (at, len) = if self.tiled { (324, 325) } else { (273, 279) };
        let mut fields = self.fields.clone();
        fields.push(Field::longs(at, &offsets, self.wide));
        fields.push(Field::longs(len, &lengths, self.wide));
        let directory = out.len();
        out.extend(serialise(&fields, directory as u64, self.wide));
        if begins {
            let place = if self.wide { 8..16 } else { 4..8 };
            let len = place.len();
            out[place].copy_from_slice(&(directory as u64).to_le_bytes()[..len]);
        }
        directory
    }

    fn image(&self) -> Image {
        let bytes = self.bytes();
        probe(&mut Cursor::new(&bytes), &small()).unwrap();
        let image = decode(bytes.clone(), &small(), &OpenOptions::default()).unwrap();
        cut(&bytes);
        flipped(&bytes, 500);
        image
    }
}

/// The file cut at every length is an error, or has all its pixels and lacks side data only.
fn cut(bytes: &[u8]) {
    let whole = try_decode(bytes).expect("the whole file is sound");
    for len in 0..bytes.len() {
        match try_decode(&bytes[..len]) {
            Err(Error::Decode(_)) => {}
            Err(other) => panic!("cut at {len}: {other:?}"),
            Ok(image) => assert_eq!(image.rows, whole.rows, "cut at {len} of {}", bytes.len()),
        }
    }
}

fn u8s(image: &Image) -> &[u8] {
    match &image.rows.data {
        Buffer::U8(v) => v,
        _ => panic!("samples of 8 bits"),
    }
}

#[test]
fn bits_palettes_and_white_as_zero_become_bytes() {
    let bilevel = Made::new(2, 9, &[1], 1).chunks(&[&[0b1010_0000, 0x80, 0, 0]]);
    let image = bilevel.image();
    assert_eq!(u8s(&image)[..9], [255, 0, 255, 0, 0, 0, 0, 0, 255]);
    let fax = Made::new(2, 9, &[1], 0).chunks(&[&[0b1010_0000, 0x80, 0, 0]]);
    assert_eq!(
        u8s(&fax.image())[..9],
        [0, 255, 0, 255, 255, 255, 255, 255, 0]
    );
    let reversed = Made::new(1, 8, &[1], 1).with(266, &[2]).chunks(&[&[1]]);
    assert_eq!(u8s(&reversed.image())[..], [255, 0, 0, 0, 0, 0, 0, 0]);
    let nibbles = Made::new(1, 3, &[4], 1).chunks(&[&[0x0F, 0x30]]);
    assert_eq!(u8s(&nibbles.image()), [0, 255, 51]);
    let colors = [0x1000, 0xFFFF, 0, 0, 0x2000, 0, 0xFFFF, 0, 0x3000, 0, 0, 0];
    let palette = Made::new(1, 3, &[2], 3)
        .with(320, &colors)
        .chunks(&[&[0b00_01_10_00]]);
    let image = palette.image();
    assert_eq!(image.shape().color, Color::Rgb);
    assert_eq!(u8s(&image), [0x10, 0x20, 0x30, 255, 0, 0, 0, 255, 0]);
    // Alpha beside the index is no index of a colour.
    let mut colors = vec![0u16; 3 * 256];
    (colors[7], colors[256 + 7], colors[512 + 7]) = (0x1100, 0x2200, 0x3300);
    for planar in [1, 2] {
        let chunks: [&[u8]; 2] = match planar {
            1 => [&[7, 200, 0, 100], &[]],
            _ => [&[7, 0], &[200, 100]],
        };
        let image = Made::new(1, 2, &[8, 8], 3)
            .with(320, &colors)
            .with(338, &[2])
            .with(284, &[planar])
            .chunks(&chunks[..planar as usize])
            .image();
        assert_eq!(image.shape().color, Color::Rgba);
        assert_eq!(u8s(&image), [0x11, 0x22, 0x33, 200, 0, 0, 0, 100]);
    }
    let inverted = Made::new(1, 2, &[16], 0).chunks(&[&[0, 0, 1, 0]]);
    assert_eq!(inverted.image().rows.data, Buffer::U16(vec![65535, 65534]));
}

#[test]
fn planes_extra_channels_and_multiplied_alpha_are_put_right() {
    let planes =
        Made::new(1, 2, &[8, 8, 8], 2)
            .with(284, &[2])
            .chunks(&[&[1, 2], &[3, 4], &[5, 6]]);
    assert_eq!(u8s(&planes.image()), [1, 3, 5, 2, 4, 6]);
    let unstated = Made::new(1, 1, &[8; 4], 2).chunks(&[&[1, 2, 3, 4]]);
    assert_eq!(unstated.image().shape().color, Color::Rgba);
    let extra = Made::new(1, 2, &[8; 5], 2)
        .with(338, &[0, 2])
        .chunks(&[&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]]);
    let image = extra.image();
    assert_eq!(image.shape().color, Color::Bands(5));
    assert!(image.metadata.rgb_bands);
    assert_eq!(u8s(&image), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    let multiplied = Made::new(1, 2, &[8; 2], 1)
        .with(338, &[1])
        .chunks(&[&[50, 100, 7, 0]]);
    let image = multiplied.image();
    assert_eq!(image.shape().color, Color::GrayAlpha);
    assert_eq!(u8s(&image), [128, 100, 7, 0]);
}

#[test]
fn tiles_are_cut_at_the_edges_in_either_container() {
    for wide in [false, true] {
        let tile =
            |first: u8| -> Vec<u8> { (0..256).map(|i| first + (i / 16 + i % 16) as u8).collect() };
        let tiles: Vec<Vec<u8>> = (0..4).map(|i| tile(i * 40)).collect();
        for packing in [1, 8] {
            let packed: Vec<Vec<u8>> = match packing {
                1 => tiles.clone(),
                _ => tiles
                    .iter()
                    .map(|t| crate::codec::deflate::zlib(t))
                    .collect(),
            };
            let packed: Vec<&[u8]> = packed.iter().map(Vec::as_slice).collect();
            let mut made = Made::new(17, 20, &[8], 1)
                .with(259, &[packing])
                .tiles(16)
                .chunks(&packed);
            made.wide = wide;
            let image = made.image();
            for y in 0..17usize {
                for x in 0..20usize {
                    let from = &tiles[y / 16 * 2 + x / 16];
                    assert_eq!(u8s(&image)[y * 20 + x], from[y % 16 * 16 + x % 16]);
                }
            }
        }
    }
}

#[test]
fn floats_of_either_width_are_read() {
    let values = [0.25f64, -3.5, 1.0];
    let narrow: Vec<u8> = values
        .iter()
        .flat_map(|v| (*v as f32).to_le_bytes())
        .collect();
    let wide: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let image = |bits, bytes: &[u8]| {
        let made = Made::new(1, 3, &[bits], 1).with(339, &[3]);
        made.chunks(&[bytes]).image().rows.data
    };
    assert_eq!(image(32, &narrow), Buffer::F32(vec![0.25, -3.5, 1.0]));
    assert_eq!(image(64, &wide), Buffer::F64(values.to_vec()));
}

#[test]
fn every_truncation_is_an_error_and_damage_never_panics() {
    let mut image = picture(9, 11, Color::Rgba, SampleType::U16);
    image.metadata.icc = Some(vec![5; 300]);
    image.metadata.exif = Some(exif::tests::block(false, 1));
    for compression in ALL {
        let bytes = encode(&image, &tiff(compression), KeepMetadata::All).unwrap();
        cut(&bytes);
        flipped(&bytes, 4000);
    }
}

#[test]
fn hostile_numbers_are_refused_before_anything_is_allocated() {
    let refused = |made: Made| try_decode(&made.bytes()).unwrap_err().to_string();
    let row: &[u8] = &[0; 4];
    assert!(refused(Made::new(50_000, 50_000, &[1], 1).chunks(&[row])).contains("max-pixels"));
    assert!(refused(Made::new(4, 0, &[8], 1).chunks(&[row])).contains("no pixels"));
    assert!(refused(Made::new(4, 4, &[8], 1).chunks(&[row])).contains("16 are needed"));
    let few = Made::new(4, 4, &[8], 1).with(278, &[1]).chunks(&[row]);
    assert!(refused(few).contains("fewer strips"));
    let none = Made::new(4, 4, &[8], 1).with(278, &[0]).chunks(&[row]);
    assert!(refused(none).contains("without pixels"));
    let absurd = Made::new(4, 4, &[8], 1)
        .with(259, &[8])
        .tiles(65535)
        .chunks(&[row]);
    assert!(refused(absurd).contains("65535x65535"));
    let bomb = Made::new(1000, 1000, &[8], 1)
        .with(259, &[8])
        .chunks(&[row]);
    assert!(refused(bomb).contains("cannot unpack"));
    assert!(refused(Made::new(1, 1, &[8; 3000], 1).chunks(&[row])).contains("3000 are needed"));
    let short = crate::codec::deflate::zlib(&[7; 15]);
    let short = Made::new(4, 4, &[8], 1).with(259, &[8]).chunks(&[&short]);
    assert!(refused(short).contains("before its rows do"));
    let long = crate::codec::deflate::zlib(&[7; 100]);
    let long = Made::new(4, 4, &[8], 1).with(259, &[8]).chunks(&[&long]);
    assert_eq!(u8s(&try_decode(&long.bytes()).unwrap()), [7; 16]);
}

#[test]
fn strips_that_shrink_much_are_searched_for_repetitions() {
    let shape = Shape::new(400, 300, Color::Gray, SampleType::U8);
    let data = (0..400 * 300)
        .map(|i| (i % 300 / 16 * 37 + i / 300 / 16 * 11) as u8)
        .collect();
    let image = Image::new(shape, Buffer::U8(data));
    let format = tiff("deflate");
    let bytes = encode(&image, &format, KeepMetadata::All).unwrap();
    assert!(bytes.len() < 3000, "{} bytes", bytes.len());
    assert_eq!(round_trip(&image, &format).rows, image.rows);
}

#[test]
fn all_that_an_exif_block_tells_is_kept_but_how_its_pixels_lay() {
    const RATING: u16 = 0x4749;
    const PRINT: u16 = 0xC4A5;
    const STRIPS: u16 = 0x0111;
    let mut block = exif::tests::block(true, 1);
    let long = "p".repeat(9000);
    for (tag, text) in [
        (RATING, "five of five"),
        (PRINT, &long),
        (STRIPS, "no strip"),
    ] {
        block = exif::with_text(Some(block), tag, text);
    }
    let mut image = picture(5, 7, Color::Rgb, SampleType::U8);
    image.metadata.exif = Some(block);
    let format = Format::parse("tiff").unwrap();
    let bytes = encode(&image, &format, KeepMetadata::All).unwrap();
    assert!(bytes.windows(long.len()).any(|w| w == long.as_bytes()));
    let again = decode(bytes, &Limits::default(), &OpenOptions::default()).unwrap();
    assert_eq!(again.rows, image.rows);
    let block = again.metadata.exif.unwrap();
    assert_eq!(exif::text(&block, RATING).as_deref(), Some("five of five"));
    assert_eq!(exif::text(&block, 0x010F).as_deref(), Some("abc"));
    // Of a TIFF what is long and nobody's is left where it is: a JPEG has no room for it.
    assert_eq!(exif::text(&block, PRINT), None);
    assert_eq!(exif::text(&block, STRIPS), None);
}

#[test]
fn inks_become_colours_by_the_files_profile() {
    const SEPARATED: u16 = 5;
    const ICC: u16 = 34675;
    // No ink, all of the black, half of it, and cyan alone, which this profile makes a gray.
    let inks = [0, 0, 0, 0, 0, 0, 0, 255, 0, 0, 0, 128, 255, 0, 0, 0];
    let made = |icc: Option<Vec<u8>>| {
        let mut made = Made::new(1, 4, &[8; 4], SEPARATED).chunks(&[&inks]);
        if let Some(icc) = icc {
            made.fields.push(Field::new(ICC, 7, icc.len(), icc));
        }
        let options = OpenOptions::default();
        decode(made.bytes(), &Limits::default(), &options).unwrap()
    };
    let by_profile = made(Some(crate::color::inks()));
    assert_eq!(by_profile.shape().color, Color::Rgb);
    assert_eq!(by_profile.metadata.icc, Some(crate::color::srgb()));
    let rgb = u8s(&by_profile);
    assert_eq!(rgb[..6], [255, 255, 255, 0, 0, 0]);
    assert!((117..=120).contains(&rgb[6]), "{rgb:?}");
    assert!(
        rgb[9] == rgb[10] && rgb[10] == rgb[11] && rgb[9] > 100,
        "{rgb:?}"
    );
    // As ideal inks, cyan takes the red.
    let ideal = made(None);
    assert_eq!(ideal.metadata.icc, None);
    assert_eq!(u8s(&ideal)[9..], [0, 255, 255]);
    assert_eq!(u8s(&ideal)[..6], [255, 255, 255, 0, 0, 0]);
}
