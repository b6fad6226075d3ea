//! What the other views look like: jobs and nodes, a stack, a plan, the overview of keys; as snapshots.rs has it.

use super::common::picture;
use super::snapshots::{Shown, both};
use gui::state::jobs::{Listed, Target, Task};
use gui::state::run::{Made, Plan, Planned};
use gui::state::{State, Tab};
use protocol::state::TaskState;

fn at_a_cluster(state: &mut State) {
    state.jobs.turn(Target::Cluster);
    let job = |id: &str, name: &str, how: &str, done: u64| {
        serde_json::from_value(serde_json::json!({
            "job": id, "name": name, "state": how, "submitted": "2026-11-28T03:00:00Z",
            "stage": if how == "running" { "running" } else { "" },
            "counts": {"tasks": 40, "succeeded": done, "failed": u64::from(how == "partial"), "rejected": 0},
        }))
        .unwrap()
    };
    let jobs = vec![
        job("01JDRUN", "holiday", "running", 12),
        job("01JDPART", "scans", "partial", 39),
        job("01JDONE", "night sky", "succeeded", 40),
    ];
    state.jobs.listed(Listed::Newest(jobs, true));
    let node = |name: &str, busy: u32| {
        serde_json::json!({
            "node": name, "state": "ready", "busy": busy, "slots": 4, "load": 1.25, "ranks": 4, "restarts": 0
        })
    };
    state
        .jobs
        .counted(vec![node("node-1", 4), node("node-2", 2)]);
    state.jobs.choose(Some("01JDPART".into()));
    let task = |n: u64| Task {
        input: format!("scan-{n:02}.tif"),
        state: if n == 7 {
            TaskState::Failed
        } else {
            TaskState::Succeeded
        },
        reason: if n == 7 {
            "not enough data".into()
        } else {
            String::new()
        },
        ms: Some(41 + n),
        attempt: 1,
        node: format!("node-{}", n % 2 + 1),
    };
    state
        .jobs
        .learn(true, (0..40).map(|n| (n, task(n))).collect());
}

#[test]
fn the_queue_looks_as_it_did() {
    both("queue", false, |state| {
        state.tab = Tab::Queue;
        at_a_cluster(state);
    });
}

#[test]
fn the_monitor_looks_as_it_did() {
    both("monitor", false, |state| {
        state.tab = Tab::Monitor;
        at_a_cluster(state);
    });
}

#[test]
fn a_broker_that_is_away_looks_as_it_did() {
    both("away", false, |state| {
        state.tab = Tab::Queue;
        at_a_cluster(state);
        state.jobs.silent.queue =
            Some("the broker cannot be reached: connection refused (hint: sundog doctor)".into());
    });
}

#[test]
fn a_stack_looks_as_it_did() {
    for dark in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..3 {
            picture(&folder.path().join(format!("photos/{number}.ppm")), 60, 40);
        }
        let mut shown = Shown::of(folder, dark, true);
        shown.state().tab = Tab::Stack;
        shown.until(|s| s.stack.seen.is_some() && !s.stack.busy);
        shown.check("stack", dark);
    }
}

#[test]
fn a_plan_looks_as_it_did() {
    both("plan", false, |state| {
        let planned = |input: &str, outcome: Result<&str, &str>, warnings: &[&str]| Planned {
            input: input.into(),
            outcome: match outcome {
                Ok(output) => Ok(output.into()),
                Err(why) => Err(why.into()),
            },
            mode: "an image to each thread".into(),
            warnings: warnings.iter().map(|text| (*text).into()).collect(),
        };
        let cut = "truncated PNG: the data ends after 2 of 40 rows";
        state.plan = Plan::Made(Box::new(Made {
            tasks: 3,
            listed: vec![
                planned("/photos/cut.png", Err(cut), &[]),
                planned("/photos/sunrise.jpg", Ok("/results/sunrise.jpg"), &[]),
                planned(
                    "/photos/scan.tif",
                    Ok("/results/scan.jpg"),
                    &["16 bits become 8"],
                ),
            ],
            failing: 1,
            warnings: 1,
            memory: 91_000_000,
            limit: Some(512 << 20),
            threads: 4,
            in_flight: 2,
            passed_over: 1,
        }));
    });
}

#[test]
fn the_overview_of_keys_looks_as_it_did() {
    both("help", false, |state| state.help = true);
}
