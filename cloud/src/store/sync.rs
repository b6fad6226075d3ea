//! Making objects of a store in a directory safe from a loss of power: whatever waits for the disk at the same time
//! goes there together, each folder once. What somebody waits for goes beside what may wait for company, of which there can be
//! very much.

use super::{Local, Store};
use crate::error::Result;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// Files that are synced at once. More of them cost more threads than they gain time.
const ABREAST: usize = 2;
/// How long what is not urgent waits for company.
const COMPANY: Duration = Duration::from_millis(3);
/// Folders that are remembered as safe themselves.
const REMEMBERED: usize = 4096;

/// An error that several callers are told.
type Failure = (io::ErrorKind, String);

/// What waits to be synced.
#[derive(Default)]
pub(super) struct Syncing {
    /// What somebody waits for.
    urgent: Mutex<Lane>,
    /// What waits for company.
    other: Mutex<Lane>,
    /// Folders whose own names are safe.
    known: Mutex<BTreeSet<PathBuf>>,
}

#[derive(Default)]
struct Lane {
    waiting: Vec<Waiting>,
    /// Whether somebody works on what waits.
    busy: bool,
}

impl Syncing {
    fn lane(&self, urgent: bool) -> MutexGuard<'_, Lane> {
        lock(if urgent { &self.urgent } else { &self.other })
    }
}

struct Waiting {
    files: Vec<PathBuf>,
    /// Folders that are to be safe with their names.
    folders: Vec<PathBuf>,
    tell: oneshot::Sender<std::result::Result<(), Failure>>,
}

impl Store {
    /// Returns when these objects are safe from a loss of power. After an error each of them may or may not be; other
    /// stores than directories keep objects safe by themselves. A name that ends in `/` is that of a folder in which others
    /// will write: who waits for those has fewer folders to wait for.
    pub async fn sync(&self, names: &[&str]) -> Result<()> {
        self.sync_with(names, true).await
    }

    /// As [`Store::sync`], a few milliseconds later, so that others may come along: all of them go to the disk together,
    /// which costs little more than one of them.
    pub async fn sync_soon(&self, names: &[&str]) -> Result<()> {
        self.sync_with(names, false).await
    }

    async fn sync_with(&self, names: &[&str], urgent: bool) -> Result<()> {
        let Some(local) = &self.local else {
            return Ok(());
        };
        let (mut files, mut folders) = (Vec::with_capacity(names.len()), Vec::new());
        for name in names {
            match name.strip_suffix('/') {
                // One that comes later is not safe because it was not there.
                Some(folder) => folders.extend(self.file(folder)?.filter(|path| path.is_dir())),
                None => files.extend(self.file(name)?),
            }
        }
        let synced = local.sync(files, folders, urgent).await;
        synced.map_err(|error| self.failed(names.first().unwrap_or(&""), &error))
    }
}

