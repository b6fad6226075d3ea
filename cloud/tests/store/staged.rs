//! What killed writers leave in a directory is removed, and no object ever.

use crate::sites::{HOUR, bytes};
use cloud::store::Store;
use std::path::Path;
use std::time::Duration;

#[tokio::test]
async fn files_of_killed_writers_are_removed_after_a_while_and_no_object_is() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::directory(dir.path()).unwrap();
    for name in ["a/b.png", "a/b#1/c.png", "odd#b", "odd#b#1", "a/#x", "a/5#"] {
        store.put(name, bytes("object"), "image/png").await.unwrap();
    }
    let objects = store.list("").await.unwrap();
    assert_eq!(objects.len(), 6);
    let file = |name: &str| {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "half").unwrap();
        path
    };
    let left = ["a/b.png#1", "a/b#1/c.png#18446744073709551615"].map(file);
    let scratch = store.scratch().unwrap().join("sundog-scratch-x/task#1");
    let scratch = file(scratch.strip_prefix(dir.path()).unwrap().to_str().unwrap());
    let link = dir.path().join("link#2");
    std::os::unix::fs::symlink(Path::new("a/b.png"), &link).unwrap();

    // A writer may still be at work on them, however old the file is that they are links to.
    let day_old = std::time::SystemTime::now() - 24 * HOUR;
    let old = std::fs::File::open(&left[0]).unwrap();
    old.set_modified(day_old).unwrap();
    assert_eq!(store.sweep(HOUR).await.unwrap(), 0);
    assert!(left.iter().all(|path| path.exists()));

    assert_eq!(store.sweep(Duration::ZERO).await.unwrap(), 2);
    assert!(!left.iter().any(|path| path.exists()));
    assert!(scratch.exists() && link.is_symlink());
    assert_eq!(store.list("").await.unwrap(), objects);
    assert_eq!(store.sweep(Duration::ZERO).await.unwrap(), 0);
    assert_eq!(Store::memory().sweep(Duration::ZERO).await.unwrap(), 0);
}
