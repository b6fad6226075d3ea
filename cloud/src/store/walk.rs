//! The names below a prefix in their order, some at a time: however many there are, few lie in memory.

use super::{Meta, Store, quick};
use crate::error::Result;
use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::ObjectStore as _;
use object_store::path::Path;
use std::path::PathBuf;

/// A walk through the objects below a prefix. What it has come to is not asked for again, also after an error.
#[derive(Debug)]
pub struct Walk {
    store: Store,
    prefix: Path,
    /// The last name that was given out.
    cursor: Option<Path>,
    /// Folders that are open, where the store is a directory, the innermost last.
    folders: Option<Vec<Folder>>,
    over: bool,
}

/// What is left of a folder, the next last.
#[derive(Debug)]
struct Folder {
    path: PathBuf,
    /// Its name in the store with `/` behind it; empty for the root.
    name: String,
    /// Names of entries one behind the other, and where each begins and ends; folders end in `/`.
    names: String,
    places: Vec<(u32, u32)>,
}

impl Store {
    /// Begins to walk through the objects whose names begin with the parts of `prefix` (empty: all).
    pub fn walk(&self, prefix: &str) -> Result<Walk> {
        let path = match (&self.local, prefix) {
            // No object has the name of the whole store.
            (Some(local), "") => Some(local.root.clone()),
            _ => self.file(prefix)?,
        };
        let folders = match path {
            None => None,
            Some(path) => {
                let name = match prefix {
                    "" => String::new(),
                    prefix => format!("{prefix}/"),
                };
                let root = Folder::open(path, name);
                Some(
                    root.map_err(|error| self.failed(prefix, &error))?
                        .into_iter()
                        .collect(),
                )
            }
        };
        Ok(Walk {
            store: self.clone(),
            prefix: self.path(prefix)?,
            cursor: None,
            folders,
            over: false,
        })
    }
}

impl Store {
    /// What is known of an object that was listed.
    pub(super) fn meta(&self, meta: &object_store::ObjectMeta) -> Option<Meta> {
        let parts = meta.location.prefix_match(&self.prefix)?;
        let name: Vec<String> = parts.map(|part| part.as_ref().to_owned()).collect();
        Some(Meta {
            name: name.join("/"),
            size: meta.size,
            modified: meta.last_modified.into(),
            content_type: None,
        })
    }
}

impl Walk {
    /// At most `most` further objects in order of their names; none where all were given out.
    pub async fn next(&mut self, most: usize) -> Result<Vec<Meta>> {
        if self.over {
            return Ok(Vec::new());
        }
        let found = match self.folders.take() {
            Some(mut folders) => {
                let store = self.store.clone();
                let walk = move || {
                    let found = walk(&store, &mut folders, most);
                    (folders, found)
                };
                let (folders, found) =
                    tokio::task::spawn_blocking(walk).await.map_err(|error| {
                        crate::Error::Refused {
                            what: "walking through the store".into(),
                            reason: error.to_string(),
                        }
                    })?;
                self.folders = Some(folders);
                found?
            }
            None => self.remote(most).await?,
        };
        self.over |= found.len() < most;
        Ok(found)
    }

    async fn remote(&mut self, most: usize) -> Result<Vec<Meta>> {
        let store = &self.store;
        let listed = match &self.cursor {
            None => store.inner.list(Some(&self.prefix)),
            Some(cursor) => store.inner.list_with_offset(Some(&self.prefix), cursor),
        };
        let found: Vec<_> = listed
            .take(most)
            .try_collect()
            .await
            .map_err(|error| store.error(self.prefix.as_ref(), error))?;
        if let Some(last) = found.last() {
            self.cursor = Some(last.location.clone());
        }
        Ok(found.iter().filter_map(|meta| store.meta(meta)).collect())
    }
}

impl Folder {
    /// None where there is no such folder.
    fn open(path: PathBuf, name: String) -> std::io::Result<Option<Folder>> {
        let entries = match path.read_dir() {
            Err(error) if quick::missing(error.kind()) => return Ok(None),
            entries => entries?,
        };
        let (mut names, mut places) = (String::new(), Vec::new());
        for entry in entries {
            let entry = entry?;
            let file = entry.file_name();
            // What is no text is no object.
            let Some(file) = file.to_str() else { continue };
            let from = names.len() as u32;
            names.push_str(file);
            let kind = entry.file_type()?;
            // Links lead to what they lead to.
            if kind.is_dir() || kind.is_symlink() && entry.path().is_dir() {
                names.push('/');
            }
            places.push((from, names.len() as u32));
        }
        let text = |(from, to): &(u32, u32)| &names[*from as usize..*to as usize];
        places.sort_unstable_by(|a, b| text(b).cmp(text(a)));
        Ok(Some(Folder {
            path,
            name,
            names,
            places,
        }))
    }
}

fn walk(store: &Store, folders: &mut Vec<Folder>, most: usize) -> Result<Vec<Meta>> {
    let mut found = Vec::new();
    while found.len() < most
        && let Some(folder) = folders.last_mut()
    {
        let Some((from, to)) = folder.places.pop() else {
            folders.pop();
            continue;
        };
        let entry = &folder.names[from as usize..to as usize];
        let name = format!("{}{entry}", folder.name);
        if let Some(below) = entry.strip_suffix('/') {
            let path = folder.path.join(below);
            // Temporary files of services.
            if folder.name.is_empty() && below.starts_with('.') {
                continue;
            }
            let opened = Folder::open(path, name.clone());
            folders.extend(opened.map_err(|error| store.failed(&name, &error))?);
            continue;
        }
        // A file that a writer has not finished, or whose name no object has.
        let staged = entry
            .rsplit_once('#')
            .is_some_and(|(_, n)| n.bytes().all(|b| b.is_ascii_digit()));
        if staged || Path::parse(&name).is_err() {
            continue;
        }
        match store.quick_head(&name) {
            Ok(Some(meta)) => found.push(meta),
            Ok(None) => {}
            // It went away meanwhile.
            Err(crate::Error::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn all(store: &Store, prefix: &str, most: usize) -> Vec<Meta> {
        let (mut walk, mut all) = (store.walk(prefix).unwrap(), Vec::new());
        loop {
            let some = walk.next(most).await.unwrap();
            assert!(some.len() <= most);
            if some.is_empty() {
                return all;
            }
            all.extend(some);
        }
    }

    #[tokio::test]
    async fn a_walk_gives_what_a_list_gives_in_the_same_order() {
        let dir = tempfile::tempdir().unwrap();
        for store in [Store::memory(), Store::directory(dir.path()).unwrap()] {
            for name in [
                "u/a/1", "u/a/2", "u/a-b", "u/a.b", "u/ab", "u/b/c/d", "u/ä b", "v/x",
            ] {
                store
                    .put(name, name.to_owned().into(), "text/plain")
                    .await
                    .unwrap();
            }
            if store.is_directory() {
                std::fs::write(dir.path().join("u/half#7"), "x").unwrap();
            }
            for prefix in ["", "u", "u/a", "none"] {
                let list = store.list(prefix).await.unwrap();
                for most in [1, 3, 100] {
                    let walked = all(&store, prefix, most).await;
                    let names = |list: &[Meta]| {
                        list.iter()
                            .map(|m| (m.name.clone(), m.size))
                            .collect::<Vec<_>>()
                    };
                    assert_eq!(names(&walked), names(&list), "{prefix} {most}");
                }
            }
        }
    }
}
