//! Files that have arrived in part: where they lie until they are whole, who sends at the moment, and how long they are kept.
//!
//! A part is a file that is locked while somebody adds to it, by the system, so that gateways on one directory share them. Its
//! length is how far the upload is.

use dispatcher::scratch::Scratch;
use service::idempotency::fingerprint;
use service::{Code, Problem};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tokio_util::sync::CancellationToken;

/// The folder, in that of what is no object yet.
const FOLDER: &str = "arriving";
/// How long whoever sent before may take to let go.
const LETS_GO: Duration = Duration::from_secs(5);
/// How long it is waited between looks at that.
const LOOK: Duration = Duration::from_millis(20);
/// Folders that somebody else removes while a file is made in them.
const TRIES: usize = 20;

/// Parts of files.
#[derive(Debug)]
pub(crate) struct Arriving {
    folder: PathBuf,
    /// Who adds to which file in this process.
    senders: Mutex<BTreeMap<PathBuf, (u64, CancellationToken)>>,
    next: Mutex<u64>,
    /// The folder may be in it.
    _scratch: Arc<Scratch>,
}

/// A part that nobody else adds to.
#[derive(Debug)]
pub(crate) struct Part {
    arriving: Arc<Arriving>,
    pub(crate) path: PathBuf,
    /// Open to be added to; the lock goes with the last copy of it.
    file: File,
    /// How many bytes there are.
    pub(crate) offset: u64,
    number: u64,
    /// Somebody else goes on with it.
    pub(crate) taken_over: CancellationToken,
}

/// What to do where there is no part.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Absent {
    Make,
    Leave,
}

impl Arriving {
    /// Parts in a folder that outlives this process, or in its own where there is none.
    pub(crate) fn new(lasting: Option<&Path>, scratch: Arc<Scratch>) -> Arc<Arriving> {
        let folder = lasting.unwrap_or(scratch.path()).join(FOLDER);
        Arc::new(Arriving {
            folder,
            senders: Mutex::default(),
            next: Mutex::default(),
            _scratch: scratch,
        })
    }

    /// `uploads/<owner>/<upload>/<name>`: its folders tell whose it is, its file's name nothing.
    fn path(&self, key: &str) -> Result<PathBuf, Problem> {
        let mut parts = key.split('/').skip(1);
        let (owner, upload) = (parts.next(), parts.next());
        let below = self.below(owner.unwrap_or_default(), upload.or(Some("")))?;
        Ok(below.join(fingerprint(key.as_bytes())))
    }

    /// Takes a part over from whoever adds to it; None where there is none, unless it is to be made.
    pub(crate) async fn take(
        self: &Arc<Self>,
        key: &str,
        absent: Absent,
    ) -> Result<Option<Part>, Problem> {
        let path = self.path(key)?;
        let taken_over = CancellationToken::new();
        let number = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            *next += 1;
            *next
        };
        let mine = (number, taken_over.clone());
        if let Some((_, before)) = self.senders().insert(path.clone(), mine) {
            before.cancel();
        }
        // Out of the list again, whatever comes of it.
        let mut entry = Entry(Some((self.clone(), path.clone(), number)));
        let end = Instant::now() + LETS_GO;
        loop {
            let opened = {
                let path = path.clone();
                tokio::task::spawn_blocking(move || open(&path, absent)).await
            };
            let opened = opened.map_err(io::Error::other).and_then(|opened| opened);
            match opened.map_err(|error| disk(&error))? {
                Opened::None => return Ok(None),
                Opened::Locked(file, offset) => {
                    entry.0 = None;
                    return Ok(Some(Part {
                        arriving: self.clone(),
                        path,
                        file,
                        offset,
                        number,
                        taken_over,
                    }));
                }
                Opened::Busy if Instant::now() < end && !taken_over.is_cancelled() => {
                    tokio::time::sleep(LOOK).await;
                }
                Opened::Busy => {
                    let message = "another request still adds to this file (ask again soon)";
                    return Err(Problem::new(Code::Busy, message));
                }
            }
        }
    }

    /// Bytes of the parts of an owner, or of one upload of theirs.
    pub(crate) async fn bytes(&self, owner: &str, upload: Option<&str>) -> Result<u64, Problem> {
        let below = self.below(owner, upload)?;
        let sum = move || Ok(files(&below)?.iter().map(|(_, meta)| meta.len()).sum());
        let sum = tokio::task::spawn_blocking(sum).await;
        let sum = sum.map_err(io::Error::other).and_then(|sum| sum);
        sum.map_err(|error| disk(&error))
    }

    /// Removes the parts of an owner, or of one upload of theirs; returns how many there were.
    pub(crate) async fn remove(&self, owner: &str, upload: Option<&str>) -> Result<usize, Problem> {
        let below = self.below(owner, upload)?;
        for (path, (_, sender)) in self.senders().iter() {
            if path.starts_with(&below) {
                sender.cancel();
            }
        }
        let removed = self.clear(below, Duration::ZERO).await;
        removed.map_err(|error| disk(&error))
    }

    /// Removes what nobody has added to for so long; returns how many parts there were.
    pub(crate) async fn sweep(&self, age: Duration) -> io::Result<usize> {
        self.clear(self.folder.clone(), age).await
    }

    async fn clear(&self, below: PathBuf, age: Duration) -> io::Result<usize> {
        let top = self.folder.clone();
        let clear = move || {
            let mut removed = 0;
            for (path, meta) in files(&below)? {
                let old = SystemTime::now().duration_since(meta.modified()?);
                // Of what comes from the future, by a clock that was set, nothing is known.
                if age == Duration::ZERO || old.is_ok_and(|old| old >= age) {
                    removed += usize::from(remove(&top, &path)?);
                }
            }
            Ok(removed)
        };
        let cleared = tokio::task::spawn_blocking(clear).await;
        cleared
            .map_err(io::Error::other)
            .and_then(|cleared| cleared)
    }

    /// The folder of an owner, or of one upload of theirs: never another one.
    fn below(&self, owner: &str, upload: Option<&str>) -> Result<PathBuf, Problem> {
        let plain = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.contains('/');
        if !plain(owner) || !upload.is_none_or(plain) {
            return Err(Problem::not_found("there is no such upload"));
        }
        let owner = self.folder.join(owner);
        Ok(upload.map_or(owner.clone(), |upload| owner.join(upload)))
    }

    fn senders(&self) -> MutexGuard<'_, BTreeMap<PathBuf, (u64, CancellationToken)>> {
        self.senders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leave(&self, path: &Path, number: u64) {
        let mut senders = self.senders();
        if senders.get(path).is_some_and(|(known, _)| *known == number) {
            senders.remove(path);
        }
    }
}

