//! The tokens file: read when it changes, refused when others may write it, added to.

use super::{Entry, Error, User, hash, new_token, user_name};
use serde::Deserialize;
use std::io::{ErrorKind, Read as _, Write as _};
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
}

/// What tells one state of a file from another.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
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
fn read(path: &Path) -> Result<(Option<Stamp>, Vec<Entry>), Error> {
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
        let admin = line.admin;
        Ok(Entry {
            user: User { name, admin },
            sha256,
        })
    };
    contents.token.into_iter().enumerate().map(entry).collect()
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

/// Draws a token for a user and adds its hash to a tokens file, which is made if need be, readable for its
/// owner alone. Returns the token: nobody can see it again.
pub fn add(path: &Path, user: &str, admin: bool) -> Result<String, Error> {
    let failed = |error: &dyn std::fmt::Display| Error::File {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    let user = user_name(user)?;
    let mut text = match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        _ => {
            read(path)?;
            std::fs::read_to_string(path).map_err(|error| failed(&error))?
        }
    };
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    let token = new_token()?;
    let sha256 = hash(&token);
    text.push_str(&format!(
        "[[token]]\nuser = \"{user}\"\nsha256 = \"{sha256}\"\nadmin = {admin}\n"
    ));
    replace(path, &text)?;
    Ok(token)
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

/// Takes tokens out of a file, and leaves everything else in it as it is: those that `goes` says. Returns them.
pub fn revoke(path: &Path, goes: impl Fn(&Listed) -> bool) -> Result<Vec<Listed>, Error> {
    let (gone, kept): (Vec<Listed>, Vec<Listed>) = list(path)?.into_iter().partition(&goes);
    if gone.is_empty() {
        return Ok(gone);
    }
    let failed = |reason: String| Error::File {
        path: path.to_owned(),
        reason,
    };
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    let mut document: toml_edit::DocumentMut = text
        .parse()
        .map_err(|error: toml_edit::TomlError| failed(error.message().to_owned()))?;
    let tokens = document
        .get_mut("token")
        .and_then(|tokens| tokens.as_array_of_tables_mut())
        .ok_or_else(|| {
            failed("its tokens are not written as [[token]]; take them out by hand".into())
        })?;
    let stays = |table: &toml_edit::Table| {
        let sha256 = table.get("sha256").and_then(|value| value.as_str());
        kept.iter()
            .any(|kept| sha256.is_some_and(|s| s.eq_ignore_ascii_case(&kept.sha256)))
    };
    // What people wrote above a token that goes stays above the next.
    let mut above = String::new();
    for table in tokens.iter_mut() {
        let own = table.decor().prefix().and_then(|p| p.as_str());
        let own = above.clone() + own.unwrap_or_default();
        match stays(table) {
            true => {
                table.decor_mut().set_prefix(own);
                above.clear();
            }
            false => above = own,
        }
    }
    tokens.retain(stays);
    if !above.trim().is_empty() {
        let trailing = document.trailing().as_str().unwrap_or_default().to_owned();
        document.set_trailing(above + &trailing);
    }
    replace(path, &document.to_string())?;
    Ok(gone)
}

/// Writes the file whole or not at all, readable for its owner alone.
fn replace(path: &Path, text: &str) -> Result<(), Error> {
    let failed = |error: &dyn std::fmt::Display| Error::File {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    // Temporary files are 0600 from their beginning.
    let mut new = tempfile::Builder::new()
        .prefix(".tokens-")
        .tempfile_in(dir.unwrap_or(Path::new(".")))
        .map_err(|error| failed(&error))?;
    let written = new.write_all(text.as_bytes());
    let synced = written.and_then(|()| new.as_file().sync_all());
    synced.map_err(|error| failed(&error))?;
    // Root writes it for the service that reads it: whose the file was, or else whose the directory is.
    let owner =
        std::fs::metadata(path).or_else(|_| std::fs::metadata(dir.unwrap_or(Path::new("."))));
    let owner = owner.map_err(|error| failed(&error))?;
    if nix::unistd::geteuid().is_root() && owner.uid() != 0 {
        std::os::unix::fs::fchown(new.as_file(), Some(owner.uid()), Some(owner.gid()))
            .map_err(|error| failed(&error))?;
    }
    new.persist(path).map_err(|error| failed(&error.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Tokens;
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
        // Of the same length, at once.
        std::fs::write(&path, text.replace("ada", "bob")).unwrap();
        assert_eq!(user(&ada), Some(("bob".into(), false)));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(user(&eve), None);
        std::fs::write(&path, text).unwrap();
        set_mode(&path, 0o600);
        assert!(user(&eve).is_some());
    }

    #[test]
    fn tokens_are_listed_and_taken_away() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokens.toml");
        std::fs::write(&path, "# who may\n").unwrap();
        set_mode(&path, 0o600);
        let first = add(&path, "ada", false).unwrap();
        let second = add(&path, "ada", false).unwrap();
        let eve = add(&path, "eve", true).unwrap();
        let users: Vec<String> = list(&path)
            .unwrap()
            .into_iter()
            .map(|l| l.user.name)
            .collect();
        assert_eq!(users, ["ada", "ada", "eve"]);
        let gone = revoke(&path, |listed| listed.sha256 == hash(&first)).unwrap();
        assert_eq!(gone.len(), 1);
        let tokens = Tokens::file(&path).unwrap();
        assert!(tokens.user_of(&first).is_none());
        assert!(tokens.user_of(&second).is_some() && tokens.user_of(&eve).is_some());
        assert_eq!(
            revoke(&path, |listed| listed.user.name == "eve")
                .unwrap()
                .len(),
            1
        );
        assert_eq!(
            revoke(&path, |listed| listed.user.name == "eve")
                .unwrap()
                .len(),
            0
        );
        assert!(tokens.user_of(&eve).is_none() && tokens.user_of(&second).is_some());
        assert!(
            std::fs::read_to_string(&path)
                .unwrap()
                .starts_with("# who may")
        );
    }

    #[test]
    fn what_root_writes_belongs_to_whom_it_is_for() {
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::chown(dir.path(), Some(4711), Some(4712)).unwrap();
        let path = dir.path().join("tokens.toml");
        add(&path, "ada", false).unwrap();
        let owner = |path: &Path| std::fs::metadata(path).map(|m| (m.uid(), m.gid())).unwrap();
        assert_eq!(owner(&path), (4711, 4712));
        std::os::unix::fs::chown(&path, Some(4713), None).unwrap();
        add(&path, "eve", false).unwrap();
        assert_eq!(owner(&path), (4713, 4712));
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
