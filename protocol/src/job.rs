//! The job: what a user asks for, the same in a file, over a wire and in a receipt.

use crate::pages::Pages;
use crate::pipeline::Pipeline;
use crate::size::Size;
use crate::{is_default, is_false, version};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Pixels of one image that are accepted when the job says nothing.
pub const MAX_PIXELS: u64 = 500_000_000;

/// A job file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// Version of this format: 1.
    #[serde(default = "version")]
    pub version: u32,
    /// A name for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Files, directories (recursive), globs; file://, s3://, gs:// URLs. Paths as in [`crate::name`].
    #[serde(default)]
    pub inputs: Vec<String>,
    /// Directory or URL prefix under which the relative path of each input is kept, or one file.
    #[serde(default)]
    pub output: String,
    /// What is done to each image; empty: only convert.
    #[serde(default)]
    pub pipeline: Pipeline,
    /// Output format such as `jpeg(quality=90)`; the input's where not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// MPI ranks to run on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ranks: Option<usize>,
    /// Ranks as threads of one process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread_ranks: Option<usize>,
    /// Threads of each rank; all cores where not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threads: Option<usize>,
    /// How images are spread over ranks.
    #[serde(default)]
    pub mode: Mode,
    /// Leave outputs that exist alone.
    #[serde(default, skip_serializing_if = "is_false")]
    pub skip_existing: bool,
    /// What a failed image means for the others.
    #[serde(default)]
    pub on_error: OnError,
    /// Which pages or frames of a file of several.
    #[serde(default, skip_serializing_if = "is_default")]
    pub pages: Pages,
    /// A warning makes its image fail, before anything of it is stored.
    #[serde(default, skip_serializing_if = "is_false")]
    pub strict: bool,
    /// What outputs are called: text with {dir}, {stem}, {ext}, {name}, {format}, {page}, {index}, {width}, {height} and
    /// {hash8}; the input's name with the format's extension where not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub names: Option<String>,
    /// What happens when two inputs come to the same output.
    #[serde(default, skip_serializing_if = "is_default")]
    pub on_clash: OnClash,
    /// Metadata that outputs keep.
    #[serde(default)]
    pub keep_metadata: KeepMetadata,
    /// Colours of outputs: `keep` (where not given), `srgb`, `display-p3`, a profile's file where the job is run on this
    /// machine, or `icc:` with the profile in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
    /// What lies behind transparent pixels where the output's format has no alpha: a name or `#rrggbb`; white where not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub background: Option<String>,
    /// Outputs get the times of their inputs.
    #[serde(default, skip_serializing_if = "is_false")]
    pub keep_times: bool,
    /// Outputs get the permissions of their inputs.
    #[serde(default, skip_serializing_if = "is_false")]
    pub keep_mode: bool,
    /// What is refused.
    #[serde(default)]
    pub limits: Limits,
    /// How a queue spreads the tasks.
    #[serde(default)]
    pub schedule: Schedule,
    /// A reduction over all inputs instead of a pipeline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reduce: Option<Reduce>,
}

impl Default for Job {
    fn default() -> Job {
        Job {
            version: version(),
            name: String::new(),
            inputs: Vec::new(),
            output: String::new(),
            pipeline: Pipeline::default(),
            format: None,
            ranks: None,
            thread_ranks: None,
            threads: None,
            mode: Mode::default(),
            skip_existing: false,
            on_error: OnError::default(),
            pages: Pages::default(),
            strict: false,
            names: None,
            on_clash: OnClash::default(),
            keep_metadata: KeepMetadata::default(),
            color: None,
            background: None,
            keep_times: false,
            keep_mode: false,
            limits: Limits::default(),
            schedule: Schedule::default(),
            reduce: None,
        }
    }
}

/// How images are spread over ranks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Chosen per image from its size and the pipeline's cost.
    #[default]
    Auto,
    /// Each rank takes whole images.
    Images,
    /// All ranks share the rows of each image.
    Rows,
}

impl Mode {
    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Auto => "auto",
            Mode::Images => "images",
            Mode::Rows => "rows",
        }
    }
}

/// What a failed image means for the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// The others go on.
    #[default]
    Continue,
    /// No further image is begun.
    Stop,
}

/// What happens when two inputs come to the same output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnClash {
    /// It is an error, before anything is written.
    #[default]
    Refuse,
    /// The later ones get numbers.
    Number,
}

