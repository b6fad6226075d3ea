//! Images of bands: each is done as a gray image is.

use super::{picture, run, serial};
use imaging::comm::serial::Serial;
use imaging::executor::{Context, run_rows};
use imaging::{Buffer, Color, Image, Pipeline, Plan, SampleType, Shape};

/// One band of an image of bands, as a gray image.
fn plane(image: &Image, band: usize) -> Image {
    let bands = image.shape().channels();
    let shape = Shape {
        color: Color::Gray,
        ..image.shape()
    };
    let data = match &image.rows.data {
        Buffer::U8(v) => Buffer::U8(v.iter().skip(band).step_by(bands).copied().collect()),
        Buffer::U16(v) => Buffer::U16(v.iter().skip(band).step_by(bands).copied().collect()),
        Buffer::F32(v) => Buffer::F32(v.iter().skip(band).step_by(bands).copied().collect()),
        Buffer::F64(v) => Buffer::F64(v.iter().skip(band).step_by(bands).copied().collect()),
    };
    Image::new(shape, data)
}

#[test]
fn each_band_is_done_as_a_gray_image_is() {
    let mut refused = Vec::new();
    let examples = imaging::ops::ALL.iter().map(|op| (op.name, op.example));
    let more = [
        ("box_blur", "box_blur(radius=9, border=constant)"),
        ("dilate", "dilate(radius=5, shape=ellipse)"),
    ];
    for (name, text) in examples.chain(more) {
        let pipeline = Pipeline::parse(text).unwrap();
        for sample in [SampleType::U8, SampleType::U16, SampleType::F32] {
            let image = picture(Shape::new(37, 29, Color::Bands(5), sample));
            let plan = match Plan::new(&pipeline, image.shape()) {
                Ok(plan) => plan,
                Err(error) => {
                    let text = error.to_string();
                    assert!(text.contains("select(bands=["), "{}: {text}", name);
                    assert!(text.contains("5 bands"), "{text}");
                    refused.push(name);
                    continue;
                }
            };
            if name == "select" {
                continue;
            }
            assert_eq!(plan.output.color, Color::Bands(5), "{}", name);
            let got = Image::new(plan.output, {
                let comm = Serial::default();
                run_rows(&mut Context::new(&comm), &plan, image.rows.clone())
                    .unwrap()
                    .data
            });
            for band in 0..5 {
                let gray = plane(&image, band);
                let alone = Plan::new(&pipeline, gray.shape()).unwrap();
                let expected = serial(&alone, &gray);
                assert!(
                    plane(&got, band).rows.data.bytes() == expected,
                    "{} on {sample:?}: band {band} differs",
                    name
                );
            }
            for ranks in [2, 5] {
                let same = run(&plan, &image, ranks, 2).unwrap();
                assert!(same == got.rows.data.bytes(), "{} on {ranks} ranks", name);
            }
        }
    }
    refused.dedup();
    assert_eq!(
        refused,
        [
            "grayscale",
            "to_rgb",
            "saturation",
            "sepia",
            "otsu",
            "adaptive_threshold",
            "canny",
            "harris",
            "hough_lines",
            "edge_overlay"
        ]
    );
}
