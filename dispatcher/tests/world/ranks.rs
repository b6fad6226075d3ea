//! Real ranks under a real `mpirun`.

use super::processes::{parent, processes, rooms, signal};
use super::{SLOW, Scratch, runs, same_file};
use dispatcher::world::mpirun::Config;
use dispatcher::world::{Lost, Mpirun, World};
use protocol::TaskState;
use protocol::job::Mode;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, MutexGuard};
use worker::mpirun::Launcher;

/// One world at a time: tests look for processes that are left.
pub static TURN: Mutex<()> = Mutex::const_new(());

/// The worker beside the tests.
pub fn worker() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let worker = tests.ancestors().nth(2).unwrap().join("sundog-worker");
    let how = "cargo build -p sundog-worker --features mpi,testing";
    assert!(worker.is_file(), "{} is missing: {how}", worker.display());
    worker
}

/// Two ranks on this machine.
pub fn launcher() -> Launcher {
    Launcher {
        mpirun: "mpirun".into(),
        ranks: 2,
        hostfile: None,
        worker: worker(),
    }
}

pub async fn start(
    environment: &[(&str, &str)],
    stall_ms: u64,
) -> (Arc<Mpirun>, MutexGuard<'static, ()>) {
    let turn = TURN.lock().await;
    let mut config = Config::new(launcher());
    config.stall = Duration::from_millis(stall_ms);
    config.environment = (environment.iter())
        .map(|(k, v)| (k.to_string(), v.to_string()))
        .collect();
    (Arc::new(Mpirun::start(config)), turn)
}

pub async fn ended(world: &Mpirun) {
    let start = Instant::now();
    world.shutdown().await;
    println!("shutdown took {:?}", start.elapsed());
    assert_eq!(processes(), BTreeSet::new(), "processes are left");
    assert_eq!(rooms(std::process::id()), 0, "files of Open MPI are left");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_tasks_one_by_one_and_side_by_side() {
    let scratch = Scratch::new("hundred");
    let pipeline = "gaussian(sigma=2) | equalize";
    let names: Vec<String> = (0..100).map(|n| scratch.picture(n, 60 + n, 81)).collect();
    let expected = scratch.expected(pipeline);
    let (world, _turn) = start(&[], 60_000).await;
    runs(&*world, &scratch, &names[0]).await;
    let mut latencies = Vec::new();
    for name in &names[..50] {
        let start = Instant::now();
        let task = scratch.task(name, pipeline, Mode::Images);
        let finished = world.submit(task).await.unwrap();
        latencies.push((start.elapsed(), finished.ms));
        assert_eq!(finished.receipt.state, TaskState::Succeeded);
    }
    latencies.sort();
    println!(
        "one by one (whole, own ms): median {:?}, min {:?}",
        latencies[25], latencies[0]
    );
    let start = Instant::now();
    let running: Vec<_> = names[50..]
        .iter()
        .enumerate()
        .map(|(n, name)| {
            let mode = [Mode::Auto, Mode::Images, Mode::Rows][n % 3];
            let (world, task) = (world.clone(), scratch.task(name, pipeline, mode));
            tokio::spawn(async move { world.submit(task).await })
        })
        .collect();
    for one in running {
        let finished = one.await.unwrap().unwrap();
        assert_eq!(finished.receipt.state, TaskState::Succeeded);
    }
    println!("50 side by side: {:?}", start.elapsed());
    for name in &names {
        let name = format!("{}.png", name.strip_suffix(".pgm").unwrap());
        assert!(same_file(
            &expected.join(&name),
            &scratch.path("out").join(&name)
        ));
    }
    let metrics = world.metrics();
    assert_eq!((metrics.ranks_alive, metrics.restarts), (2, 0));
    assert!(metrics.busy_ms > metrics.shared_ms && metrics.shared_ms > 0);
    assert!((0.0..=1.0).contains(&metrics.halo_wait_share()));
    ended(&world).await;
}

/// What a process has computed so far, in the system's ticks of mostly 10 ms.
fn cpu_ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, after_name) = stat.rsplit_once(')').unwrap();
    let ticks = after_name.split_whitespace().skip(11).take(1);
    ticks.map(|n| n.parse::<u64>().unwrap()).sum()
}

