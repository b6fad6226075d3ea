//! The job system, asked on a thread of its own: jobs, their images as events come, nodes, uploads and downloads.

use super::{News, Post};
use crate::secrets;
use crate::state::jobs::{Target, Task, Token, Transfer};
use crate::text::harmless;
use client::exit::{Exit, Failure, Result};
use client::{Client, Results, Status, Update, settings, upload};
use protocol::state::TaskState;
use protocol::{Event, Job};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// What is asked of the job system.
#[derive(Debug)]
pub enum Ask {
    /// Go on with another one, with a token where one was typed.
    Turn(Target, Option<Token>),
    /// Look at once.
    Look,
    /// Upload files and submit the job.
    Submit(Box<Job>),
    /// End a job.
    Cancel(String),
    /// Begin nothing more of a job until it is resumed.
    Pause(String),
    /// Go on with a job that was paused.
    Resume(String),
    /// Run what did not succeed of a job again.
    Retry(String),
    /// Remove everything of a job.
    Purge(String),
    /// Ask what an ended job was to do.
    Edit(String),
    /// Follow a job's images, or none.
    Follow(Option<String>),
    /// Ask for links to a job's outputs.
    Results(String),
    /// Fetch a job's outputs into a folder.
    Download(String, PathBuf),
    /// Have so many workers.
    Scale(usize),
}

/// What the job system answers.
pub enum Answer {
    /// Jobs, the newest first.
    List(Vec<Status>),
    /// Nodes.
    Nodes(Vec<client::Node>),
    /// It does not answer.
    Down(String),
    /// A job was accepted.
    Accepted(String),
    /// Images of the job that is followed; true: what was known of them before counts no more.
    Tasks(String, bool, Vec<(u64, Task)>),
    /// What a job was to do.
    Spec(Box<Job>),
    /// Links.
    Results(Box<Results>),
    /// A transfer goes on, or is over.
    Transfer(u64, Option<Transfer>),
    /// Outputs were fetched into a folder.
    Downloaded(PathBuf, String),
}

/// How often jobs and nodes are looked at.
const EVERY: Duration = Duration::from_secs(2);
/// How long links live that are asked for.
const LIFE: Duration = Duration::from_secs(3600);

/// The way to that thread.
pub struct Asker {
    asks: mpsc::UnboundedSender<Ask>,
}

impl Asker {
    /// Starts the thread; it connects to nothing before it is told to.
    pub fn new(post: &Post) -> Asker {
        let (asks, inbox) = mpsc::unbounded_channel();
        super::spawn(post, "jobs", move |post| {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build();
            match runtime {
                Ok(runtime) => {
                    tokio::task::LocalSet::new().block_on(&runtime, serve(inbox, post.clone()));
                    // A transfer that hangs keeps nobody.
                    runtime.shutdown_background();
                }
                Err(error) => {
                    post.send(News::Told(true, format!("no runtime for jobs: {error}")));
                }
            }
        });
        Asker { asks }
    }

    /// Asks.
    pub fn ask(&self, ask: Ask) {
        // The thread ends with the window alone.
        drop(self.asks.send(ask));
    }
}

fn say(post: &Post, answer: Answer) -> bool {
    post.send(News::Jobs(answer))
}

