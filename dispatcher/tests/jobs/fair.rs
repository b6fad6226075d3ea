//! A user with a single image beside one who has more than the node can do.

use crate::site::*;
use async_trait::async_trait;
use dispatcher::names;
use dispatcher::world::{Lost, Task, Threads, World};
use protocol::state::JobState;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use worker::task::Finished;

/// Holds what is not urgent.
struct Held {
    inner: Threads,
    hold: AtomicBool,
    /// Tasks that are held, or run.
    has: AtomicUsize,
}

#[async_trait]
impl World for Held {
    async fn submit(&self, task: Task) -> Result<Finished, Lost> {
        self.has.fetch_add(1, Ordering::SeqCst);
        while !task.urgent && self.hold.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        self.inner.submit(task).await
    }

    fn cancel(&self, id: &str) {
        self.inner.cancel(id);
    }

    fn ranks_alive(&self) -> usize {
        1
    }

    fn restarts(&self) -> u64 {
        0
    }

    async fn shutdown(&self) {
        self.inner.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn single_images_of_others_do_not_wait_for_the_slots_that_one_user_fills() {
    let mut site = Site::new();
    let world = Arc::new(Held {
        inner: Threads::start(2),
        hold: AtomicBool::new(true),
        has: AtomicUsize::new(0),
    });
    site.start_with("a", world.clone(), 2);
    let large = site.submit(40, false).await;
    // Both slots are taken, and stay so.
    soon(async || world.has.load(Ordering::SeqCst) >= 2).await;
    for owner in ["eve", "fay", "eve"] {
        let upload = worker::batch::new_job_id();
        let name = names::upload(owner, &format!("{upload}/one.pgm"));
        let store = &site.jobs.store;
        store
            .put(&name, picture(1).into(), "image/x")
            .await
            .unwrap();
        let id = site.jobs.submit(owner, job(&upload)).await.unwrap();
        soon(async || {
            let status = site.jobs.status(owner, &id).await.unwrap();
            status.state == JobState::Succeeded
        })
        .await;
        let receipt = site.jobs.receipt(owner, &id).await.unwrap().unwrap();
        assert_eq!((receipt.tasks.len(), receipt.tasks[0].attempt), (1, 1));
    }
    let status = site.jobs.status("ada", &large).await.unwrap();
    assert_eq!(status.counts.succeeded, 0);
    world.hold.store(false, Ordering::SeqCst);
    let status = site.ended(&large).await;
    assert_eq!(
        (status.state, status.counts.succeeded),
        (JobState::Succeeded, 40)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_that_come_to_a_node_at_once_do_not_wait_there_while_another_has_room() {
    for _ in 0..8 {
        let mut site = Site::new();
        let worlds = ["a", "b", "c"].map(|node| {
            let world = Arc::new(Held {
                inner: Threads::start(1),
                hold: AtomicBool::new(true),
                has: AtomicUsize::new(0),
            });
            site.start_with(node, world.clone(), 2);
            world
        });
        let events = &site.jobs.events;
        soon(async || events.nodes().await.unwrap().len() == 3).await;
        let id = site.submit(6, false).await;
        // As many as there are slots: all of them begin, however they come to the nodes.
        let has = || worlds.iter().map(|world| world.has.load(Ordering::SeqCst));
        soon(async || has().sum::<usize>() == 6).await;
        assert!(has().all(|n| n == 2));
        worlds
            .iter()
            .for_each(|world| world.hold.store(false, Ordering::SeqCst));
        assert_eq!(site.ended(&id).await.state, JobState::Succeeded);
    }
}
