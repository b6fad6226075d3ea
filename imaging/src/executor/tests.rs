//! How work is cut, and how it is stopped: what no pixel tells.

use super::distribute::pieces;
use super::*;
use crate::comm::serial::Serial;
use crate::image::{Color, SampleType};
use crate::pipeline::Pipeline;
use crate::{Buffer, Image};

const MIB: usize = 1 << 20;

fn segment(pipeline: &str, shape: Shape) -> Segment {
    let plan = Plan::new(&Pipeline::parse(pipeline).unwrap(), shape).unwrap();
    plan.stages[0].segment.clone()
}

#[test]
fn parts_are_several_a_thread_and_much_taller_than_what_they_compute_twice() {
    let shape = Shape::new(4096, 1000, Color::Rgb, SampleType::U8);
    let invert = segment("invert", shape);
    let band = band_rows(&invert);
    assert!((16..=256).contains(&band), "{band}");
    // As many as rows suffice for, four for each thread at the most.
    assert_eq!(parts(&invert, band - 1, 2), 1);
    assert_eq!(parts(&invert, 3 * band, 2), 3);
    assert_eq!(parts(&invert, 4096, 2), 8);
    assert_eq!(parts(&invert, 4096, 3), (4096 / band).min(12));
    // A part of a deep step is four times as tall as what is computed twice.
    let deep = segment("box_blur(radius=60)", shape);
    assert_eq!(deep.depth(), 120);
    assert_eq!(parts(&deep, 4 * 480, 8), 4);
    assert_eq!(parts(&deep, 0, 8), 1);
}

#[test]
fn measures_are_cut_into_two_parts_a_thread() {
    assert_eq!(tally_parts(4096, 64, 1), 1);
    assert_eq!(tally_parts(4096, 64, 3), 6);
    assert_eq!(tally_parts(200, 64, 3), 3);
    assert_eq!(tally_parts(63, 64, 3), 1);
}

#[test]
fn messages_are_whole_rows_below_the_limit() {
    let shape = Shape::new(5000, 1000, Color::Rgb, SampleType::U8);
    let all = pieces(shape, 7..4000);
    let most = MESSAGE_BYTES / 3000;
    assert_eq!(MESSAGE_BYTES, 8 * MIB);
    assert_eq!(all.len(), (4000usize - 7).div_ceil(most));
    assert!(all.iter().all(|piece| piece.len() * 3000 <= MESSAGE_BYTES));
    assert!(all.iter().rev().skip(1).all(|piece| piece.len() == most));
    let rows: Vec<usize> = all.into_iter().flatten().collect();
    assert!(rows.into_iter().eq(7..4000));
    // A row beyond the limit travels alone, and rows of nothing travel together.
    let wide = Shape::new(3, 3 * MIB, Color::Rgb, SampleType::U8);
    assert_eq!(pieces(wide, 0..3).len(), 3);
    let empty = Shape::new(3, 0, Color::Rgb, SampleType::U8);
    assert_eq!(pieces(empty, 0..3).len(), 1);
}

#[test]
fn a_stop_holds_for_what_was_begun_under_it_and_for_nothing_above() {
    let stop = Stop::default();
    let (child, sister) = (stop.child(), stop.child());
    child.set();
    assert!(child.is_set() && !stop.is_set() && !sister.is_set());
    assert!(child.check().is_err() && sister.check().is_ok());
    stop.set();
    assert!(sister.child().is_set());
    let told = sister.check().unwrap_err().to_string();
    assert!(told.contains("stopped"), "{told}");
}

#[test]
fn what_was_stopped_gives_no_picture() {
    let shape = Shape::new(300, 20, Color::Gray, SampleType::U8);
    let image = Image::new(shape, Buffer::U8(vec![7; 6000]));
    let comm = Serial::default();
    for pipeline in [
        "gaussian(sigma=1)",
        "equalize",
        "equalize | gaussian(sigma=1)",
    ] {
        let plan = Plan::new(&Pipeline::parse(pipeline).unwrap(), shape).unwrap();
        let run = |stop: &Stop| {
            let mut context = Context::new(&comm);
            context.stop = stop.clone();
            run_rows(&mut context, &plan, image.rows.clone())
        };
        let stop = Stop::default();
        assert!(run(&stop).is_ok(), "{pipeline}");
        stop.set();
        assert!(matches!(run(&stop), Err(Error::Stopped(_))), "{pipeline}");
    }
}

#[test]
fn rows_that_wait_for_nobody_are_computed_while_halos_travel() {
    let shape = Shape::new(60, 9, Color::Gray, SampleType::U8);
    let blur = segment("box_blur(radius=2)", shape);
    assert_eq!(interior(&blur, 10..30, &(10..30)), 12..28);
    // Beyond the image nothing is needed.
    assert_eq!(interior(&blur, 0..30, &(0..30)), 0..28);
    assert_eq!(interior(&blur, 30..60, &(30..60)), 32..60);
    assert!(interior(&blur, 10..14, &(10..14)).is_empty());
    assert!(interior(&blur, 10..10, &(10..10)).is_empty());
}
