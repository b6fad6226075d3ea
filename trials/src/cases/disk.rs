//! A disk that is full for a while: that of the store and of temporary files.

use super::{Case, Course, THREADS};
use crate::Failure;
use crate::cluster::StoreKind;
use crate::trial::Trial;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A small disk runs full in the middle, and is given room later.
pub const FULL: Case = Case {
    name: "disk-full",
    store: StoreKind::Directory,
    needs_ranks: false,
    play: |trial| Box::pin(full(trial)),
};

/// A file system in memory, unmounted when this is dropped.
#[derive(Debug)]
struct Disk(PathBuf);

impl Disk {
    fn mount(at: &Path) -> Result<Disk, String> {
        std::fs::create_dir_all(at).map_err(|error| error.to_string())?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=64m,mode=0700", "sundog-trial"]);
        let output = mount.arg(at).output().map_err(|error| error.to_string())?;
        match output.status.success() {
            true => Ok(Disk(at.to_owned())),
            false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Whoever still has a file of it keeps that until its own end.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

async fn full(trial: &mut Trial) -> Result<Course, Failure> {
    let at = trial.dir().join("disk");
    let disk = match Disk::mount(&at) {
        Ok(disk) => disk,
        Err(reason) => return Ok(Course::Skipped(format!("no disk can be mounted: {reason}"))),
    };
    trial.keep(disk);
    trial.set(
        "SUNDOG_STORE",
        &format!("file://{}", at.join("store").display()),
    )?;
    trial.submit(1).await?;
    for _ in 0..2 {
        trial.dispatcher(THREADS)?;
    }
    trial.midst().await?;
    let filler = at.join("filler");
    fill(&filler)?;
    trial.note("the disk is full");
    let wait = Duration::from_millis(trial.dice.u64(3000..8000));
    trial.pause(wait).await;
    std::fs::remove_file(&filler)?;
    trial.note("the disk has room");
    trial.ended().await?;
    Ok(Course::Through)
}

/// Writes until there is no room.
fn fill(path: &Path) -> std::io::Result<()> {
    let mut file = std::fs::File::create(path)?;
    let mut size = 1 << 20;
    while size > 0 {
        match file.write(&vec![1; size]) {
            Ok(1..) => {}
            Ok(0) => size /= 2,
            Err(error) if error.kind() == std::io::ErrorKind::StorageFull => size /= 2,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
