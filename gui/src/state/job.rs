//! What a run needs beside files and pipeline: output, format, names, limits; and the job file that says all of it.

use imaging::Pipeline;
use imaging::codec::Format;
use protocol::job::{Job, OnClash};
use protocol::name;
use std::path::{Path, PathBuf};

/// The rest of the job.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// Keys of a job file that the window has no field for are kept as they came.
    pub base: Job,
    /// The output directory, or one file.
    pub output: String,
    /// The format with its options; empty: that of each input.
    pub format: String,
}

impl Setup {
    /// A job over these inputs. An error says what is missing or wrong.
    pub fn job(&self, inputs: Vec<PathBuf>, pipeline: &Pipeline) -> Result<Job, String> {
        self.ready(inputs.is_empty())?;
        self.look(inputs, pipeline)
    }

    /// What is missing or wrong, told at once however many files there are.
    pub fn ready(&self, no_files: bool) -> Result<(), String> {
        if no_files {
            return Err("add files or a folder first".into());
        }
        if self.output.trim().is_empty() {
            return Err("choose where the results go".into());
        }
        match self.format.trim() {
            "" => Ok(()),
            text => Format::parse(text).map(drop).map_err(|e| e.to_string()),
        }
    }

    /// The same without asking for inputs and an output, for the preview and for presets.
    pub fn look(&self, inputs: Vec<PathBuf>, pipeline: &Pipeline) -> Result<Job, String> {
        let format = match self.format.trim() {
            "" => None,
            text => Some(Format::parse(text).map_err(|e| e.to_string())?.to_string()),
        };
        Ok(Job {
            inputs: inputs.iter().map(|path| name::to_text(path)).collect(),
            output: self.output.trim().to_owned(),
            pipeline: pipeline.to_string().as_str().into(),
            format,
            ..self.base.clone()
        })
    }

    /// Whether clashing outputs get numbers.
    pub fn numbers(&self) -> bool {
        self.base.on_clash == OnClash::Number
    }

    /// Takes over all of a job but its inputs and pipeline.
    pub fn load(&mut self, job: &Job) {
        self.output = job.output.clone();
        self.format = job.format.clone().unwrap_or_default();
        self.base = Job {
            inputs: Vec::new(),
            pipeline: protocol::pipeline::Pipeline::default(),
            ..job.clone()
        };
    }
}

/// The text of a job file. What is the default is left out, so that the file says what was chosen.
pub fn to_toml(job: &Job) -> Result<String, String> {
    let given = serde_json::to_value(job).map_err(|e| e.to_string())?;
    let usual = serde_json::to_value(Job::default()).map_err(|e| e.to_string())?;
    let (serde_json::Value::Object(given), serde_json::Value::Object(usual)) = (given, usual)
    else {
        return Err("a job is an object".into());
    };
    let mut table = toml::Table::new();
    for (key, value) in given {
        if key == "version" || usual.get(&key) != Some(&value) {
            let value = toml::Value::try_from(without_nulls(value)).map_err(|e| e.to_string())?;
            table.insert(key, value);
        }
    }
    toml::to_string_pretty(&table).map_err(|e| e.to_string())
}

fn without_nulls(value: serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::Object(fields) => {
            let kept = fields.into_iter().filter(|(_, v)| !v.is_null());
            kept.map(|(k, v)| (k, without_nulls(v))).collect()
        }
        other => other,
    }
}

/// A path in full, and a URL as it is, so that a job file means the same wherever it is run.
pub fn absolute(path: &Path) -> PathBuf {
    match worker::elsewhere::is_url(&name::to_text(path)) {
        true => path.to_owned(),
        false => std::path::absolute(path).unwrap_or_else(|_| path.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_file_comes_back_as_it_was() {
        let setup = Setup {
            output: "/out".into(),
            format: "jpeg(quality=80)".into(),
            base: Job {
                threads: Some(2),
                on_clash: OnClash::Number,
                ..Job::default()
            },
        };
        let pipeline = Pipeline::parse("equalize | gaussian(sigma=2)").unwrap();
        let job = setup
            .job(vec!["/photos/a\"b.png".into()], &pipeline)
            .unwrap();
        let text = to_toml(&job).unwrap();
        let read = worker::jobfile::parse::<Job>("a.toml", text.clone());
        assert_eq!(read.map(|f| f.typed), Ok(job.clone()), "{text}");
        assert!(!text.contains("schedule"), "{text}");
        let mut loaded = Setup::default();
        loaded.load(&job);
        let again = loaded.job(vec!["/photos/a\"b.png".into()], &pipeline);
        assert_eq!(again, Ok(job));
    }

    #[test]
    fn what_is_missing_is_named() {
        let setup = Setup::default();
        let none = setup.job(Vec::new(), &Pipeline::default());
        assert_eq!(none, Err("add files or a folder first".into()));
        let setup = Setup {
            output: "out".into(),
            format: "jpge".into(),
            ..Setup::default()
        };
        let wrong = setup.job(vec!["a".into()], &Pipeline::default());
        assert!(wrong.is_err_and(|e| e.contains("jpeg")));
    }
}
