//! All operations, one file each; this list is what menus, validation and the reference page read.

pub mod adaptive_threshold;
pub mod autocontrast;
pub mod bilateral;
pub mod box_blur;
pub mod brightness;
pub mod butterworth;
pub mod canny;
pub mod clahe;
pub mod contrast;
pub mod convolve;
pub mod crop;
pub mod edge_overlay;
pub mod emboss;
pub mod equalize;
pub mod flatten;
pub mod flip;
pub mod gamma;
pub mod gaussian;
pub mod gradients;
pub mod gray;
pub mod harris;
pub mod hough_lines;
pub mod invert;
pub mod laplacian;
pub mod levels;
pub mod median;
pub mod morphology;
pub mod otsu;
pub mod pad;
pub mod posterize;
pub mod range;
pub mod resize;
pub mod roberts;
pub mod rotate;
pub mod saturation;
pub mod select;
pub mod sepia;
pub mod sharpen;
pub mod threshold;
pub mod thumbnail;
pub mod to_rgb;
pub mod unsharp;

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
    &range::OP,
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
    // Channels
    &select::OP,
    &flatten::OP,
];

/// The operation of that name.
pub fn find(name: &str) -> Option<&'static Op> {
    ALL.iter().find(|op| op.name == name).copied()
}
