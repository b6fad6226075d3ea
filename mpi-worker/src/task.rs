//! One image: what is to be done with it, and what came of it.

use crate::atomic::Digested;
use crate::device::Told;
use imaging::Error;
use protocol::job::Mode;
use protocol::receipt::{PageReceipt, StageMs, TaskReceipt};
use protocol::state::TaskState;
use protocol::{Warning, name};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What a rank is told about an image.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    /// Number of the task in its job, from 0.
    pub task: u64,
    /// Which part of the task, from 0, and of how many: pages of one file may go to several ranks.
    #[serde(default)]
    pub part: u32,
    /// See `part`.
    #[serde(default = "one_part")]
    pub parts: u32,
    /// The input's path as text without loss.
    pub input: String,
    /// The outputs with the pictures that go into each.
    pub files: Vec<OutputFile>,
    /// Pages or frames of the input.
    #[serde(default = "one_part")]
    pub pages: u32,
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

fn one_part() -> u32 {
    1
}

/// An output and the pictures that go into it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputFile {
    /// Its path as text without loss.
    pub output: String,
    /// Pages of the input, from 0, in order.
    pub pages: Vec<u32>,
}

impl OutputFile {
    /// The output of the first page.
    pub fn first(output: String) -> OutputFile {
        OutputFile {
            output,
            pages: vec![0],
        }
    }
}

impl Order {
    /// One of which nothing is known but its input.
    pub fn plain(task: u64, input: String) -> Order {
        Order {
            task,
            part: 0,
            parts: 1,
            input,
            files: Vec::new(),
            pages: 1,
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
        }
    }

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

    /// The first output, as text without loss.
    pub fn output(&self) -> &str {
        self.files.first().map_or("", |file| &file.output)
    }

    /// Whether pictures become outputs of their own.
    pub fn is_apart(&self) -> bool {
        self.files.len() > 1 || self.parts > 1
    }
}

/// The end of a task.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Finished {
    /// What lands in the job's receipt.
    pub receipt: TaskReceipt,
    /// Which part of the task this is, from 0, and of how many.
    #[serde(default)]
    pub part: u32,
    /// See `part`.
    #[serde(default = "one_part")]
    pub parts: u32,
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
    /// There is no room for its output; the reason leaves the way out to who knows it.
    Full,
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
            Error::Limit { .. } => Fault::Limit,
            Error::Io(_) => Fault::Io,
            Error::Full(_) => Fault::Full,
            Error::Stopped(_) => Fault::Cancelled,
            Error::Late(_) => Fault::Timeout,
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

/// What a task leaves.
pub struct Done {
    /// What became of each of the order's files, in their order.
    pub files: Vec<FileDone>,
    /// Time in each stage.
    pub ms: StageMs,
    /// Oddities of the input that cost no pixel.
    pub warnings: Vec<Warning>,
    /// Bytes sent to other ranks as halos.
    pub halo_bytes: u64,
    /// What computed it.
    pub device: Told,
}

/// What became of an output.
pub struct FileDone {
    /// Width and height of each of its pictures.
    pub sizes: Vec<(u64, u64)>,
    /// Its hash and length, or why there is none.
    pub stored: Result<Digested, Error>,
}

impl Done {
    /// Nothing yet.
    pub fn new(fetch: f64) -> Done {
        Done {
            files: Vec::new(),
            ms: StageMs {
                fetch,
                ..StageMs::default()
            },
            warnings: Vec::new(),
            halo_bytes: 0,
            device: Told::default(),
        }
    }

    /// Takes what computed a further picture: a device is told of where it computed any.
    pub fn computed_by(&mut self, told: Told) {
        let warning = self.device.warning.take().or(told.warning.clone());
        if self.device.device.is_empty() || told.device == "gpu" {
            self.device = told;
        }
        self.device.warning = warning;
    }

