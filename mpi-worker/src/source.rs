//! Opening an input: its bytes, its hash, and clocks around decoder and encoder.

use crate::atomic::{self, Digested};
use imaging::codec::{NextPage, ReadSeek, RowSink, RowSource};
use imaging::window::Band;
use imaging::{Error, Metadata, Result, Rows, Shape, Warning};
use std::fs::File;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Files up to this size are read whole; the hash of larger ones is taken while they are decoded.
pub const READ_WHOLE: u64 = 16 << 20;

/// The hash of an input, known now or when its thread ends.
pub enum Hash {
    /// Known.
    Known(String),
    /// Being taken.
    Running(JoinHandle<std::io::Result<Digested>>),
}

impl Hash {
    /// Waits for the hash.
    pub fn finish(self) -> Result<String> {
        match self {
            Hash::Known(hash) => Ok(hash),
            Hash::Running(thread) => match thread.join() {
                Ok(digested) => Ok(digested?.sha256),
                Err(_) => Err(Error::Io("the hash could not be taken".into())),
            },
        }
    }
}

/// Files up to this size are read whole for probing, too: one call of the system instead of dozens that look here and there.
const PROBED_WHOLE: u64 = 64 << 10;

/// Opens a file to be read where it lies.
pub fn open(path: &Path) -> Result<File> {
    Ok(regular(path)?.0)
}

/// Opens a file for probing; says how long it is.
pub(crate) fn open_to_probe(path: &Path) -> Result<(Box<dyn ReadSeek>, u64)> {
    let (mut file, len) = regular(path)?;
    if len > PROBED_WHOLE {
        return Ok((Box::new(file), len));
    }
    Ok((Box::new(Cursor::new(whole(&mut file, len)?)), len))
}

/// A file that can be read, and its length.
fn regular(path: &Path) -> Result<(File, u64)> {
    let file = File::open(path).map_err(|error| Error::Io(explain(&error)))?;
    match file.metadata() {
        Ok(meta) if meta.is_file() => Ok((file, meta.len())),
        Ok(_) => Err(Error::Io("not a regular file".into())),
        Err(error) => Err(Error::Io(explain(&error))),
    }
}

fn whole(file: &mut File, len: u64) -> Result<Vec<u8>> {
    // One more than there should be, so that its end is found without growing; `take` asks for no length again.
    let mut bytes = Vec::with_capacity(len as usize + 1);
    file.take(u64::MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn explain(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "no such file".into(),
        std::io::ErrorKind::PermissionDenied => {
            "permission denied (hint: check its owner and mode)".into()
        }
        _ => error.to_string(),
    }
}

/// An input that can be read from its beginning several times.
pub struct Input {
    path: PathBuf,
    bytes: Option<Whole>,
}

/// A file's bytes, shared by its readers.
#[derive(Clone)]
struct Whole(Arc<Vec<u8>>);

impl AsRef<[u8]> for Whole {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Input {
    /// An input that is read where it lies.
    pub fn at(path: &Path) -> Input {
        Input {
            path: path.to_owned(),
            bytes: None,
        }
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads from the beginning.
    pub fn reader(&self) -> Result<Box<dyn ReadSeek>> {
        Ok(match &self.bytes {
            Some(bytes) => Box::new(Cursor::new(bytes.clone())),
            None => Box::new(open(&self.path)?),
        })
    }
}

/// Opens an input and begins to hash it.
pub fn fetch(path: &Path) -> Result<(Input, Hash)> {
    let (mut file, len) = regular(path)?;
    let mut input = Input::at(path);
    if len <= READ_WHOLE {
        let bytes = whole(&mut file, len)?;
        let hash = Hash::Known(atomic::sha256(&bytes));
        input.bytes = Some(Whole(Arc::new(bytes)));
        return Ok((input, hash));
    }
    let path = path.to_owned();
    let hash = std::thread::spawn(move || atomic::digest_file(&path));
    Ok((input, Hash::Running(hash)))
}

/// A decoder with a clock.
pub struct TimedSource<'a> {
    /// The decoder.
    pub inner: &'a mut dyn RowSource,
    /// Time spent in it.
    pub spent: Duration,
}

impl RowSource for TimedSource<'_> {
    fn shape(&self) -> Shape {
        self.inner.shape()
    }

    fn metadata(&self) -> &Metadata {
        self.inner.metadata()
    }

    fn read(&mut self, band: &mut Band<'_>) -> Result<()> {
        let start = Instant::now();
        let result = self.inner.read(band);
        self.spent += start.elapsed();
        result
    }

    fn release(&mut self) {
        self.inner.release();
    }

    fn seek_row(&mut self, row: usize) -> Result<bool> {
        self.inner.seek_row(row)
    }

    fn warnings(&self) -> &[Warning] {
        self.inner.warnings()
    }
}

/// An encoder with a clock.
pub struct TimedSink {
    /// The encoder.
    pub inner: Box<dyn RowSink>,
    /// Time spent in it.
    pub spent: Duration,
}

impl RowSink for TimedSink {
    fn write(&mut self, rows: &Rows) -> Result<()> {
        let start = Instant::now();
        let result = self.inner.write(rows);
        self.spent += start.elapsed();
        result
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.inner.finish()
    }

    fn finish_page(self: Box<Self>) -> Result<Box<dyn NextPage>> {
        self.inner.finish_page()
    }

    fn warnings(&self) -> Vec<Warning> {
        self.inner.warnings()
    }
}
