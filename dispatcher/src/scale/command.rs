//! The workers of a cluster, by a program of its operator's: `kubectl scale …`, a group of machines, a script for Slurm.

use super::{Scale, Scaled, check};
use crate::error::{Error, Result};
use async_trait::async_trait;
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What stands for the number.
const NUMBER: &str = "{workers}";
/// Machines of a cluster at most.
const MOST: usize = 10_000;
/// How long the program may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// What it need not know of us.
const SECRETS: [&str; 4] = [
    "SUNDOG_BROKER",
    "SUNDOG_REDIS",
    "SUNDOG_TOKEN",
    "SUNDOG_LINK_SECRET_FILE",
];

/// A command line with `{workers}` in it, which is run without a shell.
#[derive(Debug)]
pub struct Command {
    words: Vec<String>,
    /// One run at a time.
    running: tokio::sync::Mutex<()>,
    wanted: Mutex<Option<usize>>,
}

impl Command {
    /// Reads words as a shell does, quotes and backslashes included; nothing else of a shell.
    pub fn parse(text: &str) -> Result<Command> {
        let invalid = |reason: &str| Error::invalid("scale_command", reason);
        let words = shell_words::split(text).map_err(|_| invalid("a quote is not closed"))?;
        if words.first().is_none_or(|word| word.contains(NUMBER)) {
            return Err(invalid(
                "it begins with a program, such as kubectl scale deployment/sundog-dispatcher --replicas={workers}",
            ));
        }
        if !words.iter().any(|word| word.contains(NUMBER)) {
            return Err(invalid(
                "{workers} stands nowhere in it, which becomes the number",
            ));
        }
        Ok(Command {
            words,
            running: tokio::sync::Mutex::default(),
            wanted: Mutex::default(),
        })
    }

    async fn run(&self, workers: usize) -> Result<()> {
        let number = workers.to_string();
        let words = self.words.iter().map(|word| word.replace(NUMBER, &number));
        let words: Vec<String> = words.collect();
        let program = words.first().cloned().unwrap_or_default();
        let mut command = tokio::process::Command::new(&program);
        command
            .args(words.get(1..).unwrap_or_default())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        for name in SECRETS {
            command.env_remove(name);
        }
        let failed = |reason: String| Error::State(format!("scaling by {program}: {reason}"));
        let output = match tokio::time::timeout(PATIENCE, command.output()).await {
            Ok(output) => output.map_err(|error| failed(error.to_string()))?,
            Err(_) => {
                return Err(failed(format!(
                    "it did not end within {} s",
                    PATIENCE.as_secs()
                )));
            }
        };
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().rev().find(|line| !line.trim().is_empty());
        let last: String = last.unwrap_or_default().trim().chars().take(300).collect();
        Err(failed(match last.is_empty() {
            true => format!("it ended with {}", output.status),
            false => format!("it ended with {}: {last}", output.status),
        }))
    }
}

#[async_trait]
impl Scale for Command {
    async fn scale(&self, workers: usize) -> Result<Scaled> {
        check(workers, MOST)?;
        let _one = self.running.lock().await;
        self.run(workers).await?;
        tracing::info!(workers, "the cluster was asked for workers");
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        let before = wanted.replace(workers);
        Ok(Scaled { workers, before })
    }

    fn wanted(&self) -> Option<usize> {
        *self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn most(&self) -> usize {
        MOST
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[tokio::test]
    async fn a_script_is_told_the_number_and_what_it_says_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let (script, told) = (dir.path().join("scale it"), dir.path().join("told"));
        let text = "#!/bin/sh\necho \"$1|$2|$#\" >>\"$3\"\n\
                    [ \"$2\" != 7 ] || { echo first >&2; echo 'no such group' >&2; exit 3; }\n";
        std::fs::write(&script, text).unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        let line = format!(
            "'{}' a\\ b {{workers}} {}",
            script.display(),
            told.display()
        );
        let command = Command::parse(&line).unwrap();
        assert_eq!(command.wanted(), None);
        let scaled = command.scale(3).await.unwrap();
        assert_eq!((scaled.workers, scaled.before), (3, None));
        assert_eq!(command.scale(5).await.unwrap().before, Some(3));
        assert_eq!(
            std::fs::read_to_string(&told).unwrap(),
            "a b|3|3\na b|5|3\n"
        );
        let error = command.scale(7).await.unwrap_err().to_string();
        assert!(
            error.contains("scale it: it ended with exit status: 3: no such group"),
            "{error}"
        );
        assert_eq!(command.wanted(), Some(5));
        for (workers, reason) in [(0, "ask for 1 at least"), (10_001, "limit of 10000")] {
            let error = command.scale(workers).await.unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn a_command_without_the_number_is_refused() {
        for (text, reason) in [
            ("", "begins with a program"),
            ("{workers}", "begins with a program"),
            ("kubectl scale", "{workers} stands nowhere"),
            ("kubectl 'scale {workers}", "a quote is not closed"),
        ] {
            let error = Command::parse(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
