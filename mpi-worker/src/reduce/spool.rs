//! Temporary room: memory up to a bound, a temporary file beyond it.

use imaging::{Error, Result};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// Memory that may still be taken, and the temporary file for what does not fit.
pub struct Room {
    left: AtomicUsize,
    directory: PathBuf,
    file: Mutex<Spooled>,
}

#[derive(Default)]
struct Spooled {
    file: Option<Temporary>,
    /// End of the file, and pieces of it that are free again: (offset, bytes).
    end: u64,
    free: Vec<(u64, usize)>,
}

/// A file that is gone when it is closed, and as far as the system allows even after a crash.
struct Temporary {
    file: File,
    path: Option<PathBuf>,
}

impl Temporary {
    fn create(directory: &Path) -> Result<Temporary> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!(".sundog-reduce-{}-{number}.tmp", std::process::id());
        let path = directory.join(name);
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path);
        let file = file.map_err(|e| {
            Error::Io(format!(
                "{}: {e} (hint: TMPDIR names another directory for temporary files)",
                path.display()
            ))
        })?;
        // Unix removes the name at once: nothing is left however the program ends.
        let removed = cfg!(unix) && std::fs::remove_file(&path).is_ok();
        Ok(Temporary {
            file,
            path: (!removed).then_some(path),
        })
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Room {
    /// Room for `bytes` in memory and the rest in `directory`.
    pub fn new(bytes: usize, directory: &Path) -> Arc<Room> {
        Arc::new(Room {
            left: AtomicUsize::new(bytes),
            directory: directory.to_owned(),
            file: Mutex::default(),
        })
    }

    /// Bytes of the temporary file.
    pub fn spooled(&self) -> u64 {
        self.lock().end
    }

    fn lock(&self) -> MutexGuard<'_, Spooled> {
        self.file.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// A store of zeros; its length is given in numbers of type `T`.
    pub fn store<T: bytemuck::Pod>(self: &Arc<Room>, len: usize) -> Result<Store<T>> {
        let bytes = len * size_of::<T>();
        let fits = |left: usize| left.checked_sub(bytes);
        let taken = self
            .left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, fits);
        let place = match taken {
            Ok(_) => Place::Memory(vec![T::zeroed(); len]),
            Err(_) => Place::File(self.reserve(bytes)?),
        };
        Ok(Store {
            place,
            bytes,
            room: self.clone(),
        })
    }

    fn reserve(&self, bytes: usize) -> Result<u64> {
        let mut spooled = self.lock();
        if spooled.file.is_none() {
            spooled.file = Some(Temporary::create(&self.directory)?);
        }
        if let Some(i) = spooled.free.iter().position(|piece| piece.1 == bytes) {
            return Ok(spooled.free.swap_remove(i).0);
        }
        let at = spooled.end;
        spooled.end += bytes as u64;
        // What was never written reads as zeros. Under the lock: a late call would cut off others.
        let Spooled { file, end, .. } = &*spooled;
        match file.as_ref().map_or(Ok(()), |t| t.file.set_len(*end)) {
            Ok(()) => Ok(at),
            Err(error) => Err(self.failed(&error)),
        }
    }

    fn access(&self, at: u64, how: impl FnOnce(&mut File) -> std::io::Result<()>) -> Result<()> {
        let mut spooled = self.lock();
        let Some(temporary) = &mut spooled.file else {
            return Ok(());
        };
        let done = temporary
            .file
            .seek(SeekFrom::Start(at))
            .and_then(|_| how(&mut temporary.file));
        done.map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &std::io::Error) -> Error {
        Error::Io(format!(
            "the temporary file in {}: {error} (hint: TMPDIR names another directory)",
            self.directory.display()
        ))
    }
}

/// Numbers in memory or in the temporary file. New ones in the file are not zero but unspecified.
pub struct Store<T: bytemuck::Pod> {
    place: Place<T>,
    bytes: usize,
    room: Arc<Room>,
}

enum Place<T> {
    Memory(Vec<T>),
    File(u64),
}

impl<T: bytemuck::Pod> Store<T> {
    /// Calls `with` with the numbers from `at` on, and keeps what it makes of them. `fresh` says that
    /// it overwrites them all. `buffer` is used for numbers in the file.
    pub fn edit(
        &mut self,
        at: usize,
        len: usize,
        fresh: bool,
        buffer: &mut Vec<T>,
        with: impl FnOnce(&mut [T]),
    ) -> Result<()> {
        match &mut self.place {
            Place::Memory(all) => with(&mut all[at..at + len]),
            Place::File(start) => {
                let offset = *start + (at * size_of::<T>()) as u64;
                buffer.resize(len, T::zeroed());
                let bytes: &mut [u8] = bytemuck::cast_slice_mut(buffer);
                if !fresh {
                    self.room.access(offset, |file| file.read_exact(bytes))?;
                }
                with(buffer);
                let bytes: &[u8] = bytemuck::cast_slice(buffer);
                self.room.access(offset, |file| file.write_all(bytes))?;
            }
        }
        Ok(())
    }

    /// The numbers from `at` on.
    pub fn read<'a>(&'a self, at: usize, len: usize, buffer: &'a mut Vec<T>) -> Result<&'a [T]> {
        match &self.place {
            Place::Memory(all) => Ok(&all[at..at + len]),
            Place::File(start) => {
                let offset = start + (at * size_of::<T>()) as u64;
                buffer.resize(len, T::zeroed());
                let bytes: &mut [u8] = bytemuck::cast_slice_mut(buffer);
                self.room.access(offset, |file| file.read_exact(bytes))?;
                Ok(buffer)
            }
        }
    }
}

impl<T: bytemuck::Pod> Drop for Store<T> {
    fn drop(&mut self) {
        match self.place {
            Place::Memory(_) => {
                self.room.left.fetch_add(self.bytes, Ordering::SeqCst);
            }
            Place::File(at) => self.room.lock().free.push((at, self.bytes)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_first_then_the_file_which_is_used_again() {
        let room = Room::new(100 * 8, &std::env::temp_dir());
        let mut buffer = Vec::new();
        let mut stores: Vec<Store<f64>> = (0..3).map(|_| room.store(60).unwrap()).collect();
        assert_eq!(room.spooled(), 2 * 60 * 8);
        for (i, store) in stores.iter_mut().enumerate() {
            store
                .edit(10, 50, true, &mut buffer, |v| v.fill(i as f64))
                .unwrap();
            store
                .edit(20, 10, false, &mut buffer, |v| {
                    v.iter_mut().for_each(|v| *v += 0.5)
                })
                .unwrap();
        }
        for (i, store) in stores.iter().enumerate() {
            let expected: Vec<f64> = (10..60)
                .map(|at| i as f64 + if (20..30).contains(&at) { 0.5 } else { 0.0 })
                .collect();
            assert_eq!(store.read(10, 50, &mut buffer).unwrap(), expected);
        }
        stores.clear();
        let again: Vec<Store<f64>> = (0..3).map(|_| room.store(60).unwrap()).collect();
        assert_eq!(room.spooled(), 2 * 60 * 8);
        drop(again);
    }
}
