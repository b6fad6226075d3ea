//! Strips and tiles that are pictures by themselves.

use super::*;
use crate::codec::FormatKind;

fn data(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/data/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).unwrap()
}

fn samples(image: &Image) -> &[u8] {
    image.rows.data.bytes()
}

#[test]
fn strips_of_jpeg_2000_are_read_and_made_rgb_where_they_are_not() {
    // 13 rows of 17 pixels.
    let stream = data("openjpeg_rgb8.jp2");
    let plain = try_decode(&stream).unwrap();
    let made = |compression: u16, photometric: u16| {
        let made = Made::new(26, 17, &[8; 3], photometric);
        made.with(259, &[compression])
            .with(278, &[13])
            .chunks(&[&stream, &stream])
    };
    for compression in [34712, 33005] {
        let image = made(compression, 2).image();
        assert_eq!(samples(&image), samples(&plain).repeat(2));
    }
    // The codestream says that it was transformed: RGB comes out of it, whatever the file says around it.
    assert_eq!(
        samples(&made(33003, 2).image())[..39 * 17],
        samples(&plain)[..39 * 17]
    );
    let mut stream = stream.clone();
    let cod = stream.windows(2).position(|m| m == [0xFF, 0x52]).unwrap();
    assert_eq!(stream[cod + 8], 1);
    stream[cod + 8] = 0;
    let plain = try_decode(&stream).unwrap();
    let made = |compression: u16, photometric: u16| {
        let made = Made::new(13, 17, &[8; 3], photometric);
        made.with(259, &[compression]).chunks(&[&stream])
    };
    let [y, cb, cr] = [0, 1, 2].map(|i| f64::from(samples(&plain)[60 + i]));
    for image in [made(33003, 2).image(), made(34712, 6).image()] {
        let red = (y + 1.402 * (cr - 128.0)).round().clamp(0.0, 255.0);
        let blue = (y + 1.772 * (cb - 128.0)).round().clamp(0.0, 255.0);
        assert_eq!(samples(&image)[60], red as u8);
        assert_eq!(samples(&image)[62], blue as u8);
    }
    flipped(&made(34712, 2).bytes(), 300);
    let four = Made::new(13, 17, &[8; 4], 2).with(259, &[34712]);
    assert!(try_decode(&four.chunks(&[&stream]).bytes()).is_err());
    assert!(try_decode(&made(34933, 2).bytes()).is_err());
}

#[test]
fn tiles_of_png_may_end_with_the_image() {
    let png = Format::of(FormatKind::Png);
    let whole = picture(20, 40, Color::Gray, SampleType::U16);
    let tile = |left: usize, cols: usize| {
        let mut rows = Rows::zeroed(Shape::new(20, cols, Color::Gray, SampleType::U16), 0..20);
        for y in 0..20 {
            let from = &whole.rows.row::<u16>(y)[left..left + cols];
            let to = &mut rows.data.bytes_mut()[2 * y * cols..][..2 * cols];
            to.copy_from_slice(bytemuck::cast_slice(from));
        }
        let image = Image {
            rows,
            metadata: Default::default(),
        };
        encode(&image, &png, KeepMetadata::None).unwrap()
    };
    let made = |right: Vec<u8>| {
        let mut made = Made::new(20, 40, &[16], 1)
            .with(259, &[34933])
            .with(322, &[32])
            .with(323, &[32]);
        made.tiled = true;
        made.chunks(&[&tile(0, 32), &right])
    };
    assert_eq!(samples(&made(tile(32, 8)).image()), samples(&whole));
    assert!(try_decode(&made(tile(32, 7)).bytes()).is_err());
}