/// A sender's entry, which goes when it is dropped.
struct Entry(Option<(Arc<Arriving>, PathBuf, u64)>);

impl Drop for Entry {
    fn drop(&mut self) {
        if let Some((arriving, path, number)) = self.0.take() {
            arriving.leave(&path, number);
        }
    }
}

impl Part {
    /// The file, to be added to at its end.
    pub(crate) fn writer(&self) -> io::Result<tokio::fs::File> {
        Ok(tokio::fs::File::from_std(self.file.try_clone()?))
    }

    /// It is an object now, or is to be nothing.
    pub(crate) async fn end(self) {
        let (top, path) = (self.arriving.folder.clone(), self.path.clone());
        let gone = move || {
            let _ = std::fs::remove_file(&path);
            tidy(&top, &path);
        };
        let _ = tokio::task::spawn_blocking(gone).await;
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.arriving.leave(&self.path, self.number);
    }
}

enum Opened {
    None,
    Busy,
    Locked(File, u64),
}

fn open(path: &Path, absent: Absent) -> io::Result<Opened> {
    for _ in 0..TRIES {
        if absent == Absent::Make
            && let Some(folder) = path.parent()
        {
            let mut private = std::fs::DirBuilder::new();
            private.recursive(true).mode(0o700).create(folder)?;
        }
        let mut options = OpenOptions::new();
        options.append(true).read(true).mode(0o600);
        let file = match options.create(absent == Absent::Make).open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => match absent {
                Absent::Leave => return Ok(Opened::None),
                // Its folder was just removed.
                Absent::Make => continue,
            },
            opened => opened?,
        };
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Ok(Opened::Busy),
            locked => locked?,
        }
        // What was removed while it was waited for is another file.
        if there(path, &file)? {
            // What is told is there also after a loss of power.
            file.sync_data()?;
            let offset = file.metadata()?.len();
            return Ok(Opened::Locked(file, offset));
        }
    }
    Ok(Opened::Busy)
}

