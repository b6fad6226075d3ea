//! Who did what, from where, and what came of it: a line of JSON for each request that may change something, and for each
//! that was refused at the door. Never a token, a body or a query.

use crate::telemetry::request::RequestId;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::net::IpAddr;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// Lines a minute of those whom nobody knows; further ones are counted.
const STRANGERS: u32 = 120;
const MINUTE: Duration = Duration::from_secs(60);

/// Where the lines go. Clones share it.
#[derive(Clone)]
pub struct Audit(Arc<Inner>);

struct Inner {
    target: Target,
    strangers: Mutex<Strangers>,
}

enum Target {
    /// Into the log, with the target `audit`.
    Log,
    /// Into a file of their own, which may be moved away at any time.
    File(PathBuf, Mutex<File>),
}

struct Strangers {
    since: Instant,
    told: u32,
    untold: u64,
}

impl fmt::Debug for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.target {
            Target::Log => f.write_str("Audit(the log)"),
            Target::File(path, _) => write!(f, "Audit({})", path.display()),
        }
    }
}

/// What somebody did.
#[derive(Debug)]
pub(crate) struct Act<'a> {
    pub(crate) user: Option<&'a str>,
    pub(crate) from: Option<IpAddr>,
    pub(crate) method: &'a Method,
    pub(crate) path: &'a str,
    pub(crate) operation: &'static str,
    pub(crate) status: StatusCode,
    pub(crate) request: Option<&'a RequestId>,
}

impl Audit {
    /// Into the log.
    pub fn log() -> Audit {
        Audit::new(Target::Log)
    }

    /// Into a file, which is made if need be, for its owner to read.
    pub fn file(path: &Path) -> std::io::Result<Audit> {
        let file = Mutex::new(open(path)?);
        Ok(Audit::new(Target::File(path.to_owned(), file)))
    }

    fn new(target: Target) -> Audit {
        let strangers = Mutex::new(Strangers {
            since: Instant::now(),
            told: 0,
            untold: 0,
        });
        Audit(Arc::new(Inner { target, strangers }))
    }

    /// Notes what somebody did.
    pub(crate) fn note(&self, act: &Act<'_>) {
        let mut line = json!({
            "time": jiff::Timestamp::try_from(SystemTime::now()).unwrap_or_default().to_string(),
            "user": act.user,
            "from": act.from.map(|from| from.to_string()),
            "operation": act.operation,
            "method": act.method.as_str(),
            "path": act.path,
            "status": act.status.as_u16(),
            "outcome": outcome(act.status),
            "request": act.request.map(RequestId::as_str),
        });
        if act.user.is_none() {
            match self.stranger() {
                None => return,
                Some(0) => {}
                Some(untold) => line["untold"] = untold.into(),
            }
        }
        self.write(&line);
    }

    /// Whether one more whom nobody knows is told of, and how many were not before: they must not fill the disk.
    fn stranger(&self) -> Option<u64> {
        let strangers = self.0.strangers.lock();
        let mut strangers = strangers.unwrap_or_else(PoisonError::into_inner);
        if strangers.since.elapsed() >= MINUTE {
            strangers.since = Instant::now();
            strangers.told = 0;
        }
        if strangers.told >= STRANGERS {
            strangers.untold += 1;
            return None;
        }
        strangers.told += 1;
        Some(std::mem::take(&mut strangers.untold))
    }

    fn write(&self, line: &Value) {
        match &self.0.target {
            Target::Log => tracing::info!(target: "audit", act = %line, "a request"),
            Target::File(path, file) => {
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                if let Err(error) = append(path, &mut file, line) {
                    tracing::error!(%error, path = %path.display(), "a line of the audit is lost");
                }
            }
        }
    }
}

fn append(path: &Path, file: &mut File, line: &Value) -> std::io::Result<()> {
    let place = |meta: &std::fs::Metadata| (meta.dev(), meta.ino());
    let own = place(&file.metadata()?);
    // Moved away, as by logrotate.
    if std::fs::metadata(path).ok().map(|meta| place(&meta)) != Some(own) {
        *file = open(path)?;
    }
    // In one write, so that lines of several services do not mix.
    file.write_all(format!("{line}\n").as_bytes())
}

fn open(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true).mode(0o600).open(path)
}

fn outcome(status: StatusCode) -> &'static str {
    match status.as_u16() {
        0..400 => "done",
        400..500 => "refused",
        _ => "failed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &Path) -> Vec<Value> {
        let text = std::fs::read_to_string(path).unwrap();
        let lines = text.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    fn act(user: Option<&str>, status: u16) -> Act<'_> {
        Act {
            user,
            from: Some([127, 0, 0, 1].into()),
            method: &Method::DELETE,
            path: "/v1/jobs/X",
            operation: "deleteJob",
            status: StatusCode::from_u16(status).unwrap(),
            request: None,
        }
    }

    #[test]
    fn acts_are_lines_and_strangers_do_not_fill_the_disk() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.jsonl");
        let audit = Audit::file(&path).unwrap();
        audit.note(&act(Some("ada"), 202));
        for _ in 0..STRANGERS + 10 {
            audit.note(&act(None, 401));
        }
        audit.note(&act(Some("ada"), 500));
        let found = lines(&path);
        assert_eq!(found.len(), STRANGERS as usize + 2);
        assert_eq!(
            (&found[0]["user"], &found[0]["outcome"]),
            (&"ada".into(), &"done".into())
        );
        assert_eq!(found[1]["outcome"], "refused");
        assert_eq!(found.last().unwrap()["outcome"], "failed");
        assert_eq!(audit.0.strangers.lock().unwrap().untold, 10);
        // Moved away.
        std::fs::rename(&path, dir.path().join("old")).unwrap();
        audit.note(&act(Some("ada"), 204));
        assert_eq!(lines(&path).len(), 1);
        let mode = std::fs::metadata(&path).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
