//! From a submitted job to its receipt: tasks run on a world of ranks that stays warm.

pub mod world;
