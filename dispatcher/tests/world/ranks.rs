//! Real ranks under a real `mpirun`.

use super::{SLOW, Scratch, runs, same_file};
use dispatcher::world::mpirun::Config;
use dispatcher::world::{Lost, Mpirun, World};
use protocol::TaskState;
use protocol::job::Mode;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, MutexGuard};
use worker::mpirun::Launcher;

/// One world at a time: tests look for processes that are left.
static TURN: Mutex<()> = Mutex::const_new(());

/// The worker beside the tests.
fn worker() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let worker = tests.ancestors().nth(2).unwrap().join("sundog-worker");
    let how = "cargo build -p sundog-worker --features mpi,testing";
    assert!(worker.is_file(), "{} is missing: {how}", worker.display());
    worker
}

async fn start(
    environment: &[(&str, &str)],
    stall_ms: u64,
) -> (Arc<Mpirun>, MutexGuard<'static, ()>) {
    let turn = TURN.lock().await;
    let launcher = Launcher {
        mpirun: "mpirun".into(),
        ranks: 2,
        hostfile: None,
        worker: worker(),
    };
    let mut config = Config::new(launcher);
    config.stall = Duration::from_millis(stall_ms);
    config.environment = (environment.iter())
        .map(|(k, v)| (k.to_string(), v.to_string()))
        .collect();
    (Arc::new(Mpirun::start(config)), turn)
}

/// All processes below this one, but for those of another name than the world's.
fn processes() -> BTreeSet<u32> {
    let output = Command::new("ps")
        .args(["-eo", "pid=,ppid=,stat=,comm="])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let rows: Vec<Vec<&str>> = text
        .lines()
        .map(|l| l.split_whitespace().collect())
        .collect();
    let mut below = BTreeSet::from([std::process::id()]);
    loop {
        let n = below.len();
        for row in &rows {
            if below.contains(&row[1].parse().unwrap()) {
                below.insert(row[0].parse().unwrap());
            }
        }
        if below.len() == n {
            break;
        }
    }
    let named = |row: &&Vec<&str>| matches!(row[3], "mpirun" | "sundog-worker" | "orted");
    (rows.iter().filter(named))
        .map(|row| row[0].parse().unwrap())
        .filter(|pid| below.contains(pid))
        .collect()
}

fn signal(name: &str, pid: u32) {
    let status = Command::new("kill").args([name, &pid.to_string()]).status();
    assert!(status.unwrap().success());
}

fn parent(pid: u32) -> u32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let rest = stat.rsplit_once(')').unwrap().1;
    rest.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Clock ticks of processor time, 10 ms each.
fn ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat
        .rsplit_once(')')
        .unwrap()
        .1
        .split_whitespace()
        .collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

async fn ended(world: &Mpirun) {
    let start = Instant::now();
    world.shutdown().await;
    println!("shutdown took {:?}", start.elapsed());
    assert_eq!(processes(), BTreeSet::new(), "processes are left");
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
    assert_eq!(world.restarts(), 0);
    ended(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_world_sleeps() {
    let scratch = Scratch::new("idle");
    let small = scratch.picture(1, 50, 50);
    let (world, _turn) = start(&[], 60_000).await;
    runs(&*world, &scratch, &small).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let all = processes();
    assert_eq!(all.len(), 3);
    let before: u64 = all.iter().map(|&pid| ticks(pid)).sum();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let used = all.iter().map(|&pid| ticks(pid)).sum::<u64>() - before;
    println!("idle: {:.2} % of a core over 3 s", used as f64 / 3.0);
    assert!(used < 6);
    ended(&world).await;
}

/// What happens to a world, with a slow image in work, and who is to blame.
async fn survives(name: &str, mode: Mode, harm: impl Fn(&[u32])) -> Vec<Lost> {
    let scratch = Scratch::new(name);
    let slow = [
        scratch.picture(0, 3000, 3000),
        scratch.picture(1, 3000, 3001),
    ];
    let small = scratch.picture(2, 50, 50);
    let (world, _turn) = start(&[], 1500).await;
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
    tokio::time::sleep(Duration::from_millis(400)).await;
    let harmed = Instant::now();
    harm(&pids);
    let mut lost = Vec::new();
    for one in running {
        if let Ok(Err(one)) = tokio::time::timeout(Duration::from_secs(5), one)
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
        assert!(start.elapsed() < Duration::from_secs(5));
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
