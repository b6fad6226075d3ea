//! What of a plan goes to a device: segments and tallies whose steps all have a form there, where they win.

use super::{Device, Kernel, Trouble};
use crate::executor::{Stop, guarded};
use crate::image::{Color, SampleType, Shape};
use crate::plan::{Head, Plan, Segment, Stage};
use std::sync::{Arc, Mutex};

/// What a job asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// A device where it is predicted to win.
    #[default]
    Auto,
    /// The processor alone.
    Cpu,
    /// A device wherever it can.
    Gpu,
}

impl Choice {
    /// The names in jobs.
    pub const NAMES: &'static [&'static str] = &["auto", "cpu", "gpu"];

    /// The choice of that name.
    pub fn from_name(name: &str) -> Option<Choice> {
        Some(match name {
            "auto" => Choice::Auto,
            "cpu" => Choice::Cpu,
            "gpu" => Choice::Gpu,
            _ => return None,
        })
    }
}

/// A device has to be predicted to take at most this share of the processor's time: predictions are rough, and where it
/// wins little the processor may be free anyway.
const MARGIN: f64 = 0.55;

/// A device that one image may use, and what went wrong with it.
#[derive(Debug)]
pub struct Offload {
    device: Arc<Device>,
    choice: Choice,
    /// Threads that would compute on the processor instead.
    threads: usize,
    trouble: Mutex<Option<Trouble>>,
}

/// What [`Plan::place`] decided.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Placement {
    /// Whether anything goes to the device.
    pub gpu: bool,
    /// What goes there or why nothing does, for people.
    pub reason: String,
}

impl Offload {
    /// A device for an image that `threads` threads would compute instead.
    pub fn new(device: Arc<Device>, choice: Choice, threads: usize) -> Offload {
        Offload {
            device,
            choice,
            threads: threads.max(1),
            trouble: Mutex::new(None),
        }
    }

    /// The device.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// What went wrong, after which the processor did the work.
    pub fn trouble(&self) -> Option<Trouble> {
        self.trouble
            .lock()
            .unwrap_or_else(|e| e.into_inner())
            .clone()
    }

    /// Lets the device do something; `None` where it failed, now or earlier.
    pub(crate) fn tried<T>(
        &self,
        stop: &Stop,
        work: impl FnOnce(&Device) -> Result<T, Trouble>,
    ) -> Option<T> {
        if self.trouble().is_some() {
            return None;
        }
        let outcome = guarded(|| Ok(work(&self.device)));
        let trouble = match outcome {
            Ok(Ok(done)) => return Some(done),
            Ok(Err(trouble)) => trouble,
            Err(panic) => Trouble(panic.to_string()),
        };
        // Having been stopped is no fault of the device.
        if !stop.is_set() {
            let mut first = self.trouble.lock().unwrap_or_else(|e| e.into_inner());
            first.get_or_insert(trouble);
        }
        None
    }

    /// Predicted nanoseconds of a run of stages on the processor and on the device.
    fn predict(&self, stages: &[Stage], kernels: &[Vec<Kernel>]) -> (f64, f64) {
        let speed = self.device.speed();
        let (mut cpu, mut reads, mut pieces) = (0.0, 0.0, 1.0);
        for (stage, kernels) in stages.iter().zip(kernels) {
            if let (Head::Measured(m), true) = (&stage.head, stage.gpu.is_some()) {
                let samples = stage.input.bytes() as f64;
                cpu += m.cost() * samples;
                // Counting waits for others that count the same.
                reads += 3.0 * samples;
                pieces += 1.0;
            }
            cpu += stage.segment.cost();
            reads += kernels.iter().map(Kernel::reads).sum::<f64>();
            pieces += kernels.len() as f64 * 0.1;
        }
        let up = stages.first().map_or(0, |s| s.segment.input.bytes()) as f64;
        let down = stages.last().map_or(0, |s| s.segment.output().bytes()) as f64;
        let gpu = speed.fixed * pieces + speed.up * up + speed.down * down + speed.read * reads;
        (cpu * speed.processor / self.threads as f64, gpu)
    }
}

/// The kernels of a segment's steps; `None` where one has none or samples are not bytes.
pub fn kernels(segment: &Segment) -> Option<Vec<Kernel>> {
    if !eight(&segment.input) || !segment.shapes.iter().all(eight) {
        return None;
    }
    (segment.locals.iter().enumerate())
        .map(|(k, local)| local.gpu(segment.input_of(k)))
        .collect()
}

/// Whether an image of that shape can go there: bytes of gray or colour.
fn eight(shape: &Shape) -> bool {
    let known = !matches!(shape.color, Color::Bands(_));
    shape.sample == SampleType::U8 && known && shape.bytes() > 0
}

/// Whether a stage's head has a form on a device.
fn counts(stage: &Stage) -> bool {
    match &stage.head {
        Head::Measured(m) => eight(&stage.input) && m.gpu(stage.input).is_some(),
        _ => false,
    }
}

/// The number of stages from `at` that stay on the device together.
pub(crate) fn run_from(stages: &[Stage], at: usize) -> usize {
    let goes_on =
        |k: &usize| stages[*k].segment.gpu.is_some() && (*k == at || stages[*k].gpu.is_some());
    (at..stages.len()).take_while(goes_on).count()
}

impl Plan {
    /// Sends to the device what can go there and is predicted to win; all that can where it was asked for.
    pub fn place(&mut self, offload: &Arc<Offload>) -> Placement {
        if offload.choice == Choice::Cpu {
            return Placement {
                gpu: false,
                reason: "asked for the processor".into(),
            };
        }
        let mut told = Vec::new();
        let mut lost = Vec::new();
        let mut at = 0;
        while at < self.stages.len() {
            let mut found = Vec::new();
            while at + found.len() < self.stages.len() {
                let stage = &mut self.stages[at + found.len()];
                let head = counts(stage);
                match kernels(&stage.segment) {
                    Some(kernels) if found.is_empty() || head => {
                        stage.gpu = head.then(|| offload.clone());
                        found.push(kernels);
                    }
                    _ => break,
                }
            }
            let stages = &mut self.stages[at..at + found.len()];
            let work = |s: &Stage| s.gpu.is_some() || !s.segment.locals.is_empty();
            let steps = stages.iter().map(|s| s.segment.locals.len()).sum::<usize>();
            let (cpu, gpu) = offload.predict(stages, &found);
            let wins = offload.choice == Choice::Gpu || gpu < MARGIN * cpu;
            if wins && stages.iter().any(work) {
                stages
                    .iter_mut()
                    .for_each(|s| s.segment.gpu = Some(offload.clone()));
                told.push(format!(
                    "{steps} step(s), {:.1} ms there and {:.1} ms on the processor",
                    gpu / 1e6,
                    cpu / 1e6
                ));
            } else {
                if stages.iter().any(work) {
                    lost.push(format!(
                        "{:.1} ms there and {:.1} ms on the processor",
                        gpu / 1e6,
                        cpu / 1e6
                    ));
                }
                stages.iter_mut().for_each(|s| s.gpu = None);
            }
            at += found.len().max(1);
        }
        let name = &offload.device.info().name;
        let reason = match (told.is_empty(), lost.is_empty()) {
            (false, _) => format!(
                "{name}: {} (predicted, transfers included)",
                told.join("; ")
            ),
            (true, false) => format!(
                "the processor is predicted to be faster than {name}: {}",
                lost.join("; ")
            ),
            (true, true) => "no part of the pipeline has a form for a device on such images".into(),
        };
        Placement {
            gpu: !told.is_empty(),
            reason,
        }
    }
}