    /// Takes warnings, each once.
    pub fn warn(&mut self, warnings: Vec<Warning>) {
        for warning in warnings {
            if !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
    }
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
            page: None,
            pages: Vec::new(),
            mode: Some(order.mode),
            mode_reason: order.reason.clone(),
            ranks: Some(order.ranks),
            ms: StageMs::default(),
            attempt: 1,
            rejections: 0,
            node: node.to_owned(),
            state: TaskState::Failed,
            skipped: false,
            reason: None,
            warnings: Vec::new(),
            device: String::new(),
            device_reason: String::new(),
        };
        let refused = matches!(outcome, Err(Error::Limit { .. }));
        let fault = match &outcome {
            Err(error) => Some(Fault::of(error)),
            Ok(done) => (done.files.iter()).find_map(|f| f.stored.as_ref().err().map(Fault::of)),
        };
        let mut halo_bytes = 0;
        match outcome {
            Ok(done) => {
                halo_bytes = done.halo_bytes;
                fill(&mut receipt, order, done);
            }
            Err(Error::Stopped(reason)) => {
                receipt.state = TaskState::Cancelled;
                receipt.reason = Some(reason);
            }
            Err(error) => {
                let reason = error.to_string();
                if order.is_apart() {
                    let pages = order.files.iter().flat_map(|file| &file.pages);
                    receipt.pages.extend(pages.map(|page| PageReceipt {
                        page: page + 1,
                        reason: Some(reason.clone()),
                        ..PageReceipt::default()
                    }));
                }
                receipt.reason = Some(reason);
            }
        }
        Finished {
            receipt,
            part: order.part,
            parts: order.parts,
            refused,
            ms,
            halo_bytes,
            fault,
        }
    }

    /// A task that failed before it could be ordered.
    pub fn failed(task: u64, input: String, node: &str, error: Error) -> Finished {
        let order = Order::plain(task, input);
        let mut finished = Finished::new(&order, node, None, 0, Err(error));
        finished.receipt.mode = None;
        finished.receipt.ranks = None;
        finished
    }

    /// Takes in another part of the same task.
    pub fn merge(&mut self, other: Finished) {
        let (own, others) = (&mut self.receipt, other.receipt);
        own.pages.extend(others.pages);
        own.pages.sort_by_key(|page| page.page);
        own.input_sha256 = own.input_sha256.take().or(others.input_sha256);
        let (a, b) = (&mut own.ms, others.ms);
        a.fetch += b.fetch;
        a.decode += b.decode;
        a.compute += b.compute;
        a.halo += b.halo;
        a.encode += b.encode;
        a.store += b.store;
        for warning in others.warnings {
            if !own.warnings.contains(&warning) {
                own.warnings.push(warning);
            }
        }
        if own.device.is_empty() || others.device == "gpu" {
            (own.device, own.device_reason) = (others.device, others.device_reason);
        }
        let worse = match (own.state, others.state) {
            (TaskState::Failed, _) | (_, TaskState::Succeeded) => false,
            (TaskState::Succeeded, _) => true,
            (_, state) => state == TaskState::Failed,
        };
        if worse {
            (own.state, own.reason) = (others.state, others.reason);
            self.fault = other.fault;
        }
        self.refused &= other.refused;
        self.ms = self.ms.max(other.ms);
        self.halo_bytes += other.halo_bytes;
        summarize(&mut self.receipt);
    }
}

/// What came of the files of an order, as its receipt has it.
fn fill(receipt: &mut TaskReceipt, order: &Order, done: Done) {
    receipt.ms = done.ms;
    receipt.warnings = done.warnings;
    receipt.device = done.device.device.to_owned();
    receipt.device_reason = done.device.reason;
    let device = |text| Warning {
        kind: "device".into(),
        text,
    };
    receipt.warnings.extend(done.device.warning.map(device));
    receipt.state = TaskState::Succeeded;
    let apart = order.is_apart();
    let mut failures: Vec<String> = Vec::new();
    for (file, FileDone { sizes, stored }) in order.files.iter().zip(done.files) {
        let sizes = sizes.into_iter().map(Some).chain(std::iter::repeat(None));
        let first = receipt.pages.len();
        for (page, size) in file.pages.iter().zip(sizes) {
            receipt.pages.push(PageReceipt {
                page: page + 1,
                width: size.map(|size| size.0),
                height: size.map(|size| size.1),
                ..PageReceipt::default()
            });
        }
        let Some(page) = receipt.pages.get_mut(first) else {
            continue;
        };
        match stored {
            Ok(digested) if apart => {
                page.output = Some(file.output.clone());
                page.output_sha256 = Some(digested.sha256);
                page.bytes = Some(digested.bytes);
            }
            Ok(digested) => {
                receipt.output = Some(file.output.clone());
                receipt.output_sha256 = Some(digested.sha256);
                receipt.bytes = Some(digested.bytes);
                (receipt.width, receipt.height) = (page.width, page.height);
            }
            Err(error) => {
                page.reason = Some(error.to_string());
                failures.push(format!("page {}: {error}", page.page));
            }
        }
    }
    if !failures.is_empty() {
        receipt.state = TaskState::Failed;
        let more = match failures.len() {
            1 => String::new(),
            n => format!("; and {} more pages", n - 1),
        };
        receipt.reason = Some(format!("{}{more}", failures[0]));
    }
    match (apart, order.pages, receipt.pages.len()) {
        (true, ..) => summarize(receipt),
        (false, 1, _) => receipt.pages.clear(),
        (false, _, 1) => {
            receipt.page = Some(receipt.pages[0].page);
            receipt.pages.clear();
        }
        _ => {}
    }
}

/// Where pages are outputs of their own, the receipt's own fields tell of the first.
fn summarize(receipt: &mut TaskReceipt) {
    let first = receipt.pages.iter().find(|page| page.output.is_some());
    let first = match first {
        Some(first) if receipt.state == TaskState::Succeeded => first.clone(),
        _ => PageReceipt::default(),
    };
    receipt.output = first.output;
    receipt.output_sha256 = first.output_sha256;
    receipt.bytes = first.bytes;
    (receipt.width, receipt.height) = (first.width, first.height);
}
