//! From what the user named to the list of images: files, directories (recursive), patterns.

use imaging::codec::FormatKind;
use std::collections::{BTreeMap, HashMap, HashSet};
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
    /// Files of directories that were passed over, by what they are.
    pub skipped: Skipped,
    /// The files that `skipped` counts.
    passed: Vec<(PathBuf, Kind)>,
}

/// How many files were passed over, by what they are: see [`Kind::name`].
pub type Skipped = BTreeMap<String, u64>;

/// What a file of a directory is, before it is opened as an image. A file that is named itself is always an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// By its extension, or by its first bytes.
    Image,
    /// What systems leave beside people's files.
    Junk,
    /// Its name begins with a dot.
    Hidden,
    /// Neither its name nor its first bytes are those of an image.
    Unknown,
    /// A device, a pipe or a socket.
    Special,
}

impl Kind {
    /// What its name alone tells.
    pub fn of_name(name: &str) -> Option<Kind> {
        const JUNK: [&str; 5] = [
            ".ds_store",
            "thumbs.db",
            "ehthumbs.db",
            "desktop.ini",
            "icon\r",
        ];
        let lower = name.to_ascii_lowercase();
        let extension = Path::new(&lower).extension();
        match () {
            () if name.starts_with("._") || JUNK.contains(&lower.as_str()) => Some(Kind::Junk),
            () if name.starts_with('.') => Some(Kind::Hidden),
            () => extension
                .and_then(|e| FormatKind::from_extension(e.to_str()?))
                .map(|_| Kind::Image),
        }
    }

    /// As receipts and events call it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Image => "image",
            Kind::Junk => "junk",
            Kind::Hidden => "hidden",
            Kind::Unknown => "unknown",
            Kind::Special => "special",
        }
    }
}

/// Files that were seen, by what they are and not by how they are spelled.
#[derive(Debug, Default)]
pub struct Seen(HashMap<(u64, u64), Vec<PathBuf>>);

impl Seen {
    /// Whether it is the first time.
    pub fn insert(&mut self, path: &Path) -> bool {
        let Ok(meta) = fs::metadata(path) else {
            return true;
        };
        let others = self.0.entry((meta.dev(), meta.ino())).or_default();
        // Only files of several names can be others of the same content.
        let same = |other: &PathBuf| match (other.canonicalize(), path.canonicalize()) {
            (Ok(a), Ok(b)) => a == b,
            _ => other == path,
        };
        if others.iter().any(same) {
            return false;
        }
        others.push(path.to_owned());
        true
    }
}

/// Expands inputs. Directories below `output` are left out, so that a second run does not take the
/// results of the first; a file named twice, however it is spelled, counts once. Nothing here ends a batch: what cannot be read is listed as a failure.
pub fn expand(named: &[PathBuf], output: Option<&Path>) -> Found {
    find(named, output, false)
}

/// The same where inputs may be something else than images: whatever matches a pattern is taken, but for junk, and of a
/// directory without images its files of numbers.
pub fn expand_any(named: &[PathBuf], output: Option<&Path>) -> Found {
    find(named, output, true)
}

/// Whether a file without an image's first bytes is one of numbers by its name.
pub fn is_text(path: &Path) -> bool {
    let extension = path.extension().and_then(|e| e.to_str());
    extension.is_some_and(|e| ["txt", "csv"].iter().any(|x| e.eq_ignore_ascii_case(x)))
}

impl Found {
    /// Takes text and CSV below `root` that was passed over since there were `first` such files.
    fn take_numbers(&mut self, root: &Path, first: usize) {
        let passed = self.passed.split_off(first);
        for (path, kind) in passed {
            if kind != Kind::Unknown || !is_text(&path) {
                self.passed.push((path, kind));
                continue;
            }
            let relative = path.strip_prefix(root).unwrap_or(&path).to_owned();
            self.inputs.push(Input { path, relative });
        }
    }
}

