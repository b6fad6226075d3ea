//! Files of this machine that stand for what a job names elsewhere: objects behind URLs that were fetched,
//! and a folder from which outputs go on to theirs.

use crate::inputs::{Found, Input, Skipped};
use imaging::Error;
use protocol::name;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::PathBuf;

/// What stands where.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Elsewhere {
    /// Inputs that were fetched.
    pub inputs: Vec<Fetched>,
    /// Inputs that could not be fetched, with the reason.
    pub failures: Vec<(String, String)>,
    /// Inputs that are larger than a limit, with the reason.
    pub refused: Vec<(String, String)>,
    /// Inputs that were not fetched since their output exists.
    pub skipped: u64,
    /// Objects of prefixes that were passed over, by what they are.
    #[serde(default)]
    pub passed_over: Skipped,
    /// Where outputs are written, if not where the job says.
    pub output: Option<Staged>,
}

/// An input and the file that stands for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetched {
    /// What receipts and events call it.
    pub name: String,
    /// The file, as text without loss.
    pub path: String,
    /// Its path below what the user named, as text without loss; kept in the output.
    pub relative: String,
}

/// A folder that stands for the place above the job's output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Staged {
    /// In place of the job's output, as text without loss.
    pub output: String,
    /// What its texts begin with …
    pub folder: String,
    /// … and what stands in place of that in receipts and events.
    pub shown: String,
}

impl Staged {
    /// The name of what lies at `path`.
    pub fn name(&self, path: &str) -> Option<String> {
        let rest = path.strip_prefix(&self.folder)?;
        Some(format!("{}{rest}", self.shown))
    }

    /// Where that lies which is called `name`.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        let rest = name.strip_prefix(&self.shown)?;
        Some(name::to_path(&format!("{}{rest}", self.folder)))
    }
}

/// Whether an input or output is an object's URL and no file.
pub fn is_url(text: &str) -> bool {
    text.starts_with("s3://") || text.starts_with("gs://")
}

impl Elsewhere {
    /// Adds what was fetched to what was found on this machine.
    pub(crate) fn add_to(&self, found: &mut Found) {
        found.inputs.extend(self.inputs.iter().map(|input| Input {
            path: name::to_path(&input.path),
            relative: name::to_path(&input.relative),
        }));
        for (kind, count) in &self.passed_over {
            *found.skipped.entry(kind.clone()).or_default() += count;
        }
        for (from, to) in [
            (&self.failures, &mut found.failures),
            (&self.refused, &mut found.refused),
        ] {
            let named = from.iter();
            to.extend(named.map(|(name, reason)| (name::to_path(name), reason.clone())));
        }
    }
}

/// Tells receipts and events what files stand for.
#[derive(Debug, Default)]
pub(crate) struct Names {
    inputs: HashMap<String, String>,
    output: Option<Staged>,
}

impl Names {
    pub(crate) fn new(elsewhere: Option<&Elsewhere>) -> Names {
        let Some(elsewhere) = elsewhere else {
            return Names::default();
        };
        let inputs = elsewhere.inputs.iter();
        Names {
            inputs: inputs.map(|i| (i.path.clone(), i.name.clone())).collect(),
            output: elsewhere.output.clone(),
        }
    }

    /// The name of an input, and what is said of it with that name in place of the file's.
    pub(crate) fn input(&self, path: &mut String, reason: &mut Option<String>) {
        if let Some(name) = self.inputs.get(path) {
            if let Some(reason) = reason {
                *reason = reason.replace(&*path, name);
            }
            path.clone_from(name);
        }
        if let (Some(staged), Some(reason)) = (&self.output, reason) {
            *reason = reason.replace(&staged.folder, &staged.shown);
        }
    }

    /// What helps where there is no room for outputs.
    pub(crate) fn no_room(&self) -> &'static str {
        match self.output {
            // It is the disk of that folder that is full.
            Some(_) => "set TMPDIR to a larger disk",
            None => Error::NO_ROOM,
        }
    }

    /// The name of an output.
    pub(crate) fn output(&self, path: &mut String) {
        if let Some(name) = self.output.as_ref().and_then(|staged| staged.name(path)) {
            *path = name;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn files_are_called_what_they_stand_for() {
        let elsewhere = Elsewhere {
            inputs: vec![Fetched {
                name: "s3://b/raw/a.jpg".into(),
                path: "/tmp/x/in/0.jpg".into(),
                relative: "a.jpg".into(),
            }],
            output: Some(Staged {
                output: "/tmp/x/out/done".into(),
                folder: "/tmp/x/out/".into(),
                shown: "gs://c/".into(),
            }),
            ..Elsewhere::default()
        };
        let names = Names::new(Some(&elsewhere));
        let mut input = "/tmp/x/in/0.jpg".to_owned();
        let mut reason = Some("/tmp/x/in/0.jpg: no; /tmp/x/out/done/a.jpg: full".to_owned());
        names.input(&mut input, &mut reason);
        assert_eq!(input, "s3://b/raw/a.jpg");
        assert_eq!(
            reason.as_deref(),
            Some("s3://b/raw/a.jpg: no; gs://c/done/a.jpg: full")
        );
        let mut output = "/tmp/x/out/done/a.jpg".to_owned();
        names.output(&mut output);
        assert_eq!(output, "gs://c/done/a.jpg");
        let staged = elsewhere.output.as_ref().unwrap();
        let path = staged.path(&output).unwrap();
        assert_eq!(path, Path::new("/tmp/x/out/done/a.jpg"));
        let mut other = "photos/a.jpg".to_owned();
        names.input(&mut other, &mut None);
        names.output(&mut other);
        assert_eq!(other, "photos/a.jpg");
        assert!(is_url("gs://c") && !is_url("file:///c"));
    }
}
