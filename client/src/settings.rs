//! Settings in layers: environment over ./sundog.toml over the user's over the system's configuration.
//!
//! A project's `sundog.toml` may come from anybody, an unpacked archive for one. It says how images are worked on;
//! what names a program, or decides where credentials and images go, counts only where the user wrote it.

use crate::exit::{Failure, Result};
use protocol::Size;
use protocol::job::{Acceptance, Device, Job, KeepMetadata, Mode, OnError, Placement};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use worker::jobfile;

/// What a configuration file may hold. Only checked against; values are kept as they are written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "the fields are the grammar of the file")]
struct Settings {
    version: Option<u32>,
    threads: Option<usize>,
    ranks: Option<usize>,
    thread_ranks: Option<usize>,
    mpirun: Option<String>,
    hostfile: Option<String>,
    mode: Option<Mode>,
    format: Option<String>,
    on_error: Option<OnError>,
    keep_metadata: Option<KeepMetadata>,
    limits: Option<Limits>,
    schedule: Option<Schedule>,
    broker: Option<String>,
    redis: Option<String>,
    store: Option<String>,
    s3_endpoint: Option<String>,
    s3_public_endpoint: Option<String>,
    gateway: Option<String>,
    token: Option<String>,
    scale_command: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "the fields are the grammar of the file")]
struct Limits {
    max_pixels: Option<u64>,
    max_bytes: Option<Size>,
    timeout_secs: Option<f64>,
    memory: Option<Size>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "the fields are the grammar of the file")]
struct Schedule {
    placement: Option<Placement>,
    acceptance: Option<Acceptance>,
    max_attempts: Option<u32>,
    max_rejections: Option<u32>,
    speculate: Option<bool>,
    speculate_after: Option<f64>,
    speculate_ratio: Option<f64>,
    priority: Option<protocol::job::Priority>,
    device: Option<Device>,
}

/// Who may set a key in a file.
#[derive(Clone, Copy, PartialEq)]
enum Setter {
    /// Whoever wrote the folder that a command runs in: it can neither run code nor move credentials.
    Project,
    /// The user and the system only.
    User,
}
use Setter::{Project, User};

/// Every key, its variable and who may set it in a file. Keys with a dot lie in a section.
const KEYS: &[(&str, &str, Setter)] = &[
    ("threads", "SUNDOG_THREADS", Project),
    ("ranks", "SUNDOG_RANKS", Project),
    ("thread_ranks", "SUNDOG_THREAD_RANKS", Project),
    ("mpirun", "SUNDOG_MPIRUN", User),
    ("hostfile", "SUNDOG_HOSTFILE", User),
    ("mode", "SUNDOG_MODE", Project),
    ("format", "SUNDOG_FORMAT", Project),
    ("on_error", "SUNDOG_ON_ERROR", Project),
    ("keep_metadata", "SUNDOG_KEEP_METADATA", Project),
    ("limits.max_pixels", "SUNDOG_MAX_PIXELS", Project),
    ("limits.max_bytes", "SUNDOG_MAX_BYTES", Project),
    ("limits.timeout_secs", "SUNDOG_TIMEOUT_SECS", Project),
    ("limits.memory", "SUNDOG_MEMORY", Project),
    ("schedule.placement", "SUNDOG_PLACEMENT", Project),
    ("schedule.acceptance", "SUNDOG_ACCEPTANCE", Project),
    ("schedule.max_attempts", "SUNDOG_MAX_ATTEMPTS", Project),
    ("schedule.max_rejections", "SUNDOG_MAX_REJECTIONS", Project),
    ("schedule.speculate", "SUNDOG_SPECULATE", Project),
    ("schedule.priority", "SUNDOG_PRIORITY", Project),
    ("schedule.device", "SUNDOG_DEVICE", Project),
    (
        "schedule.speculate_after",
        "SUNDOG_SPECULATE_AFTER",
        Project,
    ),
    (
        "schedule.speculate_ratio",
        "SUNDOG_SPECULATE_RATIO",
        Project,
    ),
    ("broker", "SUNDOG_BROKER", User),
    ("redis", "SUNDOG_REDIS", User),
    ("store", "SUNDOG_STORE", User),
    ("s3_endpoint", "SUNDOG_S3_ENDPOINT", User),
    ("s3_public_endpoint", "SUNDOG_S3_PUBLIC_ENDPOINT", User),
    ("gateway", "SUNDOG_GATEWAY", User),
    ("token", "SUNDOG_TOKEN", User),
    ("scale_command", "SUNDOG_SCALE_COMMAND", User),
];

