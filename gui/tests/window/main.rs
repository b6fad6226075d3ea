//! The window as a person or a screen reader meets it, with the real engine behind it.
#![allow(clippy::unwrap_used)]

mod amiss;
mod cluster;
mod common;
mod compose;
mod files;
mod looks;
mod paint;
mod programs;
mod runs;
mod snapshots;
mod stacks;
mod stores;
mod systems;
