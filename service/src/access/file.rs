//! The tokens file: read when it changes, refused when others may write it.

use super::{Entry, Error, User, user_name};
use serde::Deserialize;
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// Some ten thousand tokens.
const MAX_FILE: u64 = 4 << 20;
/// A file that was changed this recently may be changed again without its times telling.
const RESTLESS: Duration = Duration::from_secs(2);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    #[serde(default)]
    token: Vec<Line>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    user: String,
    sha256: String,
    #[serde(default)]
    admin: bool,
    /// `read`, `submit`; both where not given.
    scopes: Option<Vec<Word>>,
    /// RFC 3339; never where not given.
    expires: Option<toml::value::Datetime>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    Read,
    Submit,
}

/// What tells one state of a file from another.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    mode: u32,
    modified: (i64, i64),
    changed: (i64, i64),
}

struct Seen {
    /// None: look again.
    stamp: Option<Stamp>,
    entries: Arc<Vec<Entry>>,
}

/// A tokens file that is read again when it changes.
pub(super) struct Watched {
    path: PathBuf,
    seen: Mutex<Seen>,
}

impl Watched {
    pub(super) fn open(path: &Path) -> Result<Watched, Error> {
        let (stamp, entries) = read(path)?;
        Ok(Watched {
            path: path.to_owned(),
            seen: Mutex::new(Seen {
                stamp,
                entries: Arc::new(entries),
            }),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn entries(&self) -> Arc<Vec<Entry>> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let now = match std::fs::metadata(&self.path) {
            Ok(meta) => Some(stamp(&meta)),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                if !seen.entries.is_empty() {
                    let path = self.path.display();
                    tracing::warn!(%path, "the tokens file is gone: no token is accepted");
                }
                *seen = Seen {
                    stamp: None,
                    entries: Arc::default(),
                };
                return seen.entries.clone();
            }
            Err(_) => None,
        };
        if now.is_none() || now != seen.stamp {
            match read(&self.path) {
                Ok((stamp, entries)) => {
                    *seen = Seen {
                        stamp,
                        entries: Arc::new(entries),
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "the tokens stay as they were");
                    seen.stamp = now;
                }
            }
        }
        seen.entries.clone()
    }
}

fn stamp(meta: &std::fs::Metadata) -> Stamp {
    Stamp {
        device: meta.dev(),
        inode: meta.ino(),
        size: meta.size(),
        mode: meta.mode(),
        modified: (meta.mtime(), meta.mtime_nsec()),
        changed: (meta.ctime(), meta.ctime_nsec()),
    }
}

/// Reads a file whole; errors name it.
pub(super) fn read(path: &Path) -> Result<(Option<Stamp>, Vec<Entry>), Error> {
    let failed = |reason: String| Error::File {
        path: path.to_owned(),
        reason,
    };
    let file = std::fs::File::open(path).map_err(|error| failed(error.to_string()))?;
    // Of the file that is open, so that it cannot be another one.
    let meta = file.metadata().map_err(|error| failed(error.to_string()))?;
    if !meta.is_file() {
        return Err(failed("it is not a file".into()));
    }
    if meta.permissions().mode() & 0o022 != 0 {
        return Err(failed(
            "others may write it, and so let themselves in (hint: chmod 600)".into(),
        ));
    }
    let mut text = String::new();
    let limited = file.take(MAX_FILE + 1).read_to_string(&mut text);
    limited.map_err(|error| failed(error.to_string()))?;
    if text.len() as u64 > MAX_FILE {
        return Err(failed(format!("it is larger than {MAX_FILE} bytes")));
    }
    let entries = parse(&text).map_err(failed)?;
    let age = meta
        .modified()
        .ok()
        .and_then(|m| SystemTime::now().duration_since(m).ok());
    let settled = age.is_some_and(|age| age > RESTLESS);
    Ok((settled.then(|| stamp(&meta)), entries))
}

fn parse(text: &str) -> Result<Vec<Entry>, String> {
    // The message of the parser alone: with its excerpt it would show hashes.
    let contents: Contents =
        toml::from_str(text).map_err(|error: toml::de::Error| error.message().to_owned())?;
    let entry = |(n, line): (usize, Line)| {
        let sha256 = bytes(&line.sha256)
            .ok_or_else(|| format!("token {}: `sha256` is not 64 hexadecimal digits", n + 1))?;
        let name = user_name(&line.user).map_err(|error| error.to_string())?;
        let has = |word| {
            line.scopes
                .as_ref()
                .is_none_or(|words| words.contains(&word))
        };
        let expires = line.expires.map(|time| moment(&time.to_string()));
        let expires = expires
            .transpose()
            .map_err(|reason| format!("token {}: {reason}", n + 1))?;
        Ok(Entry {
            user: User {
                name,
                admin: line.admin,
                read: has(Word::Read),
                submit: has(Word::Submit),
                expires,
            },
            sha256,
        })
    };
    contents.token.into_iter().enumerate().map(entry).collect()
}

fn moment(text: &str) -> Result<SystemTime, String> {
    let time: Result<jiff::Timestamp, _> = text.parse();
    let wrong = "`expires` is no time with its zone, such as 2027-01-31T00:00:00Z";
    time.map(SystemTime::from).map_err(|_| wrong.to_owned())
}

fn bytes(hex: &str) -> Option<[u8; 32]> {
    let digits = hex.as_bytes();
    let fits = digits.len() == 64 && digits.iter().all(u8::is_ascii_hexdigit);
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    fits.then_some(bytes)
}

/// A token, without what would let anybody in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Whose it is.
    pub user: User,
    /// SHA-256 of the token in hexadecimal.
    pub sha256: String,
}

