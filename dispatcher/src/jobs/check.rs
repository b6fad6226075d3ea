//! What a submitted job must keep to, beyond what its types say.

use super::urls::{InputUrls, Url};
use crate::error::{Error, Result};
use protocol::{Job, Pages};
use worker::check::WORLD;

/// What users may ask for.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// Entries in `inputs` (5000).
    pub max_inputs: usize,
    /// Tasks of one job (2 000 000); files of a reduction are 100 000 at most.
    pub max_tasks: usize,
    /// Bytes of the job file as JSON (1 MiB).
    pub max_spec_bytes: usize,
    /// Whether inputs may be files of the dispatcher's machine; only where users own it.
    pub local_inputs: bool,
    /// Which URLs inputs may be; they are read with the dispatcher's credentials.
    pub input_urls: InputUrls,
    /// The most that `limits.max_pixels` may be (4 000 000 000).
    pub max_pixels: u64,
    /// The most that `limits.max_bytes` may be, where there is a bound.
    pub max_bytes: Option<u64>,
    /// The most that `limits.timeout_secs` may be (86 400).
    pub timeout_secs: f64,
    /// Jobs of one user that have not ended, where there is a bound.
    pub open_jobs: Option<u64>,
    /// Bytes of one user's uploads and jobs, where there is a bound.
    pub stored_bytes: Option<u64>,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules {
            max_inputs: 5000,
            max_tasks: 2_000_000,
            max_spec_bytes: 1 << 20,
            local_inputs: false,
            input_urls: InputUrls::Any,
            max_pixels: 4_000_000_000,
            max_bytes: None,
            timeout_secs: 86_400.0,
            open_jobs: None,
            stored_bytes: None,
        }
    }
}

impl Rules {
    /// The usual ones, with what the environment allows as inputs.
    pub fn from_env() -> Result<Rules> {
        let usual = Rules::default();
        Ok(Rules {
            input_urls: InputUrls::from_env()?,
            max_tasks: ceiling("SUNDOG_CEILING_TASKS")?.map_or(usual.max_tasks, |n| n as usize),
            max_pixels: ceiling("SUNDOG_CEILING_PIXELS")?.unwrap_or(usual.max_pixels),
            max_bytes: ceiling("SUNDOG_CEILING_BYTES")?,
            timeout_secs: ceiling("SUNDOG_CEILING_SECS")?.map_or(usual.timeout_secs, |n| n as f64),
            open_jobs: ceiling("SUNDOG_CEILING_OPEN_JOBS")?,
            stored_bytes: ceiling("SUNDOG_CEILING_STORED")?,
            ..usual
        })
    }
}

/// A bound that the operator sets.
fn ceiling(name: &str) -> Result<Option<u64>> {
    match std::env::var(name) {
        Ok(text) if !text.is_empty() => match text.parse() {
            Ok(bound) if bound > 0 => Ok(Some(bound)),
            _ => Err(Error::invalid(
                name,
                format!("`{text}` is not a number above 0"),
            )),
        },
        _ => Ok(None),
    }
}

/// Refuses what is more than the operator allows: a job may ask for less.
fn check_ceilings(job: &Job, rules: &Rules) -> Result<()> {
    let limits = &job.limits;
    let too_much = |key: &'static str, asked: String, most: String| {
        let reason = format!("{asked} is more than the {most} that this job system allows");
        Err(Error::invalid(key, reason))
    };
    if limits.max_pixels > rules.max_pixels {
        let (asked, most) = (limits.max_pixels.to_string(), rules.max_pixels.to_string());
        return too_much("limits.max_pixels", asked, most);
    }
    if let (Some(asked), Some(most)) = (&limits.max_bytes, rules.max_bytes)
        && asked.0 > most
    {
        return too_much("limits.max_bytes", asked.0.to_string(), most.to_string());
    }
    match limits.timeout_secs {
        Some(asked) if asked > rules.timeout_secs => {
            let most = rules.timeout_secs.to_string();
            too_much("limits.timeout_secs", asked.to_string(), most)
        }
        _ => Ok(()),
    }
}

