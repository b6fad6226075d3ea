//! What trials let the cluster do: small images of several formats and sizes, two of them damaged, and the hashes
//! that a run in one process gives.

use crate::Failure;
use protocol::state::TaskState;
use protocol::{Job, JobReceipt};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use worker::batch;

/// Whose jobs they are.
pub const OWNER: &str = "trial";

/// Formats of the images, and their files' extensions.
const FORMATS: [(Option<&str>, &str); 5] = [
    (Some("jpeg(quality=90)"), "jpg"),
    (Some("png"), "png"),
    (Some("tiff"), "tif"),
    (Some("webp"), "webp"),
    (None, "ppm"),
];

/// Images and what becomes of them.
#[derive(Debug)]
pub struct Work {
    /// Names below the upload, and bytes.
    pub images: BTreeMap<String, Vec<u8>>,
    /// Those that cannot be decoded.
    pub damaged: BTreeSet<String>,
    /// What is done to each.
    pub pipeline: String,
    /// SHA-256 of each output by the image's name, damaged ones apart.
    pub expected: BTreeMap<String, String>,
}

impl Work {
    /// Makes images and runs them in this process.
    pub fn make(seed: u64, images: usize, pipeline: &str) -> Result<Work, Failure> {
        let dir = tempfile::Builder::new().prefix("sundog-work-").tempdir()?;
        let mut dice = fastrand::Rng::with_seed(seed);
        let mut work = Work {
            images: BTreeMap::new(),
            damaged: BTreeSet::new(),
            pipeline: pipeline.to_owned(),
            expected: BTreeMap::new(),
        };
        for (n, (format, extension)) in FORMATS.iter().enumerate() {
            let raw = dir.path().join(format!("raw-{n}"));
            std::fs::create_dir(&raw)?;
            for number in (n..images).step_by(FORMATS.len()) {
                let (width, height) = (dice.usize(48..320), dice.usize(48..320));
                let picture = picture(&mut dice, width, height);
                std::fs::write(raw.join(format!("{number:03}.ppm")), picture)?;
            }
            let made = dir.path().join(format!("made-{n}"));
            for name in run(&raw, &made, "", *format)?.keys() {
                let bytes = std::fs::read(made.join(name))?;
                let number = name.split('.').next().unwrap_or_default();
                work.images.insert(format!("{number}.{extension}"), bytes);
            }
        }
        let clean = dir.path().join("clean");
        std::fs::create_dir(&clean)?;
        for (name, bytes) in &work.images {
            std::fs::write(clean.join(name), bytes)?;
        }
        // One ends early, one was never an image.
        let (first, whole) = work.images.iter().next().ok_or("no images")?;
        let half = whole[..whole.len() / 2].to_vec();
        let damaged = [
            (format!("half-{first}"), half),
            ("noise.png".into(), dice.u64(..).to_le_bytes().repeat(40)),
        ];
        work.expected = run(&clean, &dir.path().join("out"), pipeline, None)?;
        if work.expected.len() != work.images.len() {
            return Err("the run in one process failed some images".into());
        }
        for (name, bytes) in damaged {
            work.damaged.insert(name.clone());
            work.images.insert(name, bytes);
        }
        Ok(work)
    }

    /// The job on an upload of these images.
    pub fn job(&self, upload: &str, attempts: u32) -> Job {
        let mut job = Job {
            inputs: vec![format!("uploads/{upload}/")],
            pipeline: self.pipeline.as_str().into(),
            ..Job::default()
        };
        job.schedule.max_attempts = attempts;
        job
    }

    /// The name of an image in a task's input.
    pub fn name_of(input: &str) -> &str {
        input.rsplit('/').next().unwrap_or(input)
    }
}

/// A batch of a directory in this process: the outputs' names and hashes.
fn run(
    input: &Path,
    output: &Path,
    pipeline: &str,
    format: Option<&str>,
) -> Result<BTreeMap<String, String>, Failure> {
    let request = batch::Request {
        job_id: batch::new_job_id(),
        job: Job {
            inputs: vec![input.display().to_string()],
            output: format!("{}/", output.display()),
            pipeline: pipeline.into(),
            format: format.map(str::to_owned),
            ..Job::default()
        },
        only: None,
        dry_run: false,
        elsewhere: None,
        commit: None,
    };
    let comm = imaging::comm::serial::Serial::default();
    let stop = imaging::executor::Stop::default();
    let outcome = batch::run(&comm, Some(&request), 1, false, &stop, &mut |_| {})?;
    let receipt = outcome.receipt.ok_or("the run left no receipt")?;
    let receipt: JobReceipt = serde_json::from_slice(&std::fs::read(receipt)?)?;
    let mut hashes = BTreeMap::new();
    for task in receipt.tasks {
        if task.state == TaskState::Succeeded
            && let (Some(path), Some(hash)) = (&task.output, task.output_sha256)
        {
            hashes.insert(Work::name_of(path).to_owned(), hash);
        }
    }
    Ok(hashes)
}

/// A picture with edges, slopes and noise.
fn picture(dice: &mut fastrand::Rng, width: usize, height: usize) -> Vec<u8> {
    let mut bytes = format!("P6 {width} {height} 255\n").into_bytes();
    let (step, slope) = (dice.usize(5..40), dice.usize(1..9));
    for y in 0..height {
        for x in 0..width {
            let edge = if (x / step + y / step) % 2 == 0 {
                160
            } else {
                20
            };
            let noise = usize::from(dice.u8(0..40));
            for channel in 0..3 {
                bytes.push(((edge + noise + slope * (x + channel * y) / 16) % 256) as u8);
            }
        }
    }
    bytes
}
