//! What programs leave behind: processes, temporary files, connections, secrets in what they wrote.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

/// Beginnings of names that only temporary files and folders have.
const TEMPORARY: [&str; 4] = [".sundog-", ".new-", "sundog-dispatcher-", "task-"];

/// A process of a trial.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    /// Its id.
    pub id: u32,
    /// The id of its parent.
    pub parent: u32,
    /// The short name of its program.
    pub name: String,
}

/// The living processes with this text in their environment, in order of their ids.
pub fn processes(mark: &str) -> io::Result<Vec<Process>> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|n| n.parse().ok()) else {
            continue;
        };
        // One that ends in this moment, or is another user's, is none of ours.
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let marked = environment.split(|&b| b == 0).any(|v| v == mark.as_bytes());
        let parts = stat
            .split_once('(')
            .and_then(|(_, rest)| rest.rsplit_once(')'));
        if let (true, Some((name, rest))) = (marked, parts) {
            let parent = rest.split_whitespace().nth(1).and_then(|p| p.parse().ok());
            found.insert(Process {
                id,
                parent: parent.unwrap_or_default(),
                name: name.to_owned(),
            });
        }
    }
    Ok(found.into_iter().collect())
}

/// Temporary files and folders below a directory; one that is not there has none.
pub fn temporary_files(dir: &Path) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if TEMPORARY.iter().any(|start| name.starts_with(start)) || name.contains('#') {
            found.push(entry.path().display().to_string());
        } else if entry.file_type()?.is_dir() {
            found.extend(temporary_files(&entry.path())?);
        }
    }
    Ok(found)
}

/// Connections to these ports of this machine that other processes than this one hold.
pub fn connections(ports: &[u16]) -> io::Result<usize> {
    let mut own = BTreeSet::new();
    for entry in std::fs::read_dir("/proc/self/fd")?.flatten() {
        if let Ok(target) = std::fs::read_link(entry.path()) {
            own.insert(target.to_string_lossy().into_owned());
        }
    }
    let table = std::fs::read_to_string("/proc/net/tcp")?;
    let open = table.lines().skip(1).filter(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, _, remote, state, _, _, _, _, _, inode, ..] = fields[..] else {
            return false;
        };
        let port = remote.rsplit(':').next().unwrap_or_default();
        let to_us = u16::from_str_radix(port, 16).is_ok_and(|port| ports.contains(&port));
        // Established, by somebody who still has it.
        to_us && state == "01" && inode != "0" && !own.contains(&format!("socket:[{inode}]"))
    });
    Ok(open.count())
}

/// Which of the secrets a text holds, by their names.
pub fn secrets<'a>(text: &str, secrets: &'a [(String, String)]) -> Vec<&'a str> {
    let found = secrets
        .iter()
        .filter(|(_, s)| !s.is_empty() && text.contains(s.as_str()));
    found.map(|(name, _)| name.as_str()).collect()
}

/// The command lines of these processes, one a line.
pub fn command_lines(processes: &[Process]) -> String {
    let lines = processes.iter().map(|process| {
        let bytes = std::fs::read(format!("/proc/{}/cmdline", process.id)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).replace('\0', " ")
    });
    lines.collect::<Vec<_>>().join("\n")
}
