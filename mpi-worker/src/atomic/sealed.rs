//! Files that are written whole and wait for the disk and their names, one or many together.

use super::{Digested, Pending, cannot_write};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::Path;

/// A file that is written whole and has no name yet; gone when dropped before [`Sealed::commit`].
pub struct Sealed {
    pending: Pending,
    digested: Digested,
}

impl Sealed {
    pub(super) fn of(pending: Pending, digested: Digested) -> Sealed {
        Sealed { pending, digested }
    }

    /// The hash and length of its bytes.
    pub fn digested(&self) -> &Digested {
        &self.digested
    }

    /// Waits for the disk and gives the file its name.
    pub fn commit(self) -> io::Result<Digested> {
        let digested = self.digested.clone();
        let mut stored = commit_all(vec![self]);
        match stored.pop() {
            Some(Err(error)) => Err(error),
            _ => Ok(digested),
        }
    }

    /// Hands the bytes to the disk without waiting, so that those of several files come in one go.
    fn begin(&self) {
        #[cfg(target_os = "linux")]
        if self.pending.durable {
            use std::os::fd::AsRawFd;
            let state = self.pending.state();
            let flags = libc::SYNC_FILE_RANGE_WRITE;
            // SAFETY: the descriptor is open, and nothing in memory is handed over. Where it fails, `sync` does it all.
            unsafe { libc::sync_file_range(state.file.as_raw_fd(), 0, 0, flags) };
        }
    }

    /// Waits until the bytes are safe, and gives the file its name.
    fn name(&mut self) -> io::Result<()> {
        let pending = &mut self.pending;
        if pending.durable {
            let mut state = pending.state();
            state.finish_sync()?;
            state.file.sync_data()?;
        }
        fs::rename(&pending.temporary, &pending.target)?;
        pending.committed = true;
        Ok(())
    }
}

/// Makes files durable and gives each its name, in their order. Each is safe when this returns; the journal of a file
/// system takes many in one go, so that together they wait hardly longer than one alone.
pub fn commit_all(mut files: Vec<Sealed>) -> Vec<io::Result<()>> {
    if files.len() > 1 {
        files.iter().for_each(Sealed::begin);
    }
    let named: Vec<io::Result<()>> = files
        .iter_mut()
        .map(|file| {
            let named = file.name();
            named.map_err(|error| cannot_write(&file.pending.target, &error))
        })
        .collect();
    let safe = files.iter().filter(|file| file.pending.durable);
    let parents: BTreeSet<&Path> = safe
        .filter_map(|file| file.pending.target.parent())
        .filter(|parent| !parent.as_os_str().is_empty())
        .collect();
    for parent in parents {
        // The new names themselves; some file systems cannot sync directories, which is no failure.
        let _ = File::open(parent).and_then(|dir| dir.sync_all());
    }
    named
}