/// Keys whose variable may have `_FILE` behind its name and then gives the path of a file with the secret.
const IN_FILES: &[&str] = &["broker", "redis", "token"];

/// Keys of a job that a configuration cannot set.
const JOB_KEYS: &[&str] = &[
    "name",
    "inputs",
    "output",
    "pipeline",
    "reduce",
    "skip_existing",
];

/// A setting in force.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// Its value.
    pub value: Value,
    /// Who set it: a file and line, a variable, or `default`.
    pub origin: String,
}

/// All settings in force, by key.
#[derive(Default)]
pub struct Layers {
    /// Keys of sections are joined by a dot.
    pub settings: BTreeMap<String, Setting>,
}

/// The variables and files of this process.
pub fn load() -> Result<Layers> {
    let variable = |name: &str| {
        let value = std::env::var_os(name).filter(|v| !v.is_empty())?;
        Some(value.to_string_lossy().into_owned())
    };
    let mut layers = Layers::defaults();
    layers.file(Path::new("/etc/sundog/config.toml"), User, false)?;
    match variable("SUNDOG_CONFIG") {
        Some(path) => layers.file(Path::new(&path), User, true)?,
        None => {
            let home = variable("HOME").map(|h| PathBuf::from(h).join(".config"));
            let base = variable("XDG_CONFIG_HOME").map(PathBuf::from).or(home);
            if let Some(base) = base {
                layers.file(&base.join("sundog/config.toml"), User, false)?;
            }
        }
    }
    layers.file(Path::new("sundog.toml"), Project, false)?;
    layers.environment(variable)?;
    Ok(layers)
}

impl Layers {
    fn defaults() -> Layers {
        let mut layers = Layers::default();
        let job = serde_json::to_value(Job::default()).unwrap_or_default();
        for (key, value) in flatten(&job) {
            if KEYS.iter().any(|(k, ..)| *k == key) {
                layers.set(key, value, "default");
            }
        }
        layers
    }

    fn set(&mut self, key: String, value: Value, origin: &str) {
        // Two ways to say the same: the later one counts.
        match key.as_str() {
            "ranks" => drop(self.settings.remove("thread_ranks")),
            "thread_ranks" => drop(self.settings.remove("ranks")),
            _ => {}
        }
        let origin = origin.to_owned();
        self.settings.insert(key, Setting { value, origin });
    }

    fn file(&mut self, path: &Path, from: Setter, required: bool) -> Result<()> {
        if !required && !path.is_file() {
            return Ok(());
        }
        let file = jobfile::read::<Settings>(path).map_err(|message| {
            let job_key = JOB_KEYS
                .iter()
                .any(|k| message.contains(&format!("unknown key `{k}`")));
            Failure::usage(match job_key {
                true => format!("{message}: it belongs into a job file (sundog run --spec FILE)"),
                false => message,
            })
        })?;
        for (key, value) in flatten(&file.given) {
            if key == "version" {
                continue;
            }
            let last = key.rsplit('.').next().unwrap_or(&key);
            let line = jobfile::line_of(&file.text, last);
            let place = line.map_or(String::new(), |line| format!(":{line}"));
            let origin = format!("{}{place}", path.display());
            match KEYS.iter().find(|(k, ..)| *k == key) {
                Some((_, variable, User)) if from == Project => {
                    return Err(Failure::usage(format!(
                        "{origin}: `{key}` cannot be set by the folder that a command runs in, since it names a program or \
                         where data and credentials go (set {variable} or put it into your own configuration, \
                         ~/.config/sundog/config.toml; to trust this very file: SUNDOG_CONFIG={})",
                        path.display()
                    )));
                }
                _ => self.set(key, value, &origin),
            }
        }
        Ok(())
    }

