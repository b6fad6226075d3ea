//! `sundog nodes` and `sundog dead-letters`: the job system from its operator's side.

use crate::jobs::session;
use crate::output;
use client::exit::{Exit, Result};
use serde_json::{Value, json};

/// Options of `nodes`.
#[derive(clap::Args)]
pub struct Args {
    /// Print one JSON object a node
    #[arg(long)]
    json: bool,
}

/// Options of `dead-letters`.
#[derive(clap::Args)]
pub struct Letters {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Print tasks that ran out of attempts
    List {
        /// Print one JSON object a letter
        #[arg(long)]
        json: bool,
    },
    /// Try them again
    Replay {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}

/// Prints the nodes that live.
pub fn run(args: Args) -> Result {
    session::run(farewell, |client| async move {
        let nodes = client.nodes().await?;
        let now = jiff::Timestamp::now();
        if args.json {
            nodes.iter().for_each(output::json);
            return Ok(Exit::Ok);
        }
        if nodes.is_empty() {
            output::message(
                "no dispatcher is at work (start one: sundog dispatcher, or sundog serve)",
            );
            return Ok(Exit::Ok);
        }
        output::line(format!(
            "{:24}  {:>5}  {:>9}  {:>5}  {:>7}  {:>8}  {:>6}  STATE",
            "NODE", "RANKS", "BUSY", "LOAD", "IN HAND", "RESTARTS", "SEEN"
        ));
        for node in &nodes {
            output::line(row(node, now));
        }
        Ok(Exit::Ok)
    })
}

/// Prints dead letters or tries them again.
pub fn letters(args: Letters) -> Result {
    let action = &args.action;
    session::run(farewell, |client| async move {
        match action {
            Action::List { json } => {
                let letters = client.dead_letters().await?;
                for letter in &letters {
                    if *json {
                        output::json(letter);
                        continue;
                    }
                    let job = letter.job.as_deref().unwrap_or("unknown job");
                    let task = letter.task.map_or(String::new(), |t| format!(" task {t}"));
                    output::line(format!(
                        "{}{task}: {} ({} attempts)",
                        output::harmless(job),
                        output::harmless(&letter.reason),
                        letter.attempts
                    ));
                }
                if letters.is_empty() && !json {
                    output::message("there are no dead letters");
                }
            }
            Action::Replay { json } => {
                let replayed = client.replay().await?;
                match json {
                    true => output::json(&json!({"replayed": replayed})),
                    false => output::message(&format!("{replayed} dead letters are tried again")),
                }
            }
        }
        Ok(Exit::Ok)
    })
}

/// A node for people.
fn row(node: &Value, now: jiff::Timestamp) -> String {
    let text = |key: &str| node[key].as_str().unwrap_or_default();
    let busy = format!("{}/{}", number(&node["busy"]), number(&node["slots"]));
    let load = node["load"]
        .as_f64()
        .map_or("-".into(), |l| format!("{l:.2}"));
    let seen = match text("time").parse::<jiff::Timestamp>() {
        Ok(time) => format!("{} s", now.duration_since(time).as_secs().max(0)),
        Err(_) => "-".into(),
    };
    let mut state = text("state").to_owned();
    if !text("reason").is_empty() {
        state = format!("{state}: {}", text("reason"));
    }
    let devices = node["devices"].as_array().into_iter().flatten();
    for device in devices.filter_map(|device| device.as_str()) {
        state = format!("{state}, {device}");
    }
    let line = format!(
        "{:24}  {:>5}  {busy:>9}  {load:>5}  {:>7}  {:>8}  {seen:>6}  {}",
        output::harmless(text("node")),
        number(&node["ranks"]),
        number(&node["in_hand"]),
        number(&node["restarts"]),
        output::harmless(&state)
    );
    line.trim_end().to_owned()
}

fn farewell() -> String {
    "interrupted".to_owned()
}

fn number(value: &Value) -> String {
    value.as_u64().map_or("-".into(), |n| n.to_string())
}
