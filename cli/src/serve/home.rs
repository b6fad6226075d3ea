//! The directory of a `sundog serve`: its lock, its secrets, and where its store lies.

use client::exit::{Exit, Failure, Result};
use client::serving::{data_dir, private_dir, write_private};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a lock is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// A directory that is this process's alone.
#[derive(Debug)]
pub struct Home {
    dir: PathBuf,
    /// Held to the end of the process.
    _lock: File,
}

fn failed(what: &str, path: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::failed(format!("cannot {what} {}: {error}", path.display()))
}

/// Locks a file. A process that was killed just now may hold its lock for another moment.
fn patiently(file: &File) -> std::result::Result<(), TryLockError> {
    let end = Instant::now() + PATIENCE;
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if Instant::now() < end => {
                std::thread::sleep(Duration::from_millis(20));
            }
            tried => return tried,
        }
    }
}

impl Home {
    /// Opens a directory, the user's own where none is given, and locks it.
    pub fn open(dir: Option<PathBuf>) -> Result<Home> {
        let dir = dir.or_else(data_dir).ok_or_else(|| {
            Failure::usage("there is no directory for data: HOME is not set (give --dir DIR)")
        })?;
        let dir = std::path::absolute(&dir).unwrap_or(dir);
        private_dir(&dir).map_err(|error| failed("create the directory", &dir, &error))?;
        let path = dir.join("lock");
        let opened = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&path);
        let mut lock = opened.map_err(|error| failed("open", &path, &error))?;
        match patiently(&lock) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let pid = std::fs::read_to_string(&path).unwrap_or_default();
                let pid: String = pid.trim().chars().filter(char::is_ascii_digit).collect();
                let process = match pid.is_empty() {
                    true => String::new(),
                    false => format!(" (process {pid})"),
                };
                return Err(Failure {
                    exit: Exit::Failed,
                    message: format!(
                        "another sundog serve{process} works in {} (use that one, or another directory: --dir DIR)",
                        dir.display()
                    ),
                });
            }
            Err(TryLockError::Error(error)) => return Err(failed("lock", &path, &error)),
        }
        // Only for the message above.
        let _ = lock
            .set_len(0)
            .and_then(|()| write!(lock, "{}", std::process::id()));
        Ok(Home { dir, _lock: lock })
    }

    /// Where it is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The directory of the store, where none is set.
    pub fn store(&self) -> PathBuf {
        self.dir.join("store")
    }

    /// A secret of this directory, made when it is asked for the first time.
    pub fn secret(&self, name: &str, make: impl FnOnce() -> Result<String>) -> Result<String> {
        let path = self.dir.join(name);
        match std::fs::read_to_string(&path) {
            Ok(text) if !text.trim().is_empty() => {
                let mode = std::fs::metadata(&path).map_or(0, |meta| meta.mode());
                if mode & 0o077 != 0 {
                    return Err(Failure::failed(format!(
                        "{} is a secret that others can read (chmod 600 it, or remove it for a new one)",
                        path.display()
                    )));
                }
                Ok(text.trim().to_owned())
            }
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(failed("read", &path, &error))
            }
            _ => {
                let secret = make()?;
                let text = format!("{secret}\n");
                write_private(&path, text.as_bytes())
                    .map_err(|error| failed("write", &path, &error))?;
                Ok(secret)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn secrets_stay_and_are_the_users_own() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("home");
        let home = Home::open(Some(path.clone())).unwrap();
        assert_eq!(home.secret("token", || Ok("a".into())).unwrap(), "a");
        assert_eq!(home.secret("token", || Ok("b".into())).unwrap(), "a");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!((mode(&path), mode(&path.join("token"))), (0o700, 0o600));
        let open = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(path.join("token"), open).unwrap();
        assert!(home.secret("token", || Ok("b".into())).is_err());
    }

    #[test]
    fn a_directory_serves_one() {
        let dir = tempfile::tempdir().unwrap();
        let first = Home::open(Some(dir.path().into())).unwrap();
        let refused = Home::open(Some(dir.path().into())).unwrap_err().message;
        assert!(
            refused.contains(&std::process::id().to_string()),
            "{refused}"
        );
        drop(first);
        assert!(Home::open(Some(dir.path().into())).is_ok());
    }
}
