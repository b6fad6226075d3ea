//! `sundog ops`: the registry of operations, as people and programs read it.

use crate::output;
use client::exit::{Exit, Failure, Result};
use gateway::ops::describe;
use imaging::op::{Kind, Op, Param, nearest};
use imaging::ops;
use serde_json::Value;

/// Options.
#[derive(clap::Args)]
pub struct Args {
    /// One operation; all without
    name: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Lists operations, or shows one.
pub fn run(args: Args) -> Result {
    match args.name {
        None if args.json => {
            output::json(&ops::ALL.iter().map(|op| describe(op)).collect::<Value>())
        }
        None => list(),
        Some(name) => {
            let op = find(&name)?;
            match args.json {
                true => output::json(&describe(op)),
                false => show(op),
            }
        }
    }
    Ok(Exit::Ok)
}

fn find(name: &str) -> Result<&'static Op> {
    ops::find(name).ok_or_else(|| {
        let near = nearest(name, ops::ALL.iter().map(|op| op.name));
        let hint = near.map_or("list them: sundog ops".into(), |n| {
            format!("did you mean `{n}`?")
        });
        Failure::usage(format!("there is no operation `{name}` ({hint})"))
    })
}

fn list() {
    let width = ops::ALL.iter().map(|op| op.name.len()).max().unwrap_or(0);
    let mut group = None;
    for op in ops::ALL {
        if group != Some(op.group) {
            if group.is_some() {
                output::line("");
            }
            output::line(op.group.title());
            group = Some(op.group);
        }
        output::line(format!("  {:width$}  {}", op.name, op.about));
    }
}

fn show(op: &Op) {
    output::line(format!("{}: {}", op.name, op.about));
    if !op.params.is_empty() {
        output::line("");
    }
    let width = op.params.iter().map(|p| p.name.len()).max().unwrap_or(0);
    for param in op.params {
        let default = default(param).map_or("required".into(), |d| format!("default {d}"));
        output::line(format!(
            "  {:width$}  {}; {}, {default}",
            param.name,
            param.about,
            range(&param.kind),
        ));
    }
    output::line(format!(
        "\nexample: sundog run photos/ -o out/ -p '{}'",
        op.example
    ));
}

/// The admitted values in words.
pub fn range(kind: &Kind) -> String {
    match kind {
        Kind::Int { min, max, .. } => format!("{min}..={max}"),
        Kind::Float { min, max, .. } => format!("{min}..={max}"),
        Kind::Word(words) => words.join(", "),
        Kind::Bool(_) => "true, false".into(),
        Kind::Matrix { max } => format!("rows of numbers, odd by odd, at most {max} by {max}"),
        Kind::Bands => "channels from 1".into(),
        Kind::Level(_) => "a number, min, max, or 0%..=100%".into(),
        Kind::Color(_) => "a name or #rrggbb".into(),
    }
}

/// The default in a pipeline's text; none where the parameter is required.
pub fn default(param: &Param) -> Option<String> {
    param.default().map(|value| value.to_string())
}
