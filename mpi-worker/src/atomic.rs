//! Output files that appear whole or not at all, with their hash.

mod sealed;

pub use sealed::{Sealed, commit_all};

use crate::direct::{Block, Direct};
use crate::leftovers;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fs::{self, File, FileTimes};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// A file's content in short.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Digested {
    /// SHA-256 in hexadecimal.
    pub sha256: String,
    /// Length in bytes.
    pub bytes: u64,
}

/// Temporary files of this process, for an end that runs no destructors.
static PENDING: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// Removes the temporary files of this process. Only to be called right before it ends.
pub fn discard_pending() {
    for temporary in pending().iter() {
        let _ = fs::remove_file(temporary);
    }
}

fn pending() -> std::sync::MutexGuard<'static, BTreeSet<PathBuf>> {
    PENDING.lock().unwrap_or_else(|e| e.into_inner())
}

/// A file being written beside its final place; gone when dropped before it is committed.
pub struct Pending {
    target: PathBuf,
    temporary: PathBuf,
    state: Arc<Mutex<State>>,
    durable: bool,
    committed: bool,
    /// What the file gets of its input at the end.
    mode: Option<u32>,
    times: Option<FileTimes>,
}

struct State {
    /// Of the temporary file.
    path: PathBuf,
    /// Named in errors.
    target: PathBuf,
    file: File,
    block: Block,
    /// Position in the file of the block.
    at: u64,
    hasher: Sha256,
    /// Bytes were written out of order: the hash is taken again from the file.
    out_of_order: bool,
    hashed: u64,
    unsynced: usize,
    syncing: Option<JoinHandle<io::Result<()>>>,
    direct: Option<Direct>,
    /// Full blocks go the direct way from [`DIRECT_FROM`] on, as long as nothing speaks against it.
    may_go_direct: bool,
    /// What is written goes to the disk meanwhile.
    syncs: bool,
}

/// Where a file is large enough for a thread that writes it.
const DIRECT_FROM: u64 = 8 << 20;
/// A large file goes to the disk while it is still being written, so that the last sync is short.
const SYNC_EVERY: usize = 16 << 20;

impl Pending {
    /// Opens a temporary file in the target's directory, which is made where it is missing.
    /// Errors, here and later, name the target and the way out.
    pub fn create(target: &Path) -> io::Result<Pending> {
        Pending::open(target, true).map_err(|error| cannot_write(target, &error))
    }

    /// As [`Pending::create`], for a file that is read and removed soon: it does not have to outlive
    /// a loss of power, so nothing waits for the disk.
    pub fn scratch(target: &Path) -> io::Result<Pending> {
        Pending::open(target, false).map_err(|error| cannot_write(target, &error))
    }

    fn open(target: &Path, durable: bool) -> io::Result<Pending> {
        let parent = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        fs::create_dir_all(parent)?;
        leftovers::sweep_once(parent);
        let (temporary, file) = leftovers::create(parent)?;
        pending().insert(temporary.clone());
        let state = State {
            path: temporary.clone(),
            target: target.to_owned(),
            file,
            block: Block::new(),
            at: 0,
            hasher: Sha256::new(),
            out_of_order: false,
            hashed: 0,
            unsynced: 0,
            syncing: None,
            direct: None,
            may_go_direct: durable,
            syncs: durable,
        };
        let state = Arc::new(Mutex::new(state));
        Ok(Pending {
            target: target.to_owned(),
            temporary,
            state,
            durable,
            committed: false,
            mode: None,
            times: None,
        })
    }

    /// Makes the file no more readable than `input` from now on, and has it get that file's times or permissions
    /// with its name. Its owner may always write it unless permissions are kept.
    pub fn follow(&mut self, input: &Path, times: bool, mode: bool) -> io::Result<()> {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        let of = fs::metadata(input)?;
        let state = self.state.lock().unwrap_or_else(|e| e.into_inner());
        let own = state.file.metadata()?.mode() & 0o777;
        let masked = own & (of.mode() | 0o600);
        if masked != own {
            state
                .file
                .set_permissions(fs::Permissions::from_mode(masked))?;
        }
        self.mode = mode.then_some(of.mode() & 0o777);
        if times {
            let mut both = FileTimes::new().set_modified(of.modified()?);
            if let Ok(accessed) = of.accessed() {
                both = both.set_accessed(accessed);
            }
            self.times = Some(both);
        }
        Ok(())
    }

    /// Where an encoder writes.
    pub fn writer(&self) -> Writer {
        Writer(self.state.clone())
    }

    /// The hash and length of what was written so far.
    pub fn digest(&self) -> io::Result<Digested> {
        let mut state = self.state();
        state.flush()?;
        state.digest()
    }

    /// Makes the bytes durable unless they are scratch, gives the file its name, and returns its hash and length.
    pub fn commit(self) -> io::Result<Digested> {
        self.seal()?.commit()
    }

    /// Ends the writing: what is left is to wait for the disk and to give the file its name.
    pub fn seal(mut self) -> io::Result<Sealed> {
        let sealed = self.end();
        let digested = sealed.map_err(|error| cannot_write(&self.target, &error))?;
        Ok(Sealed::of(self, digested))
    }

    fn end(&mut self) -> io::Result<Digested> {
        let mut state = self.state();
        state.flush()?;
        state.block = Block::none();
        let digested = state.digest()?;
        if let Some(mode) = self.mode {
            use std::os::unix::fs::PermissionsExt;
            state
                .file
                .set_permissions(fs::Permissions::from_mode(mode))?;
        }
        if let Some(times) = self.times {
            state.file.set_times(times)?;
        }
        Ok(digested)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.committed {
            let _ = fs::remove_file(&self.temporary);
        }
        pending().remove(&self.temporary);
    }
}