/// Metadata that outputs keep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeepMetadata {
    /// All, adapted to what was done to the pixels.
    #[default]
    All,
    /// None.
    None,
    /// The ICC profile alone.
    Icc,
    /// What colours mean, and the copyright.
    Web,
}

/// What is refused, per image; `memory` for the whole job on one machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Largest number of pixels of one image.
    #[serde(default = "max_pixels")]
    pub max_pixels: u64,
    /// Largest input file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<Size>,
    /// Longest time for one image, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_secs: Option<f64>,
    /// Hard cap for the process tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Size>,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            max_pixels: MAX_PIXELS,
            max_bytes: None,
            timeout_secs: None,
            memory: None,
        }
    }
}

fn max_pixels() -> u64 {
    MAX_PIXELS
}

/// How a queue spreads tasks over nodes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Schedule {
    /// Which node a task goes to.
    pub placement: Placement,
    /// Whether a node may refuse a task.
    pub acceptance: Acceptance,
    /// Attempts after which a task has failed.
    pub max_attempts: u32,
    /// Refusals after which a task becomes mandatory.
    pub max_rejections: u32,
    /// Whether slow tasks are run a second time elsewhere.
    pub speculate: bool,
    /// Share of finished tasks from which on that is done.
    pub speculate_after: f64,
    /// A task is slow when it takes longer than this many times the mean.
    pub speculate_ratio: f64,
    /// How urgent the job is beside others.
    #[serde(skip_serializing_if = "is_default")]
    pub priority: Priority,
    /// Whether a node's graphics device computes; results are the same bytes.
    #[serde(skip_serializing_if = "Device::is_auto")]
    pub device: Device,
}

impl Default for Schedule {
    fn default() -> Schedule {
        Schedule {
            placement: Placement::Shared,
            acceptance: Acceptance::Mandatory,
            max_attempts: 3,
            max_rejections: 40,
            speculate: true,
            speculate_after: 0.75,
            speculate_ratio: 1.2,
            priority: Priority::Normal,
            device: Device::Auto,
        }
    }
}

/// How urgent a job is beside others: a more urgent one's tasks go first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Before all others.
    High,
    /// As most are.
    #[default]
    Normal,
    /// When nothing else waits.
    Low,
}

/// What computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Device {
    /// A graphics device where it is predicted to be faster.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// A graphics device wherever it can.
    Gpu,
}

impl Device {
    fn is_auto(&self) -> bool {
        *self == Device::Auto
    }
}

/// Which node a task goes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Placement {
    /// Whichever is free pulls it.
    #[default]
    Shared,
    /// One drawn uniformly.
    Random,
    /// The one that reports the least load.
    LeastLoaded,
}

/// Whether a node may refuse a task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Acceptance {
    /// It must take it.
    #[default]
    Mandatory,
    /// It refuses with a probability equal to its load.
    Optional,
}

/// A reduction over files: every index across all inputs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reduce {
    /// What is computed.
    pub op: ReduceOp,
    /// Files or partial results that one step of the tree takes.
    #[serde(default = "five")]
    pub fan_in: usize,
    /// Files held open at once.
    #[serde(default = "five")]
    pub max_open_files: usize,
    /// Samples of an output that is an image; those of the inputs where not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bits: Option<Bits>,
    /// Results of the tree's nodes stay in the store when a submitted job has ended.
    #[serde(default, skip_serializing_if = "is_false")]
    pub keep_partials: bool,
}

/// The type of an image's samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Bits {
    /// 8 bits.
    #[serde(rename = "8")]
    Eight,
    /// 16 bits.
    #[serde(rename = "16")]
    Sixteen,
    /// 32-bit floats, white being 1.
    #[serde(rename = "32f")]
    Float,
}

fn five() -> usize {
    5
}

/// What a reduction computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReduceOp {
    /// Arithmetic mean.
    Mean,
    /// Sum.
    Sum,
    /// Least.
    Min,
    /// Greatest.
    Max,
    /// Population standard deviation.
    Std,
    /// Median.
    Median,
}

impl ReduceOp {
    /// All of them.
    pub const ALL: [ReduceOp; 6] = [
        ReduceOp::Mean,
        ReduceOp::Sum,
        ReduceOp::Min,
        ReduceOp::Max,
        ReduceOp::Std,
        ReduceOp::Median,
    ];

    /// The name in JSON and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            ReduceOp::Mean => "mean",
            ReduceOp::Sum => "sum",
            ReduceOp::Min => "min",
            ReduceOp::Max => "max",
            ReduceOp::Std => "std",
            ReduceOp::Median => "median",
        }
    }
}
