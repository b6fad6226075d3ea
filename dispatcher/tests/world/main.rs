//! Worlds of ranks: threads, and real ranks under a real `mpirun` that are killed, stopped and poisoned.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[cfg(feature = "mpi")]
mod ends;
#[cfg(feature = "mpi")]
mod hosts;
#[cfg(feature = "mpi")]
mod processes;
#[cfg(feature = "mpi")]
mod quiet;
#[cfg(feature = "mpi")]
mod ranks;
mod threads;

use dispatcher::world::{Task, World};
use imaging::comm::serial::Serial;
use imaging::executor::Stop;
use protocol::TaskState;
use protocol::job::Mode;
use std::fs;
use std::path::{Path, PathBuf};
use worker::batch::{self, Request};

/// A directory of its own that goes away at the end.
pub struct Scratch(pub PathBuf);

impl Scratch {
    /// An empty one.
    pub fn new(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("sundog-world-{name}-{}", std::process::id()));
        fs::create_dir_all(path.join("out")).unwrap();
        Scratch(path)
    }

    /// A file in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A made gray picture; each number gives another one.
    pub fn picture(&self, number: usize, rows: usize, cols: usize) -> String {
        let name = format!("{number}.pgm");
        let mut bytes = format!("P5\n{cols} {rows}\n255\n").into_bytes();
        bytes.extend((0..rows * cols).map(|i| ((i * (7 + number) + i / 31 * 5) % 251) as u8));
        fs::write(self.path(&name), bytes).unwrap();
        name
    }

    /// A task on one of the pictures.
    pub fn task(&self, name: &str, pipeline: &str, mode: Mode) -> Task {
        let text = |path: PathBuf| path.to_str().unwrap().to_owned();
        Task {
            id: name.into(),
            task: 0,
            attempt: 1,
            pipeline: pipeline.into(),
            format: Some("png".into()),
            limits: Default::default(),
            keep_metadata: Default::default(),
            pages: Default::default(),
            strict: false,
            color: None,
            background: None,
            input: text(self.path(name)),
            output: text(self.path("out").join(name).with_extension("png")),
            mode,
            alone: false,
            urgent: false,
            device: Default::default(),
            scratch: false,
            step: None,
        }
    }

    /// A batch of all pictures, into a folder.
    pub fn batch(&self, pipeline: &str, output: &str) -> Request {
        let job = protocol::Job {
            inputs: vec![self.path("*.pgm").to_str().unwrap().into()],
            output: format!("{}/", self.path(output).display()),
            pipeline: pipeline.into(),
            format: Some("png".into()),
            ..Default::default()
        };
        Request {
            job_id: batch::new_job_id(),
            job,
            only: None,
            dry_run: false,
            elsewhere: None,
            commit: None,
        }
    }

    /// What a batch in this process makes of all pictures.
    pub fn expected(&self, pipeline: &str) -> PathBuf {
        let request = self.batch(pipeline, "expected");
        let (comm, stop) = (Serial::default(), Stop::default());
        let outcome = batch::run(&comm, Some(&request), 1, false, &stop, &mut |_| ()).unwrap();
        assert_eq!(outcome.exit_code(), 0);
        self.path("expected")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Seconds of one core on a picture of a few megapixels.
pub const SLOW: &str = "bilateral(radius=9)";

/// Whether two files hold the same bytes.
pub fn same_file(a: &Path, b: &Path) -> bool {
    fs::read(a).unwrap() == fs::read(b).unwrap()
}

/// Runs a small task that must succeed.
pub async fn runs(world: &dyn World, scratch: &Scratch, name: &str) {
    let task = scratch.task(name, "invert", Mode::Auto);
    let finished = world.submit(task).await.unwrap();
    assert_eq!(finished.receipt.state, TaskState::Succeeded);
}