async fn serve(mut inbox: mpsc::UnboundedReceiver<Ask>, post: Post) {
    let mut target = (Target::Local, None);
    let mut client: Option<Arc<Client>> = None;
    let mut following: Option<tokio::task::JoinHandle<()>> = None;
    let mut followed: Option<String> = None;
    let mut number = 0;
    let mut clock = tokio::time::interval(EVERY);
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let ask = tokio::select! {
            ask = inbox.recv() => match ask {
                Some(ask) => ask,
                None => return,
            },
            _ = clock.tick() => Ask::Look,
        };
        if let Ask::Turn(new, token) = ask {
            target = (new, token);
            client = None;
            followed = None;
            if let Some(task) = following.take() {
                task.abort();
            }
        } else if let Ask::Follow(job) = ask {
            if let Some(task) = following.take() {
                task.abort();
            }
            followed = job;
            if let (Some(job), Some(client)) = (&followed, &client) {
                following = Some(tokio::spawn(follow(
                    client.clone(),
                    job.clone(),
                    post.clone(),
                )));
            }
            continue;
        } else if !matches!(ask, Ask::Look) {
            number += 1;
            match &client {
                Some(client) => drop(tokio::task::spawn_local(work(
                    client.clone(),
                    ask,
                    number,
                    post.clone(),
                ))),
                None => drop(post.send(News::Told(
                    true,
                    "the job system does not answer yet (try again in a moment)".into(),
                ))),
            }
            continue;
        }
        if target.0 == Target::Local {
            continue;
        }
        let fresh = client.is_none();
        if fresh {
            match connect(&target.0, target.1.as_ref(), &post) {
                Ok(made) => client = Some(Arc::new(made)),
                Err(failure) => {
                    if !say(&post, Answer::Down(failure.message)) {
                        return;
                    }
                    continue;
                }
            }
        }
        let Some(now) = &client else { continue };
        match look(now, &post).await {
            Ok(()) => {
                if let (true, Some(job)) = (following.is_none(), &followed) {
                    following = Some(tokio::spawn(follow(now.clone(), job.clone(), post.clone())));
                }
            }
            Err(failure) => {
                if !say(&post, Answer::Down(failure.message)) {
                    return;
                }
                // A serve that was started again has another address.
                if target.0 == Target::Serve || failure.exit != Exit::Unreachable {
                    client = None;
                    if let Some(task) = following.take() {
                        task.abort();
                    }
                }
            }
        }
    }
}

fn connect(target: &Target, token: Option<&Token>, post: &Post) -> Result<Client> {
    match target {
        Target::Local => Err(Failure::failed("this computer needs no job system")),
        Target::Serve => {
            let serving = client::serving::find()?;
            let serving = serving.ok_or_else(|| Failure {
                exit: Exit::Unreachable,
                message: "no `sundog serve` of yours is running (start it: sundog serve)".into(),
            })?;
            let gateway = client::Gateway::new(&serving.address, Some(&serving.token), true)?;
            Ok(Client::Gateway(Box::new(gateway)))
        }
        Target::Gateway(address) => {
            let kept = match token {
                Some(token) => {
                    if token.keep
                        && let Err(why) = secrets::keep(address, &token.text)
                    {
                        post.send(News::Told(true, why));
                    }
                    Some(token.text.clone())
                }
                None => secrets::find(address).or_else(|| own_token(address)),
            };
            let gateway = client::Gateway::new(address, kept.as_deref(), false)?;
            Ok(Client::Gateway(Box::new(gateway)))
        }
        Target::Cluster => {
            let layers = settings::load()?;
            let config = client::services(&layers)?;
            let missing = config.missing();
            if !missing.is_empty() {
                return Err(Failure {
                    exit: Exit::Unreachable,
                    message: format!(
                        "{} not set (set it before the window is started)",
                        missing.join(" and ")
                    ),
                });
            }
            let scale = layers.text("scale_command");
            Ok(Client::Direct(Box::new(client::Direct::new(
                &config,
                client::user()?,
                scale,
            )?)))
        }
    }
}

/// The token of the settings, where they name the same gateway.
fn own_token(address: &str) -> Option<String> {
    let layers = settings::load().ok()?;
    let same = layers.text("gateway")?.trim_end_matches('/') == address;
    layers.text("token").filter(|_| same).map(str::to_owned)
}

async fn look(client: &Client, post: &Post) -> Result<()> {
    let (list, nodes) = tokio::join!(client.list(), client.nodes());
    say(post, Answer::List(list?));
    // Some users may not see nodes; jobs are told all the same.
    if let Ok(nodes) = nodes {
        say(post, Answer::Nodes(nodes));
    }
    Ok(())
}

