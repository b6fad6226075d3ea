//! What is told of tasks and jobs. Events are a hint and their loss is only logged, but for the end of a job: whoever
//! watches waits for that, so that it is told until it is heard, and before it whatever of its tasks nobody told.

use crate::error::Result;
use crate::finish::Known;
use crate::jobs::to_field;
use crate::names;
use crate::service::Node;
use protocol::JobReceipt;
use protocol::event::{Event, JobFinished, TaskFinished, Warned};
use protocol::message::JobRound;
use protocol::receipt::TaskReceipt;
use std::collections::BTreeSet;
use std::time::Duration;

/// How long the end of a job waits for those of its tasks.
const TELLING: Duration = Duration::from_millis(500);

/// Events of one reading of a history.
const PAGE: usize = 5000;

impl Node {
    /// Tells how a task ended; whether it was heard.
    pub(crate) async fn tell_task(&self, id: &str, round: u32, receipt: &TaskReceipt) -> bool {
        let mut heard = true;
        for (key, event) in task_events(id, round, receipt) {
            heard &= self.append(id, &key, event).await;
        }
        heard
    }

    /// Adds an event; whether it was heard.
    pub(crate) async fn append(&self, id: &str, key: &str, event: Event) -> bool {
        let told = self.jobs.events.append(id, key, &event).await;
        if let Err(error) = &told {
            tracing::warn!(%error, job = id, key, "an event was not told");
        }
        told.is_ok()
    }

    /// Tells what the job's receipt in the store says, if there is one. Fails while nobody can hear it.
    pub(crate) async fn tell_ended(&self, known: &Known, round: u32) -> Result<()> {
        let name = names::receipt(&known.stored.id);
        match names::read(&self.jobs.store, &name).await? {
            Some(receipt) => self.tell_end(known, round, &receipt, None).await,
            None => Ok(()),
        }
    }

    /// Tells what the job's receipt says, after the end of its last task where that is not told yet. Fails while nobody
    /// can hear it.
    pub(crate) async fn tell_end(
        &self,
        known: &Known,
        round: u32,
        receipt: &JobReceipt,
        last: Option<&TaskReceipt>,
    ) -> Result<()> {
        let id = known.stored.id.as_str();
        self.tell_missing(known, round, receipt, last.map(|task| task.task))
            .await?;
        let mut events: Vec<_> = last
            .map(|task| task_events(id, round, task))
            .unwrap_or_default();
        let end = Event::JobFinished(JobFinished::of(id, receipt));
        events.push((format!("job-finished-{round}"), end));
        let fields = [
            ("state", receipt.state.name()),
            ("tasks", &receipt.counts.tasks.to_string()),
            ("round", &round.to_string()),
            ("ended", &to_field(&receipt.counts)),
        ];
        let (told, set) = tokio::join!(
            self.jobs.events.append_all(id, &events),
            self.jobs.events.set_fields(id, &fields)
        );
        heard(id, told)?;
        heard(id, set)
    }

    /// Tells of the tasks that nobody told of: their dispatcher died right after the commit, or nobody could hear
    /// it. Their events have the same keys whoever tells them, so that none comes twice.
    async fn tell_missing(
        &self,
        known: &Known,
        round: u32,
        receipt: &JobReceipt,
        but: Option<u64>,
    ) -> Result<()> {
        // Those that this dispatcher is telling just now; where that takes long, they are told twice, as one.
        let _ = tokio::time::timeout(TELLING, known.pending.none()).await;
        if round == 1 && known.progress.lock().await.all_told(but) {
            return Ok(());
        }
        let id = receipt.job.as_str();
        let again = match round {
            1 => None,
            n => names::read::<JobRound>(&self.jobs.store, &names::round(id, n)).await?,
        };
        let again: BTreeSet<u64> = again.into_iter().flat_map(|round| round.tasks).collect();
        let mut told = BTreeSet::new();
        let mut after = 0;
        loop {
            let page = match self.jobs.events.read(id, after, PAGE).await {
                Ok(page) => page,
                Err(error) => return heard(id, Err::<(), _>(error)),
            };
            for record in &page.records {
                if let Event::TaskFinished(event) = &record.event {
                    let this = record.key == task_key(event.task, round);
                    if this || !again.contains(&event.task) {
                        told.insert(event.task);
                    }
                }
            }
            match page.records.last() {
                Some(last) if last.seq < page.last => after = last.seq,
                _ => break,
            }
        }
        told.extend(but);
        for task in receipt.tasks.iter().filter(|t| !told.contains(&t.task)) {
            let events = task_events(id, round, task);
            heard(id, self.jobs.events.append_all(id, &events).await)?;
        }
        Ok(())
    }
}

/// A refusal is logged, since it would be the same again; a service that is away is an error.
fn heard<T>(id: &str, told: cloud::Result<T>) -> Result<()> {
    match told {
        Ok(_) => Ok(()),
        Err(error) if error.is_transient() => Err(error.into()),
        Err(error) => {
            tracing::warn!(%error, job = id, "the end of a job was not told");
            Ok(())
        }
    }
}

/// The same for everyone who tells of this task, and another one after a retry.
fn task_key(task: u64, round: u32) -> String {
    format!("task-{task}-{round}")
}

/// What is told of a task that has ended: its warnings, then its end.
fn task_events(id: &str, round: u32, receipt: &TaskReceipt) -> Vec<(String, Event)> {
    let warnings = (0..).zip(Warned::all(id, receipt)).map(|(number, event)| {
        let key = format!("task-{}-warning-{number}-{round}", receipt.task);
        (key, event)
    });
    let end = std::iter::once(task_finished(id, round, receipt));
    warnings.chain(end).collect()
}

fn task_finished(id: &str, round: u32, receipt: &TaskReceipt) -> (String, Event) {
    let ms = receipt.ms;
    let total = ms.fetch + ms.decode + ms.compute + ms.halo + ms.encode + ms.store;
    let event = TaskFinished {
        version: protocol::VERSION,
        seq: None,
        job: id.to_owned(),
        task: receipt.task,
        input: receipt.input.clone(),
        output: receipt.output.clone(),
        outputs: match receipt.outputs() {
            outputs if outputs.len() > 1 => outputs.iter().map(|o| o.output.to_owned()).collect(),
            _ => Vec::new(),
        },
        state: receipt.state,
        reason: receipt.reason.clone(),
        ms: Some(total.round() as u64),
        node: Some(receipt.node.clone()).filter(|node| !node.is_empty()),
        mode: receipt.mode,
        attempt: receipt.attempt,
        warnings: receipt.warnings.clone(),
    };
    (task_key(receipt.task, round), Event::TaskFinished(event))
}
