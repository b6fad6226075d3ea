//! The window of Sundog: files, a pipeline with its preview, runs of this computer and what came of them.
//!
//! State and painting are apart: [`state`] is all that the window knows, panels paint it and make [`command::Command`]s,
//! [`logic`] carries these out, and [`work`] does beside the window's thread whatever takes time.

pub mod app;
pub mod args;
pub mod command;
mod dropped;
pub mod keys;
pub mod logic;
pub mod panels;
pub mod picture;
pub mod presets;
pub mod remember;
pub mod secrets;
mod sight;
pub mod state;
pub mod text;
pub mod theme;
pub mod thumbs;
pub mod trace;
pub mod window;
pub mod work;
