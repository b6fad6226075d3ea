//! From what the user named to the list of images: files, directories (recursive), patterns.

use imaging::codec::FormatKind;
use std::collections::HashSet;
use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// An image to process.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Input {
    /// Where it lies.
    pub path: PathBuf,
    /// Its path below the directory that the user named; kept in the output.
    pub relative: PathBuf,
}

/// What the inputs came to.
#[derive(Debug, Default)]
pub struct Found {
    /// Images, in the order named, each directory sorted by name.
    pub inputs: Vec<Input>,
    /// Things that could not be read, with the reason.
    pub failures: Vec<(PathBuf, String)>,
    /// Things that are larger than a limit, with the reason.
    pub refused: Vec<(PathBuf, String)>,
    /// Files in directories that are no images and were passed over.
    pub passed_over: usize,
}

/// Expands inputs. Directories below `output` are left out, so that a second run does not take the
/// results of the first; a file named twice counts once. Nothing here ends a batch: what cannot be read is listed as a failure.
pub fn expand(named: &[PathBuf], output: Option<&Path>) -> Found {
    let mut found = Found::default();
    let skip = output.and_then(|path| fs::canonicalize(path).ok());
    for path in named {
        let path = local(path);
        match fs::metadata(&path) {
            Ok(meta) if meta.is_dir() => {
                let skip = skip
                    .as_deref()
                    .filter(|&s| fs::canonicalize(&path).is_ok_and(|p| p != s));
                let mut walk = Walk {
                    root: &path,
                    skip,
                    seen: HashSet::new(),
                    found: &mut found,
                };
                walk.directory(&path);
            }
            Ok(_) => {
                let relative = path.file_name().map_or_else(|| path.clone(), PathBuf::from);
                found.inputs.push(Input { path, relative });
            }
            Err(error) => match pattern(&path) {
                Some(pattern) => matches(&path, &pattern, skip.as_deref(), &mut found),
                None => found.failures.push((path, reason(&error))),
            },
        }
    }
    let mut seen = HashSet::new();
    found.inputs.retain(|input| seen.insert(input.path.clone()));
    found
}

/// A `file://` URL as a path; other paths as they are.
fn local(path: &Path) -> PathBuf {
    match path.to_str().and_then(|p| p.strip_prefix("file://")) {
        Some(rest) => PathBuf::from(rest),
        None => path.to_owned(),
    }
}

fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "no such file or directory".into(),
        std::io::ErrorKind::PermissionDenied => {
            "permission denied (hint: check the owner and mode)".into()
        }
        _ => error.to_string(),
    }
}

fn pattern(path: &Path) -> Option<String> {
    let text = path.to_str()?;
    text.contains(['*', '?', '[']).then(|| text.to_owned())
}

fn matches(path: &Path, pattern: &str, skip: Option<&Path>, found: &mut Found) {
    let root: PathBuf = path
        .components()
        .take_while(|part| !part.as_os_str().to_string_lossy().contains(['*', '?', '[']))
        .collect();
    let paths = match glob::glob(pattern) {
        Ok(paths) => paths,
        Err(error) => {
            return found
                .failures
                .push((path.to_owned(), format!("not a pattern: {error}")));
        }
    };
    let before = found.inputs.len() + found.failures.len();
    for entry in paths {
        match entry {
            Ok(path) if path.is_dir() => {
                let mut walk = Walk {
                    root: &root,
                    skip,
                    seen: HashSet::new(),
                    found,
                };
                walk.directory(&path);
            }
            Ok(path) => {
                let relative = path.strip_prefix(&root).unwrap_or(&path).to_owned();
                found.inputs.push(Input { path, relative });
            }
            Err(error) => found
                .failures
                .push((error.path().to_owned(), reason(error.error()))),
        }
    }
    if found.inputs.len() + found.failures.len() == before {
        found
            .failures
            .push((path.to_owned(), "no file matches this pattern".into()));
    }
}

struct Walk<'a> {
    root: &'a Path,
    skip: Option<&'a Path>,
    /// Directories on the way here, against cycles of links.
    seen: HashSet<(u64, u64)>,
    found: &'a mut Found,
}

impl Walk<'_> {
    fn directory(&mut self, path: &Path) {
        if self
            .skip
            .is_some_and(|skip| fs::canonicalize(path).is_ok_and(|p| p == skip))
        {
            return;
        }
        let identity = fs::metadata(path).map(|m| (m.dev(), m.ino()));
        match identity {
            Ok(identity) if !self.seen.insert(identity) => return,
            _ => {}
        }
        let entries = match fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>) {
            Ok(entries) => entries,
            Err(error) => return self.found.failures.push((path.to_owned(), reason(&error))),
        };
        let mut paths: Vec<PathBuf> = entries.into_iter().map(|e| e.path()).collect();
        paths.sort();
        for path in paths {
            match fs::metadata(&path) {
                Ok(meta) if meta.is_dir() => self.directory(&path),
                Ok(meta) if !meta.is_file() => self.found.passed_over += 1,
                Ok(_) if is_image(&path) => {
                    let relative = path.strip_prefix(self.root).unwrap_or(&path).to_owned();
                    self.found.inputs.push(Input { path, relative });
                }
                Ok(_) => self.found.passed_over += 1,
                Err(error) => self.found.failures.push((path, reason(&error))),
            }
        }
    }
}

/// By the name's extension, or by the first bytes.
fn is_image(path: &Path) -> bool {
    let name = path.file_name().map(|n| n.to_string_lossy());
    if name.is_some_and(|n| n.starts_with(".sundog-")) {
        return false;
    }
    let extension = path.extension().map(|e| e.to_string_lossy());
    if extension.is_some_and(|e| FormatKind::from_extension(&e).is_some()) {
        return true;
    }
    let mut start = [0; FormatKind::DETECT_BYTES];
    let read = fs::File::open(path).and_then(|mut file| file.read(&mut start));
    read.is_ok_and(|n| FormatKind::detect(&start[..n]).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_keep_relative_paths_and_leave_the_output_out() {
        let root = std::env::temp_dir().join(format!("sundog-inputs-{}", std::process::id()));
        for dir in ["b/c", "out"] {
            fs::create_dir_all(root.join(dir)).unwrap();
        }
        for name in ["z.png", "b/c/a.JPG", "b/notes.txt", "out/z.png"] {
            fs::write(root.join(name), "x").unwrap();
        }
        std::os::unix::fs::symlink("..", root.join("b/loop")).unwrap();
        let found = expand(
            &[root.clone(), root.join("none"), root.join("*.png")],
            Some(&root.join("out")),
        );
        let relative: Vec<_> = found
            .inputs
            .iter()
            .map(|i| i.relative.to_str().unwrap())
            .collect();
        assert_eq!(relative, ["b/c/a.JPG", "z.png"]);
        assert_eq!(found.failures.len(), 1);
        assert_eq!(found.passed_over, 1);
        fs::remove_dir_all(root).unwrap();
    }
}
