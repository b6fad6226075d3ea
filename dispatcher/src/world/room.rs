//! The folder where Open MPI keeps the files of one world: it leaves them behind when it is killed.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// How the names of such folders begin.
const PREFIX: &str = "sundog-world-";

/// A folder that goes with its world, whatever becomes of that. This process holds its lock, so that one
/// whose lock is free is known to be left over.
pub struct Room {
    path: PathBuf,
    _lock: File,
}

impl Room {
    /// Makes a folder in memory where the system offers that, since ranks share it to talk. Those that
    /// killed processes left are removed.
    pub fn make() -> io::Result<Room> {
        let memory = Path::new("/dev/shm");
        match Room::make_in(memory) {
            Err(_) => Room::make_in(&std::env::temp_dir()),
            made => made,
        }
    }

    fn make_in(base: &Path) -> io::Result<Room> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        sweep(base);
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = base.join(format!("{PREFIX}{}-{number}", std::process::id()));
            match DirBuilder::new().mode(0o700).create(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                made => made?,
            }
            // A sweep may have come in between.
            let Ok(lock) = File::open(&path) else {
                continue;
            };
            lock.lock()?;
            if path.exists() {
                return Ok(Room { path, _lock: lock });
            }
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // What cannot be removed now is swept later.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// Removes the folders of worlds whose owner is gone.
fn sweep(base: &Path) {
    let Ok(entries) = base.read_dir() else { return };
    let own = rustix::process::geteuid().as_raw();
    for entry in entries.flatten() {
        let mine = entry.metadata().is_ok_and(|m| m.is_dir() && m.uid() == own);
        if !mine || !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        let free = File::open(entry.path()).is_ok_and(|folder| {
            // The lock is held until the folder is gone.
            folder.try_lock().is_ok() && std::fs::remove_dir_all(entry.path()).is_ok()
        });
        if free {
            tracing::debug!("removed what a world left: {}", entry.path().display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_world_left_is_removed_by_the_next() {
        let base = std::env::temp_dir().join(format!("sundog-room-{}", std::process::id()));
        let dead = base.join("sundog-world-1-0/ompi");
        std::fs::create_dir_all(&dead).unwrap();
        let one = Room::make_in(&base).unwrap();
        assert!(!dead.exists());
        let two = Room::make_in(&base).unwrap();
        std::fs::write(one.path().join("segment"), "1").unwrap();
        assert!(one.path() != two.path() && two.path().exists());
        drop((one, two));
        assert_eq!(base.read_dir().unwrap().count(), 0);
        std::fs::remove_dir_all(base).unwrap();
    }
}
