//! `sundog doctor DIR`: what a run over a folder would meet, before it meets it.

use super::Found;
use imaging::codec::{self, Header, Limits};
use imaging::executor::guarded;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use worker::inputs::{self, Found as Inputs};

/// Names that are told of what is wrong in the same way.
const TOLD: usize = 3;

/// A folder and what was found in it.
pub(super) struct Folder {
    dir: PathBuf,
    inputs: Inputs,
    headers: Vec<(PathBuf, Header)>,
    damaged: Vec<(PathBuf, String)>,
}

impl Folder {
    /// Looks at every header; no pixel is decoded.
    pub(super) fn look(dir: &Path) -> Folder {
        let inputs = inputs::expand(&[dir.to_owned()], None);
        let (mut headers, mut damaged) = (Vec::new(), Vec::new());
        let limits = Limits::default();
        for input in &inputs.inputs {
            let probed = File::open(&input.path)
                .map_err(|error| imaging::Error::Io(worker::jobfile::io_cause(&error)))
                .and_then(|mut file| guarded(|| codec::probe(&mut file, &limits)));
            match probed {
                Ok(header) => headers.push((input.path.clone(), header)),
                Err(error) => damaged.push((input.path.clone(), error.to_string())),
            }
        }
        Folder {
            dir: dir.to_owned(),
            inputs,
            headers,
            damaged,
        }
    }

    /// What there is.
    pub(super) fn images(&self) -> Found {
        if !self.dir.is_dir() {
            let what = format!("{} is no directory", self.dir.display());
            return Found::Broken(what, "name one");
        }
        let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
        for (_, header) in &self.headers {
            *kinds.entry(header.kind.codec().title).or_default() += 1;
        }
        let kinds: Vec<String> = kinds
            .iter()
            .map(|(name, n)| format!("{n} {name}"))
            .collect();
        let passed: Vec<String> = (self.inputs.skipped.iter())
            .map(|(what, n)| format!("{n} {what}"))
            .collect();
        let mut what = match kinds.is_empty() {
            true => "none that can be read".to_owned(),
            false => kinds.join(", "),
        };
        if !passed.is_empty() {
            what += &format!(" (passed over: {})", passed.join(", "));
        }
        match kinds.is_empty() {
            true => Found::Missing(what, "name a directory with images in it, or below it"),
            false => Found::Ok(what),
        }
    }

    /// Files that would fail.
    pub(super) fn damaged(&self) -> Found {
        let wrong = [&self.damaged, &self.inputs.failures, &self.inputs.refused];
        let wrong: Vec<&(PathBuf, String)> = wrong.into_iter().flatten().collect();
        if wrong.is_empty() {
            return Found::Ok("every header is sound".into());
        }
        let told = wrong.iter().take(TOLD).map(|(path, reason)| {
            let path = path.strip_prefix(&self.dir).unwrap_or(path);
            format!("{}: {reason}", path.display())
        });
        let mut what = told.collect::<Vec<_>>().join("; ");
        if wrong.len() > TOLD {
            what += &format!("; and {} more", wrong.len() - TOLD);
        }
        Found::Broken(
            what,
            "mend or move them; a run goes on without them and ends with exit code 3",
        )
    }

    /// Outputs that would come to one name, here or on systems that do not tell cases apart.
    pub(super) fn names(&self) -> Found {
        let mut seen: BTreeMap<String, &Path> = BTreeMap::new();
        for input in &self.inputs.inputs {
            let stem = input.relative.with_extension("");
            let key = stem.to_string_lossy().to_lowercase();
            if let Some(other) = seen.insert(key, &input.relative) {
                let what = format!(
                    "{} and {} come to one name where all outputs have one format",
                    other.display(),
                    input.relative.display()
                );
                return Found::Missing(
                    what,
                    "--on-clash number, or --names '{dir}/{name}.{format}'",
                );
            }
        }
        Found::Ok("each output has a name of its own".into())
    }

    /// Whether outputs as large as the pixels would fit beside the inputs.
    pub(super) fn room(&self) -> Found {
        let bytes = |header: &Header| {
            let pages = u64::from(header.pages.max(1));
            pages.saturating_mul(header.shape.bytes() as u64)
        };
        let most = self.headers.iter().map(|(_, header)| bytes(header));
        let most = most.fold(0u64, u64::saturating_add);
        let free = match nix::sys::statvfs::statvfs(&self.dir) {
            Ok(found) => found
                .blocks_available()
                .saturating_mul(found.fragment_size()),
            Err(error) => {
                return Found::Missing(format!("how much is free is not known: {error}"), "df -h");
            }
        };
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        let what = format!(
            "{} MiB are free; without any compression, outputs take {} MiB",
            mib(free),
            mib(most)
        );
        match most <= free {
            true => Found::Ok(what),
            false => Found::Missing(
                what,
                "write elsewhere (-o), or compress: --format jpeg or webp",
            ),
        }
    }
}
