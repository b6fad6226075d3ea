//! Names of temporary files, and what killed processes left of them.
//!
//! A writer holds a lock on its temporary file, which the system takes back however the process ends. So a
//! file whose lock is free belongs to nobody, whatever process id it is named after: ids are used again, and
//! mean nothing on another machine or in another container.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Folders that are remembered as swept.
const REMEMBERED: usize = 1024;

/// A new temporary file in a folder, locked for this process.
pub(crate) fn create(folder: &Path) -> io::Result<(PathBuf, File)> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!(".sundog-{}-{number}.tmp", std::process::id()));
        let mut options = File::options();
        let file = match options.read(true).write(true).create_new(true).open(&path) {
            Ok(file) => file,
            // Left by an earlier process of this id, where it could not be swept.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            Err(error) => return Err(error),
        };
        // Where the file system has no locks, a sweep cannot take it either.
        let _ = file.lock();
        // A sweep may have had the lock before this process.
        if file.metadata()?.nlink() > 0 {
            return Ok((path, file));
        }
    }
}

/// Sweeps a folder, once per process.
pub(crate) fn sweep_once(folder: &Path) {
    static SWEPT: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    let mut swept = SWEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if swept.contains(folder) {
        return;
    }
    if swept.len() >= REMEMBERED {
        swept.clear();
    }
    swept.insert(folder.to_owned());
    drop(swept);
    sweep(folder);
}

/// Removes the temporary files in a folder that belong to no living process; returns their number.
pub fn sweep(folder: &Path) -> usize {
    let Ok(entries) = folder.read_dir() else {
        return 0;
    };
    (entries.flatten())
        .filter(|entry| is_temporary(&entry.file_name()))
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
        .filter(|entry| remove(&entry.path()))
        .count()
}

/// Whether a file is named as [`create`] names them.
fn is_temporary(name: &OsStr) -> bool {
    let numbers = name.to_str().and_then(|name| {
        let name = name.strip_prefix(".sundog-")?.strip_suffix(".tmp")?;
        name.split_once('-')
    });
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    numbers.is_some_and(|(process, number)| digits(process) && digits(number))
}

/// Removes a file unless somebody holds its lock.
fn remove(path: &Path) -> bool {
    // Locks over a network need a file that may be written.
    let file = File::options().read(true).write(true).open(path);
    let Ok(file) = file.or_else(|_| File::open(path)) else {
        return false;
    };
    // The lock is held until the name is gone, so that no writer takes the file meanwhile.
    file.try_lock().is_ok() && fs::remove_file(path).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_living_writers_and_of_others_are_kept() {
        let folder = std::env::temp_dir().join(format!("sundog-sweep-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (living, file) = create(&folder).unwrap();
        // As a killed process leaves it, named after a process that lives.
        let dead = folder.join(format!(".sundog-{}-77777.tmp", std::process::id()));
        fs::write(&dead, "half").unwrap();
        let others = [
            ".sundog-1.tmp",
            ".sundog-a-1.tmp",
            "sundog-1-1.tmp",
            "photo.png",
        ];
        for name in others {
            fs::write(folder.join(name), "mine").unwrap();
        }
        fs::create_dir(folder.join(".sundog-1-2.tmp")).unwrap();
        assert_eq!(sweep(&folder), 1);
        assert!(living.exists() && !dead.exists());
        assert!(others.iter().all(|name| folder.join(name).exists()));
        drop(file);
        assert_eq!(sweep(&folder), 1);
        assert!(!living.exists());
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn the_first_output_in_a_folder_sweeps_it() {
        let folder = std::env::temp_dir().join(format!("sundog-first-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let dead = folder.join(".sundog-1-0.tmp");
        fs::write(&dead, "half").unwrap();
        drop(crate::atomic::Pending::create(&folder.join("a.png")).unwrap());
        assert!(!dead.exists());
        fs::remove_dir_all(folder).unwrap();
    }
}
