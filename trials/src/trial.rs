//! One trial: programs on a cluster, a job that they work on, and the end of all of it.

use crate::cluster::{Cluster, open};
use crate::front::Front;
use crate::program::Program;
use crate::remains::{self, Process};
use crate::verdict::Expect;
use crate::work::{OWNER, Work};
use crate::{Failure, front};
use dispatcher::jobs::Jobs;
use dispatcher::names;
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use worker::batch::new_job_id;

/// How long anything may take that a trial waits for.
pub const PATIENCE: Duration = Duration::from_secs(240);
/// What a dispatcher says once it can be asked to end.
const READY: &str = "the dispatcher works";
/// Between two looks.
const LOOK: Duration = Duration::from_millis(40);

/// A trial on a cluster.
#[derive(Debug)]
pub struct Trial {
    /// Gateway and notifier, where the trial has them.
    pub front: Option<Front>,
    nodes: BTreeMap<String, Program>,
    /// What is undone at the end, after the programs.
    kept: Vec<Box<dyn std::fmt::Debug>>,
    /// The job system as a submitter has it.
    pub jobs: Jobs,
    /// The services, which end last.
    pub cluster: Cluster,
    /// All chance of this trial.
    pub dice: fastrand::Rng,
    /// The images.
    pub work: Arc<Work>,
    /// What the end has to look like.
    pub expect: Expect,
    /// What was done, for people.
    pub story: Vec<String>,
    /// The job, once it was submitted.
    pub job: String,
    /// The upload of the images.
    pub upload: String,
    named: usize,
    dir: PathBuf,
    mark: String,
    environment: Vec<(String, String)>,
    begun: Instant,
}

impl Trial {
    /// Prepares one in a directory of its own below the cluster's.
    pub fn new(cluster: Cluster, work: Arc<Work>, seed: u64) -> Result<Trial, Failure> {
        let mark = new_job_id();
        // Short, since it becomes part of the paths of sockets.
        let dir = cluster.dir().join(&mark[mark.len() - 6..]);
        std::fs::create_dir_all(dir.join("tmp"))?;
        let mut environment = cluster.environment();
        environment.push(("SUNDOG_TRIAL".into(), mark.clone()));
        // All that programs may ever say, so that a secret among it is found.
        environment.push(("SUNDOG_LOG".into(), "debug".into()));
        environment.push(("TMPDIR".into(), dir.join("tmp").display().to_string()));
        if cluster.objects.is_some() {
            let scratch = dir.join("scratch").display().to_string();
            environment.push(("SUNDOG_SCRATCH".into(), scratch));
        }
        Ok(Trial {
            jobs: cluster.jobs()?,
            cluster,
            dice: fastrand::Rng::with_seed(seed),
            work,
            expect: Expect::default(),
            front: None,
            story: Vec::new(),
            job: String::new(),
            upload: String::new(),
            nodes: BTreeMap::new(),
            named: 0,
            dir,
            mark,
            environment,
            begun: Instant::now(),
            kept: Vec::new(),
        })
    }

    /// Keeps something until the end of the trial.
    pub fn keep(&mut self, thing: impl std::fmt::Debug + 'static) {
        self.kept.push(Box::new(thing));
    }

    /// Kills all that is left of the trial's programs.
    pub fn kill_all(&mut self) -> std::io::Result<()> {
        for process in self.processes()? {
            if let Some(id) = i32::try_from(process.id).ok().and_then(Pid::from_raw) {
                // It may have ended in this moment.
                let _ = kill_process(id, Signal::KILL);
            }
        }
        Ok(())
    }

    /// Adds to what was done.
    pub fn note(&mut self, text: impl Into<String>) {
        let at = self.begun.elapsed().as_secs_f64();
        self.story.push(format!("{at:7.2} s  {}", text.into()));
    }

