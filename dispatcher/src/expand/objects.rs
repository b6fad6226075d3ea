//! Objects that an input names, as the store lists them, some at a time.

use super::finds::{AT_ONCE, judge};
use super::{Named, Place, STEP, Sink};
use crate::error::Result;
use crate::jobs::is_below;
use cloud::store::Meta;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use imaging::codec::FormatKind;
use protocol::message::PlannedTask;
use std::path::Path;
use worker::inputs::{self, Kind};

/// The object of that name, those below it, or those that match it as a pattern.
pub(super) async fn objects(named: &Named, finds: &mut impl Sink) -> Result<()> {
    let Named { store, key, .. } = named;
    let shown = |name: &str| format!("{}{}", named.root, &name[named.hidden..]);
    let task = |meta: &Meta, from: usize| PlannedTask {
        input: shown(&meta.name),
        relative: meta.name[from..].to_owned(),
        bytes: Some(meta.size),
        clash: None,
        reason: None,
    };
    let place = |meta: &Meta| Place::Object(store.clone(), meta.name.clone());
    let folder = |key: &str| key.rfind('/').map_or(0, |at| at + 1);
    // First as it stands, since names may hold what patterns are made of.
    if !key.is_empty() {
        match store.head(key).await {
            Ok(meta) => {
                finds.add(task(&meta, folder(key)), place(&meta), None)?;
                return Ok(());
            }
            Err(cloud::Error::NotFound(_)) => {}
            Err(error) if error.is_transient() => return Err(error.into()),
            // A directory, where the store is one.
            Err(_) => {}
        }
    }
    let wild = key[named.hidden.min(key.len())..].find(['*', '?', '[']);
    let (from, below, pattern) = match wild {
        Some(at) => {
            let base = folder(&key[..named.hidden + at]);
            match glob::Pattern::new(&key[base..]) {
                Ok(pattern) => (base, key[..base].trim_end_matches('/'), Some(pattern)),
                Err(error) => {
                    return finds.hopeless(&shown(key), format!("not a pattern: {error}"));
                }
            }
        }
        None => (
            if key.is_empty() { 0 } else { key.len() + 1 },
            &key[..],
            None,
        ),
    };
    let dots = pattern.is_some() && key[from..].split('/').any(|part| part.starts_with('.'));
    let options = glob::MatchOptions {
        require_literal_separator: true,
        ..glob::MatchOptions::new()
    };
    let wanted = |name: &str| {
        let closed = named.closed.as_deref();
        let open = !closed.is_some_and(|prefix| is_below(name, prefix));
        let fits = |pattern: &glob::Pattern| pattern.matches_with(&name[from..], options);
        open && pattern.as_ref().is_none_or(fits)
    };
    let (mut walk, mut any) = (store.walk(below)?, false);
    // Of a reduction all are looked at before it is known which are taken.
    let mut held = Held::default();
    loop {
        let mut some = walk.next(STEP).await?;
        if some.is_empty() {
            break;
        }
        some.retain(|meta| wanted(&meta.name));
        any |= !some.is_empty();
        let judged = stream::iter(some.into_iter().map(|meta| async move {
            let judged = judge(store, &meta.name, from, dots).await;
            judged.map(|(kind, own)| (meta, kind, own))
        }));
        let judged: Vec<_> = judged.buffered(AT_ONCE).try_collect().await?;
        for (meta, kind, own) in judged {
            if finds.any() {
                held.add(meta, kind, own);
            } else if kind != Kind::Image {
                finds.skip(kind.name(), 1);
            } else if !finds.add(task(&meta, from), place(&meta), own)? {
                return Ok(());
            }
        }
        if finds.any() && held.all.len() > super::MOST_REDUCED {
            return Err(super::too_many(super::MOST_REDUCED));
        }
    }
    if !any {
        let reason = match wild {
            Some(_) => "no object matches this pattern",
            None => "no such object",
        };
        return finds.hopeless(&shown(key), reason.into());
    }
    for (meta, kind, own) in held.all {
        // Whatever matches a pattern is taken, and of a prefix without images its files of numbers.
        let text = || !held.images && inputs::is_text(Path::new(&meta.name));
        let other = kind == Kind::Unknown && (wild.is_some() || text());
        if kind != Kind::Image && !other {
            finds.skip(kind.name(), 1);
        } else if !finds.add(task(&meta, from), place(&meta), own)? {
            return Ok(());
        }
    }
    Ok(())
}