fn there(path: &Path, file: &File) -> io::Result<bool> {
    match std::fs::metadata(path) {
        Ok(meta) => Ok(meta.ino() == file.metadata()?.ino()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes a part that nobody adds to.
fn remove(top: &Path, path: &Path) -> io::Result<bool> {
    let end = Instant::now() + LETS_GO;
    loop {
        match open(path, Absent::Leave)? {
            Opened::None => return Ok(false),
            Opened::Busy if Instant::now() < end => std::thread::sleep(LOOK),
            Opened::Busy => return Ok(false),
            Opened::Locked(..) => {
                std::fs::remove_file(path)?;
                tidy(top, path);
                return Ok(true);
            }
        }
    }
}

/// Removes the folders of a part where nothing is left in them.
fn tidy(top: &Path, path: &Path) {
    let folders = path.ancestors().skip(1);
    for folder in folders.take_while(|folder| folder.starts_with(top)) {
        if std::fs::remove_dir(folder).is_err() {
            return;
        }
    }
}

/// All files below a folder, which need not be there.
fn files(below: &Path) -> io::Result<Vec<(PathBuf, std::fs::Metadata)>> {
    let (mut open, mut found) = (vec![below.to_owned()], Vec::new());
    let gone = |error: &io::Error| error.kind() == ErrorKind::NotFound;
    while let Some(folder) = open.pop() {
        let entries = match std::fs::read_dir(&folder) {
            Err(error) if gone(&error) => continue,
            entries => entries?,
        };
        for entry in entries {
            let path = entry?.path();
            match std::fs::symlink_metadata(&path) {
                Ok(meta) if meta.is_dir() => open.push(path),
                Ok(meta) => found.push((path, meta)),
                Err(error) if gone(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(found)
}

/// What clients are told of a disk that takes nothing.
pub(crate) fn disk(error: &io::Error) -> Problem {
    tracing::error!(%error, "receiving a file");
    let message = "the file cannot be kept (is the disk full?)";
    Problem::new(Code::Unavailable, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    const KEY: &str = "uploads/ada/U1/a b/ü.png";

    fn arriving(dir: &Path) -> Arc<Arriving> {
        let scratch = Arc::new(Scratch::open(dir).unwrap());
        Arriving::new(Some(dir), scratch)
    }

    async fn add(arriving: &Arc<Arriving>, key: &str, bytes: &[u8]) -> Part {
        let part = arriving.take(key, Absent::Make).await.unwrap().unwrap();
        (&part.file).write_all(bytes).unwrap();
        part
    }

    #[tokio::test]
    async fn whoever_comes_later_goes_on_where_the_other_was() {
        let dir = tempfile::tempdir().unwrap();
        let (here, there) = (arriving(dir.path()), arriving(dir.path()));
        assert!(here.take(KEY, Absent::Leave).await.unwrap().is_none());
        let first = add(&here, KEY, b"hello ").await;
        let taken_over = first.taken_over.clone();
        let holds = tokio::spawn(async move {
            first.taken_over.cancelled().await;
            drop(first);
        });
        let second = add(&here, KEY, b"world").await;
        assert!(taken_over.is_cancelled());
        assert_eq!(
            (second.offset, second.taken_over.is_cancelled()),
            (6, false)
        );
        holds.await.unwrap();
        // Another gateway waits for it.
        let other = tokio::spawn(async move {
            let part = there.take(KEY, Absent::Leave).await.unwrap().unwrap();
            (part.offset, there.bytes("ada", None).await.unwrap())
        });
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(!other.is_finished());
        drop(second);
        assert_eq!(other.await.unwrap(), (11, 11));
        assert!(here.senders().is_empty());
        let last = here.take(KEY, Absent::Leave).await.unwrap().unwrap();
        last.end().await;
        assert!(!dir.path().join(FOLDER).exists());
    }

    #[tokio::test]
    async fn what_nobody_goes_on_with_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let arriving = arriving(dir.path());
        drop(add(&arriving, KEY, b"old").await);
        let path = arriving.path(KEY).unwrap();
        let old = SystemTime::now() - Duration::from_secs(7200);
        File::open(&path).unwrap().set_modified(old).unwrap();
        drop(add(&arriving, "uploads/ada/U2/x", b"young").await);
        drop(add(&arriving, "uploads/eve/U3/x", b"hers").await);
        assert_eq!(arriving.sweep(Duration::from_secs(3600)).await.unwrap(), 1);
        assert!(!path.exists());
        let bytes = async |upload| arriving.bytes("ada", upload).await.unwrap();
        assert_eq!((bytes(None).await, bytes(Some("U1")).await), (5, 0));
        assert_eq!(arriving.remove("ada", Some("U2")).await.unwrap(), 1);
        assert_eq!(arriving.remove("ada", None).await.unwrap(), 0);
        assert_eq!(arriving.bytes("eve", None).await.unwrap(), 4);
        for key in [
            "uploads",
            "uploads/ada",
            "uploads/../x/y",
            "uploads/ada/./y",
        ] {
            assert!(arriving.take(key, Absent::Make).await.is_err(), "{key}");
        }
        for upload in ["..", "", "a/../..", "."] {
            assert!(arriving.remove("ada", Some(upload)).await.is_err());
            assert!(arriving.remove(upload, None).await.is_err(), "{upload}");
        }
        assert_eq!(arriving.bytes("eve", None).await.unwrap(), 4);
    }
}