fn find(named: &[PathBuf], output: Option<&Path>, any: bool) -> Found {
    let mut found = Found::default();
    let skip = output.and_then(|path| fs::canonicalize(path).ok());
    for path in named {
        let path = local(path);
        match fs::metadata(&path) {
            Ok(meta) if meta.is_dir() => {
                let skip = skip
                    .as_deref()
                    .filter(|&s| fs::canonicalize(&path).is_ok_and(|p| p != s));
                let before = (found.inputs.len(), found.passed.len());
                let mut walk = Walk {
                    root: &path,
                    skip,
                    seen: HashSet::new(),
                    found: &mut found,
                };
                walk.directory(&path);
                if any && found.inputs.len() == before.0 {
                    found.take_numbers(&path, before.1);
                }
            }
            Ok(_) => {
                let relative = path.file_name().map_or_else(|| path.clone(), PathBuf::from);
                found.inputs.push(Input { path, relative });
            }
            Err(error) => match pattern(&path) {
                Some(pattern) => matches(&path, &pattern, skip.as_deref(), any, &mut found),
                None => found.failures.push((path, reason(&error))),
            },
        }
    }
    let mut seen = Seen::default();
    found.inputs.retain(|input| seen.insert(&input.path));
    for (path, kind) in std::mem::take(&mut found.passed) {
        if seen.insert(&path) {
            *found.skipped.entry(kind.name().to_owned()).or_default() += 1;
        }
    }
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

fn matches(path: &Path, pattern: &str, skip: Option<&Path>, any: bool, found: &mut Found) {
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
    let passed = found.passed.len();
    // A pattern that spells a dot out wants what is hidden.
    let dots = pattern
        .split('/')
        .any(|part| part.starts_with('.') && !matches!(part, "." | ".."));
    for entry in paths {
        match entry {
            Ok(path) if path.is_dir() => {
                if !dots && hidden_name(&path).is_some() {
                    found.skip(path, Kind::Hidden);
                    continue;
                }
                let mut walk = Walk {
                    root: &root,
                    skip,
                    seen: HashSet::new(),
                    found,
                };
                walk.directory(&path);
            }
            Ok(path) => match kind(&path) {
                Kind::Junk | Kind::Hidden if dots => found.take(&root, path),
                Kind::Unknown if any => found.take(&root, path),
                kind => found.add(&root, path, kind),
            },
            Err(error) => found
                .failures
                .push((error.path().to_owned(), reason(error.error()))),
        }
    }
    if found.inputs.len() + found.failures.len() == before {
        let reason = match found.passed.len() == passed {
            true => "no file matches this pattern",
            false => "no file that matches this pattern is an image",
        };
        found.failures.push((path.to_owned(), reason.into()));
    }
}

impl Found {
    fn skip(&mut self, path: PathBuf, kind: Kind) {
        self.passed.push((path, kind));
    }

    fn take(&mut self, root: &Path, path: PathBuf) {
        let relative = path.strip_prefix(root).unwrap_or(&path).to_owned();
        self.inputs.push(Input { path, relative });
    }

    fn add(&mut self, root: &Path, path: PathBuf, kind: Kind) {
        match kind {
            Kind::Image => self.take(root, path),
            kind => self.skip(path, kind),
        }
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
                Ok(meta) if meta.is_dir() => match hidden_name(&path) {
                    Some(kind) => self.found.skip(path, kind),
                    None => self.directory(&path),
                },
                Ok(_) if is_temporary(&path) => {}
                Ok(meta) if !meta.is_file() => self.found.skip(path, Kind::Special),
                Ok(_) => {
                    let kind = kind(&path);
                    self.found.add(self.root, path, kind);
                }
                Err(_) if hidden_name(&path).is_some() => self.found.skip(path, Kind::Hidden),
                Err(error) => self.found.failures.push((path, reason(&error))),
            }
        }
    }
}

fn hidden_name(path: &Path) -> Option<Kind> {
    let name = path.file_name()?.to_string_lossy();
    Kind::of_name(&name).filter(|kind| matches!(kind, Kind::Junk | Kind::Hidden))
}

/// Outputs that are being written are no files of the user's.
fn is_temporary(path: &Path) -> bool {
    let name = path.file_name().map(|n| n.to_string_lossy());
    name.is_some_and(|name| name.starts_with(".sundog-"))
}

/// By the name, or by the first bytes.
fn kind(path: &Path) -> Kind {
    let name = path.file_name().map(|n| n.to_string_lossy());
    if let Some(kind) = name.and_then(|name| Kind::of_name(&name)) {
        return kind;
    }
    match read_start(path) {
        Ok(start) if FormatKind::detect(&start).is_none() => Kind::Unknown,
        // What cannot be read may be an image, and is told of as a failure.
        _ => Kind::Image,
    }
}

/// Bytes that tell what a file is.
pub const START: usize = FormatKind::DETECT_BYTES;

/// What a file's first bytes say that it is.
pub fn format_of(path: &Path) -> Option<FormatKind> {
    FormatKind::detect(&read_start(path).ok()?)
}

fn read_start(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut start = Vec::with_capacity(START);
    let file = fs::File::open(path)?;
    file.take(START as u64).read_to_end(&mut start)?;
    Ok(start)
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
        for name in ["._z.png", "Thumbs.db", ".DS_Store", ".hidden.png"] {
            fs::write(root.join(name), "x").unwrap();
        }
        fs::create_dir(root.join(".git")).unwrap();
        fs::write(root.join(".git/a.png"), "x").unwrap();
        fs::write(root.join("b/c/frame.001"), b"\x89PNG\r\n\x1a\n").unwrap();
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
        assert_eq!(relative, ["b/c/a.JPG", "b/c/frame.001", "z.png"]);
        assert_eq!(found.failures.len(), 1);
        let skipped: Vec<_> = found
            .skipped
            .iter()
            .map(|(k, n)| (k.as_str(), *n))
            .collect();
        // The pattern meets some of them once more.
        assert_eq!(skipped, [("hidden", 2), ("junk", 3), ("unknown", 1)]);
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn a_file_of_several_spellings_is_one_and_a_named_file_is_never_junk() {
        let root = std::env::temp_dir().join(format!("sundog-spelled-{}", std::process::id()));
        fs::create_dir_all(root.join("dir")).unwrap();
        for name in ["a.png", "._b.png", "c.txt"] {
            fs::write(root.join(name), "x").unwrap();
        }
        std::os::unix::fs::symlink("a.png", root.join("link.png")).unwrap();
        fs::hard_link(root.join("a.png"), root.join("twin.png")).unwrap();
        let named = ["a.png", "dir/../a.png", "./a.png", "link.png", "*.png"];
        let named: Vec<PathBuf> = named.iter().map(|name| root.join(name)).collect();
        let relative = |named: &[PathBuf]| -> Vec<String> {
            let found = expand(named, None);
            assert!(found.failures.is_empty(), "{:?}", found.failures);
            let inputs = found.inputs.iter();
            inputs.map(|i| i.relative.display().to_string()).collect()
        };
        assert_eq!(relative(&named), ["a.png", "twin.png"]);
        let named = [root.join("._b.png"), root.join("c.txt")];
        assert_eq!(relative(&named), ["._b.png", "c.txt"]);
        fs::remove_dir_all(root).unwrap();
    }
}
