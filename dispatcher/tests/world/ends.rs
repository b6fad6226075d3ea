//! How worlds end with their owner, and where their ranks may be.

use super::processes::{lives, processes, rooms, signal};
use super::ranks::{TURN, ended, launcher};
use super::{SLOW, Scratch, runs};
use dispatcher::world::mpirun::Config;
use dispatcher::world::{Mpirun, World};
use protocol::job::Mode;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Makes a test the owner of a world: the folder of its pictures.
const OWNER: &str = "SUNDOG_TEST_OWNER";

/// Runs in a process of its own, for the tests that kill it; else there is nothing to see.
#[tokio::test(flavor = "multi_thread")]
async fn owner_of_a_world() {
    let Some(folder) = std::env::var_os(OWNER) else {
        return;
    };
    let scratch = std::mem::ManuallyDrop::new(Scratch(folder.into()));
    let small = scratch.picture(0, 50, 50);
    let slow = scratch.picture(1, 3000, 3000);
    let world = Mpirun::start(Config::new(launcher()));
    runs(&world, &scratch, &small).await;
    println!("\nranks: {:?}", world.pids());
    let mode = match scratch.path("rows").exists() {
        true => Mode::Rows,
        false => Mode::Images,
    };
    let _ = world.submit(scratch.task(&slow, SLOW, mode)).await;
}

/// Kills the owner of a world at work; what is left must be gone within seconds.
async fn owner_is_killed(name: &str, mode: Mode, harm: impl Fn(&[u32])) {
    let _turn = TURN.lock().await;
    let scratch = Scratch::new(name);
    if mode == Mode::Rows {
        std::fs::write(scratch.path("rows"), "").unwrap();
    }
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "ends::owner_of_a_world", "--nocapture"])
        .env(OWNER, &scratch.0)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(owner.stdout.take().unwrap()).lines();
    let ranks = lines.find_map(|line| Some(line.unwrap().strip_prefix("ranks: ")?.to_owned()));
    let ranks: Vec<u32> = serde_json::from_str(&ranks.unwrap()).unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let all = processes();
    assert_eq!(all.len(), 3, "mpirun and two ranks");
    harm(&ranks);
    let start = Instant::now();
    signal("-KILL", owner.id());
    owner.wait().unwrap();
    while all.iter().any(|&pid| lives(pid)) {
        let waited = start.elapsed();
        assert!(waited < Duration::from_secs(10), "{name}: still there");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    println!("{name}: gone after {:?}", start.elapsed());
    // What is left of its files is swept by the next world; so are outputs that were not finished.
    let world = Mpirun::start(Config::new(launcher()));
    runs(&world, &scratch, "0.pgm").await;
    assert_eq!(rooms(owner.id()), 0);
    let files = std::fs::read_dir(scratch.path("out")).unwrap();
    let names: Vec<_> = files.map(|f| f.unwrap().file_name()).collect();
    assert_eq!(names, ["0.png"]);
    ended(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_world_ends_with_a_killed_owner() {
    owner_is_killed("owner", Mode::Images, |_| ()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_world_ends_with_a_killed_owner_while_rows_are_shared() {
    owner_is_killed("owner-rows", Mode::Rows, |_| ()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn even_a_stopped_rank_ends_with_the_owner() {
    owner_is_killed("owner-stop", Mode::Images, |ranks| {
        signal("-STOP", ranks[1])
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ranks_may_come_from_a_list_of_hosts() {
    let _turn = TURN.lock().await;
    let scratch = Scratch::new("hosts");
    let small = scratch.picture(0, 50, 50);
    let hosts = scratch.path("hosts");
    std::fs::write(&hosts, "localhost\nlocalhost\n").unwrap();
    let mut launcher = launcher();
    launcher.hostfile = Some(hosts);
    let mut config = Config::new(launcher);
    config.environment = vec![("SUNDOG_TEST_ABORT_ON".into(), "1.pgm".into())];
    let world = Mpirun::start(config);
    for mode in [Mode::Images, Mode::Rows] {
        let task = scratch.task(&small, "gaussian(sigma=2)", mode);
        let finished = world.submit(task).await.unwrap();
        assert_eq!(finished.receipt.state, protocol::TaskState::Succeeded);
    }
    assert_eq!((world.ranks_alive(), world.restarts()), (2, 0));
    // The environment reaches the ranks.
    let poison = scratch.picture(1, 50, 50);
    let lost = world.submit(scratch.task(&poison, "", Mode::Images)).await;
    assert!(lost.is_err());
    ended(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ranks_that_do_not_start_are_told_of() {
    let _turn = TURN.lock().await;
    let scratch = Scratch::new("no-start");
    let small = scratch.picture(0, 50, 50);
    let mut launcher = launcher();
    launcher.worker = "/nonexistent/sundog-worker".into();
    let world = Mpirun::start(Config::new(launcher));
    let lost = world.submit(scratch.task(&small, "", Mode::Auto)).await;
    let text = lost.unwrap_err().to_string();
    assert!(text.contains("/nonexistent/sundog-worker"), "{text}");
    assert_eq!(world.ranks_alive(), 0);
    ended(&world).await;
}
