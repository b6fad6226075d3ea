//! Blocks of a large file on their way to the disk without the system's cache, in a thread of their own.
//!
//! An output is synced before it gets its name, so the cache saves nothing: it costs a copy of each
//! byte and leaves the writing to the end.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

/// Blocks that wait for the disk at most.
const WAITING: usize = 2;
/// What the position of a block in memory and in the file must be a multiple of.
const ALIGNMENT: usize = 4096;

/// Up to [`Block::LEN`] bytes that lie where the disk can fetch them.
pub struct Block {
    bytes: Vec<u8>,
    start: usize,
    len: usize,
}

impl Block {
    /// Bytes of a full block.
    pub const LEN: usize = 1 << 20;

    /// An empty block.
    pub fn new() -> Block {
        let bytes = vec![0; Block::LEN + ALIGNMENT];
        let start = bytes.as_ptr().align_offset(ALIGNMENT);
        // Where the offset cannot be found, the block is written through the cache.
        let start = if start < ALIGNMENT { start } else { 0 };
        Block {
            bytes,
            start,
            len: 0,
        }
    }

    /// In the place of a block that is handed over.
    pub fn none() -> Block {
        Block {
            bytes: Vec::new(),
            start: 0,
            len: 0,
        }
    }

    /// The bytes held.
    pub fn held(&self) -> &[u8] {
        &self.bytes[self.start..self.start + self.len]
    }

    /// Whether nothing more fits.
    pub fn is_full(&self) -> bool {
        self.len == Block::LEN
    }

    /// Takes as many of `bytes` as fit and returns their number.
    pub fn take(&mut self, bytes: &[u8]) -> usize {
        let count = bytes.len().min(Block::LEN - self.len);
        let at = self.start + self.len;
        self.bytes[at..at + count].copy_from_slice(&bytes[..count]);
        self.len += count;
        count
    }

    /// Drops what is held.
    pub fn clear(&mut self) {
        self.len = 0;
    }
}

/// The thread that writes full blocks one after the other.
pub struct Direct {
    blocks: SyncSender<Block>,
    written: Receiver<Block>,
    thread: JoinHandle<io::Result<()>>,
}

impl Direct {
    /// Blocks will follow one another from `at`, a multiple of their length. `None` where the system
    /// or the file system knows no such writing.
    pub fn start(path: &Path, file: &File, at: u64) -> Option<Direct> {
        let mut direct = open(path)?;
        let mut cached = file.try_clone().ok()?;
        direct.seek(SeekFrom::Start(at)).ok()?;
        let (blocks, queue) = sync_channel::<Block>(WAITING);
        let (back, written) = channel();
        let thread = std::thread::spawn(move || {
            for (at, mut block) in (at..).step_by(Block::LEN).zip(queue) {
                if let Err(error) = direct.write_all(block.held()) {
                    if error.kind() != io::ErrorKind::InvalidInput {
                        return Err(error);
                    }
                    // The file system takes no such block after all.
                    cached.seek(SeekFrom::Start(at))?;
                    cached.write_all(block.held())?;
                    direct.seek(SeekFrom::Start(at + Block::LEN as u64))?;
                }
                block.clear();
                // Nobody waits for the last ones.
                let _ = back.send(block);
            }
            Ok(())
        });
        Some(Direct {
            blocks,
            written,
            thread,
        })
    }

    /// Hands over a full block and returns an empty one; false: the thread has failed, and
    /// [`Direct::finish`] says why.
    pub fn write(&self, block: Block) -> (Block, bool) {
        let taken = self.blocks.send(block).is_ok();
        (
            self.written.try_recv().unwrap_or_else(|_| Block::new()),
            taken,
        )
    }

    /// Waits until all blocks are written.
    pub fn finish(self) -> io::Result<()> {
        drop(self.blocks);
        match self.thread.join() {
            Ok(result) => result,
            Err(_) => Err(io::Error::other("the writing thread panicked")),
        }
    }
}

#[cfg(target_os = "linux")]
fn open(path: &Path) -> Option<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = File::options();
    options.write(true).custom_flags(libc::O_DIRECT);
    options.open(path).ok()
}

#[cfg(not(target_os = "linux"))]
fn open(_path: &Path) -> Option<File> {
    None
}