/// What happens to a world, with a slow image in work, and who is to blame.
async fn survives(name: &str, mode: Mode, harm: impl Fn(&[u32])) -> Vec<Lost> {
    let scratch = Scratch::new(name);
    let slow = [
        scratch.picture(0, 3000, 3000),
        scratch.picture(1, 3000, 3001),
    ];
    let small = scratch.picture(2, 50, 50);
    // Short only where silence is the harm: a busy machine may pause for seconds.
    let stall = if name.starts_with("stop") {
        1500
    } else {
        20_000
    };
    let (world, _turn) = start(&[], stall).await;
    runs(&*world, &scratch, &small).await;
    let pids = world.pids();
    // Rows are shared by all ranks: one image at a time.
    let begun = if mode == Mode::Rows { 1 } else { 2 };
    let running: Vec<_> = (slow[..begun].iter())
        .map(|name| {
            let (world, task) = (world.clone(), scratch.task(name, SLOW, mode));
            tokio::spawn(async move { world.submit(task).await })
        })
        .collect();
    let idle: Vec<u64> = pids.iter().map(|&pid| cpu_ticks(pid)).collect();
    // Until all ranks have computed for a while, which a busy machine may put off.
    let computing = || {
        pids.iter()
            .zip(&idle)
            .all(|(&pid, idle)| cpu_ticks(pid) > idle + 15)
    };
    while !computing() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let harmed = Instant::now();
    harm(&pids);
    let mut lost = Vec::new();
    for one in running {
        if let Ok(Err(one)) = tokio::time::timeout(Duration::from_secs(30), one)
            .await
            .unwrap_or(Ok(Err(Lost::Shutdown)))
        {
            lost.push(one);
        }
    }
    println!("{name}: told after {:?}: {lost:?}", harmed.elapsed());
    slow.iter().for_each(|name| world.cancel(name));
    runs(&*world, &scratch, &small).await;
    println!("{name}: next task done after {:?}", harmed.elapsed());
    assert_eq!(world.restarts(), 1);
    let left: Vec<u32> = pids
        .into_iter()
        .filter(|pid| processes().contains(pid))
        .collect();
    assert!(left.is_empty(), "old ranks are left: {left:?}");
    ended(&world).await;
    let files = std::fs::read_dir(scratch.path("out")).unwrap();
    let names = files.map(|f| f.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.filter(|n| n.ends_with(".tmp")).count(), 0);
    lost
}

