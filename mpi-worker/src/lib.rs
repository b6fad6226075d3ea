//! Runs a batch of images on a world of ranks.