impl State {
    /// Writes what is held, and waits for what was handed over before.
    fn flush(&mut self) -> io::Result<()> {
        if let Some(direct) = self.direct.take() {
            direct.finish()?;
            self.may_go_direct = false;
            self.file.seek(SeekFrom::Start(self.at))?;
        }
        self.hash();
        let held = self.block.held();
        self.file.write_all(held)?;
        self.unsynced += held.len();
        self.at += held.len() as u64;
        self.block.clear();
        // Blocks begin at multiples of their length only while none was flushed half full.
        self.may_go_direct &= self.at.is_multiple_of(Block::LEN as u64);
        let idle = self.syncing.as_ref().is_none_or(JoinHandle::is_finished);
        if self.syncs && self.unsynced >= SYNC_EVERY && idle {
            self.finish_sync()?;
            let file = self.file.try_clone()?;
            self.syncing = Some(std::thread::spawn(move || file.sync_data()));
            self.unsynced = 0;
        }
        Ok(())
    }

    /// Writes a full block, or hands it over.
    fn put(&mut self) -> io::Result<()> {
        if self.may_go_direct && self.at >= DIRECT_FROM && self.direct.is_none() {
            self.direct = Direct::start(&self.path, &self.file, self.at);
            self.may_go_direct = self.direct.is_some();
        }
        let Some(direct) = self.direct.take() else {
            return self.flush();
        };
        self.hash();
        let full = std::mem::replace(&mut self.block, Block::none());
        let (empty, taken) = direct.write(full);
        self.direct = Some(direct);
        self.block = empty;
        self.at += Block::LEN as u64;
        match taken {
            true => Ok(()),
            // Its thread has failed.
            false => self.flush(),
        }
    }

    fn hash(&mut self) {
        if !self.out_of_order {
            self.hasher.update(self.block.held());
            self.hashed += self.block.held().len() as u64;
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let taken = self.block.take(rest);
            rest = &rest[taken..];
            if self.block.is_full() {
                self.put()?;
            }
        }
        Ok(())
    }

    fn seek(&mut self, to: SeekFrom) -> io::Result<()> {
        self.flush()?;
        self.out_of_order = true;
        self.may_go_direct = false;
        self.at = self.file.seek(to)?;
        Ok(())
    }

    fn finish_sync(&mut self) -> io::Result<()> {
        match self.syncing.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(synced)) => synced,
            Some(Err(_)) => Err(io::Error::other("the syncing thread panicked")),
        }
    }

    fn digest(&mut self) -> io::Result<Digested> {
        if self.out_of_order {
            self.file.seek(SeekFrom::Start(0))?;
            return digest(&mut self.file);
        }
        let sha256 = hex(&self.hasher.clone().finalize());
        Ok(Digested {
            sha256,
            bytes: self.hashed,
        })
    }
}

/// Writes into a [`Pending`] file; seeking is allowed.
pub struct Writer(Arc<Mutex<State>>);

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.0.lock().unwrap_or_else(|e| e.into_inner());
        match state.write(bytes) {
            Ok(()) => Ok(bytes.len()),
            Err(error) => Err(cannot_write(&state.target, &error)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut state = self.0.lock().unwrap_or_else(|e| e.into_inner());
        let flushed = state.flush();
        flushed.map_err(|error| cannot_write(&state.target, &error))
    }
}

impl Seek for Writer {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let mut state = self.0.lock().unwrap_or_else(|e| e.into_inner());
        let here = state.at + state.block.held().len() as u64;
        if matches!(to, SeekFrom::Current(0)) || to == SeekFrom::Start(here) {
            return Ok(here);
        }
        match state.seek(to) {
            Ok(()) => Ok(state.at),
            Err(error) => Err(cannot_write(&state.target, &error)),
        }
    }
}

/// What went wrong with which file, and the way out where there is one.
fn cannot_write(target: &Path, error: &io::Error) -> io::Error {
    let hint = match error.kind() {
        io::ErrorKind::PermissionDenied => " (check the owner and mode of its directory)",
        io::ErrorKind::FileTooLarge => " (raise the limit on file size: ulimit -f)",
        io::ErrorKind::ReadOnlyFilesystem => " (give another -o)",
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
            " (a part of its path is a file)"
        }
        _ => "",
    };
    let target = protocol::name::to_text(target);
    io::Error::new(
        error.kind(),
        format!("cannot write {target}: {error}{hint}"),
    )
}

/// A write beyond the limit on file size becomes an error of that file instead of the end of the process.
pub fn survive_file_size_limit() {
    let caught = std::sync::Arc::default();
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, caught);
}

/// Hash and length of what a reader yields.
pub fn digest(reader: &mut dyn Read) -> io::Result<Digested> {
    let (mut hasher, mut bytes, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 18]);
    loop {
        let n = match reader.read(&mut buffer) {
            Ok(0) => {
                return Ok(Digested {
                    sha256: hex(&hasher.finalize()),
                    bytes,
                });
            }
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hasher.update(&buffer[..n]);
        bytes += n as u64;
    }
}

/// Hash and length of a file.
pub fn digest_file(path: &Path) -> io::Result<Digested> {
    digest(&mut File::open(path)?)
}

/// SHA-256 of bytes in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// SHA-256 of a file's bytes in hexadecimal.
pub fn sha256_of(path: &Path) -> std::io::Result<String> {
    let mut hash = Sha256::new();
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 1 << 18];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&hash.finalize())),
            n => hash.update(&buffer[..n]),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests;
