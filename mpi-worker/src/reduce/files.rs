//! Input files: opened one at a time per thread and counted, and told apart by their first bytes.

use imaging::codec::FormatKind;
use imaging::{Error, Result};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Opens input files and knows how many are open.
#[derive(Clone, Default)]
pub struct Opener(Arc<Counts>);

#[derive(Default)]
struct Counts {
    open: AtomicUsize,
    peak: AtomicUsize,
}

/// An open input file.
pub struct Opened {
    file: File,
    counts: Arc<Counts>,
}

impl Opener {
    /// Opens a file for reading.
    pub fn open(&self, path: &Path) -> Result<Opened> {
        let wrong = |e: io::Error| Error::Io(format!("{}: {e}", path.display()));
        let open = self.0.open.fetch_add(1, Ordering::SeqCst) + 1;
        // From here on dropping gives the count back.
        let counts = Releasing(Some(self.0.clone()));
        let file = File::open(path).map_err(wrong)?;
        if file.metadata().map_err(wrong)?.is_dir() {
            return Err(Error::Io(format!(
                "{}: is a directory (hint: name its files, {}/*)",
                path.display(),
                path.display()
            )));
        }
        self.0.peak.fetch_max(open, Ordering::SeqCst);
        Ok(Opened {
            file,
            counts: counts.keep(),
        })
    }

    /// The most files that were open at once.
    pub fn peak(&self) -> usize {
        self.0.peak.load(Ordering::SeqCst)
    }
}

struct Releasing(Option<Arc<Counts>>);

impl Releasing {
    fn keep(mut self) -> Arc<Counts> {
        self.0.take().unwrap_or_default()
    }
}

impl Drop for Releasing {
    fn drop(&mut self) {
        if let Some(counts) = &self.0 {
            counts.open.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.counts.open.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Read for Opened {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.file.read(bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }
}

impl Seek for Opened {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Numbers in text.
    Text,
    /// A NumPy array.
    Npy,
    /// An image.
    Image,
}

/// Tells what the file holds from its first bytes and goes back to its beginning.
pub fn sniff(file: &mut Opened, path: &Path) -> Result<Content> {
    let wrong = |e: io::Error| Error::Io(format!("{}: {e}", path.display()));
    let mut start = Vec::with_capacity(FormatKind::DETECT_BYTES);
    file.by_ref()
        .take(FormatKind::DETECT_BYTES as u64)
        .read_to_end(&mut start)
        .map_err(wrong)?;
    file.seek(SeekFrom::Start(0)).map_err(wrong)?;
    Ok(if start.starts_with(b"\x93NUMPY") {
        Content::Npy
    } else if FormatKind::detect(&start).is_some() {
        Content::Image
    } else {
        Content::Text
    })
}
