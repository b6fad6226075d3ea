//! The eight EXIF orientations as flips and turns.

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