/// Objects that were looked at.
#[derive(Default)]
struct Held {
    all: Vec<(Meta, Kind, Option<FormatKind>)>,
    images: bool,
}

impl Held {
    fn add(&mut self, meta: Meta, kind: Kind, own: Option<FormatKind>) {
        self.images |= kind == Kind::Image;
        self.all.push((meta, kind, own));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expand::Expanded;
    use crate::expand::finds::Finds;
    use cloud::store::Store;
    use protocol::Job;

    #[tokio::test]
    async fn urls_above_the_own_store_leave_it_out() {
        let store = Store::memory();
        for name in [
            "a.jpg",
            "raw/b.jpg",
            "sundog/jobs/1/out/c.jpg",
            "sundogs/d.jpg",
        ] {
            store.put(name, "x".into(), "image/jpeg").await.unwrap();
        }
        let named = |key: &str| Named {
            store: store.clone(),
            key: key.into(),
            root: "s3://bucket/".into(),
            hidden: 0,
            closed: Some("sundog".into()),
        };
        let found = async |key: &str| {
            let mut finds = Finds::default();
            objects(&named(key), &mut finds).await.unwrap();
            let tasks = Expanded::from(finds).tasks.into_iter();
            let tasks = tasks.filter(|task| task.reason.is_none());
            tasks.map(|task| task.input).collect::<Vec<_>>()
        };
        let all = [
            "s3://bucket/a.jpg",
            "s3://bucket/raw/b.jpg",
            "s3://bucket/sundogs/d.jpg",
        ];
        assert_eq!(found("").await, all);
        assert_eq!(found("s*/*.jpg").await, all[2..]);
        assert_eq!(found("**/*.jpg").await, all);
    }

    #[tokio::test]
    async fn objects_are_taken_by_what_they_hold_and_no_two_have_one_name() {
        let store = Store::memory();
        let (jpeg, png) = (&b"\xff\xd8\xff\xe0"[..], &b"\x89PNG\r\n\x1a\n"[..]);
        for (name, bytes) in [
            ("u/._photo.jpg", jpeg),
            ("u/.git/x.png", png),
            ("u/Thumbs.db", b"x"),
            ("u/frame.000", png),
            ("u/frame.001", png),
            ("u/notes.txt", b"x"),
            ("u/photo.jpg", jpeg),
            ("u/photo.png", jpeg),
            ("u/photo.tif", png),
        ] {
            let bytes = bytes.to_vec().into();
            store.put(name, bytes, "image/jpeg").await.unwrap();
        }
        let named = Named {
            store,
            key: "u".into(),
            root: String::new(),
            hidden: 0,
            closed: None,
        };
        let expand = async |job: &Job| {
            let mut finds = Finds::default();
            // Twice the same.
            for _ in 0..2 {
                objects(&named, &mut finds).await.unwrap();
            }
            finds.settle(job).await.unwrap();
            Expanded::from(finds)
        };
        let found = expand(&Job::default()).await;
        let kinds: Vec<_> = found
            .skipped
            .iter()
            .map(|(k, n)| (k.as_str(), n / 2))
            .collect();
        assert_eq!(kinds, [("hidden", 1), ("junk", 2), ("unknown", 1)]);
        let refused: Vec<_> = (found.tasks.iter())
            .map(|task| (task.relative.as_str(), task.reason.is_some()))
            .collect();
        let expected = [
            ("frame.000", false),
            ("frame.001", false),
            ("photo.jpg", false),
            // It holds a JPEG.
            ("photo.png", true),
            // And this one a PNG.
            ("photo.tif", false),
        ];
        assert_eq!(refused, expected);
        let reason = found.tasks[3].reason.as_deref().unwrap();
        assert!(
            reason.contains("photo.jpg is already that of u/photo.jpg"),
            "{reason}"
        );
        assert!(
            reason.contains("--names '{stem}-{ext}.{format}'"),
            "{reason}"
        );
        let job = Job {
            on_clash: protocol::job::OnClash::Number,
            ..Job::default()
        };
        let clashes: Vec<_> = expand(&job).await.tasks.iter().map(|t| t.clash).collect();
        assert_eq!(clashes, [None, None, None, Some(2), None]);
        let job = Job {
            names: Some("{stem}-{ext}.{format}".into()),
            ..Job::default()
        };
        assert!(expand(&job).await.tasks.iter().all(|t| t.reason.is_none()));
    }
}
