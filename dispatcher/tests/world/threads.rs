//! The world of threads.

use super::{SLOW, Scratch, runs, same_file};
use dispatcher::world::{Lost, Threads, World};
use protocol::TaskState;
use protocol::job::Mode;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn tasks_side_by_side_give_the_pixels_of_a_batch() {
    let scratch = Scratch::new("threads");
    let pipeline = "gaussian(sigma=2) | equalize";
    let names: Vec<String> = (0..20).map(|n| scratch.picture(n, 60 + n, 81)).collect();
    let expected = scratch.expected(pipeline);
    let world = Arc::new(Threads::start(3));
    let modes = [Mode::Auto, Mode::Images, Mode::Rows];
    let running: Vec<_> = (names.iter().zip(modes.into_iter().cycle()))
        .map(|(name, mode)| {
            let (world, task) = (world.clone(), scratch.task(name, pipeline, mode));
            tokio::spawn(async move { world.submit(task).await })
        })
        .collect();
    for one in running {
        let finished = one.await.unwrap().unwrap();
        assert_eq!(finished.receipt.state, TaskState::Succeeded);
    }
    for name in &names {
        let name = format!("{}.png", name.strip_suffix(".pgm").unwrap());
        assert!(same_file(
            &expected.join(&name),
            &scratch.path("out").join(&name)
        ));
    }
    world.shutdown().await;
    let late = world.submit(scratch.task(&names[0], "", Mode::Auto)).await;
    assert_eq!(late.unwrap_err(), Lost::Shutdown);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_task_ends_soon_and_the_next_runs() {
    let scratch = Scratch::new("threads-cancel");
    let big = scratch.picture(0, 3000, 3000);
    let small = scratch.picture(1, 50, 50);
    let world = Threads::start(2);
    let start = Instant::now();
    let task = world.submit(scratch.task(&big, SLOW, Mode::Images));
    let cancel = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        world.cancel(&big);
    };
    let (finished, ()) = tokio::join!(task, cancel);
    assert_eq!(finished.unwrap().receipt.state, TaskState::Cancelled);
    assert!(start.elapsed() < Duration::from_secs(20));
    runs(&world, &scratch, &small).await;
    world.shutdown().await;
}