    /// Sets a variable for programs that are started from now on, and for the submitter.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), Failure> {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.to_owned()));
        self.jobs = open(&self.environment, self.cluster.dir())?;
        Ok(())
    }

    /// The directory of logs and temporary files.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Starts a dispatcher; returns its name.
    pub fn dispatcher(&mut self, flags: &[&str]) -> Result<String, Failure> {
        self.named += 1;
        let name = format!("node-{}", self.named);
        let mut all = vec!["--node", &name];
        all.extend(flags);
        let log = self.dir.join(format!("{name}.log"));
        let program = Program::start("sundog-dispatcher", &all, &self.environment, &log)?;
        self.note(format!("{name} starts"));
        self.nodes.insert(name.clone(), program);
        Ok(name)
    }

    /// Starts gateway and notifier and waits until they answer.
    pub async fn front(&mut self) -> Result<(), Failure> {
        let front = self.cluster.front_at(&self.dir, &self.environment)?;
        for url in [front.gateway_url("readyz"), front.notifier_url("healthz")] {
            let begun = Instant::now();
            while !front::answers(&url) {
                if begun.elapsed() > PATIENCE {
                    return Err(format!("{url} does not answer").into());
                }
                tokio::time::sleep(LOOK).await;
            }
        }
        self.front = Some(front);
        Ok(())
    }

    /// A dispatcher by its name.
    pub fn node(&mut self, name: &str) -> Result<&mut Program, Failure> {
        let found = self.nodes.get_mut(name);
        found.ok_or_else(|| format!("there is no {name}").into())
    }

    /// The dispatchers that were not killed or ended.
    pub fn nodes(&self) -> Vec<String> {
        self.nodes.keys().cloned().collect()
    }

    /// Kills a dispatcher as a machine's failure would.
    pub fn kill(&mut self, name: &str) -> Result<(), Failure> {
        self.node(name)?.kill()?;
        self.nodes.remove(name);
        self.note(format!("{name} was killed"));
        Ok(())
    }

    /// Ends a dispatcher in order; it must say that all went well.
    pub fn end(&mut self, name: &str) -> Result<(), Failure> {
        let begun = Instant::now();
        let node = self.node(name)?;
        // A process that has hardly begun knows of no orderly end yet.
        while !node.log().contains(READY) && !node.has_ended() && begun.elapsed() < PATIENCE {
            std::thread::sleep(LOOK);
        }
        let status = node.end()?;
        self.nodes.remove(name);
        let took = begun.elapsed().as_secs_f64();
        self.note(format!("{name} ended in order after {took:.2} s"));
        match status.success() {
            true => Ok(()),
            false => Err(format!("{name} was asked to end and ended with {status}").into()),
        }
    }

    /// Uploads the images and submits the job on them.
    pub async fn submit(&mut self, attempts: u32) -> Result<(), Failure> {
        self.upload = new_job_id();
        for (name, bytes) in &self.work.images {
            let name = names::upload(OWNER, &format!("{}/{name}", self.upload));
            let bytes = bytes.clone().into();
            let stored = self
                .jobs
                .store
                .put(&name, bytes, "application/octet-stream");
            stored.await?;
        }
        let job = self.work.job(&self.upload, attempts);
        self.job = self.jobs.submit(OWNER, job).await?;
        self.note(format!("{} images were submitted", self.work.images.len()));
        Ok(())
    }

    /// Waits until this share of the tasks has ended.
    pub async fn until(&mut self, share: f64) -> Result<(), Failure> {
        let goal = (self.work.images.len() as f64 * share).ceil() as usize;
        let begun = Instant::now();
        loop {
            // A store in bad weather may not answer this one time.
            let found = self.jobs.tasks(OWNER, &self.job).await;
            let ended = found.map_or(0, |found| found.len());
            if ended >= goal {
                self.note(format!("{ended} tasks have ended"));
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("only {ended} tasks ended within {PATIENCE:?}").into());
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until some random part of the job is done, but not all of it.
    pub async fn midst(&mut self) -> Result<(), Failure> {
        let share = 0.05 + 0.4 * self.dice.f64();
        self.until(share).await?;
        let more = Duration::from_millis(self.dice.u64(0..150));
        tokio::time::sleep(more).await;
        Ok(())
    }

    /// Waits for a while.
    pub async fn pause(&mut self, duration: Duration) {
        tokio::time::sleep(duration).await;
        self.note(format!("{duration:?} went by"));
    }

    /// Waits for the job's receipt.
    pub async fn ended(&mut self) -> Result<(), Failure> {
        let begun = Instant::now();
        while !self.has_receipt(&self.job.clone()).await {
            if begun.elapsed() > PATIENCE {
                let status = self.jobs.status(OWNER, &self.job).await;
                return Err(format!("the job did not end within {PATIENCE:?}: {status:?}").into());
            }
            tokio::time::sleep(LOOK).await;
        }
        self.note("the job has ended");
        Ok(())
    }

    /// Waits for the end of the job's second round.
    pub async fn ended_again(&mut self) -> Result<(), Failure> {
        let first = names::end(&self.job, 2);
        let begun = Instant::now();
        while !names::exists(&self.jobs.store, &first)
            .await
            .unwrap_or(false)
        {
            if begun.elapsed() > PATIENCE {
                return Err(format!("no second round began within {PATIENCE:?}").into());
            }
            tokio::time::sleep(LOOK).await;
        }
        self.ended().await
    }

    /// Whether a job has ended; a store that fails says no.
    pub async fn has_receipt(&self, job: &str) -> bool {
        let found = names::exists(&self.jobs.store, &names::receipt(job)).await;
        found.unwrap_or(false)
    }

    /// Processes of this trial, with those that they started.
    pub fn processes(&self) -> std::io::Result<Vec<Process>> {
        remains::processes(&format!("SUNDOG_TRIAL={}", self.mark))
    }

    /// Processes of that name below a dispatcher, once there is one.
    pub async fn below(&mut self, node: &str, name: &str) -> Result<Vec<Process>, Failure> {
        let root = self.node(node)?.id();
        let begun = Instant::now();
        loop {
            let all = self.processes()?;
            let is_below = |process: &Process| {
                let mut parent = process.parent;
                while let Some(above) = all.iter().find(|p| p.id == parent) {
                    if above.id == root {
                        return true;
                    }
                    parent = above.parent;
                }
                false
            };
            let found = all.iter().filter(|p| p.name == name && is_below(p));
            let found: Vec<Process> = found.cloned().collect();
            if !found.is_empty() {
                return Ok(found);
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("{node} has no {name}").into());
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// What nobody may print, by its name.
    pub fn secrets(&self) -> Vec<(String, String)> {
        let mut all = self.cluster.secrets();
        all.extend(self.front.iter().flat_map(Front::secrets));
        all
    }

    /// Ports of the services that programs connect to.
    pub fn ports(&self) -> Vec<u16> {
        let ports = self.environment.iter().filter_map(|(_, value)| {
            let (_, rest) = value.split_once("127.0.0.1:")?;
            rest.split('/').next()?.parse().ok()
        });
        ports.collect()
    }

    /// The cluster for the next trial; all programs must have ended.
    pub fn into_cluster(self) -> Cluster {
        self.cluster
    }
}