    fn environment(&mut self, variable: impl Fn(&str) -> Option<String>) -> Result<()> {
        for (key, name, _) in KEYS {
            let mut text = variable(name);
            let in_file = format!("{name}_FILE");
            if IN_FILES.contains(key)
                && let Some(path) = variable(&in_file)
            {
                if text.is_some() {
                    return Err(Failure::usage(format!(
                        "{in_file}: {name} is set, too; leave one of them out"
                    )));
                }
                let read = cloud::config::secret_file(&in_file, &path);
                text = Some(read.map_err(|error| Failure::usage(error.to_string()))?);
            }
            if let Some(text) = text {
                let value = value_of(key, &text).map_err(|message| {
                    let shown = if IN_FILES.contains(key) { "…" } else { &text };
                    Failure::usage(format!("{name} = {shown}: {message}"))
                })?;
                self.set((*key).to_owned(), value, name);
            }
        }
        Ok(())
    }

    /// A setting as text.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.settings.get(key)?.value.as_str()
    }
}

/// Whether a value must not be shown.
pub fn is_secret(key: &str) -> bool {
    key == "token"
}

/// The value without passwords, for people.
pub fn shown(key: &str, value: &Value) -> Value {
    if is_secret(key) {
        return "(set)".into();
    }
    match value.as_str().and_then(|text| {
        let (scheme, rest) = text.split_once("://")?;
        let (user, host) = rest.rsplit_once('@')?;
        let user = user.split(':').next().unwrap_or("");
        Some(format!("{scheme}://{user}:…@{host}"))
    }) {
        Some(masked) => masked.into(),
        None => value.clone(),
    }
}

/// A variable's text as a value: a text if the key takes one, else a number or truth value.
fn value_of(key: &str, text: &str) -> std::result::Result<Value, String> {
    let check = |value: &Value| {
        let mut tree = Map::new();
        insert(&mut tree, key, value.clone());
        serde_json::from_value::<Settings>(Value::Object(tree)).map(drop)
    };
    let word = Value::String(text.to_owned());
    let Err(first) = check(&word) else {
        return Ok(word);
    };
    let Ok(value) = serde_json::from_str::<Value>(text) else {
        return Err(jobfile::plain(&first.to_string()));
    };
    match check(&value) {
        Ok(()) => Ok(value),
        Err(error) => Err(jobfile::plain(&error.to_string())),
    }
}

/// Leaves of a tree of objects; keys joined by dots. Lists are leaves.
pub fn flatten(tree: &Value) -> Vec<(String, Value)> {
    let mut leaves = Vec::new();
    if let Value::Object(fields) = tree {
        for (key, value) in fields {
            match value {
                Value::Object(_) => {
                    let inner = flatten(value).into_iter();
                    leaves.extend(inner.map(|(k, v)| (format!("{key}.{k}"), v)));
                }
                _ => leaves.push((key.clone(), value.clone())),
            }
        }
    }
    leaves
}

