//! Two hosts on this machine, and a world of ranks over both: each host has a network of its own, the far one
//! also a name, processes and a shell of its own, which outlives the agent that asks it for something.

use super::processes::{rooms, signal, ticks};
use super::ranks::{TURN, launcher};
use super::{SLOW, Scratch, runs, same_file};
use dispatcher::world::mpirun::Config;
use dispatcher::world::{Lost, Mpirun, Threads, World};
use protocol::TaskState;
use protocol::job::Mode;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use worker::mpirun::{Ask, Launcher, Line};
use worker::task::Finished;

/// The addresses of the near and the far host.
const ADDRESSES: [&str; 2] = ["10.91.7.1", "10.91.7.2"];

/// What stands for the far host's `sshd`: runs what is asked, and says how that ended.
const SERVER: &str = r#"
echo "$2" > /proc/sys/kernel/hostname
cd "$1" && mkfifo asks && exec 3<>asks && : > up
while read -r n <&3; do
    { sh "ask.$n"; echo $? > "code.$n"; } > "said.$n" 2>&1 < /dev/null 3>&- &
done
"#;

/// What stands for `ssh`: `agent HOST COMMAND…`.
const AGENT: &str = r#"#!/bin/sh
test "$1" = HOST || exit 255
shift
cd 'FOLDER' && mkfifo "said.$$" && echo "$*" > "ask.$$" && echo $$ > asks && cat "said.$$"
exit "$(cat "code.$$")"
"#;

/// Two hosts, gone with all their processes when dropped.
struct Hosts {
    folder: PathBuf,
    /// Names of the networks; the far host has it, too.
    names: [String; 2],
    far: Option<Child>,
    born: SystemTime,
}

