//! What every store promises.

use crate::sites::*;
use bytes::Bytes;
use cloud::Error;
use cloud::store::{Created, Store};
use futures_util::TryStreamExt as _;

pub(crate) async fn objects_come_back(store: &Store) {
    let odd = "jobs/1/ä b+c&d=e%20(1)'?#.txt";
    for (name, text) in [("plain.json", "{}"), (odd, "odd"), ("empty", "")] {
        store
            .put(name, bytes(text), "application/json")
            .await
            .unwrap();
        assert_eq!(store.get(name, 100).await.unwrap(), bytes(text), "{name}");
        let meta = store.head(name).await.unwrap();
        assert_eq!((meta.name.as_str(), meta.size), (name, text.len() as u64));
        if let Some(content_type) = meta.content_type {
            assert_eq!(content_type, "application/json");
        }
    }
    store
        .put("plain.json", bytes("second"), "text/plain")
        .await
        .unwrap();
    assert_eq!(store.get("plain.json", 6).await.unwrap(), bytes("second"));
    let large = store.get("plain.json", 5).await;
    assert!(matches!(large, Err(Error::Refused { .. })), "{large:?}");
    let listed = store.list("jobs/1").await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].name, odd);
    for name in ["plain.json", odd, "empty", "never-there"] {
        store.delete(name).await.unwrap();
        let gone = store.get(name, 100).await;
        assert!(
            matches!(&gone, Err(Error::NotFound(n)) if n == name),
            "{gone:?}"
        );
        assert!(matches!(store.head(name).await, Err(Error::NotFound(_))));
    }
}

pub(crate) async fn files_become_objects_and_back(store: &Store) {
    let dir = tempfile::tempdir().unwrap();
    // One request, and parts of which the last is short.
    for (name, size) in [
        ("files/small.bin", 1000),
        ("files/large.bin", (9 << 20) + 7),
    ] {
        let content: Vec<u8> = (0..size).map(|i: u32| (i ^ (i >> 11)) as u8).collect();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        std::fs::write(&from, &content).unwrap();
        let created = store.create_file_hint(name, &from, "image/png").await;
        assert_eq!(created.unwrap(), Created::New);
        store.sync(&[name]).await.unwrap();
        assert_eq!(store.head(name).await.unwrap().size, size as u64);
        let read = store.get_file(name, &to, size as u64).await.unwrap();
        assert_eq!(read, size as u64);
        assert!(std::fs::read(&to).unwrap() == content, "{name}");
        assert!(
            store.get_file(name, &to, 1 << 30).await.is_err(),
            "it is there"
        );
        let short = store
            .get_file(name, &dir.path().join("no"), size as u64 - 1)
            .await;
        assert!(matches!(short, Err(Error::Refused { .. })), "{short:?}");
        if let Some(file) = store.file(name).unwrap() {
            assert!(std::fs::read(file).unwrap() == content);
            assert!(store.scratch().is_some());
        }
        let (size, stream) = store.get_stream(name).await.unwrap();
        assert_eq!(size, content.len() as u64);
        let parts: Vec<Bytes> = stream.try_collect().await.unwrap();
        assert!(parts.concat() == content);
        // The directory took the file itself.
        std::fs::remove_file(&from).unwrap();
        std::fs::remove_file(&to).unwrap();
        assert_eq!(store.get(name, 1 << 30).await.unwrap().len(), content.len());
    }
    let other = dir.path().join("other");
    std::fs::write(&other, "other").unwrap();
    let again = store
        .create_file_hint("files/small.bin", &other, "image/png")
        .await;
    assert_eq!(again.unwrap(), Created::Exists);
    assert_eq!(store.head("files/small.bin").await.unwrap().size, 1000);
    let missing = store
        .create_file_hint("files/x", &dir.path().join("none"), "image/png")
        .await;
    assert!(missing.is_err());
    let missing = store.get_stream("files/x").await;
    assert!(matches!(missing.err(), Some(Error::NotFound(_))));
    // In place of what was there, and where nothing was.
    for (n, size) in [(0, 3), (1, 9 << 20)] {
        let (from, content) = (dir.path().join("put"), vec![n as u8; size]);
        for name in ["files/small.bin", "files/new/folder/x.bin"] {
            std::fs::write(&from, &content).unwrap();
            store.put_file(name, &from, "image/png").await.unwrap();
            assert!(store.get(name, 1 << 30).await.unwrap() == content);
            assert_eq!(from.exists(), store.scratch().is_none());
        }
    }
    for name in [
        "files/small.bin",
        "files/large.bin",
        "files/new/folder/x.bin",
    ] {
        store.delete(name).await.unwrap();
    }
}

