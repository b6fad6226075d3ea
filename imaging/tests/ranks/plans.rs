//! What a plan says of a pipeline on a shape, beside pixels.

use super::serial;
use imaging::{Buffer, Color, Image, Pipeline, Plan, SampleType, Shape};

fn pipeline(text: &str) -> Pipeline {
    Pipeline::parse(text).unwrap()
}

#[test]
fn a_decoder_may_shrink_what_is_made_small_at_once() {
    let original = Shape::new(1000, 1600, Color::Rgb, SampleType::U8);
    let shrink = |text: &str| Plan::decode_shrink(&pipeline(text), original);
    // What is decoded stays twice as large as what is wanted.
    assert_eq!(shrink("thumbnail(size=50)"), 8);
    assert_eq!(shrink("thumbnail(size=150)"), 4);
    assert_eq!(shrink("thumbnail(size=300)"), 2);
    assert_eq!(shrink("thumbnail(size=1500)"), 1);
    for text in [
        "",
        "invert | thumbnail(size=100)",
        "equalize | thumbnail(size=100)",
    ] {
        assert_eq!(shrink(text), 1, "{text}");
    }
    let reduced = Shape::new(125, 200, Color::Rgb, SampleType::U8);
    let small = pipeline("thumbnail(size=50) | invert");
    let plan = Plan::new_shrunk(&small, original, reduced).unwrap();
    assert_eq!(plan.input, reduced);
    assert_eq!(plan.output, Plan::new(&small, original).unwrap().output);
    // Nothing makes up for it where pixels come first.
    for text in [
        "invert | thumbnail(size=100)",
        "equalize | thumbnail(size=100)",
        "",
    ] {
        let error = Plan::new_shrunk(&pipeline(text), original, reduced)
            .err()
            .unwrap();
        assert!(
            error
                .to_string()
                .contains("200 x 125 pixels in place of 1600 x 1000"),
            "{error}"
        );
        assert!(Plan::new_shrunk(&pipeline(text), original, original).is_ok());
    }
}

#[test]
fn a_plan_streams_if_no_stage_needs_the_whole_image() {
    let shape = Shape::new(100, 160, Color::Rgb, SampleType::U8);
    for (text, streams) in [
        ("", true),
        ("gaussian(sigma=3) | flip", true),
        ("equalize", false),
        ("gaussian | rotate", false),
    ] {
        let plan = Plan::new(&pipeline(text), shape).unwrap();
        assert_eq!(plan.streams(), streams, "{text}");
        assert_eq!(plan.stages.len() == 1, streams, "{text}");
    }
}

#[test]
fn doubles_that_were_narrowed_are_told_of() {
    let shape = Shape::new(9, 8, Color::Gray, SampleType::F64);
    let warned = |text: &str| {
        !Plan::new(&pipeline(text), shape)
            .unwrap()
            .warnings
            .is_empty()
    };
    assert!(warned("gaussian(sigma=1)"));
    assert!(!warned("") && !warned("crop(x=0, y=0, width=2, height=2)"));
    let floats = Shape::new(9, 8, Color::Gray, SampleType::F32);
    let plan = Plan::new(&pipeline("gaussian(sigma=1)"), floats).unwrap();
    assert!(plan.warnings.is_empty());
}

#[test]
fn doubles_give_what_floats_give_once_they_are_narrowed() {
    let values: Vec<f32> = (0..61u32 * 47)
        .map(|at| (at * 37 % 997) as f32 / 997.0)
        .collect();
    let doubles = values.iter().copied().map(f64::from).collect();
    let of = |sample, data| Image::new(Shape::new(61, 47, Color::Gray, sample), data);
    let (wide, narrow) = (
        of(SampleType::F64, Buffer::F64(doubles)),
        of(SampleType::F32, Buffer::F32(values)),
    );
    for text in [
        "gaussian(sigma=2, border=constant)",
        "median(radius=2) | gaussian(sigma=2, border=constant)",
        "equalize",
        "crop(x=1, y=2, width=40, height=50) | autocontrast | gaussian(sigma=1)",
        "rotate(degrees=90) | gaussian(sigma=1)",
    ] {
        let run = |image: &Image| {
            let plan = Plan::new(&pipeline(text), image.rows.shape).unwrap();
            assert_eq!(plan.output.sample, SampleType::F32, "{text}");
            serial(&plan, image)
        };
        assert!(run(&wide) == run(&narrow), "{text}");
    }
}
