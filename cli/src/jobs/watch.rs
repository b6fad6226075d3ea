//! Follows jobs to their ends.
//!
//! Events show what happens; the end itself is what the job's status says, so that lost events delay
//! nothing for long and the end of an earlier run is not taken for that of a retry.

use super::board::{Board, Lane, Show};
use crate::output;
use client::exit::{Exit, Failure, Result};
use client::{Client, Status, Update, ended};
use protocol::Event;
use protocol::event::JobFinished;
use protocol::state::JobState;
use std::time::Duration;
use tokio::time::Instant;

/// How often the status is looked at while events come or not.
const CHECK: Duration = Duration::from_secs(4);
/// The first look after a job's end was told.
const FIRST_CHECK: Duration = Duration::from_millis(50);
/// How long events of a job that has ended are waited for.
const GRACE: Duration = Duration::from_secs(1);
/// How long a job system may be away.
const PATIENCE: Duration = Duration::from_secs(300);

/// Follows jobs and says how they ended, as an exit code.
pub async fn follow(client: &Client, jobs: &[String], show: Show) -> Result {
    let board = Board::new(show);
    // A job that does not exist is told before anything is shown of the others.
    let mut known = Vec::new();
    for job in jobs {
        known.push(client.status(job).await?);
    }
    let watches = known.into_iter().map(|status| one(client, status, &board));
    let mut exit = Exit::Ok;
    for state in futures_util::future::join_all(watches).await {
        exit = match (state?, exit) {
            (JobState::Failed | JobState::Cancelled, _) | (_, Exit::Failed) => Exit::Failed,
            (JobState::Partial, _) | (_, Exit::Some) => Exit::Some,
            _ => Exit::Ok,
        };
    }
    Ok(exit)
}

async fn one(client: &Client, mut status: Status, board: &Board) -> Result<JobState> {
    let job = status.job.clone();
    let mut lane = board.lane(&job);
    lane.status(&status);
    let mut events = client.follow(&job).await?;
    let mut finished: Option<JobFinished> = None;
    let mut check = CHECK;
    let mut heard = Instant::now();
    // Since when the status has been a final one.
    let mut over = status.state.is_final().then_some(heard);
    let mut next_check = heard + if over.is_some() { GRACE / 4 } else { CHECK };
    loop {
        match tokio::time::timeout_at(next_check, events.next()).await {
            Ok(Some(Update::Event(event))) => {
                heard = Instant::now();
                lane.event(&event);
                if let Event::JobFinished(end) = *event {
                    finished = Some(end);
                    check = FIRST_CHECK;
                    next_check = heard;
                }
                continue;
            }
            Ok(Some(Update::Reset)) => {
                lane.reset();
                finished = None;
                next_check = Instant::now();
                continue;
            }
            Ok(Some(Update::Away(reason))) => {
                lane.away(Some(&reason));
                if heard.elapsed() > PATIENCE {
                    return Err(Failure {
                        exit: Exit::Unreachable,
                        message: format!(
                            "the job system does not answer: {reason} (the job goes on when it is back; watch it again: sundog watch {job})"
                        ),
                    });
                }
                next_check = next_check.max(Instant::now() + CHECK);
                continue;
            }
            Ok(Some(Update::Back)) => {
                heard = Instant::now();
                lane.away(None);
                next_check = heard;
                continue;
            }
            Ok(Some(Update::Over(failure))) => return Err(failure),
            Ok(None) => return Err(Failure::failed("the stream of events ended")),
            Err(_) => {}
        }
        match client.status(&job).await {
            Ok(found) => {
                heard = Instant::now();
                status = found;
                lane.status(&status);
            }
            // The stream tells when it is back.
            Err(failure) if failure.exit == Exit::Unreachable => {
                next_check = Instant::now() + CHECK;
                continue;
            }
            Err(failure) => return Err(failure),
        }
        let told = finished.as_ref().is_some_and(|end| fits(end, &status));
        if !status.state.is_final() {
            over = None;
            next_check = Instant::now() + check;
            check = (check * 2).min(CHECK);
            continue;
        }
        let since = *over.get_or_insert_with(Instant::now);
        if told || since.elapsed() >= GRACE {
            return Ok(end(&mut lane, status, finished.filter(|_| told), board));
        }
        next_check = Instant::now() + GRACE / 4;
    }
}

/// Whether this is the end that the status speaks of.
fn fits(end: &JobFinished, status: &Status) -> bool {
    let told = end.succeeded + end.failed + end.rejected + end.cancelled;
    end.state == status.state && told == ended(&status.counts)
}

fn end(
    lane: &mut Lane<'_>,
    status: Status,
    finished: Option<JobFinished>,
    board: &Board,
) -> JobState {
    if finished.is_none() && board.is_json() {
        // Its own was lost, and a reader waits for it.
        let counts = &status.counts;
        output::json(&Event::JobFinished(JobFinished {
            version: protocol::VERSION,
            seq: None,
            job: status.job.clone(),
            state: status.state,
            succeeded: counts.succeeded,
            failed: counts.failed,
            rejected: counts.rejected,
            cancelled: counts.cancelled,
            ms: 0,
            warnings: counts.warnings,
            skipped: Default::default(),
            note: Some("the events of this job were lost; this is its status".into()),
        }));
    }
    lane.end(&status, finished.as_ref());
    status.state
}

/// What is said when the user goes and the job stays.
pub fn farewell(jobs: &[String]) -> String {
    let jobs = jobs.join(" ");
    format!(
        "interrupted; the work goes on (watch it again: sundog watch {jobs}; end it: sundog cancel JOB)"
    )
}

/// How jobs are shown.
pub fn show(json: bool) -> Show {
    match json {
        true => Show::Json,
        false => Show::Human,
    }
}