async fn work(client: Arc<Client>, ask: Ask, number: u64, post: Post) {
    let done = match ask {
        Ask::Submit(job) => submit(&client, *job, number, &post).await,
        Ask::Cancel(job) => client.cancel(&job).await.map(drop),
        Ask::Pause(job) => client.pause(&job).await.map(drop),
        Ask::Resume(job) => client.resume(&job).await.map(drop),
        Ask::Retry(job) => client.retry(&job).await.map(drop),
        Ask::Purge(job) => client.purge(&job).await,
        Ask::Edit(job) => client.receipt(&job).await.map(|receipt| {
            match receipt {
                Some(receipt) => say(&post, Answer::Spec(Box::new(receipt.spec))),
                None => post.send(News::Told(true, "the job has no receipt yet".into())),
            };
        }),
        Ask::Results(job) => client.results(&job, LIFE).await.map(|results| {
            say(&post, Answer::Results(Box::new(results)));
        }),
        Ask::Scale(workers) => client.scale(workers).await.map(|before| {
            let before = before.map_or(String::new(), |n| format!(" ({n} before)"));
            let s = if workers == 1 { "" } else { "s" };
            let told = format!("{workers} worker{s} asked for{before}");
            post.send(News::Told(false, told));
        }),
        Ask::Download(job, folder) => download(&client, &job, folder, number, &post).await,
        Ask::Turn(..) | Ask::Look | Ask::Follow(_) => Ok(()),
    };
    say(&post, Answer::Transfer(number, None));
    if let Err(failure) = done {
        post.send(News::Told(true, harmless(&failure.message).into_owned()));
    }
    if let Ok(list) = client.list().await {
        say(&post, Answer::List(list));
    }
}

/// Tells how far a transfer is until `work` is over.
async fn watched<T>(
    what: &str,
    number: u64,
    post: &Post,
    bar: &indicatif::ProgressBar,
    work: impl Future<Output = T>,
) -> T {
    let mut work = std::pin::pin!(work);
    let mut clock = tokio::time::interval(Duration::from_millis(250));
    loop {
        tokio::select! {
            done = &mut work => return done,
            _ = clock.tick() => {
                let transfer = Transfer {
                    what: what.to_owned(),
                    bytes: (bar.position(), bar.length().unwrap_or(0)),
                };
                say(post, Answer::Transfer(number, Some(transfer)));
            }
        }
    }
}

async fn submit(client: &Client, mut job: Job, number: u64, post: &Post) -> Result<()> {
    let given = job.clone();
    let found = tokio::task::spawn_blocking(move || upload::find(&given)).await;
    let (files, urls) = found.map_err(|error| Failure::failed(error.to_string()))??;
    if files.is_empty() && urls.is_empty() {
        return Err(Failure::usage(
            "there is nothing to do: no file in the inputs is an image",
        ));
    }
    let bar = indicatif::ProgressBar::hidden();
    let mut inputs = match files.is_empty() {
        true => Vec::new(),
        false => {
            watched(
                "Uploading",
                number,
                post,
                &bar,
                upload::send(client, &files, job.reduce.is_some(), &bar),
            )
            .await?
        }
    };
    inputs.extend(urls);
    job.inputs = inputs;
    // Where a job runs is the job system's matter, and so is where outputs of this computer's folders go.
    (job.ranks, job.thread_ranks, job.threads) = (None, None, None);
    if !job.output.contains("://") {
        job.output.clear();
    }
    let id = client.submit(&job, &worker::batch::new_job_id()).await?;
    say(post, Answer::Accepted(id));
    Ok(())
}

async fn download(
    client: &Client,
    job: &str,
    folder: PathBuf,
    number: u64,
    post: &Post,
) -> Result<()> {
    let results = client.results(job, LIFE).await?;
    std::fs::create_dir_all(&folder)
        .map_err(|error| Failure::failed(format!("{}: {error}", folder.display())))?;
    let bar = indicatif::ProgressBar::hidden();
    let all = client::download::all(client, &results, &folder, LIFE, &bar);
    let outcome = watched("Downloading", number, post, &bar, all).await?;
    if let Some(receipt) = client.receipt(job).await? {
        client::download::write_receipt(&receipt, &results, &folder)?;
    }
    let mut told = crate::text::count(outcome.fetched, "file");
    if outcome.present > 0 {
        told += &format!(", {} there already", outcome.present);
    }
    if let Some((name, why)) = outcome.failed.first() {
        return Err(Failure::failed(format!(
            "{name}: {why}{} (what is there already is not fetched again)",
            if outcome.failed.len() > 1 {
                format!("; and {} more", outcome.failed.len() - 1)
            } else {
                String::new()
            }
        )));
    }
    say(post, Answer::Downloaded(folder, told));
    Ok(())
}

/// Images that are told of at once.
const TOGETHER: usize = 500;

async fn follow(client: Arc<Client>, job: String, post: Post) {
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
