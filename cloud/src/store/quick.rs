//! Ways around waits where the store is a directory of this machine.

use super::{Created, Local, Meta, Store, unnamed};
use crate::error::{Error, Result};
use bytes::Bytes;
use object_store::{ObjectStore as _, PutMode};
use std::io::ErrorKind;
use std::path::PathBuf;

/// Files up to this size are read without going to another thread, which would take longer than reading them.
const SMALL: u64 = 64 << 10;

impl Store {
    /// Whether there is an object of that name.
    pub async fn exists(&self, name: &str) -> Result<bool> {
        if let Some(path) = self.file(name)? {
            return match std::fs::metadata(path) {
                Ok(found) => Ok(found.is_file()),
                Err(error) if missing(error.kind()) => Ok(false),
                Err(error) => Err(self.failed(name, &error)),
            };
        }
        match self.head(name).await {
            Ok(_) => Ok(true),
            Err(Error::NotFound(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// What is known of a file of a store in a directory; None where it is another store.
    pub(super) fn quick_head(&self, name: &str) -> Result<Option<Meta>> {
        let Some(path) = self.file(name)? else {
            return Ok(None);
        };
        match std::fs::metadata(path).and_then(|found| Ok((found.modified()?, found))) {
            Ok((modified, found)) if found.is_file() => Ok(Some(Meta {
                name: name.to_owned(),
                size: found.len(),
                modified,
                content_type: None,
            })),
            Ok(_) => Err(Error::NotFound(name.to_owned())),
            Err(error) if missing(error.kind()) => Err(Error::NotFound(name.to_owned())),
            Err(error) => Err(self.failed(name, &error)),
        }
    }

    /// Creates a small file in a directory on the calling thread, since nothing waits for the disk; None where that
    /// cannot be.
    fn create_quickly(&self, name: &str, bytes: &Bytes) -> Result<Option<Created>> {
        match self.file(name)? {
            Some(target) if bytes.len() as u64 <= SMALL => {
                let created = unnamed::create(&target, bytes);
                created.map_err(|error| self.failed(name, &error))
            }
            _ => Ok(None),
        }
    }

    /// Whether the store is a directory that has nothing of that name, which another thread need not be asked for.
    pub(super) fn lacks(&self, prefix: &str) -> bool {
        match self.file(prefix) {
            Ok(Some(path)) => std::fs::metadata(path).is_err_and(|error| missing(error.kind())),
            _ => false,
        }
    }

    /// The bytes of a small file of a store in a directory; None where it is another store or a larger file.
    pub(super) fn small_file(&self, name: &str) -> Result<Option<Bytes>> {
        let Some(path) = self.file(name)? else {
            return Ok(None);
        };
        let read = |path: PathBuf| -> std::io::Result<Option<Bytes>> {
            let found = std::fs::metadata(&path)?;
            match found.is_file() && found.len() <= SMALL {
                true => Ok(Some(std::fs::read(path)?.into())),
                false => Ok(None),
            }
        };
        match read(path) {
            Err(error) if missing(error.kind()) => Err(Error::NotFound(name.to_owned())),
            Err(error) => Err(self.failed(name, &error)),
            Ok(found) => Ok(found),
        }
    }

    /// Writes an object that can be made again from others, in place of one that is there: in a directory it
    /// may be lost when the machine loses its power in the next seconds.
    pub async fn put_hint(&self, name: &str, bytes: Bytes, content_type: &str) -> Result<()> {
        let Some(Local { hints, .. }) = &self.local else {
            return self.put(name, bytes, content_type).await;
        };
        if self.create_quickly(name, &bytes)? == Some(Created::New) {
            return Ok(());
        }
        let path = self.path(name)?;
        let written = hints.put_opts(&path, bytes.into(), PutMode::Overwrite.into());
        written.await.map_err(|error| self.error(name, error))?;
        Ok(())
    }

    /// Writes an object if there is none of that name; in a directory it may be lost, or cut off, when the machine loses
    /// its power before a [`Store::sync`].
    pub async fn create_hint(
        &self,
        name: &str,
        bytes: Bytes,
        content_type: &str,
    ) -> Result<Created> {
        let Some(Local { hints, .. }) = &self.local else {
            return self.create_remote(name, bytes, content_type).await;
        };
        if let Some(created) = self.create_quickly(name, &bytes)? {
            return Ok(created);
        }
        if let Some(created) = self.create_unnamed(name, &bytes).await? {
            return Ok(created);
        }
        let path = self.path(name)?;
        let written = hints.put_opts(&path, bytes.into(), PutMode::Create.into());
        match written.await {
            Ok(_) => Ok(Created::New),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(Created::Exists),
            Err(error) => Err(self.error(name, error)),
        }
    }

    /// Makes the folders of objects to come, where the store is a directory, so that writing those need not wait
    /// for each. They last when the next object beside them is written.
    pub fn prepare(&self, folders: &[String]) -> Result<()> {
        for name in folders {
            if let Some(path) = self.file(name)? {
                std::fs::create_dir_all(path).map_err(|error| self.failed(name, &error))?;
            }
        }
        Ok(())
    }
}

pub(super) fn missing(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::NotADirectory)
}
