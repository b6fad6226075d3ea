//! All operations, one file each; this list is what menus, validation and the reference page read.

pub mod adaptive_threshold;
pub mod autocontrast;
pub mod bilateral;
pub mod box_blur;
pub mod boxed;
pub mod brightness;
pub mod butterworth;
pub mod canny;
pub mod clahe;
pub mod clahe_apply;
pub mod clahe_tiles;
pub mod contrast;
pub mod convolve;
pub mod crop;
pub mod edge_overlay;
pub mod emboss;
pub mod equalize;
pub mod extremum;
pub mod extremum_lanes;
pub mod extremum_rows;
pub mod flip;
pub mod gamma;
pub mod gaussian;
pub mod gradients;
pub mod gray;
pub mod harris;
pub mod histogram;
pub mod hough_lines;
pub mod invert;
pub mod laplacian;
pub mod levels;
pub mod look_up;
pub mod median;
pub mod median_columns;
pub mod median_network;
pub mod median_sliding;
pub mod median_small;
pub mod median_tiles;
pub mod morphology;
pub mod morphology_difference;
pub mod otsu;
pub mod output_size;
pub mod pad;
pub mod padded;
pub mod posterize;
pub mod quarter_turn;
pub mod ranked;
pub mod resample;
pub mod resample_axis;
pub mod resample_bytes;
mod resample_fours;
pub mod resize;
pub mod reverse_pixels;
pub mod roberts;
pub mod rotate;
pub mod round;
pub mod saturation;
pub mod separable;
pub mod sepia;
pub mod sharpen;
pub mod stencil;
pub mod table;
pub mod taps;
mod taps_x86;
pub mod threshold;
pub mod thumbnail;
pub mod to_rgb;
pub mod turn;
pub mod turn_block;
pub mod unsharp;
pub mod ycrcb;

#[cfg(test)]
mod trial;

use crate::op::Op;

/// Every operation, grouped as the reference page shows them.
pub static ALL: &[&Op] = &[
    // Point operations
    &invert::OP,
    &gray::OP,
    &to_rgb::OP,
    &brightness::OP,
    &contrast::OP,
    &gamma::OP,
    &levels::OP,
    &posterize::OP,
    &saturation::OP,
    &sepia::OP,
    &threshold::OP,
    // Histograms
    &otsu::OP,
    &equalize::OP,
    &clahe::OP,
    &autocontrast::OP,
    // Filters
    &box_blur::OP,
    &gaussian::OP,
    &convolve::OP,
    &unsharp::OP,
    &sharpen::OP,
    &emboss::OP,
    &median::OP,
    &bilateral::OP,
    &butterworth::OP,
    // Morphology
    &morphology::ERODE,
    &morphology::DILATE,
    &morphology::OPEN,
    &morphology::CLOSE,
    &morphology::GRADIENT,
    &morphology::TOP_HAT,
    &morphology::BLACK_HAT,
    // Edges and features
    &gradients::SOBEL,
    &gradients::SCHARR,
    &gradients::PREWITT,
    &roberts::OP,
    &laplacian::OP,
    &adaptive_threshold::OP,
    &canny::OP,
    &harris::OP,
    &hough_lines::OP,
    &edge_overlay::OP,
    // Geometry
    &resize::OP,
    &thumbnail::OP,
    &crop::OP,
    &rotate::OP,
    &flip::OP,
    &pad::OP,
];

/// The operation of that name.
pub fn find(name: &str) -> Option<&'static Op> {
    ALL.iter().find(|op| op.name == name).copied()
}
