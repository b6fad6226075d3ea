//! What a submitted job must keep to, beyond what its types say.

use crate::error::{Error, Result};
use imaging::Pipeline;
use imaging::codec::Format;
use protocol::Job;

/// What users may ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Entries in `inputs` (1000).
    pub max_inputs: usize,
    /// Tasks of one job (100 000).
    pub max_tasks: usize,
    /// Bytes of the job file as JSON (1 MiB).
    pub max_spec_bytes: usize,
    /// Whether inputs may be files of the dispatcher's machine; only where users own it.
    pub local_inputs: bool,
    /// Whether inputs may be URLs, read with the dispatcher's credentials.
    pub url_inputs: bool,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules {
            max_inputs: 1000,
            max_tasks: 100_000,
            max_spec_bytes: 1 << 20,
            local_inputs: false,
            url_inputs: true,
        }
    }
}

/// Refuses a job that could not work. Errors name the key.
pub fn check(job: &Job, rules: &Rules) -> Result<()> {
    let bytes = crate::names::to_json(job).len();
    if bytes > rules.max_spec_bytes {
        let most = rules.max_spec_bytes;
        return Err(Error::invalid(
            "job",
            format!("{bytes} bytes of JSON are more than {most}"),
        ));
    }
    if job.version != protocol::VERSION {
        let (version, known) = (job.version, protocol::VERSION);
        return Err(Error::invalid(
            "version",
            format!("{version} is not known; this program reads version {known}"),
        ));
    }
    if job.inputs.len() > rules.max_inputs {
        let (n, most) = (job.inputs.len(), rules.max_inputs);
        return Err(Error::invalid(
            "inputs",
            format!("{n} entries are more than {most} (name directories or patterns)"),
        ));
    }
    for input in &job.inputs {
        check_input(input, rules)?;
    }
    if job.output.contains("://") || job.output.starts_with('/') || has_parent(&job.output) {
        return Err(Error::invalid(
            "output",
            "outputs of a submitted job stay with the job (leave it empty; hint: sundog results --download DIR)",
        ));
    }
    if job.reduce.is_some() {
        return Err(Error::invalid(
            "reduce",
            "reductions do not go through the queue (hint: sundog reduce)",
        ));
    }
    let wrong =
        |key: &'static str| move |error: imaging::Error| Error::invalid(key, error.to_string());
    Pipeline::from_json(&job.pipeline.to_value()).map_err(wrong("pipeline"))?;
    if let Some(format) = &job.format {
        Format::parse(format).map_err(wrong("format"))?;
    }
    if let Some(secs) = job.limits.timeout_secs.filter(|t| !(*t > 0.0 && *t < 1e9)) {
        return Err(Error::invalid(
            "limits.timeout_secs",
            format!("{secs} is not a time above 0 seconds"),
        ));
    }
    let attempts = job.schedule.max_attempts;
    if !(1..=100).contains(&attempts) {
        return Err(Error::invalid(
            "schedule.max_attempts",
            format!("{attempts} is outside 1..=100"),
        ));
    }
    Ok(())
}

fn check_input(input: &str, rules: &Rules) -> Result<()> {
    let wrong = |reason: &str| Err(Error::invalid("inputs", format!("`{input}`: {reason}")));
    if input.starts_with("s3://") || input.starts_with("gs://") {
        return match rules.url_inputs {
            true => Ok(()),
            false => wrong("URLs are not read here (upload the file)"),
        };
    }
    if input.starts_with('/') || input.starts_with("file://") {
        return match rules.local_inputs {
            true => Ok(()),
            false => wrong("files of the dispatcher's machine are not read here (upload it)"),
        };
    }
    if input.contains("://") {
        return wrong("expected a path or a URL with s3://, gs:// or file://");
    }
    let uploaded = input == "inputs" || input.starts_with("inputs/");
    match uploaded && !has_parent(input) {
        true => Ok(()),
        false => wrong("a relative path names an upload and begins with inputs/"),
    }
}

fn has_parent(path: &str) -> bool {
    path.split('/').any(|part| part == "..")
}
