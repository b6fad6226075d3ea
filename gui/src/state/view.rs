//! What the preview shows, and how.

use crate::picture::{Histogram, Pyramid};
use std::sync::Arc;

/// How before and after are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compare {
    /// One picture, cut by a line that can be moved.
    #[default]
    Split,
    /// Two pictures beside each other.
    Beside,
    /// The result alone; the original while a key is held.
    After,
}

/// How exact the picture is that is seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Exactness {
    /// There is none yet.
    #[default]
    None,
    /// Computed from a smaller image.
    Approximate,
    /// The very bytes that a run writes.
    Exact(Written),
    /// Why there is none.
    Failed(String),
}

/// What a run writes for the image.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// SHA-256 of the output.
    pub sha256: String,
    /// Its bytes.
    pub bytes: u64,
    /// Milliseconds that it took.
    pub ms: u64,
    /// Milliseconds of one core, as far as that can be told.
    pub core_ms: f64,
    /// Its format.
    pub format: &'static str,
    /// What is odd about it.
    pub warnings: Vec<String>,
}

/// A picture with what is known about it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its pixels at several sizes.
    pub pyramid: Arc<Pyramid>,
    /// How often each level occurs.
    pub histogram: Arc<Histogram>,
    /// Width and height that the whole image has.
    pub size: (usize, usize),
}

/// The preview.
#[derive(Clone, Debug)]
pub struct View {
    /// The image as it is.
    pub before: Option<Seen>,
    /// What the pipeline makes of it.
    pub after: Option<Seen>,
    /// How exact that is.
    pub exactness: Exactness,
    /// Whether something is being computed.
    pub busy: bool,
    /// The number of the latest request; older answers are for nobody.
    pub serial: u64,
    /// The file that `before` is of.
    pub file: Option<u64>,
    /// How both are compared.
    pub compare: Compare,
    /// Where the line is, as a share of the width.
    pub split: f32,
    /// Screen pixels per image pixel; none: as large as fits.
    pub zoom: Option<f32>,
    /// The point of the image in the middle of the view, as shares of its sides.
    pub center: (f32, f32),
    /// Whether the original is shown while a key or button is held.
    pub hold: bool,
    /// Whether histograms are shown.
    pub histograms: bool,
}

impl Default for View {
    fn default() -> View {
        View {
            before: None,
            after: None,
            exactness: Exactness::None,
            busy: false,
            serial: 0,
            file: None,
            compare: Compare::Split,
            split: 0.5,
            zoom: None,
            center: (0.5, 0.5),
            hold: false,
            histograms: true,
        }
    }
}