fn faults(lost: &[Lost]) -> usize {
    let fault = |l: &&Lost| matches!(l, Lost::Fault { rank: Some(1), .. });
    lost.iter().filter(fault).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_rank_is_the_fault_of_its_task_alone() {
    let lost = survives("kill-rank", Mode::Images, |pids| signal("-KILL", pids[1])).await;
    assert_eq!((lost.len(), faults(&lost)), (2, 1), "{lost:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rank_0_may_be_killed_as_well() {
    let lost = survives("kill-first", Mode::Images, |pids| signal("-KILL", pids[0])).await;
    let named = |l: &&Lost| matches!(l, Lost::Fault { rank: Some(0), .. });
    let named = lost.iter().filter(named).count();
    assert_eq!((lost.len(), named), (2, 1), "{lost:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rank_or_mpirun_that_is_told_to_end_is_started_again() {
    let lost = survives("term-rank", Mode::Images, |pids| signal("-TERM", pids[1])).await;
    assert_eq!(lost.len(), 2, "{lost:?}");
    let lost = survives("term-mpirun", Mode::Images, |pids| {
        signal("-TERM", parent(pids[0]))
    });
    let lost = lost.await;
    let outside = |l: &Lost| matches!(l, Lost::World { .. });
    assert!(lost.len() == 2 && lost.iter().all(outside), "{lost:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_nobody_waits_for_makes_room() {
    let scratch = Scratch::new("dropped");
    let slow = [0, 1].map(|n| scratch.picture(n, 3000, 3000 + n));
    let small = scratch.picture(2, 50, 50);
    let (world, _turn) = start(&[], 60_000).await;
    runs(&*world, &scratch, &small).await;
    for mode in [Mode::Images, Mode::Rows] {
        for name in &slow {
            let mut task = scratch.task(name, SLOW, mode);
            task.id = format!("{mode:?} {name}");
            let begun = tokio::time::timeout(Duration::from_millis(200), world.submit(task)).await;
            assert!(begun.is_err(), "it should take longer: {begun:?}");
        }
        let start = Instant::now();
        runs(&*world, &scratch, &small).await;
        println!("room after {:?}", start.elapsed());
        assert!(start.elapsed() < Duration::from_secs(20));
    }
    assert_eq!(world.restarts(), 0);
    ended(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_rank_takes_an_image_shared_by_rows_down() {
    let lost = survives("kill-rows", Mode::Rows, |pids| signal("-KILL", pids[1])).await;
    assert_eq!(faults(&lost), 1, "{lost:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_mpirun_is_no_fault_of_a_task() {
    let lost = survives("kill-mpirun", Mode::Images, |pids| {
        signal("-KILL", parent(pids[0]))
    })
    .await;
    assert_eq!((lost.len(), faults(&lost)), (2, 0), "{lost:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_rank_is_noticed() {
    let lost = survives("stop-rank", Mode::Images, |pids| signal("-STOP", pids[1])).await;
    assert_eq!((lost.len(), faults(&lost)), (2, 1), "{lost:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_rank_is_noticed_while_rows_are_shared() {
    let lost = survives("stop-rows", Mode::Rows, |pids| signal("-STOP", pids[1])).await;
    assert_eq!(faults(&lost), 1, "{lost:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_task_ends_soon() {
    let scratch = Scratch::new("cancel");
    let slow = [0, 1].map(|n| scratch.picture(n, 3000, 3000 + n));
    let small = scratch.picture(2, 50, 50);
    let (world, _turn) = start(&[], 60_000).await;
    runs(&*world, &scratch, &small).await;
    for mode in [Mode::Images, Mode::Rows] {
        let running = slow.clone().map(|name| {
            let (world, task) = (world.clone(), scratch.task(&name, SLOW, mode));
            tokio::spawn(async move { world.submit(task).await })
        });
        tokio::time::sleep(Duration::from_millis(300)).await;
        let start = Instant::now();
        slow.iter().for_each(|name| world.cancel(name));
        for one in running {
            let finished = one.await.unwrap().unwrap();
            assert_eq!(finished.receipt.state, TaskState::Cancelled);
        }
        println!("cancelled in {:?}", start.elapsed());
        assert!(start.elapsed() < Duration::from_secs(20));
        runs(&*world, &scratch, &small).await;
    }
    assert_eq!(world.restarts(), 0);
    ended(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poisoned_image_fails_alone() {
    let scratch = Scratch::new("poison");
    let poison = scratch.picture(7, 80, 80);
    let names: Vec<String> = (10..20).map(|n| scratch.picture(n, 80, 80)).collect();
    let (world, _turn) = start(&[("SUNDOG_TEST_ABORT_ON", &poison)], 60_000).await;
    runs(&*world, &scratch, &names[0]).await;
    let healthy = names.iter().map(|name| {
        let (world, task) = (
            world.clone(),
            scratch.task(name, "gaussian(sigma=9)", Mode::Images),
        );
        async move {
            loop {
                match world.submit(task.clone()).await {
                    Err(Lost::World { .. }) => continue,
                    other => return other,
                }
            }
        }
    });
    let healthy: Vec<_> = healthy.map(tokio::spawn).collect();
    for _ in 0..3 {
        let lost = world
            .submit(scratch.task(&poison, "invert", Mode::Images))
            .await;
        println!("{lost:?}");
        assert!(matches!(lost, Err(Lost::Fault { .. })));
    }
    for one in healthy {
        let finished = one.await.unwrap().unwrap();
        assert_eq!(finished.receipt.state, TaskState::Succeeded);
    }
    assert_eq!(world.restarts(), 3);
    ended(&world).await;
}
