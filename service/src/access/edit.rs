//! Edits of the tokens file: whole or not at all, one after the other.

use super::file::{Listed, list, read};
use super::{Error, hash, new_token, user_name};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::SystemTime;

/// What a new token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// To see to everybody's affairs.
    pub admin: bool,
    /// To look.
    pub read: bool,
    /// To make and to change.
    pub submit: bool,
    /// Until when.
    pub expires: Option<SystemTime>,
}

impl Default for Grant {
    fn default() -> Grant {
        Grant {
            admin: false,
            read: true,
            submit: true,
            expires: None,
        }
    }
}

/// Draws a token for a user that is good for everything of the user's own, and never ends.
pub fn add(path: &Path, user: &str, admin: bool) -> Result<String, Error> {
    let grant = Grant {
        admin,
        ..Grant::default()
    };
    self::grant(path, user, grant)
}

/// Draws a token for a user and adds its hash to a tokens file, which is made if need be, readable for its
/// owner alone. Returns the token: nobody can see it again.
pub fn grant(path: &Path, user: &str, grant: Grant) -> Result<String, Error> {
    let failed = |error: &dyn std::fmt::Display| Error::File {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    let user = user_name(user)?;
    let _turn = turn(path)?;
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
    let (sha256, admin) = (hash(&token), grant.admin);
    text.push_str(&format!(
        "[[token]]\nuser = \"{user}\"\nsha256 = \"{sha256}\"\nadmin = {admin}\n"
    ));
    match (grant.read, grant.submit) {
        (true, true) => {}
        (true, false) => text.push_str("scopes = [\"read\"]\n"),
        (false, true) => text.push_str("scopes = [\"submit\"]\n"),
        (false, false) => text.push_str("scopes = []\n"),
    }
    if let Some(expires) = grant.expires {
        text.push_str(&format!("expires = {}\n", super::rfc3339(expires)));
    }
    replace(path, &text)?;
    Ok(token)
}

/// Edits of a file take turns, of other processes too, so that none undoes another.
fn turn(path: &Path) -> Result<std::fs::File, Error> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    let locked = std::fs::File::open(dir.unwrap_or(Path::new("."))).and_then(|dir| {
        dir.lock()?;
        Ok(dir)
    });
    locked.map_err(|error| Error::File {
        path: path.to_owned(),
        reason: error.to_string(),
    })
}

/// Takes tokens out of a file, and leaves everything else in it as it is: those that `goes` says. Returns them.
pub fn revoke(path: &Path, goes: impl Fn(&Listed) -> bool) -> Result<Vec<Listed>, Error> {
    let _turn = turn(path)?;
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

    #[test]
    fn tokens_are_listed_and_taken_away() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokens.toml");
        std::fs::write(&path, "# who may\n").unwrap();
        let own = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&path, own).unwrap();
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
    fn edits_at_once_lose_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokens.toml");
        std::thread::scope(|scope| {
            for n in 0..8 {
                let path = &path;
                scope.spawn(move || {
                    for _ in 0..5 {
                        add(path, &format!("user{n}"), false).unwrap();
                    }
                });
            }
        });
        assert_eq!(list(&path).unwrap().len(), 40);
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
}
