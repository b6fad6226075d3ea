//! Names of files that are uploaded: relative paths of any letters that stay where they belong.

use service::Problem;
use std::collections::BTreeSet;

/// Bytes of a name; with what stands before it, a key of S3 has room for it.
const MAX_NAME: usize = 700;
/// Bytes of one part of a name; a file system has room for it and for an extension.
const MAX_PART: usize = 240;

/// Refuses names that would not stay below their upload, and those that a store cannot hold.
pub(crate) fn check(name: &str) -> Result<(), String> {
    if name.is_empty() || name.starts_with('/') || name.ends_with('/') {
        return Err("expected a relative path such as photos/a.jpg".into());
    }
    if name.len() > MAX_NAME {
        return Err(format!("it has more than {MAX_NAME} bytes"));
    }
    if name.chars().any(char::is_control) {
        return Err("it holds a control character (rename the file)".into());
    }
    for part in name.split('/') {
        if matches!(part, "" | "." | "..") {
            return Err(format!("`{part}` is no part of a name"));
        }
        if part.len() > MAX_PART {
            return Err(format!("a part of it has more than {MAX_PART} bytes"));
        }
        // So are a directory's own temporary files named.
        let number = part.rsplit_once('#').map(|(_, number)| number);
        if number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit())) {
            return Err("it ends with `#` and a number (rename the file)".into());
        }
    }
    Ok(())
}

/// Refuses names that are there twice, or are at once a file's and a folder's.
pub(crate) fn check_all<'a>(names: impl Iterator<Item = &'a str>) -> Result<(), Problem> {
    let mut files = BTreeSet::new();
    for (n, name) in names.enumerate() {
        let wrong = |reason: &str| Problem::invalid(format!("files[{n}].name"), reason);
        check(name).map_err(|reason| wrong(&reason))?;
        if !files.insert(name) {
            return Err(wrong("there is a file of that name already"));
        }
    }
    for name in &files {
        let mut folders = name.match_indices('/').map(|(at, _)| &name[..at]);
        if let Some(folder) = folders.find(|folder| files.contains(folder)) {
            let reason = format!("`{folder}` is a file and a folder at once");
            return Err(Problem::invalid("files", reason));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_below_their_upload() {
        let long = "x/".repeat(349) + "xy";
        for name in [
            "a.jpg",
            "ä b/☃ (1) [2]*?.png",
            "..a",
            "a..b/...",
            "-x",
            "~",
            "%2e%2e",
            "a\\b",
            "a#",
            "#1a",
            &long,
        ] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
        let (wide, long) = ("x".repeat(241), "x/".repeat(350) + "x");
        for name in [
            "",
            "/",
            "/etc/passwd",
            "a/",
            "a//b",
            ".",
            "..",
            "../a",
            "a/../b",
            "a/.",
            "./a",
            "a\0",
            "a\nb",
            "a\u{85}",
            "\u{7f}",
            "a#1",
            "b#22/c",
            &wide,
            &long,
        ] {
            assert!(check(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn names_do_not_collide() {
        let check = |names: &[&'static str]| check_all(names.iter().copied()).is_ok();
        assert!(check(&["a", "b/a", "b/c", "ba"]));
        assert!(!check(&["a", "a"]));
        assert!(!check(&["b/c/d", "b"]));
    }
}