/// Runs `ip` with words; what it says of an error.
fn ip(words: &str) -> Result<(), String> {
    let output = Command::new("ip").args(words.split(' ')).output();
    let output = output.map_err(|error| format!("ip (of iproute2): {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!(
            "ip {words}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        )),
    }
}

impl Hosts {
    /// The hosts, with what they need in a folder; without the right to make them this says so.
    fn start(scratch: &Scratch) -> Option<Hosts> {
        let skipped = |why: &str| eprintln!("SKIPPED: no hosts can be made here: {why}");
        if !rustix::process::geteuid().is_root() {
            skipped("that takes root");
            return None;
        }
        let folder = scratch.path("hosts");
        fs::create_dir(&folder).unwrap();
        let me = std::process::id();
        let mut hosts = Hosts {
            folder,
            names: ["near", "far"].map(|name| format!("sundog-{name}-{me}")),
            far: None,
            born: SystemTime::now(),
        };
        match hosts.connect() {
            Ok(()) => hosts.serve(),
            Err(why) => {
                skipped(&why);
                return None;
            }
        }
        Some(hosts)
    }

    fn connect(&self) -> Result<(), String> {
        let [near, far] = &self.names;
        ip(&format!("netns add {near}"))?;
        ip(&format!("netns add {far}"))?;
        ip(&format!(
            "link add eth0 netns {near} type veth peer name eth0 netns {far}"
        ))?;
        for (name, address) in self.names.iter().zip(ADDRESSES) {
            ip(&format!("-n {name} address add {address}/24 dev eth0"))?;
            ip(&format!("-n {name} link set lo up"))?;
            ip(&format!("-n {name} link set eth0 up"))?;
        }
        Ok(())
    }

    /// Starts the far host.
    fn serve(&mut self) {
        let far = Command::new("ip")
            .args(["netns", "exec", &self.names[1]])
            .args(["unshare", "--uts", "--pid", "--fork", "--mount-proc"])
            .args(["--kill-child", "sh", "-c", SERVER, "far"])
            .args([self.folder.as_os_str(), self.names[1].as_ref()])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        self.far = Some(far);
        let start = Instant::now();
        while !self.folder.join("up").exists() {
            assert!(start.elapsed() < Duration::from_secs(10), "no far host");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn script(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// Starts a rank on each, from the near one.
    fn launcher(&self) -> Launcher {
        let folder = self.folder.display().to_string();
        let agent = AGENT
            .replace("HOST", ADDRESSES[1])
            .replace("FOLDER", &folder);
        let agent = self.script("agent", &agent);
        let mpirun = format!(
            "#!/bin/sh\nexport OMPI_MCA_plm_rsh_agent='{}'\nexec ip netns exec {} mpirun \"$@\"\n",
            agent.display(),
            self.names[0]
        );
        let hostfile = self.folder.join("hostfile");
        fs::write(
            &hostfile,
            ADDRESSES.map(|a| format!("{a} slots=1\n")).concat(),
        )
        .unwrap();
        Launcher {
            mpirun: self.script("mpirun", &mpirun),
            hostfile: Some(hostfile),
            ..launcher()
        }
    }

    /// Living processes of a program on the near (0) or far (1) host.
    fn processes(&self, host: usize, program: &str) -> Vec<u32> {
        let output = Command::new("ip")
            .args(["netns", "pids", &self.names[host]])
            .output()
            .unwrap();
        let pids = String::from_utf8(output.stdout).unwrap();
        let pids = pids.split_whitespace().map(|pid| pid.parse().unwrap());
        pids.filter(|pid: &u32| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let alive = |rest: &str| !rest.trim_start().starts_with('Z');
            stat.contains(&format!("({program})"))
                && stat.rsplit_once(')').is_some_and(|(_, rest)| alive(rest))
        })
        .collect()
    }

    /// Folders that Open MPI keeps where nobody told it of another, of the processes of the near host.
    fn sessions(&self) -> usize {
        let host = worker::settings::node_name();
        let folder = std::env::temp_dir().join(format!("ompi.{host}.0"));
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let new = |entry: &fs::DirEntry| {
            let made = entry.metadata().and_then(|m| m.modified());
            made.is_ok_and(|made| made >= self.born)
        };
        entries.filter(new).count()
    }

    /// Waits until no process of Open MPI is left on either host.
    async fn quiet(&self) {
        let start = Instant::now();
        loop {
            let left: Vec<_> = (["mpirun", "orted", "sundog-worker"].iter())
                .flat_map(|name| [0, 1].map(|host| (*name, host, self.processes(host, name))))
                .filter(|(.., pids)| !pids.is_empty())
                .collect();
            if left.is_empty() {
                break;
            }
            let waited = start.elapsed();
            assert!(waited < Duration::from_secs(10), "left: {left:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        println!("both hosts quiet after {:?}", start.elapsed());
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        if let Some(mut far) = self.far.take() {
            // Its first process is killed with it, and all others with that.
            let _ = far.kill();
            let _ = far.wait();
        }
        for name in &self.names {
            let _ = ip(&format!("netns delete {name}"));
        }
        // Killed daemons of Open MPI leave their files.
        let left = format!("ompi.{}.0", self.names[1]);
        let _ = fs::remove_dir_all(std::env::temp_dir().join(left));
    }
}

/// A warm world over both hosts.
fn start(hosts: &Hosts, stall_ms: u64) -> Arc<Mpirun> {
    let mut config = Config::new(hosts.launcher());
    config.stall = Duration::from_millis(stall_ms);
    Arc::new(Mpirun::start(config))
}

/// As a dispatcher does: a task whose world died is tried again.
async fn done(
    world: &dyn World,
    scratch: &Scratch,
    name: &str,
    pipeline: &str,
    mode: Mode,
) -> Finished {
    for _ in 0..5 {
        match world.submit(scratch.task(name, pipeline, mode)).await {
            Ok(finished) => {
                assert_eq!(finished.receipt.state, TaskState::Succeeded);
                return finished;
            }
            Err(lost) => println!("{name}: {lost}"),
        }
    }
    panic!("{name} was never done");
}

#[tokio::test(flavor = "multi_thread")]
async fn ranks_of_two_hosts_give_the_hashes_of_threads_and_leave_no_process() {
    let _turn = TURN.lock().await;
    let scratch = Scratch::new("two-hosts");
    let Some(hosts) = Hosts::start(&scratch) else {
        return;
    };
    let pipeline = "gaussian(sigma=2) | equalize";
    let names: Vec<String> = (0..8).map(|n| scratch.picture(n, 300 + n, 401)).collect();
    let (threads, world) = (Threads::start(2), start(&hosts, 20_000));
    for mode in [Mode::Images, Mode::Rows] {
        let mut hashes = Vec::new();
        for name in &names {
            let finished = done(&threads, &scratch, name, pipeline, mode).await;
            hashes.push(finished.receipt.output_sha256);
        }
        let running: Vec<_> = (names.iter())
            .map(|name| {
                let (world, task) = (world.clone(), scratch.task(name, pipeline, mode));
                tokio::spawn(async move { world.submit(task).await.unwrap().receipt })
            })
            .collect();
        let mut far = 0;
        for (one, hash) in running.into_iter().zip(hashes) {
            let receipt = one.await.unwrap();
            assert!(
                hash.is_some() && receipt.output_sha256 == hash,
                "{receipt:?}"
            );
            far += usize::from(receipt.node == hosts.names[1]);
            assert_eq!(receipt.ranks, Some(if mode == Mode::Rows { 2 } else { 1 }));
        }
        println!("{mode:?}: {far} of 8 receipts are of the far host");
        assert_eq!(far > 0, mode == Mode::Images);
    }
    assert_eq!((world.ranks_alive(), world.restarts()), (2, 0));
    let ranks = [0, 1].map(|host| hosts.processes(host, "sundog-worker").len());
    assert_eq!(ranks, [1, 1]);
    assert_eq!(world.pids(), hosts.processes(0, "sundog-worker"));
    threads.shutdown().await;
    world.shutdown().await;
    hosts.quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_runs_on_two_hosts_as_in_one_process() {
    let _turn = TURN.lock().await;
    let scratch = Scratch::new("batch-hosts");
    let Some(hosts) = Hosts::start(&scratch) else {
        return;
    };
    let pipeline = "gaussian(sigma=2) | equalize";
    let names: Vec<String> = (0..8).map(|n| scratch.picture(n, 300, 401)).collect();
    let expected = scratch.expected(pipeline);
    for mode in [Mode::Images, Mode::Rows] {
        let mut request = scratch.batch(pipeline, "batch");
        request.job.mode = mode;
        let ask = Ask::Batch(Box::new(request), 1);
        let launcher = hosts.launcher();
        let outcome = tokio::task::spawn_blocking(move || {
            let mut outcome = None;
            let world = launcher.start(&ask).unwrap();
            let line = &mut |line| match line {
                Line::Outcome(last) => outcome = Some(last),
                Line::Error { message, .. } => panic!("{message}"),
                Line::Event(_) | Line::Bench(_) => {}
            };
            world.follow(&|| false, line).unwrap();
            outcome.unwrap()
        });
        assert_eq!(outcome.await.unwrap().exit_code(), 0);
        let receipt = fs::read_to_string(scratch.path("batch/sundog-receipt.json")).unwrap();
        let on_far = receipt.matches(&hosts.names[1]).count();
        println!("{mode:?}: {on_far} of 8 receipts are of the far host");
        assert_eq!(on_far > 0, mode == Mode::Images);
        for name in &names {
            let name = name.replace(".pgm", ".png");
            let made = scratch.path("batch").join(&name);
            assert!(same_file(&expected.join(&name), &made));
            fs::remove_file(made).unwrap();
        }
        hosts.quiet().await;
    }
}

/// What becomes of a world whose far host comes to harm at work: it is started again, and does the task.
async fn survives(name: &str, mode: Mode, harm: impl Fn(&Hosts)) -> Vec<Lost> {
    let _turn = TURN.lock().await;
    let scratch = Scratch::new(name);
    let Some(hosts) = Hosts::start(&scratch) else {
        return Vec::new();
    };
    let small = scratch.picture(0, 50, 50);
    let slow = [1, 2].map(|n| scratch.picture(n, 3000, 3000));
    // Short only where silence is the harm: a busy machine may pause for seconds.
    let stall = if name.starts_with("silent") {
        1500
    } else {
        20_000
    };
    let world = start(&hosts, stall);
    runs(&*world, &scratch, &small).await;
    let old = hosts.processes(1, "sundog-worker");
    let begun = if mode == Mode::Rows { 1 } else { 2 };
    let running: Vec<_> = (slow[..begun].iter())
        .map(|name| {
            let (world, task) = (world.clone(), scratch.task(name, SLOW, mode));
            tokio::spawn(async move { world.submit(task).await })
        })
        .collect();
    let at_rest = ticks(old[0]);
    while ticks(old[0]) < at_rest + 15 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let harmed = Instant::now();
    harm(&hosts);
    while world.restarts() == 0 {
        assert!(
            harmed.elapsed() < Duration::from_secs(30),
            "nothing noticed"
        );
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // Those that are run again without a word.
    slow.iter().for_each(|name| world.cancel(name));
    let mut lost = Vec::new();
    for one in running {
        match one.await.unwrap() {
            Ok(finished) => assert_eq!(finished.receipt.state, TaskState::Cancelled),
            Err(error) => lost.push(error),
        }
    }
    println!("{name}: told after {:?}: {lost:?}", harmed.elapsed());
    let finished = done(&*world, &scratch, &slow[0], "gaussian(sigma=2)", mode).await;
    println!("{name}: done again after {:?}", harmed.elapsed());
    assert!(finished.receipt.output_sha256.is_some());
    assert_eq!(world.ranks_alive(), 2);
    // Where the host was away, starting it again took several tries.
    assert!(world.restarts() == 1 || name == "silent-link");
    let new = hosts.processes(1, "sundog-worker");
    assert!(new.len() == 1 && new != old, "{old:?}, {new:?}");
    world.shutdown().await;
    hosts.quiet().await;
    assert_eq!((rooms(std::process::id()), hosts.sessions()), (0, 0));
    lost
}

/// Does this to the far rank, in both modes; at most its own task is at fault.
async fn far_rank(what: &str, how: &str) {
    for mode in [Mode::Images, Mode::Rows] {
        let lost = survives(&format!("{what}-rank-{mode:?}"), mode, |hosts| {
            signal(how, hosts.processes(1, "sundog-worker")[0]);
        })
        .await;
        let fault = |l: &&Lost| matches!(l, Lost::Fault { rank: Some(1), .. });
        let faults = lost.iter().filter(fault).count();
        assert!(lost.is_empty() || faults == 1, "{lost:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rank_killed_on_another_host_is_started_again() {
    far_rank("far", "-KILL").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_world_survives_the_death_of_mpirun_and_of_the_daemon_on_another_host() {
    survives("near-mpirun", Mode::Images, |hosts| {
        signal("-KILL", hosts.processes(0, "mpirun")[0]);
    })
    .await;
    survives("far-daemon", Mode::Images, |hosts| {
        signal("-KILL", hosts.processes(1, "orted")[0]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rank_that_hangs_on_another_host_is_killed_there() {
    far_rank("silent", "-STOP").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_cut_off_for_a_while_works_again() {
    survives("silent-link", Mode::Images, |hosts| {
        let name = hosts.names[1].clone();
        ip(&format!("-n {name} link set eth0 down")).unwrap();
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_secs(3));
            ip(&format!("-n {name} link set eth0 up")).unwrap();
        });
    })
    .await;
}