impl Local {
    async fn sync(
        &self,
        files: Vec<PathBuf>,
        folders: Vec<PathBuf>,
        urgent: bool,
    ) -> io::Result<()> {
        let (tell, told) = oneshot::channel();
        let begin = {
            let mut lane = self.syncing.lane(urgent);
            let waits = Waiting {
                files,
                folders,
                tell,
            };
            lane.waiting.push(waits);
            !std::mem::replace(&mut lane.busy, true)
        };
        if begin {
            // On its own, since others wait for it even where this call is given up.
            tokio::spawn(work(self.syncing.clone(), urgent, self.root.clone()));
        }
        match told.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err((kind, text))) => Err(io::Error::new(kind, text)),
            Err(_) => Err(io::Error::other("the runtime ended")),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Syncs all that waits, and what has come meanwhile, until nothing waits.
async fn work(syncing: Arc<Syncing>, urgent: bool, root: PathBuf) {
    loop {
        if !urgent && !syncing.lane(urgent).waiting.is_empty() {
            tokio::time::sleep(COMPANY).await;
        }
        let waiting = {
            let mut lane = syncing.lane(urgent);
            let waiting = std::mem::take(&mut lane.waiting);
            if waiting.is_empty() {
                lane.busy = false;
                return;
            }
            waiting
        };
        let folders = folders(&waiting, &lock(&syncing.known), &root);
        let files: BTreeSet<PathBuf> = waiting.iter().flat_map(|w| w.files.clone()).collect();
        let mut failed = together(files.into_iter().collect(), ABREAST).await;
        // The names come after what they name, from the top.
        failed.extend(together(folders.clone(), 1).await);
        let mut known = lock(&syncing.known);
        if known.len() > REMEMBERED {
            known.clear();
        }
        let safe = folders.into_iter().filter(|f| !failed.contains_key(f));
        known.extend(safe);
        drop(known);
        for one in waiting {
            let named = one.files.iter().chain(&one.folders);
            let mut paths = named.flat_map(|path| path.ancestors());
            let failure = paths.find_map(|path| failed.get(path).cloned());
            // Whoever asked may have gone.
            let _ = one.tell.send(failure.map_or(Ok(()), Err));
        }
    }
}

/// The folders of the files, and those above them that may be new.
fn folders(waiting: &[Waiting], known: &BTreeSet<PathBuf>, root: &Path) -> Vec<PathBuf> {
    let mut folders = BTreeSet::new();
    let of_files = waiting.iter().flat_map(|w| &w.files);
    let of_files = of_files.filter_map(|file| file.parent());
    let own = waiting
        .iter()
        .flat_map(|w| &w.folders)
        .map(PathBuf::as_path);
    for innermost in of_files.chain(own) {
        for folder in innermost.ancestors() {
            if !folders.insert(folder.to_owned()) || known.contains(folder) || folder == root {
                break;
            }
        }
    }
    folders.into_iter().collect()
}

/// Syncs files or folders, so many at once; returns those that failed.
async fn together(paths: Vec<PathBuf>, abreast: usize) -> BTreeMap<PathBuf, Failure> {
    let each = paths.len().div_ceil(abreast).max(1);
    let parts: Vec<_> = paths
        .chunks(each)
        .map(|part| {
            let part = part.to_vec();
            tokio::task::spawn_blocking(move || {
                let synced = part.into_iter().filter_map(|path| {
                    let error = sync_one(&path).err()?;
                    let failure = (error.kind(), error.to_string());
                    Some((path, failure))
                });
                synced.collect::<Vec<_>>()
            })
        })
        .collect();
    let mut failed = BTreeMap::new();
    for (part, paths) in parts.into_iter().zip(paths.chunks(each)) {
        match part.await {
            Ok(some) => failed.extend(some),
            Err(error) => {
                let failure = (io::ErrorKind::Other, error.to_string());
                failed.extend(paths.iter().map(|path| (path.clone(), failure.clone())));
            }
        }
    }
    failed
}

fn sync_one(path: &Path) -> io::Result<()> {
    match std::fs::File::open(path) {
        Ok(file) => file.sync_all(),
        // Removed meanwhile: there is nothing to keep.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn many_at_once_are_all_told() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::directory(dir.path()).unwrap();
        let all = (0..200).map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                let name = format!("a/{}/{n}.json", n % 3);
                let bytes = bytes::Bytes::from(vec![7; n]);
                store.create_hint(&name, bytes, "text/plain").await.unwrap();
                match n % 2 {
                    0 => store.sync(&[&name, "a/none"]).await.unwrap(),
                    _ => store.sync_soon(&[&name]).await.unwrap(),
                }
            })
        });
        for one in all.collect::<Vec<_>>() {
            one.await.unwrap();
        }
        let local = store.local.as_ref().unwrap();
        for urgent in [true, false] {
            let lane = local.syncing.lane(urgent);
            assert!(!lane.busy && lane.waiting.is_empty());
        }
        let known = lock(&local.syncing.known);
        assert!(known.contains(&dir.path().join("a/2")));
    }

    #[tokio::test]
    async fn a_folder_that_is_safe_itself_leaves_those_above_it_alone() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::directory(dir.path()).unwrap();
        store.prepare(&["a/b/out".into()]).unwrap();
        store.sync(&["a/b/out/", "a/none/"]).await.unwrap();
        let local = store.local.as_ref().unwrap();
        let file = dir.path().join("a/b/out/1");
        let waiting = [Waiting {
            files: vec![file],
            folders: Vec::new(),
            tell: oneshot::channel().0,
        }];
        let known = lock(&local.syncing.known);
        let out = dir.path().join("a/b/out");
        assert_eq!(folders(&waiting, &known, dir.path()), [out]);
        assert!(!known.contains(&dir.path().join("a/none")));
    }

    #[tokio::test]
    async fn what_cannot_be_synced_is_told_to_who_asked_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::directory(dir.path()).unwrap();
        std::fs::create_dir(dir.path().join("a")).unwrap();
        // It opens, and cannot be synced.
        std::os::unix::fs::symlink("/proc/self/mounts", dir.path().join("a/bad")).unwrap();
        store
            .put_hint("a/good", "x".into(), "text/plain")
            .await
            .unwrap();
        let (good, bad) = tokio::join!(store.sync(&["a/good"]), store.sync(&["a/bad"]));
        good.unwrap();
        assert!(bad.unwrap_err().to_string().contains("a/bad"));
    }
}
