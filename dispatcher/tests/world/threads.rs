//! The world of threads.

use super::{SLOW, Scratch, runs, same_file};
use dispatcher::world::{Lost, Task, Threads, World};
use protocol::TaskState;
use protocol::job::Mode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use worker::task::Finished;
use worker::warm::Budget;

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

/// A task of a job, with a cap for the images of that job.
fn of(scratch: &Scratch, job: &str, name: &str, pipeline: &str, mib: Option<u64>) -> Task {
    let mut task = scratch.task(name, pipeline, Mode::Images);
    task.id = format!("{job}.{name}");
    task.limits.memory = mib.map(|mib| protocol::Size(mib << 20));
    task
}

/// The MiB that a refusal says would do.
fn would_do(finished: &Finished) -> u64 {
    let reason = finished.receipt.reason.clone().unwrap_or_default();
    let number = reason.split_once("(give --memory ").and_then(|(_, rest)| {
        let (number, _) = rest.split_once("MiB)")?;
        number.parse().ok()
    });
    assert!(finished.refused, "{reason}");
    number.unwrap_or_else(|| panic!("{reason}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_of_the_node_refuses_what_is_too_large_or_runs_it_alone() {
    let scratch = Scratch::new("threads-budget");
    let big = scratch.picture(0, 3000, 3000);
    let small = scratch.picture(1, 50, 50);
    let budget = |refuses| Budget {
        bytes: Some(30 << 20),
        refuses,
    };
    let pipeline = "equalize | rotate(degrees=90)";
    let strict = Threads::within(2, budget(true));
    let task = of(&scratch, "a", &big, pipeline, None);
    let refused = strict.submit(task).await.unwrap();
    assert!(would_do(&refused) > 30);
    runs(&strict, &scratch, &small).await;
    let mild = Threads::within(2, budget(false));
    let (one, two) = (
        of(&scratch, "a", &big, pipeline, None),
        of(&scratch, "b", &small, "invert", None),
    );
    let (one, two) = tokio::join!(mild.submit(one), mild.submit(two));
    for finished in [one, two] {
        assert_eq!(finished.unwrap().receipt.state, TaskState::Succeeded);
    }
    strict.shutdown().await;
    mild.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cap_of_one_job_holds_back_its_own_images_alone() {
    let scratch = Scratch::new("threads-cap");
    let big = scratch.picture(0, 2500, 2500);
    let small = scratch.picture(1, 50, 50);
    let world = Arc::new(Threads::start(2));
    let pipeline = "bilateral(radius=5) | rotate(degrees=90)";
    let probe = world.submit(of(&scratch, "a", &big, pipeline, Some(1)));
    let cap = would_do(&probe.await.unwrap());
    // Two of them do not fit beside each other.
    let start = Instant::now();
    let capped: Vec<_> = (0..2)
        .map(|n| {
            let mut task = of(&scratch, "capped", &big, pipeline, Some(cap));
            task.id = format!("capped.{n}");
            task.output = format!("{}.{n}", task.output);
            let world = world.clone();
            tokio::spawn(async move {
                let finished = world.submit(task).await.unwrap();
                assert_eq!(finished.receipt.state, TaskState::Succeeded);
                start.elapsed()
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(100)).await;
    // They came first, and one of them waits: those of others go by.
    for n in 0..5 {
        let mut task = of(&scratch, "other", &small, "invert", None);
        task.id = format!("other.{n}");
        let finished = world.submit(task).await.unwrap();
        assert_eq!(finished.receipt.state, TaskState::Succeeded);
    }
    let others = start.elapsed();
    let mut ends = Vec::new();
    for one in capped {
        ends.push(one.await.unwrap());
    }
    ends.sort();
    assert!(others < ends[0], "{others:?} {ends:?}");
    // One after the other.
    assert!(ends[1] > ends[0].mul_f64(1.3), "{ends:?}");
    world.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_urgent_runs_beside_what_fills_all_threads_but_for_what_is_to_be_alone() {
    let scratch = Scratch::new("threads-urgent");
    let big = scratch.picture(0, 3000, 3000);
    let small = scratch.picture(1, 50, 50);
    let world = Arc::new(Threads::start(1));
    let submit = |task: Task| {
        let world = world.clone();
        tokio::spawn(async move { world.submit(task).await.unwrap() })
    };
    for alone in [false, true] {
        let mut long = of(&scratch, "a", &big, SLOW, None);
        long.alone = alone;
        let long_id = long.id.clone();
        let long = submit(long);
        tokio::time::sleep(Duration::from_millis(200)).await;
        let waits = submit(of(&scratch, "b", &small, "invert", None));
        let mut task = of(&scratch, "c", &small, "gaussian", None);
        (task.urgent, task.output) = (true, format!("{}.urgent", task.output));
        let urgent = submit(task);
        if alone {
            tokio::time::sleep(Duration::from_millis(300)).await;
            assert!(!urgent.is_finished() && !long.is_finished());
            world.cancel(&long_id);
            assert_eq!(urgent.await.unwrap().receipt.state, TaskState::Succeeded);
        } else {
            assert_eq!(urgent.await.unwrap().receipt.state, TaskState::Succeeded);
            assert!(!long.is_finished() && !waits.is_finished());
            world.cancel(&long_id);
        }
        assert_eq!(long.await.unwrap().receipt.state, TaskState::Cancelled);
        assert_eq!(waits.await.unwrap().receipt.state, TaskState::Succeeded);
    }
    world.shutdown().await;
}
