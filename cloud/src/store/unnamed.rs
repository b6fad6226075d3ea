//! Files that have no name until they are whole: a writer that is killed leaves nothing behind.

use super::Created;
use std::io;
use std::path::Path;

/// Writes a file where there is none; it is not synced. None: this file system has no files without names.
#[cfg(target_os = "linux")]
pub(super) fn create(target: &Path, bytes: &[u8]) -> io::Result<Option<Created>> {
    use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, open};
    use rustix::io::Errno;
    use std::io::Write as _;
    use std::os::fd::AsRawFd as _;

    let folder = target.parent().unwrap_or(Path::new("/"));
    std::fs::create_dir_all(folder)?;
    if target.exists() {
        return Ok(Some(Created::Exists));
    }
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    let mut file = match open(folder, flags, Mode::from_raw_mode(0o666)) {
        Ok(file) => std::fs::File::from(file),
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    file.write_all(bytes)?;
    let unnamed = format!("/proc/self/fd/{}", file.as_raw_fd());
    match linkat(CWD, unnamed, CWD, target, AtFlags::SYMLINK_FOLLOW) {
        Ok(()) => {}
        Err(Errno::EXIST) => return Ok(Some(Created::Exists)),
        // Where /proc is not mounted.
        Err(Errno::NOENT) => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    Ok(Some(Created::New))
}

/// Only Linux has files without names.
#[cfg(not(target_os = "linux"))]
pub(super) fn create(_: &Path, _: &[u8]) -> io::Result<Option<Created>> {
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_many_writers_creates_a_file_and_none_leaves_another() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("a/b/c.json");
        let writers: Vec<_> = (0..8)
            .map(|n: u8| {
                let target = target.clone();
                std::thread::spawn(move || create(&target, &[n; 100]).unwrap())
            })
            .collect();
        let made: Vec<_> = writers.into_iter().map(|w| w.join().unwrap()).collect();
        if made.contains(&None) {
            return;
        }
        let new = made.iter().filter(|m| **m == Some(Created::New)).count();
        assert_eq!(new, 1);
        let bytes = std::fs::read(&target).unwrap();
        assert!(bytes.len() == 100 && bytes.iter().all(|b| *b == bytes[0]));
        let folder = target.parent().unwrap();
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), 1);
    }
}