/// Sets a leaf of a tree of objects by its dotted key.
pub fn insert(tree: &mut Map<String, Value>, key: &str, value: Value) {
    match key.split_once('.') {
        None => {
            tree.insert(key.to_owned(), value);
        }
        Some((section, rest)) => {
            let entry = tree
                .entry(section)
                .or_insert_with(|| Value::Object(Map::new()));
            if !entry.is_object() {
                *entry = Value::Object(Map::new());
            }
            if let Value::Object(inner) = entry {
                insert(inner, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(name: &str, text: &str) -> Result<Layers> {
        let mut layers = Layers::defaults();
        layers.environment(|n| (n == name).then(|| text.to_owned()))?;
        Ok(layers)
    }

    #[test]
    fn variables_are_read_as_what_their_key_takes() {
        let value = |name, text, key: &str| {
            environment(name, text)
                .ok()
                .and_then(|l| Some(l.settings.get(key)?.value.clone()))
        };
        assert_eq!(value("SUNDOG_THREADS", "4", "threads"), Some(4.into()));
        assert_eq!(
            value("SUNDOG_MEMORY", "1GiB", "limits.memory"),
            Some("1GiB".into())
        );
        assert_eq!(
            value("SUNDOG_SPECULATE", "false", "schedule.speculate"),
            Some(false.into())
        );
        assert_eq!(
            value("SUNDOG_TOKEN", "12345", "token"),
            Some("12345".into())
        );
        let error = environment("SUNDOG_THREADS", "many")
            .err()
            .map(|f| f.message);
        assert_eq!(
            error.as_deref(),
            Some("SUNDOG_THREADS = many: wrong value: string \"many\", expected a whole number")
        );
    }

    #[test]
    fn a_project_sets_no_program_and_no_destination() {
        for (key, variable, from) in KEYS {
            let dir =
                std::env::temp_dir().join(format!("sundog-{}-{variable}", std::process::id()));
            std::fs::create_dir_all(&dir).unwrap();
            let file = dir.join("sundog.toml");
            if *from == User {
                std::fs::write(&file, format!("\n{key} = \"x\"\n")).unwrap();
                let error = Layers::default().file(&file, Project, true).err();
                let message = error.map(|f| f.message).unwrap_or_default();
                assert!(
                    message.contains(&format!("sundog.toml:2: `{key}`")),
                    "{message}"
                );
                assert!(message.contains(variable), "{message}");
                assert!(Layers::default().file(&file, User, true).is_ok());
            }
            std::fs::remove_dir_all(&dir).unwrap();
        }
        let named = [
            "mpirun",
            "hostfile",
            "broker",
            "redis",
            "store",
            "s3_endpoint",
            "s3_public_endpoint",
            "gateway",
            "token",
            "scale_command",
        ];
        let user: Vec<&str> = KEYS.iter().filter(|k| k.2 == User).map(|k| k.0).collect();
        assert_eq!(user, named);
    }

    #[test]
    fn secrets_are_not_shown() {
        assert_eq!(shown("token", &"abc".into()), Value::from("(set)"));
        assert_eq!(
            shown("broker", &"amqp://me:secret@host/v".into()),
            Value::from("amqp://me:…@host/v")
        );
        assert_eq!(shown("mode", &"rows".into()), Value::from("rows"));
    }

    #[test]
    fn a_secret_may_be_in_a_file() {
        let path = std::env::temp_dir().join(format!("sundog-token-{}", std::process::id()));
        std::fs::write(&path, "abc\n").unwrap();
        let layers = environment("SUNDOG_TOKEN_FILE", path.to_str().unwrap());
        assert_eq!(layers.unwrap().text("token"), Some("abc"));
        std::fs::remove_file(&path).unwrap();
        let error = environment("SUNDOG_TOKEN_FILE", path.to_str().unwrap());
        let message = error.err().map(|f| f.message).unwrap_or_default();
        assert!(message.contains("SUNDOG_TOKEN_FILE"), "{message}");
        // What is no secret has no such variable.
        assert!(
            environment("SUNDOG_STORE_FILE", "x")
                .unwrap()
                .text("store")
                .is_none()
        );
    }

    #[test]
    fn the_later_of_two_kinds_of_ranks_counts() {
        let mut layers = Layers::defaults();
        layers.set("ranks".into(), 2.into(), "a");
        layers.set("thread_ranks".into(), 3.into(), "b");
        assert!(!layers.settings.contains_key("ranks"));
    }
}
