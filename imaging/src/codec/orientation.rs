//! The eight EXIF orientations as flips and turns.

use crate::kernels::quarter_turn::QuarterTurn;
use crate::op::Step;
use crate::ops::flip::Flip;

/// One flip or turn of a whole image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Left and right change places.
    FlipHorizontal,
    /// Top and bottom change places.
    FlipVertical,
    /// By 90 degrees clockwise.
    Clockwise,
    /// By 180 degrees.
    Half,
    /// By 90 degrees anticlockwise.
    Anticlockwise,
}

/// What turns stored pixels of that EXIF orientation upright, in order. Values outside of 1..=8 mean 1.
pub fn turns(orientation: u8) -> &'static [Turn] {
    match orientation {
        2 => &[Turn::FlipHorizontal],
        3 => &[Turn::Half],
        4 => &[Turn::FlipVertical],
        5 => &[Turn::Clockwise, Turn::FlipHorizontal],
        6 => &[Turn::Clockwise],
        7 => &[Turn::Anticlockwise, Turn::FlipHorizontal],
        8 => &[Turn::Anticlockwise],
        _ => &[],
    }
}

/// The same as steps to run before all others.
pub fn steps(orientation: u8) -> Vec<Step> {
    let flip = |columns, rows| Step::local(Flip { columns, rows });
    let quarter = |clockwise| Step::collective(QuarterTurn { clockwise });
    let step = |turn: &Turn| match turn {
        Turn::FlipHorizontal => flip(true, false),
        Turn::FlipVertical => flip(false, true),
        Turn::Half => flip(true, true),
        Turn::Clockwise => quarter(true),
        Turn::Anticlockwise => quarter(false),
    };
    turns(orientation).iter().map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comm::serial::Serial;
    use crate::executor::{Context, run_rows};
    use crate::image::{Buffer, Color, Image, SampleType, Shape};
    use crate::plan::Plan;

    #[test]
    fn all_orientations_become_upright() {
        // Where the first row and the first column of the stored pixels belong, by EXIF 2.3, 4.6.4.
        let expected: [(u8, usize, [u8; 6]); 9] = [
            (0, 3, [1, 2, 3, 4, 5, 6]),
            (1, 3, [1, 2, 3, 4, 5, 6]),
            (2, 3, [3, 2, 1, 6, 5, 4]),
            (3, 3, [6, 5, 4, 3, 2, 1]),
            (4, 3, [4, 5, 6, 1, 2, 3]),
            (5, 2, [1, 4, 2, 5, 3, 6]),
            (6, 2, [4, 1, 5, 2, 6, 3]),
            (7, 2, [6, 3, 5, 2, 4, 1]),
            (8, 2, [3, 6, 2, 5, 1, 4]),
        ];
        let shape = Shape::new(2, 3, Color::Gray, SampleType::U8);
        let image = Image::new(shape, Buffer::U8(vec![1, 2, 3, 4, 5, 6]));
        for (orientation, cols, samples) in expected {
            let plan = Plan::from_steps(&steps(orientation), shape).unwrap();
            let comm = Serial::default();
            let rows = run_rows(&mut Context::new(&comm), &plan, image.rows.clone()).unwrap();
            assert_eq!(rows.shape.cols, cols, "orientation {orientation}");
            assert_eq!(
                rows.data,
                Buffer::U8(samples.to_vec()),
                "orientation {orientation}"
            );
        }
    }
}
