//! Plans: the dry run of the very job, in words.

use super::objects::Services;
use super::{News, Post, spawn};
use crate::state::run::{Made, Planned};
use crate::text::harmless;
use imaging::executor::{Stop, guarded};
use protocol::{Event, Job};

/// Images that are listed.
const LISTED: usize = 500;

/// Makes a plan.
pub fn make(post: &Post, job: Job, services: Services, stop: Stop) {
    spawn(post, "plan", move |post| {
        let mut made = Made::default();
        let mut emit = |event: Event| match event {
            Event::TaskPlanned(task) => {
                made.tasks += 1;
                made.warnings += task.warnings.len();
                made.failing += usize::from(task.reason.is_some());
                if made.listed.len() >= LISTED && task.reason.is_none() {
                    return;
                }
                let outcome = match (task.reason, task.output) {
                    (Some(reason), _) => Err(harmless(&reason).into_owned()),
                    (None, output) => Ok(harmless(&output.unwrap_or_default()).into_owned()),
                };
                made.listed.push(Planned {
                    input: harmless(&task.input).into_owned(),
                    outcome,
                    mode: task.mode_reason,
                    warnings: task.warnings.into_iter().map(|w| w.text).collect(),
                });
            }
            Event::JobPlanned(job) => {
                made.memory = job.memory_bytes;
                made.limit = job.memory_limit;
                made.threads = job.threads * job.ranks;
                made.in_flight = job.in_flight;
                made.passed_over = job.skipped.values().sum();
            }
            _ => {}
        };
        let mut request = super::run::request(job);
        request.dry_run = true;
        // Ranks of mpirun plan as this process does.
        request.job.ranks = None;
        let outcome = guarded(|| super::run::carry_out(&request, &services, &stop, &mut emit));
        if stop.is_set() {
            return;
        }
        made.listed.sort_by_key(|task| task.outcome.is_ok());
        made.listed.truncate(LISTED);
        post.send(News::Planned(match outcome {
            Ok(_) => Ok(Box::new(made)),
            Err(error) => Err(harmless(&error.to_string()).into_owned()),
        }));
    });
}
