//! What processes and files of worlds there are.

use std::collections::BTreeSet;
use std::process::Command;

/// All processes below this one, but for those of another name than the world's.
pub fn processes() -> BTreeSet<u32> {
    let output = Command::new("ps")
        .args(["-eo", "pid=,ppid=,stat=,comm="])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let rows: Vec<Vec<&str>> = text
        .lines()
        .map(|l| l.split_whitespace().collect())
        .collect();
    let mut below = BTreeSet::from([std::process::id()]);
    loop {
        let n = below.len();
        for row in &rows {
            if below.contains(&row[1].parse().unwrap()) {
                below.insert(row[0].parse().unwrap());
            }
        }
        if below.len() == n {
            break;
        }
    }
    let named = |row: &&Vec<&str>| matches!(row[3], "mpirun" | "sundog-worker" | "orted");
    (rows.iter().filter(named))
        .map(|row| row[0].parse().unwrap())
        .filter(|pid| below.contains(pid))
        .collect()
}

pub fn signal(name: &str, pid: u32) {
    let status = Command::new("kill").args([name, &pid.to_string()]).status();
    assert!(status.unwrap().success());
}

pub fn parent(pid: u32) -> u32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let rest = stat.rsplit_once(')').unwrap().1;
    rest.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Clock ticks of processor time, 10 ms each.
pub fn ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat
        .rsplit_once(')')
        .unwrap()
        .1
        .split_whitespace()
        .collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// Whether a process lives. An orphan that this process adopted and that has ended is reaped.
pub fn lives(pid: u32) -> bool {
    use rustix::process::{Pid, WaitOptions, waitpid};
    let id = Pid::from_raw(pid as i32).unwrap();
    // An error: it is no child of this process.
    let reaped = matches!(waitpid(Some(id), WaitOptions::NOHANG), Ok(Some(_)));
    !reaped && std::path::Path::new(&format!("/proc/{pid}/status")).exists()
}

/// Folders for files of Open MPI that belong to worlds of a process.
pub fn rooms(owner: u32) -> usize {
    let start = format!("sundog-world-{owner}-");
    let entries = std::fs::read_dir("/dev/shm").into_iter().flatten();
    let names = entries.map(|e| e.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with(&start)).count()
}
