//! `sundog status`, `list`, `cancel`, `pause`, `resume`, `delete` and `retry`: where jobs are, and where they should be.

use crate::jobs::session;
use crate::output;
use client::exit::{Exit, Result};
use client::{Client, Status, ended};
use protocol::JobState;
use serde_json::json;

/// One job.
#[derive(clap::Args)]
pub struct One {
    /// The job
    #[arg(value_name = "JOB")]
    job: String,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Some jobs.
#[derive(clap::Args)]
pub struct Many {
    /// The jobs
    #[arg(value_name = "JOB", required = true)]
    jobs: Vec<String>,
    /// Print one JSON object a job
    #[arg(long)]
    json: bool,
}

/// All jobs.
#[derive(clap::Args)]
pub struct All {
    /// At most so many
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Only those in this state
    #[arg(long, value_name = "STATE", value_parser = state)]
    state: Option<JobState>,
    /// Those that come after this one in the list
    #[arg(long, value_name = "JOB")]
    after: Option<String>,
    /// Print one JSON object a job
    #[arg(long)]
    json: bool,
}

/// Prints where a job is.
pub fn status(args: One) -> Result {
    let args = &args;
    session::run(farewell, |client| async move {
        let status = client.status(&args.job).await?;
        match args.json {
            true => output::json(&status),
            false => describe(&status),
        }
        Ok(Exit::Ok)
    })
}

/// Prints all jobs of the user.
pub fn list(args: All) -> Result {
    session::run(farewell, |client| async move {
        let all = args.limit.is_none() && args.state.is_none() && args.after.is_none();
        let jobs = match all {
            true => client.list().await?,
            false => {
                let limit = args.limit.map_or(usize::MAX >> 1, |n| n as usize);
                client
                    .some(limit, args.state, args.after.as_deref())
                    .await?
            }
        };
        if !args.json && !jobs.is_empty() {
            let heads = ["JOB", "STATE", "DONE", "SUBMITTED"];
            let [job, state, done, submitted] = heads;
            output::line(format!(
                "{job:26}  {state:9}  {done:>11}  {submitted:24}  NAME"
            ));
        }
        for job in &jobs {
            match args.json {
                true => output::json(job),
                false => output::line(row(job)),
            }
        }
        if !args.json && jobs.is_empty() {
            output::message(match all {
                true => "there are no jobs yet (hint: sundog submit)",
                false => "there is no such job",
            });
        }
        Ok(Exit::Ok)
    })
}

/// Ends jobs.
pub fn cancel(args: Many) -> Result {
    each(args, async |client, job, json| {
        let status = client.cancel(job).await?;
        match json {
            true => output::json(&status),
            false => output::message(&match status.state.is_final() {
                true => format!("job {job} has ended: {}", status.state),
                false => format!("job {job} is being cancelled"),
            }),
        }
        Ok(())
    })
}

/// Begins nothing more of jobs for now.
pub fn pause(args: Many) -> Result {
    each(args, async |client, job, json| {
        let status = client.pause(job).await?;
        match json {
            true => output::json(&status),
            false => output::message(&format!(
                "job {job} is paused; what runs goes on (hint: sundog resume {job})"
            )),
        }
        Ok(())
    })
}

/// Goes on with jobs that were paused.
pub fn resume(args: Many) -> Result {
    each(args, async |client, job, json| {
        let status = client.resume(job).await?;
        match json {
            true => output::json(&status),
            false => output::message(&format!("job {job} goes on")),
        }
        Ok(())
    })
}

/// Removes everything of jobs.
pub fn delete(args: Many) -> Result {
    each(args, async |client, job, json| {
        client.purge(job).await?;
        match json {
            true => output::json(&json!({"job": job, "deleted": true})),
            false => output::message(&format!("job {job} is gone, with all its outputs")),
        }
        Ok(())
    })
}

/// Runs what did not succeed again.
pub fn retry(args: Many) -> Result {
    each(args, async |client, job, json| {
        let tasks = client.retry(job).await?;
        if json {
            output::json(&json!({"job": job, "tasks": tasks}));
            return Ok(());
        }
        output::message(&match tasks {
            0 => format!("nothing to retry: every image of job {job} succeeded"),
            n => format!("{n} images are tried again (follow: sundog watch {job})"),
        });
        Ok(())
    })
}

/// Does something with each job. One that cannot be done is told and holds up none of the others; the first such
/// failure's exit code is the command's.
fn each(args: Many, act: impl AsyncFn(&Client, &str, bool) -> Result<()>) -> Result {
    session::run(farewell, |client| async move {
        let mut first = None;
        for job in &args.jobs {
            if let Err(failure) = act(&client, job, args.json).await {
                if args.jobs.len() == 1 || failure.exit == Exit::Unreachable {
                    return Err(failure);
                }
                output::failure(&failure);
                first.get_or_insert(failure.exit);
            }
        }
        Ok(first.unwrap_or(Exit::Ok))
    })
}

fn state(text: &str) -> std::result::Result<JobState, String> {
    serde_json::from_value(text.into()).map_err(|_| {
        "expected queued, running, paused, succeeded, partial, failed or cancelled".into()
    })
}

fn farewell() -> String {
    "interrupted".to_owned()
}

fn row(status: &Status) -> String {
    format!(
        "{:26}  {:9}  {:>11}  {:24}  {}",
        output::harmless(&status.job),
        status.state,
        format!("{}/{}", ended(&status.counts), status.counts.tasks),
        output::harmless(&status.submitted),
        output::harmless(&status.name)
    )
}

fn describe(status: &Status) {
    let counts = &status.counts;
    output::line(format!("job        {}", output::harmless(&status.job)));
    if !status.name.is_empty() {
        output::line(format!("name       {}", output::harmless(&status.name)));
    }
    let stage = match status.stage.is_empty() || status.state.is_final() {
        true => String::new(),
        false => format!(" ({})", output::harmless(&status.stage)),
    };
    output::line(format!("state      {}{stage}", status.state));
    output::line(format!(
        "submitted  {}",
        output::harmless(&status.submitted)
    ));
    let mut text = format!("images     {} of {} done", ended(counts), counts.tasks);
    for (count, what) in [
        (counts.failed, "failed"),
        (counts.rejected, "refused by a limit"),
        (counts.cancelled, "cancelled"),
    ] {
        if count > 0 {
            text += &format!(", {count} {what}");
        }
    }
    text += &output::warnings(counts.warnings);
    output::line(text);
}
