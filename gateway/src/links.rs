//! The secret that links to a local store are signed with.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom as _, SystemRandom};
use std::fmt;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Bytes of a secret.
const BYTES: usize = 32;

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its file cannot be read, or others can.
    #[error("the file of the links' secret {path}: {reason}")]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong, and the way out.
        reason: String,
    },
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random,
}

/// Whoever has it can sign links to everything in the store. Shows nothing of itself.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// Draws one. Links end with the process then.
    pub fn random() -> Result<Secret, Error> {
        let mut bytes = vec![0; BYTES];
        SystemRandom::new()
            .fill(&mut bytes)
            .map_err(|_| Error::Random)?;
        Ok(Secret(bytes))
    }

    /// Reads one from a file that its owner alone may read; makes the file if there is none. Gateways with
    /// the same secret serve each other's links.
    pub fn file(path: &Path) -> Result<Secret, Error> {
        let failed = |reason: String| Error::File {
            path: path.to_owned(),
            reason,
        };
        let io = |error: std::io::Error| failed(error.to_string());
        match std::fs::File::open(path) {
            Ok(file) => {
                let mode = file.metadata().map_err(io)?.permissions().mode();
                if mode & 0o077 != 0 {
                    return Err(failed(
                        "others may read or write it (hint: chmod 600)".into(),
                    ));
                }
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let secret = Secret::random()?;
                return match secret.save(path) {
                    // By another gateway, just now.
                    Err(error) if error.kind() == ErrorKind::AlreadyExists => Secret::file(path),
                    Err(error) => Err(io(error)),
                    Ok(()) => Ok(secret),
                };
            }
            Err(error) => return Err(io(error)),
        }
        let text = std::fs::read_to_string(path).map_err(io)?;
        match URL_SAFE_NO_PAD.decode(text.trim()) {
            Ok(bytes) if bytes.len() >= BYTES => Ok(Secret(bytes)),
            _ => Err(failed(
                "expected 32 random bytes or more as base64url (hint: remove it, and one is made)"
                    .into(),
            )),
        }
    }

    /// Writes it where there must be no file, whole or not at all.
    fn save(&self, path: &Path) -> std::io::Result<()> {
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
        // Temporary files are 0600 from their beginning.
        let mut new = tempfile::Builder::new()
            .prefix(".secret-")
            .tempfile_in(dir.unwrap_or(Path::new(".")))?;
        writeln!(new, "{}", URL_SAFE_NO_PAD.encode(&self.0))?;
        new.as_file().sync_all()?;
        new.persist_noclobber(path).map_err(|error| error.error)?;
        Ok(())
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_made_once_and_kept_from_others() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        let made = Secret::file(&path).unwrap();
        assert_eq!(Secret::file(&path).unwrap().0, made.0);
        assert_eq!(format!("{made:?}"), "Secret(…)");
        let mode = |mode| {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            Secret::file(&path)
        };
        assert!(mode(0o640).is_err() && mode(0o604).is_err() && mode(0o400).is_ok());
        std::fs::remove_file(&path).unwrap();
        for text in ["", "short", &"x".repeat(40)] {
            std::fs::write(&path, text).unwrap();
            assert!(mode(0o600).is_err(), "{text}");
        }
    }
}
