//! The images of one job, as its events come.

use super::{Answer, say};
use crate::state::jobs::Task;
use crate::text::harmless;
use crate::work::{News, Post};
use client::{Client, Update};
use protocol::Event;
use protocol::state::TaskState;
use std::sync::Arc;
use std::time::Duration;

/// Images that are told of at once.
const TOGETHER: usize = 500;

/// Tells of them until the job is over or nobody listens.
pub(super) async fn follow(client: Arc<Client>, job: String, post: Post) {
    let mut updates = match client.follow(&job).await {
        Ok(updates) => updates,
        Err(failure) => {
            post.send(News::Told(true, harmless(&failure.message).into_owned()));
            return;
        }
    };
    let mut anew = true;
    let mut tasks = Vec::new();
    loop {
        let update = match tasks.is_empty() {
            true => updates.next().await,
            // What came together is told together.
            false => match tokio::time::timeout(Duration::from_millis(60), updates.next()).await {
                Ok(update) if tasks.len() < TOGETHER => update,
                late => {
                    let told = std::mem::take(&mut tasks);
                    if !say(
                        &post,
                        Answer::Tasks(job.clone(), std::mem::take(&mut anew), told),
                    ) {
                        return;
                    }
                    match late {
                        Ok(update) => update,
                        Err(_) => continue,
                    }
                }
            },
        };
        match update {
            Some(Update::Event(event)) => tasks.extend(task(*event)),
            Some(Update::Reset) => {
                anew = true;
                tasks.clear();
            }
            Some(Update::Away(_) | Update::Back) => {}
            Some(Update::Over(_)) | None => {
                say(&post, Answer::Tasks(job, anew, tasks));
                return;
            }
        }
    }
}

fn task(event: Event) -> Option<(u64, Task)> {
    let shown = |input: &str| client::text::input(input).into_owned();
    match event {
        Event::TaskStarted(e) => Some((
            e.task,
            Task {
                input: shown(&e.input),
                state: TaskState::Running,
                reason: String::new(),
                ms: None,
                attempt: e.attempt,
                node: harmless(&e.node.unwrap_or_default()).into_owned(),
            },
        )),
        Event::TaskFinished(e) => Some((
            e.task,
            Task {
                input: shown(&e.input),
                state: e.state,
                reason: harmless(&e.reason.unwrap_or_default()).into_owned(),
                ms: e.ms,
                attempt: e.attempt,
                node: harmless(&e.node.unwrap_or_default()).into_owned(),
            },
        )),
        _ => None,
    }
}
