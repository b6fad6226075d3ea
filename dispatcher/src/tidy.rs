//! Once a day, and when a dispatcher starts: what killed writers left in the store.

use cloud::store::Store;
use std::time::Duration;

/// How often, and how long such a file must have been left alone: no writer rests that long.
pub(crate) const DAY: Duration = Duration::from_secs(24 * 3600);

/// Sweeps the store now and every day.
pub(crate) async fn run(store: Store, unchanged: Duration) {
    let mut every = tokio::time::interval(DAY);
    loop {
        every.tick().await;
        if let Err(error) = probes(&store, unchanged).await {
            tracing::warn!(%error, "looking for probes of dead nodes");
        }
        match store.sweep(unchanged).await {
            Ok(0) => {}
            Ok(n) => tracing::info!("{n} files of dead writers were removed from the store"),
            Err(error) => tracing::warn!(%error, "looking for files of dead writers"),
        }
    }
}

/// Removes what nodes left that died while they proved themselves.
async fn probes(store: &Store, unchanged: Duration) -> cloud::Result<()> {
    for meta in store.list(crate::proof::PROBES).await? {
        if meta.modified.elapsed().is_ok_and(|age| age > unchanged) {
            store.delete(&meta.name).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dispatcher_that_starts_removes_what_killed_writers_left() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::directory(dir.path()).unwrap();
        let (left, object) = (dir.path().join("a.png#7"), dir.path().join("a.png"));
        for file in [&left, &object] {
            std::fs::write(file, "half").unwrap();
        }
        let sweeps = run(store, Duration::ZERO);
        let gone = async {
            while left.exists() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            () = sweeps => {}
            () = gone => {}
        }
        assert!(object.exists());
    }
}