pub(crate) async fn hints_are_objects(store: &Store) {
    let made = store
        .create_hint("hints/a", bytes("one"), "text/plain")
        .await;
    assert_eq!(made.unwrap(), Created::New);
    let made = store
        .create_hint("hints/a", bytes("two"), "text/plain")
        .await;
    assert_eq!(made.unwrap(), Created::Exists);
    assert_eq!(store.get("hints/a", 10).await.unwrap(), bytes("one"));
    store
        .put_hint("hints/a", bytes("three"), "text/plain")
        .await
        .unwrap();
    assert_eq!(store.get("hints/a", 10).await.unwrap(), bytes("three"));
    store.prepare(&["hints/folder".into()]).unwrap();
    for (name, there) in [
        ("hints/a", true),
        ("hints/b", false),
        ("hints/a/b", false),
        ("hints/folder", false),
    ] {
        assert_eq!(store.exists(name).await.unwrap(), there, "{name}");
    }
    store.delete("hints/a").await.unwrap();
}

pub(crate) async fn lists_are_complete_and_in_order(store: &Store) {
    let names: Vec<String> = (0..10).map(|i| format!("list/tasks/{i}.json")).collect();
    for name in &names {
        store
            .put(name, bytes(name), "application/json")
            .await
            .unwrap();
    }
    store
        .put("list/tasks-not/1", bytes("x"), "text/plain")
        .await
        .unwrap();
    let found = store.list("list/tasks").await.unwrap();
    let found: Vec<_> = found
        .into_iter()
        .map(|meta| (meta.name, meta.size))
        .collect();
    let expected: Vec<_> = names
        .iter()
        .map(|name| (name.clone(), name.len() as u64))
        .collect();
    assert_eq!(found, expected);
    assert_eq!(store.list("").await.unwrap().len(), 11);
    assert!(store.list("nothing/here").await.unwrap().is_empty());
    for meta in store.list("").await.unwrap() {
        store.delete(&meta.name).await.unwrap();
    }
}

pub(crate) async fn only_one_of_many_writers_creates(store: &Store) {
    for round in 0..5 {
        let name = format!("race/{round}.json");
        let writers: Vec<_> = (0..6)
            .map(|_| {
                let (store, name) = (store.clone(), name.clone());
                // All say the same: what they wrote cannot tell them apart.
                tokio::spawn(
                    async move { store.create(&name, bytes("same"), "application/json").await },
                )
            })
            .collect();
        let mut winners = 0;
        for writer in writers {
            winners += u32::from(writer.await.unwrap().unwrap() == Created::New);
        }
        assert_eq!(winners, 1);
        let late = store.create(&name, bytes("late"), "application/json").await;
        assert_eq!(late.unwrap(), Created::Exists);
        assert_eq!(store.get(&name, 100).await.unwrap(), bytes("same"));
        store.delete(&name).await.unwrap();
    }
}

pub(crate) async fn names_stay_inside(store: &Store) {
    for name in ["../x", "a/../../x", "/etc/x", "a//b", "a/", "./a"] {
        let refused = store.put(name, bytes("x"), "text/plain").await;
        assert!(
            matches!(refused, Err(Error::Invalid { .. })),
            "{name}: {refused:?}"
        );
        assert!(store.get(name, 10).await.is_err());
    }
}

pub(crate) async fn conforms(store: &Store) {
    objects_come_back(store).await;
    files_become_objects_and_back(store).await;
    hints_are_objects(store).await;
    lists_are_complete_and_in_order(store).await;
    only_one_of_many_writers_creates(store).await;
    names_stay_inside(store).await;
}
