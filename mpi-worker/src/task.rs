//! One image: what is to be done with it, and what came of it.

use crate::device::Told;
use imaging::Error;
use protocol::job::Mode;
use protocol::receipt::{StageMs, TaskReceipt};
use protocol::state::TaskState;
use protocol::{Warning, name};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What a rank is told about an image.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    /// Number of the task in its job, from 0.
    pub task: u64,
    /// The input's path as text without loss.
    pub input: String,
    /// The output's path as text without loss.
    pub output: String,
    /// How the image is spread over ranks: [`Mode::Images`] or [`Mode::Rows`].
    pub mode: Mode,
    /// Why this mode.
    pub reason: String,
    /// Ranks that share it.
    pub ranks: usize,
    /// Threads of its rank that work on it where it is not shared, more than one of them borrowed.
    #[serde(default = "one")]
    pub threads: usize,
    /// Predicted bytes in the mode chosen, on all ranks together.
    pub memory: u64,
    /// Predicted bytes when all ranks share its rows.
    pub shared_memory: u64,
    /// Predicted bytes when its rank borrows threads.
    #[serde(default)]
    pub borrowed_memory: u64,
    /// Predicted nanoseconds of one core.
    pub cost: f64,
    /// Of these, those that ranks cannot share: decoding and encoding.
    pub serial: f64,
    /// Width and height of the input.
    pub size: (usize, usize),
    /// Warnings that its header lets expect.
    #[serde(default)]
    pub warnings: Vec<Warning>,
    /// Threads that a graphics device stands for; 0: the processor computes.
    #[serde(default)]
    pub device_threads: usize,
    /// Why the device or the processor.
    #[serde(default)]
    pub device_reason: String,
}

fn one() -> usize {
    1
}

impl Order {
    /// Where the input lies.
    pub fn input_path(&self) -> PathBuf {
        name::to_path(&self.input)
    }

    /// `gpu`, `cpu`, or nothing where there was nothing to decide.
    pub fn device_name(&self) -> &'static str {
        match (self.device_threads, self.device_reason.is_empty()) {
            (0, true) => "",
            (0, false) => "cpu",
            _ => "gpu",
        }
    }

    /// Where the output goes.
    pub fn output_path(&self) -> PathBuf {
        name::to_path(&self.output)
    }
}

/// The end of a task.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Finished {
    /// What lands in the job's receipt.
    pub receipt: TaskReceipt,
    /// Whether a limit refused it before decoding.
    pub refused: bool,
    /// Wall time of the task in milliseconds.
    pub ms: u64,
    /// Bytes sent to other ranks as halos.
    pub halo_bytes: u64,
    /// What kind of thing was wrong, if the task did not succeed.
    #[serde(default)]
    pub fault: Option<Fault>,
}

/// Why a task did not succeed, for those who count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The bytes are no sound image.
    Damaged,
    /// The pipeline or the format does not suit the image.
    Unsuitable,
    /// A limit refused it.
    Limit,
    /// Reading or writing files failed.
    Io,
    /// It took too long.
    Timeout,
    /// It was stopped.
    Cancelled,
}

impl Fault {
    fn of(error: &Error) -> Fault {
        match error {
            Error::Decode(_) => Fault::Damaged,
            Error::Pipeline(_) | Error::Encode(_) | Error::Unsuitable(_) => Fault::Unsuitable,
            Error::Limit(_) => Fault::Limit,
            Error::Io(_) => Fault::Io,
            Error::Stopped(reason) if reason.starts_with("stopped") => Fault::Cancelled,
            Error::Stopped(_) => Fault::Timeout,
        }
    }
}

/// A warning as receipts have it.
pub fn told(warning: &imaging::Warning) -> Warning {
    Warning {
        kind: warning.kind.name().into(),
        text: warning.text.clone(),
    }
}

/// What a successful task leaves.
pub struct Done {
    /// SHA-256 of the output.
    pub output_sha256: String,
    /// Bytes of the output.
    pub bytes: u64,
    /// Width of the output.
    pub width: u64,
    /// Height of the output.
    pub height: u64,
    /// Time in each stage.
    pub ms: StageMs,
    /// Oddities of the input that cost no pixel.
    pub warnings: Vec<Warning>,
    /// Bytes sent to other ranks as halos.
    pub halo_bytes: u64,
    /// What computed it.
    pub device: Told,
}

impl Finished {
    /// Fills a receipt from the order and its outcome.
    pub fn new(
        order: &Order,
        node: &str,
        input_sha256: Option<String>,
        ms: u64,
        outcome: Result<Done, Error>,
    ) -> Finished {
        let mut receipt = TaskReceipt {
            version: protocol::VERSION,
            task: order.task,
            input: order.input.clone(),
            input_sha256,
            output: None,
            object: None,
            output_sha256: None,
            bytes: None,
            width: None,
            height: None,
            mode: Some(order.mode),
            mode_reason: order.reason.clone(),
            ranks: Some(order.ranks),
            ms: StageMs::default(),
            attempt: 1,
            node: node.to_owned(),
            state: TaskState::Failed,
            skipped: false,
            reason: None,
            warnings: Vec::new(),
            device: String::new(),
            device_reason: String::new(),
        };
        let refused = matches!(outcome, Err(Error::Limit(_)));
        let fault = outcome.as_ref().err().map(Fault::of);
        let mut halo_bytes = 0;
        match outcome {
            Ok(done) => {
                receipt.state = TaskState::Succeeded;
                receipt.output = Some(order.output.clone());
                receipt.output_sha256 = Some(done.output_sha256);
                receipt.bytes = Some(done.bytes);
                receipt.width = Some(done.width);
                receipt.height = Some(done.height);
                receipt.ms = done.ms;
                receipt.warnings = done.warnings;
                receipt.device = done.device.device.to_owned();
                receipt.device_reason = done.device.reason;
                let device = |text| Warning {
                    kind: "device".into(),
                    text,
                };
                receipt.warnings.extend(done.device.warning.map(device));
                halo_bytes = done.halo_bytes;
            }
            Err(Error::Stopped(reason)) if reason.starts_with("stopped") => {
                receipt.state = TaskState::Cancelled;
                receipt.reason = Some(reason);
            }
            Err(error) => receipt.reason = Some(error.to_string()),
        }
        Finished {
            receipt,
            refused,
            ms,
            halo_bytes,
            fault,
        }
    }

    /// A task that failed before it could be ordered.
    pub fn failed(task: u64, input: String, node: &str, error: Error) -> Finished {
        let order = Order {
            task,
            input,
            output: String::new(),
            mode: Mode::Auto,
            reason: String::new(),
            ranks: 0,
            threads: 1,
            memory: 0,
            shared_memory: 0,
            borrowed_memory: 0,
            cost: 0.0,
            serial: 0.0,
            size: (0, 0),
            warnings: Vec::new(),
            device_threads: 0,
            device_reason: String::new(),
        };
        let mut finished = Finished::new(&order, node, None, 0, Err(error));
        finished.receipt.mode = None;
        finished.receipt.ranks = None;
        finished
    }
}
