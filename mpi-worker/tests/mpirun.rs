//! Real ranks under a real `mpirun`: the communicator, whole batches, and worlds that end early.
#![cfg(feature = "mpi")]
#![allow(clippy::unwrap_used)]

use imaging::codec::{self, Format, KeepMetadata};
use imaging::{Buffer, Color, Metadata, SampleType, Shape};
use protocol::receipt::JobReceipt;
use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const WORKER: &str = env!("CARGO_BIN_EXE_sundog-worker");

/// Starts a world of ranks; more than cores, wherever the processor likes.
fn mpirun(ranks: usize, arguments: &[&str]) -> Command {
    let mut command = Command::new("mpirun");
    command.args([
        "-n",
        &ranks.to_string(),
        "--bind-to",
        "none",
        "--oversubscribe",
    ]);
    command.arg(WORKER).args(arguments);
    command
        .env("OMPI_ALLOW_RUN_AS_ROOT", "1")
        .env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
    command
}

fn run(ranks: usize, arguments: &[&str]) -> Output {
    mpirun(ranks, arguments).output().unwrap()
}

/// A directory of its own that goes away at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path =
            std::env::temp_dir().join(format!("sundog-mpirun-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A made picture as a file of that format.
fn picture(rows: usize, cols: usize, color: Color, format: &str) -> Vec<u8> {
    let shape = Shape::new(rows, cols, color, SampleType::U8);
    let n = rows * shape.row_len();
    let samples = (0..n)
        .map(|i| ((i * 7 + i / 31 * 5) % 251) as u8 ^ (i / 97) as u8)
        .collect();
    let image = imaging::Image::new(shape, Buffer::U8(samples));
    let bytes = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let target = Shared(Cursor::new(Vec::new()), bytes.clone());
    let format = Format::parse(format).unwrap();
    let mut sink = codec::create(
        Box::new(target),
        &format,
        shape,
        &Metadata::default(),
        KeepMetadata::All,
    )
    .unwrap();
    sink.write(&image.rows).unwrap();
    sink.finish().unwrap();
    std::mem::take(&mut *bytes.lock().unwrap())
}

/// A file in memory whose bytes can be had after the encoder took it.
struct Shared(Cursor<Vec<u8>>, std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let n = self.0.write(bytes)?;
        self.1.lock().unwrap().clone_from(self.0.get_ref());
        Ok(n)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl std::io::Seek for Shared {
    fn seek(&mut self, to: std::io::SeekFrom) -> std::io::Result<u64> {
        self.0.seek(to)
    }
}

/// Writes inputs of several formats and sizes, one of them damaged.
fn inputs(dir: &Path) {
    fs::create_dir_all(dir.join("deep")).unwrap();
    let files = [
        ("a.png", picture(61, 47, Color::Rgb, "png")),
        ("b.jpg", picture(90, 130, Color::Rgb, "jpeg")),
        ("deep/c.tif", picture(200, 75, Color::Rgba, "tiff")),
        ("deep/d.ppm", picture(3, 500, Color::Rgb, "pnm")),
        ("e.png", picture(1, 1, Color::Gray, "png")),
        (
            "f.tif",
            picture(257, 300, Color::Gray, "tiff(compression=none)"),
        ),
    ];
    for (name, bytes) in &files {
        fs::write(dir.join(name), bytes).unwrap();
    }
    fs::write(dir.join("broken.png"), &files[0].1[..files[0].1.len() / 2]).unwrap();
}

fn job(dir: &Path, output: &str, mode: &str, pipeline: &str) -> PathBuf {
    let path = dir.join(format!("{output}.toml"));
    let (input, output) = (dir.join("in"), dir.join(output));
    let text = format!(
        "version = 1\ninputs = [{input:?}]\noutput = {output:?}\npipeline = {pipeline:?}\nmode = {mode:?}\n"
    );
    fs::write(&path, text).unwrap();
    path
}

/// Input name to output hash.
fn hashes(output: &Path) -> BTreeMap<String, Option<String>> {
    let text = fs::read_to_string(output.join("sundog-receipt.json")).unwrap();
    let receipt: JobReceipt = serde_json::from_str(&text).unwrap();
    receipt
        .tasks
        .into_iter()
        .map(|task| (task.input, task.output_sha256))
        .collect()
}

#[test]
fn the_communicator_conforms() {
    for ranks in [1, 2, 3, 5] {
        let output = run(ranks, &["conformance"]);
        assert!(
            output.status.success(),
            "{ranks} ranks: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

/// A TIFF of gray pages, each of its size.
fn stack(pages: &[(u32, u32)]) -> Vec<u8> {
    let mut bytes = b"II*\0\0\0\0\0".to_vec();
    let mut link = 4;
    for (width, height) in pages {
        let strip = bytes.len() as u32;
        bytes.extend((0..width * height).map(|i| (i * 7 % 251) as u8 ^ *width as u8));
        bytes.resize(bytes.len().next_multiple_of(2), 0);
        let at = bytes.len() as u32;
        bytes[link..link + 4].copy_from_slice(&at.to_le_bytes());
        let entries = [
            (256u16, *width),
            (257, *height),
            (258, 8),
            (259, 1),
            (262, 1),
            (273, strip),
            (277, 1),
            (278, *height),
            (279, width * height),
        ];
        bytes.extend((entries.len() as u16).to_le_bytes());
        for (tag, value) in entries {
            bytes.extend(tag.to_le_bytes());
            bytes.extend(4u16.to_le_bytes());
            bytes.extend(1u32.to_le_bytes());
            bytes.extend(value.to_le_bytes());
        }
        link = bytes.len();
        bytes.extend([0; 4]);
    }
    bytes
}

#[test]
fn pages_give_the_same_files_on_any_number_of_ranks_in_both_modes() {
    let scratch = Scratch::new("pages");
    fs::create_dir_all(scratch.0.join("in")).unwrap();
    let pages = [(40, 61), (300, 7), (1, 1), (33, 200), (64, 64)];
    fs::write(scratch.0.join("in/s.tif"), stack(&pages)).unwrap();
    for (format, files) in [("png", 5), ("tiff", 1)] {
        let mut expected = None;
        for ranks in [1, 2, 3] {
            for mode in ["rows", "images"] {
                let name = format!("{format}-{mode}-{ranks}");
                let spec = job(&scratch.0, &name, mode, "gaussian(sigma=3) | equalize");
                let mut text = fs::read_to_string(&spec).unwrap();
                text += &format!("format = {format:?}\n");
                fs::write(&spec, text).unwrap();
                let output = run(ranks, &["run", spec.to_str().unwrap()]);
                let err = String::from_utf8_lossy(&output.stderr);
                assert_eq!(output.status.code(), Some(0), "{name}: {err}");
                let text = fs::read_to_string(scratch.0.join(&name).join("sundog-receipt.json"));
                let receipt: JobReceipt = serde_json::from_str(&text.unwrap()).unwrap();
                let [task] = &receipt.tasks[..] else {
                    panic!("one file is one task")
                };
                let sizes: Vec<_> = (task.pages.iter())
                    .map(|page| (page.width.unwrap() as u32, page.height.unwrap() as u32))
                    .collect();
                assert_eq!(sizes, pages);
                let outputs = task.outputs();
                assert_eq!(outputs.len(), files);
                let hashes: Vec<String> = outputs
                    .iter()
                    .map(|output| output.sha256.unwrap().to_owned())
                    .collect();
                assert_eq!(
                    expected.get_or_insert_with(|| hashes.clone()),
                    &hashes,
                    "{name}"
                );
            }
        }
    }
}

#[test]
fn a_batch_gives_the_same_files_on_any_number_of_ranks_in_both_modes() {
    let scratch = Scratch::new("same");
    inputs(&scratch.0.join("in"));
    let pipeline = "gaussian(sigma=3) | equalize | canny | rotate(degrees=90) | unsharp";
    let mut expected = None;
    for ranks in [1, 2, 3, 4, 5, 7] {
        for mode in ["rows", "images"] {
            let name = format!("{mode}-{ranks}");
            let spec = job(&scratch.0, &name, mode, pipeline);
            let output = run(ranks, &["run", spec.to_str().unwrap()]);
            // One image is damaged: the others are done and the code says so.
            assert_eq!(
                output.status.code(),
                Some(3),
                "{}",
                String::from_utf8_lossy(&output.stderr)
            );
            let got = hashes(&scratch.0.join(&name));
            assert_eq!(got.len(), 7);
            assert_eq!(got.values().filter(|hash| hash.is_none()).count(), 1);
            assert_eq!(expected.get_or_insert_with(|| got.clone()), &got, "{name}");
        }
    }
}

#[test]
fn a_wrong_job_file_is_refused_by_every_rank_with_one_message() {
    let scratch = Scratch::new("wrong");
    let spec = job(&scratch.0, "out", "rows", "gausian");
    let output = run(3, &["run", spec.to_str().unwrap()]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert_eq!(
        text.matches("did you mean `gaussian`?").count(),
        1,
        "{text}"
    );
}

#[test]
fn closing_the_input_ends_the_world_and_leaves_no_file_behind() {
    let scratch = Scratch::new("stop");
    let input = scratch.0.join("in");
    fs::create_dir_all(&input).unwrap();
    for i in 0..40 {
        fs::write(
            input.join(format!("{i}.png")),
            picture(700, 900, Color::Rgb, "png"),
        )
        .unwrap();
    }
    let spec = job(
        &scratch.0,
        "out",
        "images",
        "median(radius=20) | bilateral(radius=20)",
    );
    let job = worker::jobfile::read::<protocol::Job>(&spec).unwrap().typed;
    let job_id = worker::batch::new_job_id();
    let request = worker::batch::Request {
        job_id,
        job,
        only: None,
        dry_run: false,
        elsewhere: None,
        commit: None,
    };
    let ask = worker::mpirun::Ask::Batch(Box::new(request), 1);
    let mut child = mpirun(2, &["serve-one"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, "{}", serde_json::to_string(&ask).unwrap()).unwrap();
    // The world is at work once it tells of a task.
    let mut stdout = child.stdout.take().unwrap();
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    while !String::from_utf8_lossy(&seen).contains("task_started") {
        let n = stdout.read(&mut buffer).unwrap();
        assert!(
            n > 0,
            "the world ended early: {}",
            String::from_utf8_lossy(&seen)
        );
        seen.extend_from_slice(&buffer[..n]);
    }
    drop(stdin);
    let start = Instant::now();
    stdout.read_to_end(&mut seen).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(start.elapsed() < Duration::from_secs(30));
    assert!(String::from_utf8_lossy(&seen).contains("\"state\":\"cancelled\""));
    let left = fs::read_dir(scratch.0.join("out")).unwrap().flatten();
    let left: Vec<_> = left
        .filter(|e| e.file_name().to_string_lossy().contains(".tmp"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}
