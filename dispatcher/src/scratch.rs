//! Temporary files of a service: a folder of its own, and the removal of those that dead ones left.

use std::fs::File;
use std::io::{self, ErrorKind::NotFound, ErrorKind::PermissionDenied};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

const PREFIX: &str = "sundog-scratch-";
const LOCK: &str = "lock";

/// A folder that is removed when this is dropped, or else by the next service that uses the same place.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    /// Names files.
    next: AtomicU64,
    /// Held as long as the process lives.
    _lock: File,
}

/// A name for a temporary file, which is removed when this is dropped, where there is one by then.
#[derive(Debug)]
pub(crate) struct Temporary(PathBuf);

impl Temporary {
    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        match std::fs::remove_file(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(file = %self.0.display(), %error, "a temporary file is left");
            }
            _ => {}
        }
    }
}

impl Scratch {
    /// Makes a folder below `base`, and removes those of services that are dead.
    pub fn open(base: &Path) -> io::Result<Scratch> {
        std::fs::create_dir_all(base)?;
        for left in abandoned(base)? {
            tracing::info!(folder = %left.display(), "removing what a dead service left");
            match std::fs::remove_dir_all(&left) {
                Ok(()) => {}
                // Another one that starts in this moment was quicker, or it is another user's.
                Err(error) if matches!(error.kind(), NotFound | PermissionDenied) => {}
                Err(error) => return Err(error),
            }
        }
        // Locked before it has its name, so that nobody takes it for abandoned.
        let dir = tempfile::Builder::new().prefix(".new-").tempdir_in(base)?;
        let lock = File::create_new(dir.path().join(LOCK))?;
        lock.lock()?;
        let name = dir.path().file_name().unwrap_or_default().to_string_lossy();
        let path = base.join(name.replacen(".new-", PREFIX, 1));
        std::fs::rename(dir.keep(), &path)?;
        Ok(Scratch {
            path,
            next: AtomicU64::new(0),
            _lock: lock,
        })
    }

    /// A new name in the folder. A folder for each task would cost a small one more than its file does.
    pub(crate) fn name(&self) -> Temporary {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        Temporary(self.path.join(format!("task-{number}")))
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.path) {
            tracing::warn!(folder = %self.path.display(), %error, "temporary files are left");
        }
    }
}

/// Folders whose lock nobody holds.
fn abandoned(base: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(base)? {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        let dead = match File::open(entry.path().join(LOCK)) {
            Ok(lock) => lock.try_lock().is_ok(),
            // Removed by its owner in this moment, or another user's.
            Err(_) => false,
        };
        if dead {
            found.push(entry.path());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_the_dead_are_removed_and_those_of_the_living_stay() {
        let base = tempfile::tempdir().unwrap();
        let living = Scratch::open(base.path()).unwrap();
        let dead = base.path().join(format!("{PREFIX}dead"));
        std::fs::create_dir_all(dead.join("task-1")).unwrap();
        std::fs::write(dead.join(LOCK), "").unwrap();
        let other = Scratch::open(base.path()).unwrap();
        assert!(!dead.exists() && living.path().exists());
        let path = other.path().to_owned();
        let (one, two) = (other.name(), other.name());
        assert_ne!(one.path(), two.path());
        std::fs::write(one.path(), "").unwrap();
        let written = one.path().to_owned();
        drop((one, two));
        assert!(!written.exists());
        drop(other);
        assert!(!path.exists());
    }
}
