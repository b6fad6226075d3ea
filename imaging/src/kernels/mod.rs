//! What operations are made of: tables, stencils, separable filters, medians, resampling. Registers no operation.

pub mod boxed;
mod boxed_floats;
pub mod clahe_apply;
pub mod clahe_tiles;
pub mod extremum;
pub mod extremum_lanes;
pub mod extremum_rows;
pub mod histogram;
pub mod look_up;
pub mod median_columns;
pub mod median_network;
pub mod median_sliding;
pub mod median_small;
pub mod median_tiles;
pub mod morphology_difference;
pub mod output_size;
pub mod over;
pub mod padded;
pub mod quarter_turn;
pub mod ranked;
pub mod resample;
pub mod resample_axis;
pub mod resample_bytes;
mod resample_fours;
pub mod reverse_pixels;
pub mod round;
pub mod separable;
pub mod stencil;
pub mod table;
pub mod taps;
mod taps_x86;
pub mod turn;
pub mod turn_block;
pub mod ycrcb;

#[cfg(test)]
pub mod trial;
