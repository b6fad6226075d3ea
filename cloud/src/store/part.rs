//! Reading a part of an object, and telling one state of an object from another.

use super::Store;
use crate::error::Result;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::{GetOptions, GetRange, ObjectStore as _};
use std::ops::Range;
use std::time::SystemTime;

/// What is known of a whole object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole {
    /// Its bytes.
    pub size: u64,
    /// When it was written.
    pub modified: SystemTime,
    /// What tells its state from others, with its quotes; where the store has such a thing.
    pub etag: Option<String>,
}

/// Some bytes of an object.
pub struct Part {
    /// Which; less than was asked for where the object is shorter by now.
    pub range: Range<u64>,
    /// The bytes as they come.
    pub stream: BoxStream<'static, Result<Bytes>>,
}

impl Store {
    /// What is known of an object, with what tells its state.
    pub async fn whole(&self, name: &str) -> Result<Whole> {
        let path = self.path(name)?;
        let found = self.inner.get_opts(&path, super::head()).await;
        let meta = found.map_err(|error| self.error(name, error))?.meta;
        Ok(Whole {
            size: meta.size,
            modified: meta.last_modified.into(),
            etag: meta.e_tag.map(quoted),
        })
    }

    /// Some bytes of an object; all of it for a range of its whole length. The range must not be empty.
    pub async fn part(&self, name: &str, range: Range<u64>) -> Result<Part> {
        let options = GetOptions {
            range: Some(GetRange::Bounded(range)),
            ..GetOptions::default()
        };
        let path = self.path(name)?;
        let found = self.inner.get_opts(&path, options).await;
        let found = found.map_err(|error| self.error(name, error))?;
        let (range, store, name) = (found.range.clone(), self.clone(), name.to_owned());
        let stream = found.into_stream();
        let stream = stream.map_err(move |error| store.error(&name, error));
        Ok(Part {
            range,
            stream: stream.boxed(),
        })
    }
}

/// Some stores put quotes around it, some do not.
fn quoted(tag: String) -> String {
    match tag.ends_with('"') {
        true => tag,
        false => format!("\"{tag}\""),
    }
}
