//! What a warm world costs: when it is idle, and on top of the work.

use super::processes::{processes, ticks};
use super::ranks::{ended, start};
use super::{Scratch, runs};
use dispatcher::world::{Task, Threads, World};
use protocol::TaskState;
use protocol::job::Mode;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_world_sleeps() {
    let scratch = Scratch::new("idle");
    let small = scratch.picture(1, 50, 50);
    let (world, _turn) = start(&[], 60_000).await;
    runs(&*world, &scratch, &small).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let all = processes();
    assert_eq!(all.len(), 3);
    let secs: u64 = std::env::var("SUNDOG_TEST_IDLE_SECS").map_or(4, |s| s.parse().unwrap());
    let before: u64 = all.iter().map(|&pid| ticks(pid)).sum();
    tokio::time::sleep(Duration::from_secs(secs)).await;
    let used = all.iter().map(|&pid| ticks(pid)).sum::<u64>() - before;
    println!(
        "idle: {:.2} % of a core over {secs} s",
        used as f64 / secs as f64
    );
    assert!(used <= 2 * secs);
    ended(&world).await;
}

/// Small tasks: a JPEG of 512 by 512 pixels, blurred.
fn small_tasks(scratch: &Scratch, count: usize) -> Vec<Task> {
    let mut bytes = b"P6\n512 512\n255\n".to_vec();
    bytes.extend((0..512 * 512 * 3).map(|i: usize| ((i / 7) ^ (i / 2049)) as u8));
    std::fs::write(scratch.path("in.ppm"), bytes).unwrap();
    let one = |n: usize| {
        let mut task = scratch.task("in.jpg", "gaussian(sigma=2)", Mode::Auto);
        task.id = n.to_string();
        task.format = Some("jpeg".into());
        task.scratch = true;
        let output = scratch.path("out").join(format!("{n}.jpg"));
        task.output = output.to_str().unwrap().into();
        task
    };
    (0..count).map(one).collect()
}

async fn run(world: &dyn World, task: Task) {
    let finished = world.submit(task).await.unwrap();
    assert_eq!(finished.receipt.state, TaskState::Succeeded);
}

/// The median time of single tasks, and the time of all with `width` in flight.
async fn times(world: Arc<dyn World>, tasks: &[Task], width: usize) -> (Duration, Duration) {
    run(&*world, tasks[0].clone()).await;
    let mut each = Vec::new();
    for task in tasks {
        let start = Instant::now();
        run(&*world, task.clone()).await;
        each.push(start.elapsed());
    }
    each.sort();
    let start = Instant::now();
    let lanes = (0..width).map(|lane| {
        let own: Vec<Task> = tasks.iter().skip(lane).step_by(width).cloned().collect();
        let world = world.clone();
        tokio::spawn(async move {
            for task in own {
                run(&*world, task).await;
            }
        })
    });
    for lane in lanes.collect::<Vec<_>>() {
        lane.await.unwrap();
    }
    (each[each.len() / 2], start.elapsed())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warm_world_adds_little_to_small_tasks() {
    let scratch = Scratch::new("quick");
    let tasks = small_tasks(&scratch, 200);
    let (world, _turn) = start(&[], 60_000).await;
    let mut jpeg = scratch.task("in.ppm", "", Mode::Auto);
    jpeg.format = Some("jpeg(quality=90)".into());
    jpeg.output = scratch.path("in.jpg").to_str().unwrap().into();
    run(&*world, jpeg).await;
    let threads = Arc::new(Threads::start(2));
    for width in [4, 8] {
        let (one, all) = times(threads.clone(), &tasks, width).await;
        println!("two threads: median {one:?}, 200 with {width} in flight {all:?}");
        let (warm_one, warm_all) = times(world.clone(), &tasks, width).await;
        println!("two ranks: median {warm_one:?}, 200 with {width} in flight {warm_all:?}");
        // Wide bounds for a busy machine.
        assert!(warm_one < one + Duration::from_millis(4));
        assert!(warm_all < all * 4);
    }
    tokio::time::sleep(Duration::from_secs(11)).await;
    let start = Instant::now();
    run(&*world, tasks[0].clone()).await;
    println!("after eleven idle seconds: {:?}", start.elapsed());
    threads.shutdown().await;
    ended(&world).await;
}
