//! What a receipt says of one output, in words and in the order in which one asks.

use crate::text::{bytes, harmless, time};
use protocol::receipt::StageMs;
use protocol::{JobReceipt, TaskReceipt};

/// A line of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What it tells.
    pub name: &'static str,
    /// What is told, harmless.
    pub text: String,
    /// Whether it is one to compare or copy letter by letter.
    pub code: bool,
}

/// What is told of one output, or of an image without one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Its lines.
    pub lines: Vec<Line>,
    /// The SHA-256 of the output, in hexadecimal digits.
    pub sha256: Option<String>,
}

impl Record {
    fn put(&mut self, name: &'static str, text: impl AsRef<str>, code: bool) {
        let text = harmless(text.as_ref()).into_owned();
        if !text.is_empty() {
            self.lines.push(Line { name, text, code });
        }
    }

    /// What a line tells.
    pub fn line(&self, name: &str) -> Option<&str> {
        let line = self.lines.iter().find(|line| line.name == name)?;
        Some(&line.text)
    }
}

/// The record of a task's output; `page` is that of a file whose pages have outputs of their own.
pub fn record(receipt: &JobReceipt, task: &TaskReceipt, page: Option<u32>) -> Record {
    let mut record = Record::default();
    let outputs = task.outputs();
    let output = (outputs.iter())
        .find(|output| page.is_none() || output.page == page)
        .or(outputs.first());
    record.put("Input", &task.input, false);
    let hash = task.input_sha256.as_deref().unwrap_or_default();
    record.put("SHA-256 of the input", hash, true);
    match output {
        Some(output) => {
            record.put("Output", output.output, false);
            let hash = output.sha256.unwrap_or_default();
            record.put("SHA-256 of the output", hash, true);
            record.sha256 = output.sha256.map(str::to_owned);
            let size = output.size.map(|(w, h)| format!("{w} × {h} pixels"));
            let told = [size, output.bytes.map(bytes)].into_iter().flatten();
            record.put("Size", told.collect::<Vec<_>>().join(", "), false);
            if let Some(page) = output.page {
                record.put("Page", page.to_string(), false);
            }
        }
        None => record.put("Output", "none", false),
    }
    let state = match task.skipped {
        true => "the output was there already and was left alone",
        false => task.state.name(),
    };
    record.put("State", state, false);
    record.put("Reason", task.reason.as_deref().unwrap_or_default(), false);
    for warning in &task.warnings {
        record.put("Warning", &warning.text, false);
    }
    let pipeline = imaging::Pipeline::from_json(&receipt.spec.pipeline.to_value());
    let pipeline = pipeline.map_or_else(|error| error.to_string(), |p| p.to_string());
    record.put("Operations", pipeline, true);
    if let Some(reduce) = &receipt.spec.reduce {
        record.put("Reduction", reduce.op.name(), false);
    }
    let format = receipt.spec.format.as_deref().unwrap_or("as the input");
    record.put("Format", format, true);
    record.put("Time", stages(&task.ms), false);
    record.put("Where", place(task), false);
    if task.attempt > 1 || task.rejections > 0 {
        let attempt = format!("{}, refused {} times", task.attempt, task.rejections);
        record.put("Attempt", attempt, false);
    }
    record.put("Began", when(&receipt.started), false);
    let build = &receipt.build;
    let commit = build.commit.as_deref().unwrap_or_default();
    let program = format!("sundog {} {commit} {}", build.version, build.target);
    let words: Vec<&str> = program.split_whitespace().collect();
    record.put("Program", words.join(" "), false);
    record.put("Job", &receipt.job, true);
    record.put("SHA-256 of the job", &receipt.spec_sha256, true);
    record
}

/// A moment as receipts have it, for people.
pub fn when(text: &str) -> String {
    match text.get(..19) {
        Some(moment) => format!("{} UTC", moment.replace('T', " ")),
        None => text.to_owned(),
    }
}

fn stages(ms: &StageMs) -> String {
    let stages = [
        ("fetch", ms.fetch),
        ("decode", ms.decode),
        ("compute", ms.compute),
        ("waiting for rows", ms.halo),
        ("encode", ms.encode),
        ("store", ms.store),
    ];
    let told = stages.iter().filter(|(_, ms)| *ms >= 0.5);
    let told: Vec<String> = told
        .map(|(name, ms)| format!("{name} {}", time(ms / 1e3)))
        .collect();
    match told.is_empty() {
        true => "less than a millisecond".into(),
        false => told.join(", "),
    }
}

fn place(task: &TaskReceipt) -> String {
    let mut told = Vec::new();
    if !task.node.is_empty() {
        told.push(task.node.clone());
    }
    if let Some(mode) = task.mode {
        let ranks = task.ranks.unwrap_or(1);
        let ranks = crate::text::count(ranks, "rank");
        told.push(match task.mode_reason.as_str() {
            "" => format!("{mode:?} on {ranks}").to_lowercase(),
            why => format!("{} on {ranks} ({why})", format!("{mode:?}").to_lowercase()),
        });
    }
    if !task.device.is_empty() {
        told.push(format!("on the {}", task.device.to_uppercase()));
    }
    told.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_receipt_is_told_in_words_and_names_cannot_deceive() {
        let task = json!({
            "task": 3, "input": "photos/x\u{202e}gnp.jpg", "input_sha256": "aa", "output": "out/x.png",
            "output_sha256": "bb", "bytes": 3_249_000, "width": 60, "height": 40, "mode": "rows",
            "mode_reason": "larger than memory", "ranks": 2, "attempt": 2, "rejections": 1, "node": "n1",
            "ms": {"fetch": 0.1, "decode": 12.0, "compute": 1500.0, "halo": 0.0, "encode": 3.0, "store": 0.2},
            "state": "succeeded", "warnings": [{"kind": "colour", "text": "its profile was dropped"}],
        });
        let receipt = json!({
            "job": "01J", "spec": {"pipeline": "invert", "format": "png"}, "spec_sha256": "cc",
            "build": {"version": "1.0", "target": "x86_64-linux"}, "started": "2026-11-28T03:00:00.123Z",
            "finished": "2026-11-28T03:00:01Z", "ms": 1000, "state": "succeeded",
            "counts": {"tasks": 4, "succeeded": 4, "failed": 0, "rejected": 0}, "tasks": [task],
        });
        let receipt: JobReceipt = serde_json::from_value(receipt).unwrap();
        let told = record(&receipt, &receipt.tasks[0], None);
        let line = |name| {
            told.line(name)
                .unwrap_or_else(|| panic!("{name}: {told:?}"))
        };
        assert_eq!(line("Input"), "photos/x\\u{202e}gnp.jpg");
        assert_eq!(line("SHA-256 of the output"), "bb");
        assert_eq!(line("Size"), "60 × 40 pixels, 3.2 MB");
        assert_eq!(line("Operations"), "invert");
        assert_eq!(line("Time"), "decode 12 ms, compute 1.5 s, encode 3 ms");
        assert_eq!(line("Where"), "n1, rows on 2 ranks (larger than memory)");
        assert_eq!(line("Attempt"), "2, refused 1 times");
        assert_eq!(line("Began"), "2026-11-28 03:00:00 UTC");
        assert_eq!(line("Program"), "sundog 1.0 x86_64-linux");
        assert_eq!(line("Warning"), "its profile was dropped");
        assert_eq!(told.line("Reason"), None);
        assert_eq!(told.sha256.as_deref(), Some("bb"));
    }
}
