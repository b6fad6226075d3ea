//! OpenEXR of other channels than red, green and blue.

use crate::codec::hostile::{flipped, try_decode};
use crate::image::{Buffer, Color, Image};
use exr::prelude::{
    AnyChannel, AnyChannels, Encoding, FlatSamples, Image as Picture, Layer, LayerAttributes,
    SmallVec, WritableImage as _,
};

/// A file of three by two pixels with these channels.
fn file(channels: &[(&str, FlatSamples)]) -> Vec<u8> {
    let list: SmallVec<[AnyChannel<FlatSamples>; 4]> = (channels.iter())
        .map(|(name, samples)| AnyChannel::new(*name, samples.clone()))
        .collect();
    let layer = Layer::new(
        (3, 2),
        LayerAttributes::default(),
        Encoding::UNCOMPRESSED,
        AnyChannels::sort(list),
    );
    let mut bytes = std::io::Cursor::new(Vec::new());
    let picture = Picture::from_layer(layer);
    picture
        .write()
        .to_buffered(&mut bytes)
        .expect("it is written");
    bytes.into_inner()
}

fn floats(from: f32) -> FlatSamples {
    FlatSamples::F32((0..6).map(|v| from + v as f32).collect())
}

fn read(channels: &[(&str, FlatSamples)]) -> Image {
    let bytes = file(channels);
    flipped(&bytes, 200);
    assert!(try_decode(&bytes[..bytes.len() - 9]).is_err());
    try_decode(&bytes).expect("it is read")
}

#[test]
fn brightness_is_gray_and_other_channels_are_bands() {
    let gray = read(&[("Y", floats(0.5))]);
    assert_eq!(gray.shape().color, Color::Gray);
    assert_eq!(
        gray.rows.data,
        Buffer::F32(vec![0.5, 1.5, 2.5, 3.5, 4.5, 5.5])
    );
    let alpha = read(&[("A", floats(9.0)), ("Y", floats(0.5))]);
    assert_eq!(alpha.shape().color, Color::GrayAlpha);
    assert_eq!(alpha.rows.row::<f32>(0)[..4], [0.5, 9.0, 1.5, 10.0]);
    let depth = read(&[(
        "Z",
        FlatSamples::F16(vec![exr::prelude::f16::from_f32(2.0); 6]),
    )]);
    assert_eq!(depth.rows.data, Buffer::F32(vec![2.0; 6]));
    let bands = read(&[("N.X", floats(1.0)), ("N.Y", floats(2.0))]);
    assert_eq!(bands.shape().color, Color::Bands(2));
    assert_eq!(bands.rows.row::<f32>(0)[..4], [1.0, 2.0, 2.0, 3.0]);
    // Colours go before what else there is.
    let rgb = read(&[
        ("B", floats(3.0)),
        ("G", floats(2.0)),
        ("R", floats(1.0)),
        ("Z", floats(4.0)),
    ]);
    let deep = file(&[
        ("B", floats(3.0)),
        ("G", floats(2.0)),
        ("R", floats(1.0)),
        ("Z", floats(4.0)),
    ]);
    let input = Box::new(std::io::Cursor::new(deep));
    let source = crate::codec::open(input, &Default::default(), &Default::default());
    let told = source.unwrap().warnings()[0].text.clone();
    assert!(told.ends_with("left out: Z"), "{told}");
    assert_eq!(rgb.shape().color, Color::Rgb);
    assert_eq!(rgb.rows.row::<f32>(0)[..3], [1.0, 2.0, 3.0]);
}

#[test]
fn whole_numbers_of_32_bits_stay_whole() {
    let ids = vec![0, 1, 16_777_217, u32::MAX, 5, 6];
    let image = read(&[("id", FlatSamples::U32(ids.clone()))]);
    let ids = ids.into_iter().map(f64::from).collect();
    assert_eq!(image.rows.data, Buffer::F64(ids));
}
