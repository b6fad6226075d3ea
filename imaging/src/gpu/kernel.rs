//! What an operation says of its way on a graphics device: passes of programs over rows of 8-bit samples.
//!
//! These are plain descriptions, made without a device and in every build.

use crate::border::Border;
use crate::image::Shape;
use std::sync::Arc;

/// A compute shader in WGSL: the text of one file of `shaders/` and one of its entry points.
#[derive(Debug)]
pub struct Program {
    /// The file's text, without what all programs share.
    pub source: &'static str,
    /// Name of the entry point.
    pub entry: &'static str,
    /// Names that passes may set before the text is compiled; 1 where they do not.
    pub constants: &'static [&'static str],
}

macro_rules! programs {
    ($file:literal, $constants:expr; $($(#[$meta:meta])* $name:ident $entry:literal),+ $(,)?) => {
        $($(#[$meta])* pub static $name: Program = Program {
            source: include_str!(concat!("shaders/", $file)),
            entry: $entry,
            constants: $constants,
        };)+
    };
}

/// The programs; their parameters are described in the shaders.
pub mod programs {
    use super::Program;
    programs!("point.wgsl", &["KIND"];
        /// A table of 256 samples.
        TABLE "table",
        /// The input's alpha in place of the output's.
        ALPHA "alpha",
        /// New pixels by kind.
        PIXELS "pixels",
        /// Pixels change place.
        GATHER "gather",
    );
    programs!("smooth.wgsl", &["TAPS"];
        /// Weighted sums of rows, into 16 bits.
        WEIGHTED_DOWN "weighted_down",
        /// Weighted sums along rows of 16 bits.
        WEIGHTED_ALONG "weighted_along",
        /// Sums of rows, into 16 bits.
        BOX_DOWN "box_down",
        /// Means along rows of such sums.
        BOX_ALONG "box_along",
    );
    programs!("window.wgsl", &["KIND", "GREATEST", "RADIUS"];
        /// Formulas on 3 x 3 samples, by kind.
        STENCIL "stencil",
        /// The median of 3 x 3 samples.
        MEDIAN_OF_NINE "median_of_nine",
        /// The median of any small window.
        MEDIAN "median",
        /// The least or greatest of some rows.
        EXTREMUM_DOWN "extremum_down",
        /// The least or greatest of some columns.
        EXTREMUM_ALONG "extremum_along",
        /// The least or greatest under an element.
        ELEMENT "element",
    );
    programs!("resample.wgsl", &[];
        /// New rows from weighted ones.
        RESAMPLE_DOWN "down",
        /// New columns from weighted ones.
        RESAMPLE_ALONG "along",
        /// Colours times alpha.
        PREMULTIPLY "premultiply",
        /// Colours divided by alpha.
        UNPREMULTIPLY "unpremultiply",
    );
    programs!("tally.wgsl", &["PLANE", "BINS"];
        /// Histograms.
        COUNT "count",
    );
}

/// Which rows a pass makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Those of the step's input that its output rows need.
    Input,
    /// The step's output rows.
    Output,
}

/// How samples lie between two passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// Four 8-bit samples in a word.
    Bytes,
    /// Two 16-bit samples in a word.
    Halves,
}

/// One run of a program over rows.
#[derive(Clone, Debug)]
pub struct Pass {
    /// What runs.
    pub program: &'static Program,
    /// Constants of the program's text.
    pub constants: Vec<(&'static str, i32)>,
    /// Up to [`Pass::PARAMS`] numbers.
    pub params: Vec<i32>,
    /// Tables and weights.
    pub data: Arc<[u32]>,
    /// Rows made.
    pub rows: Extent,
    /// Shape of the whole image made.
    pub output: Shape,
    /// How its samples lie.
    pub store: Store,
    /// What lies beyond the edges of what it reads.
    pub border: Border,
    /// Samples read for one made, about: what the cost is predicted from.
    pub reads: f64,
}

impl Pass {
    /// The most parameters of a pass.
    pub const PARAMS: usize = 12;

    /// A pass without constants, parameters and data that makes the step's output rows.
    pub fn new(program: &'static Program, output: Shape) -> Pass {
        Pass {
            program,
            constants: Vec::new(),
            params: Vec::new(),
            data: Arc::from([]),
            rows: Extent::Output,
            output,
            store: Store::Bytes,
            border: Border::Replicate,
            reads: 1.0,
        }
    }

    /// With a constant of the program's text.
    pub fn constant(mut self, name: &'static str, value: i32) -> Pass {
        debug_assert!(self.program.constants.contains(&name), "{name}");
        self.constants.push((name, value));
        self
    }

    /// With parameters.
    pub fn params(mut self, params: &[i32]) -> Pass {
        debug_assert!(params.len() <= Pass::PARAMS);
        self.params = params.to_vec();
        self
    }

    /// With tables or weights.
    pub fn data(mut self, data: impl Into<Arc<[u32]>>) -> Pass {
        self.data = data.into();
        self
    }

    /// With 8-bit samples as data.
    pub fn bytes(self, samples: &[u8]) -> Pass {
        let word = |four: &[u8]| {
            let byte = |k: usize| u32::from(four.get(k).copied().unwrap_or(0)) << (8 * k);
            byte(0) | byte(1) | byte(2) | byte(3)
        };
        self.data(samples.chunks(4).map(word).collect::<Vec<u32>>())
    }

    /// That many samples read for each one made.
    pub fn reads(mut self, reads: f64) -> Pass {
        self.reads = reads;
        self
    }

    /// With what lies beyond the edges.
    pub fn border(mut self, border: Border) -> Pass {
        self.border = border;
        self
    }

    /// Made of rows of its step's input.
    pub fn on_input(mut self) -> Pass {
        self.rows = Extent::Input;
        self
    }

    /// Made of 16-bit samples.
    pub fn halves(mut self) -> Pass {
        self.store = Store::Halves;
        self
    }
}

/// A step on a device: its passes in order, each on what the one before made. The last makes bytes.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// The passes.
    pub passes: Vec<Pass>,
}

impl Kernel {
    /// A kernel of one pass.
    pub fn one(pass: Pass) -> Option<Kernel> {
        Kernel::of(vec![pass])
    }

    /// A kernel of these passes.
    pub fn of(passes: Vec<Pass>) -> Option<Kernel> {
        Some(Kernel { passes })
    }

    /// Samples read for one image of the step's output.
    pub fn reads(&self) -> f64 {
        let samples = |pass: &Pass| (pass.output.rows * pass.output.row_len()) as f64;
        self.passes.iter().map(|p| p.reads * samples(p)).sum()
    }
}

/// How a whole image is counted on a device.
#[derive(Clone, Debug)]
pub struct Count {
    /// What is counted, as the shader numbers it.
    pub plane: i32,
    /// How many sums there are.
    pub bins: usize,
}