/// Refuses a job that could not work. Errors name the key. `own` is the address of the job system's store.
pub fn check(job: &Job, rules: &Rules, own: &str) -> Result<()> {
    let bytes = crate::names::to_json(job).len();
    if bytes > rules.max_spec_bytes {
        let most = rules.max_spec_bytes;
        return Err(Error::invalid(
            "job",
            format!("{bytes} bytes of JSON are more than {most}"),
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
        check_input(input, rules, own)?;
    }
    if job.output.contains("://") || job.output.starts_with('/') || has_parent(&job.output) {
        return Err(Error::invalid(
            "output",
            "outputs of a submitted job stay with the job (leave it empty; hint: sundog results --download DIR)",
        ));
    }
    worker::check::job(job).map_err(|(key, reason)| Error::invalid(key, reason))?;
    // No file of this machine is read for somebody else's job.
    worker::color::choice(job).map_err(|error| Error::invalid("color", error.to_string()))?;
    check_ceilings(job, rules)?;
    check_promises(job)
}

/// Refuses what dispatchers would not keep, rather than leaving it out in silence.
fn check_promises(job: &Job) -> Result<()> {
    let refused = [
        (
            "keep_times",
            job.keep_times,
            "outputs of jobs are objects, which have no times of their own (hint: sundog run)",
        ),
        ("ranks", job.ranks.is_some(), WORLD),
        ("thread_ranks", job.thread_ranks.is_some(), WORLD),
        ("threads", job.threads.is_some(), WORLD),
        (
            "names",
            job.names.is_some() && job.reduce.is_some(),
            "a reduction has one output, which is called by its operation (leave it out)",
        ),
        (
            "pages",
            job.pages != Pages::default() && job.reduce.is_some(),
            "every page of a file enters a reduction (leave it out)",
        ),
        (
            "keep_mode",
            job.keep_mode,
            "outputs of jobs are objects, which have no permissions (hint: sundog run)",
        ),
    ];
    match refused.into_iter().find(|(_, wrong, _)| *wrong) {
        Some((key, _, reason)) => Err(Error::invalid(key, reason)),
        None => Ok(()),
    }
}

fn check_input(input: &str, rules: &Rules, own: &str) -> Result<()> {
    if Url::is_one(input) {
        return check_url(&Url::parse(input)?, rules, own);
    }
    if file_of(input).is_some() {
        return match rules.local_inputs {
            true => Ok(()),
            false => Err(wrong(
                input,
                "files of the dispatcher's machine are not read here (upload it)",
            )),
        };
    }
    check_upload(input)
}

fn wrong(input: &str, reason: &str) -> Error {
    Error::invalid("inputs", format!("`{input}`: {reason}"))
}

/// The path, where an input names a file of a machine.
pub(crate) fn file_of(input: &str) -> Option<&str> {
    let path = input.strip_prefix("file://");
    path.or(input.starts_with('/').then_some(input))
}

/// Refuses URLs that are not admitted, and those of the job system's own store.
pub(crate) fn check_url(url: &Url, rules: &Rules, own: &str) -> Result<()> {
    let shown = format!("{}{}", url.root(), url.key);
    if url.is_in(own) {
        let reason = "it lies in the job system's own store (name an upload, as uploads/…)";
        return Err(wrong(&shown, reason));
    }
    match rules.input_urls.admit(url) {
        true => Ok(()),
        false => Err(wrong(&shown, "this URL is not read here (upload the file)")),
    }
}

/// Refuses what is not `uploads/<upload>` or below it.
pub(crate) fn check_upload(input: &str) -> Result<()> {
    if input.contains("://") {
        return Err(wrong(
            input,
            "expected a path or a URL with s3://, gs:// or file://",
        ));
    }
    let path = input.strip_suffix('/').unwrap_or(input);
    let mut parts = path.split('/');
    let (top, upload) = (parts.next(), parts.next().unwrap_or_default());
    let fits = top == Some("uploads")
        && (1..=64).contains(&upload.len())
        && upload.bytes().all(|b| b.is_ascii_alphanumeric())
        && parts.all(|part| !matches!(part, "" | "." | ".."));
    match fits {
        true => Ok(()),
        false => Err(wrong(
            input,
            "a relative path names an upload and begins with uploads/<upload>/",
        )),
    }
}

fn has_parent(path: &str) -> bool {
    path.split('/').any(|part| part == "..")
}
