//! What killed writers leave in a directory: files beside the object that they were to become, named
//! `NAME#NUMBER`. No object has such a name.

use super::Store;
use crate::error::Result;
use std::ffi::OsStr;
use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

impl Store {
    /// Removes the files of killed writers that have not changed for so long, where the store is a directory;
    /// returns how many. It looks at every name in the store. Dropping the future ends it.
    pub async fn sweep(&self, unchanged: Duration) -> Result<usize> {
        let Some(local) = &self.local else {
            return Ok(0);
        };
        let (root, scratch) = (local.root.clone(), self.scratch());
        let end = End::default();
        let flag = end.0.clone();
        let swept = tokio::task::spawn_blocking(move || {
            let before = SystemTime::now() - unchanged;
            sweep(root, scratch.as_deref(), before, &flag)
        });
        let swept = swept.await.unwrap_or_else(|e| Err(io::Error::other(e)));
        drop(end);
        swept.map_err(|error| self.failed("", &error))
    }
}

/// Tells a thread that nobody waits for it any more.
#[derive(Default)]
struct End(Arc<AtomicBool>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn sweep(
    root: PathBuf,
    scratch: Option<&Path>,
    before: SystemTime,
    end: &AtomicBool,
) -> io::Result<usize> {
    let (mut folders, mut removed) = (vec![root], 0);
    while let Some(folder) = folders.pop() {
        let entries = match std::fs::read_dir(&folder) {
            // Objects and folders come and go.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries.flatten() {
            if end.load(Ordering::Relaxed) {
                return Ok(removed);
            }
            // Neither follows a link.
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            let path = entry.path();
            if kind.is_dir() && Some(path.as_path()) != scratch {
                folders.push(path);
            } else if kind.is_file()
                && is_staged(&entry.file_name())
                && entry
                    .metadata()
                    .is_ok_and(|found| changed(&found) <= before)
                && std::fs::remove_file(&path).is_ok()
            {
                tracing::info!(file = %path.display(), "removed what a dead writer left");
                removed += 1;
            }
        }
    }
    Ok(removed)
}

/// Whether the store takes a file of that name for no object, since a number follows the first `#`.
fn is_staged(name: &OsStr) -> bool {
    let parts = name.to_str().and_then(|name| name.split_once('#'));
    parts.is_some_and(|(object, number)| {
        let digits = number.bytes().all(|byte| byte.is_ascii_digit());
        !object.is_empty() && !number.is_empty() && digits
    })
}

/// When a file was last written to, or got its name: a link to an old object is as old as that.
fn changed(found: &Metadata) -> SystemTime {
    let modified = found.modified().unwrap_or_else(|_| SystemTime::now());
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let secs = u64::try_from(found.ctime()).unwrap_or_default();
        let nanos = u32::try_from(found.ctime_nsec()).unwrap_or_default();
        modified.max(SystemTime::UNIX_EPOCH + Duration::new(secs, nanos))
    }
    #[cfg(not(unix))]
    modified
}

#[cfg(test)]
mod tests {
    use super::is_staged;

    #[test]
    fn only_a_name_that_no_object_may_have_is_staged() {
        for name in ["a.png#1", "receipt.json#18446744073709551615"] {
            assert!(is_staged(name.as_ref()), "{name}");
        }
        for name in [
            "a.png", "a#", "#1", "a#b", "a#1b", "a#b#1", "a#1#2", "a #-1",
        ] {
            assert!(!is_staged(name.as_ref()), "{name}");
        }
    }
}
