//! Batches with inputs or an output behind URLs: what they name is fetched into a folder of this machine
//! first, ranks see files alone, and outputs are sent to the store as they are done.

mod fetch;
mod list;
mod receipt;
mod send;

pub use list::{get, list};
pub use receipt::{digest, read, write};

use crate::exit::{Exit, Failure, Result};
use cloud::config::{Config, Location};
use cloud::store::Store;
use dispatcher::scratch::Scratch;
use imaging::executor::Stop;
use protocol::{Event, Job, name};
use std::path::Path;
use std::time::Duration;
use tokio::runtime::Runtime;
use worker::batch::{Outcome, Request};
use worker::elsewhere::{Elsewhere, Staged, is_url};

/// Whether a job names anything behind a URL.
pub fn concerns(job: &Job) -> bool {
    is_url(&job.output) || job.inputs.iter().any(|input| is_url(input))
}

/// Runs the batch itself with what stands for its inputs and output on this machine.
pub type Go<'a> = dyn FnMut(&Request, &mut (dyn FnMut(Event) + Send)) -> Result<Outcome> + 'a;

/// What a caller does around a batch.
pub struct Around<'a> {
    /// Is told the folder of what is fetched, for those who may end without a way back.
    pub folder: &'a dyn Fn(&Path),
    /// Completes the receipt before it is sent.
    pub finish: &'a dyn Fn(&Path) -> Result<()>,
}

/// Fetches, runs the batch by `go`, and sends.
pub fn run(
    request: &Request,
    config: &Config,
    stop: &Stop,
    go: &mut Go<'_>,
    around: &Around<'_>,
    emit: &mut (dyn FnMut(Event) + Send),
) -> Result<Outcome> {
    let runtime = runtime()?;
    let scratch = Scratch::open(&std::env::temp_dir()).map_err(|error| {
        Failure::failed(format!(
            "cannot make a folder for what is fetched: {error} (hint: set TMPDIR)"
        ))
    })?;
    (around.folder)(scratch.path());
    let outcome = in_folder(
        request,
        config,
        &runtime,
        scratch.path(),
        stop,
        go,
        around.finish,
        emit,
    );
    // Requests that were given up end here, before their files are removed.
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome
}

#[expect(clippy::too_many_arguments, reason = "the parts of one call")]
fn in_folder(
    request: &Request,
    config: &Config,
    runtime: &Runtime,
    folder: &Path,
    stop: &Stop,
    go: &mut Go<'_>,
    finish: &dyn Fn(&Path) -> Result<()>,
    emit: &mut (dyn FnMut(Event) + Send),
) -> Result<Outcome> {
    let target = match is_url(&request.job.output) {
        true => Some(Target::open(config, &request.job.output, folder)?),
        false => None,
    };
    let mut elsewhere = runtime.block_on(until_stopped(stop, async {
        if let Some(target) = &target {
            target.reach().await?;
        }
        fetch::all(request, config, target.as_ref(), folder).await
    }))?;
    elsewhere.output = target.as_ref().map(|target| target.staged.clone());
    let mut request = request.clone();
    request.only = request.only.map(|only| on_this_machine(only, &elsewhere));
    let inputs = elsewhere.inputs.clone();
    request.elsewhere = Some(elsewhere);
    let keep = request.job.reduce.is_some() || request.dry_run;
    let inputs = if keep { &[] } else { &inputs[..] };
    let mut sender = send::Sender::new(runtime, target.as_ref(), inputs);
    let outcome = go(&request, &mut |event| sender.event(event, emit));
    // What was begun is sent to its end also where the batch was not.
    sender.settle_all(emit);
    let mut outcome = outcome?;
    sender.amend(&mut outcome)?;
    if let Some(path) = &outcome.receipt {
        finish(path)?;
    }
    if let Some(target) = &target {
        sender.finish(target, &mut outcome, emit)?;
    }
    Ok(outcome)
}

/// The names of inputs of which only some are wanted, as files.
fn on_this_machine(only: Vec<String>, elsewhere: &Elsewhere) -> Vec<String> {
    let files: std::collections::HashMap<&str, &str> = (elsewhere.inputs.iter())
        .map(|input| (input.name.as_str(), input.path.as_str()))
        .collect();
    let file = |name: String| match files.get(name.as_str()) {
        Some(path) => (*path).to_owned(),
        None => name,
    };
    only.into_iter().map(file).collect()
}

/// A runtime for what goes to and from stores.
pub fn runtime() -> Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("no runtime: {error}")))
}

/// Runs `work` until the user wants no more of it.
async fn until_stopped<T>(stop: &Stop, work: impl Future<Output = Result<T>>) -> Result<T> {
    let stopped = async {
        while !stop.is_set() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        result = work => result,
        () = stopped => Err(Failure {
            exit: Exit::Interrupted,
            message: "stopped before anything was done".into(),
        }),
    }
}

/// A place in a bucket to which outputs go.
struct Target {
    store: Store,
    /// What stands before the names of the bucket's objects.
    root: String,
    staged: Staged,
}

impl Target {
    /// The place of a job's output; its outputs are written below `folder` first.
    fn open(config: &Config, output: &str, folder: &Path) -> Result<Target> {
        let (store, root, key) = place(config, output)?;
        let local = name::to_text(&folder.join("out")) + "/";
        let end = if output.ends_with('/') { "/" } else { "" };
        let (parent, last) = match key.rsplit_once('/') {
            Some((parent, last)) => (format!("{parent}/"), last),
            None => (String::new(), key.as_str()),
        };
        let staged = Staged {
            output: match last {
                "" => local.clone(),
                last => format!("{local}{last}{end}"),
            },
            folder: local,
            shown: format!("{root}{parent}"),
        };
        Ok(Target {
            store,
            root,
            staged,
        })
    }

    /// An error unless the store answers; nothing is computed for one that does not.
    async fn reach(&self) -> Result<()> {
        let receipt = worker::batch::receipt_path(&self.staged.output);
        let name = self.staged.name(&name::to_text(&receipt));
        let key = name
            .as_deref()
            .and_then(|name| name.strip_prefix(&self.root));
        match self.store.head(key.unwrap_or_default()).await {
            Err(error) if error.is_transient() => Err(crate::from_cloud(&error)),
            // Whoever may only write sees nothing.
            _ => Ok(()),
        }
    }
}

/// The bucket of a URL, its address with a `/` at the end, and the name in it, by parts that are sound.
pub fn place(config: &Config, url: &str) -> Result<(Store, String, String)> {
    let invalid = |error: &cloud::Error| crate::from_cloud(error);
    let (scheme, bucket, key) = match Location::parse(url).map_err(|e| invalid(&e))? {
        Location::S3 { bucket, prefix } => ("s3", bucket, prefix),
        Location::Gcs { bucket, prefix } => ("gs", bucket, prefix),
        _ => {
            return Err(Failure::usage(format!(
                "`{url}`: expected s3://bucket/key or gs://bucket/key"
            )));
        }
    };
    let odd = |part: &str| matches!(part, "" | "." | "..") || part.contains('\\');
    if !key.is_empty() && key.split('/').any(odd) {
        return Err(Failure::usage(format!(
            "`{url}`: a part of it is empty, a dot, two dots, or has a backslash (give another name)"
        )));
    }
    let root = format!("{scheme}://{bucket}/");
    let location = match scheme {
        "s3" => Location::S3 {
            bucket,
            prefix: String::new(),
        },
        _ => Location::Gcs {
            bucket,
            prefix: String::new(),
        },
    };
    let store = config.open(&location).map_err(|e| invalid(&e))?;
    Ok((store, root, key))
}