/// The tokens of a file, in its order.
pub fn list(path: &Path) -> Result<Vec<Listed>, Error> {
    let (_, entries) = read(path)?;
    let listed = entries.into_iter().map(|entry| Listed {
        sha256: entry.sha256.iter().map(|b| format!("{b:02x}")).collect(),
        user: entry.user,
    });
    Ok(listed.collect())
}

#[cfg(test)]
mod tests {
    use super::super::{Grant, Tokens, add, grant, hash};
    use super::*;

    fn set_mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn added_tokens_are_accepted_and_removed_ones_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokens.toml");
        let ada = add(&path, "ada", false).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let tokens = Tokens::file(&path).unwrap();
        let eve = add(&path, "eve", true).unwrap();
        let user = |token: &str| tokens.user_of(token).map(|u| (u.name, u.admin));
        assert_eq!(user(&ada), Some(("ada".into(), false)));
        assert_eq!(user(&eve), Some(("eve".into(), true)));
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains(&ada) && !text.contains(&eve));
        // Of the same length, at once. In quotes: a hash can hold these letters, too.
        std::fs::write(&path, text.replace("\"ada\"", "\"bob\"")).unwrap();
        assert_eq!(user(&ada), Some(("bob".into(), false)));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(user(&eve), None);
        std::fs::write(&path, text).unwrap();
        set_mode(&path, 0o600);
        assert!(user(&eve).is_some());
    }

    #[test]
    fn tokens_end_and_may_be_good_for_less() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokens.toml");
        let over = Grant {
            expires: Some(SystemTime::now() - Duration::from_secs(1)),
            ..Grant::default()
        };
        let over = grant(&path, "ada", over).unwrap();
        let later = SystemTime::now() + Duration::from_secs(3600);
        let reader = Grant {
            submit: false,
            expires: Some(later),
            ..Grant::default()
        };
        let reader = grant(&path, "ada", reader).unwrap();
        let tokens = Tokens::file(&path).unwrap();
        assert!(tokens.user_of(&over).is_none());
        let user = tokens.user_of(&reader).unwrap();
        assert!(user.read && !user.submit && !user.admin);
        assert!(user.expires.unwrap() <= later);
        for wrong in [
            "expires = 2027-01-31",
            "expires = \"soon\"",
            "scopes = [\"write\"]",
        ] {
            let text = format!(
                "[[token]]\nuser = \"ada\"\nsha256 = \"{}\"\n{wrong}\n",
                hash("x")
            );
            std::fs::write(&path, text).unwrap();
            assert!(Tokens::file(&path).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_file_that_was_spoilt_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokens.toml");
        let ada = add(&path, "ada", false).unwrap();
        let tokens = Tokens::file(&path).unwrap();
        let good = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, "[[token]]\nuser = ").unwrap();
        assert!(tokens.user_of(&ada).is_some());
        let eve = hash("eve's own");
        std::fs::write(
            &path,
            good + &format!("[[token]]\nuser = \"eve\"\nsha256 = \"{eve}\"\n"),
        )
        .unwrap();
        set_mode(&path, 0o666);
        assert!(tokens.user_of("eve's own").is_none());
        assert!(tokens.user_of(&ada).is_some());
    }

    #[test]
    fn files_that_cannot_be_trusted_or_read_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokens.toml");
        let refused = |text: &str, mode: u32| {
            std::fs::write(&path, text).unwrap();
            set_mode(&path, mode);
            Tokens::file(&path).unwrap_err().to_string()
        };
        for mode in [0o620, 0o602, 0o666] {
            assert!(refused("", mode).contains("chmod 600"));
        }
        let hash = hash("x");
        let cases = [
            format!("[[token]]\nuser = \"a/b\"\nsha256 = \"{hash}\""),
            format!("[[token]]\nuser = \"ada\"\nsha256 = \"{}\"", &hash[1..]),
            format!("[[token]]\nuser = \"ada\"\nsha256 = \"{}é\"", &hash[2..]),
            format!("[[token]]\nuser = \"ada\"\nsha265 = \"{hash}\""),
            "[[token]]\nuser = \"ada\"".to_owned(),
        ];
        for text in cases {
            let error = refused(&text, 0o600);
            assert!(
                error.contains("tokens.toml") && !error.contains(&hash[2..]),
                "{error}"
            );
        }
        assert!(Tokens::file(&dir.path().join("none")).is_err());
        assert!(Tokens::file(dir.path()).is_err());
        assert!(add(&path, "../x", false).is_err());
    }
}
