//! What is told of tasks that have ended.

use protocol::event::{Event, TaskFinished, Warned};
use protocol::receipt::TaskReceipt;

/// The same for everyone who tells of this task, and another one after a retry.
pub(crate) fn task_key(task: u64, round: u32) -> String {
    format!("task-{task}-{round}")
}

/// What is told of a task that has ended: its warnings, then its end.
pub(crate) fn task_events(id: &str, round: u32, receipt: &TaskReceipt) -> Vec<(String, Event)> {
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
