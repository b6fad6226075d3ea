//! `sundog simulate`: how long a job would take on a cluster that need not exist, by the conductor's own rules.

use crate::output;
use clap::value_parser;
use client::exit::{Exit, Result};
use jobs::simulate::{Cluster, run as simulate};
use serde::Serialize;
use std::time::Instant;

/// Options.
#[derive(clap::Args)]
#[command(after_help = "\
Example: sundog simulate --nodes 1000 --ranks 4 --tasks 1000000 --task-ms 40

Images take from half to one and a half times --task-ms; nodes, queue and conductor are simulated with the rules that
dispatchers work by. --overhead-ms is what a span of images takes beside them: its message and its commit.")]
pub struct Args {
    /// Nodes
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=100_000))]
    nodes: u32,
    /// Images of the job
    #[arg(long, value_name = "T", value_parser = value_parser!(u64).range(1..=100_000_000))]
    tasks: u64,
    /// Ranks of each node
    #[arg(long, value_name = "R", default_value_t = 1, value_parser = value_parser!(u32).range(1..=4096))]
    ranks: u32,
    /// Milliseconds that an image takes on one rank
    #[arg(long, value_name = "MS", default_value_t = 20.0)]
    task_ms: f64,
    /// Milliseconds that a span takes beside its images
    #[arg(long, value_name = "MS", default_value_t = 2.0)]
    overhead_ms: f64,
    /// Where chance begins
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Printed {
    #[serde(flatten)]
    outcome: jobs::simulate::Outcome,
    /// Spans that the conductor decided on in each second of this machine's time.
    decided_per_s: u64,
}

/// Simulates and prints.
pub fn run(args: Args) -> Result {
    let us = |ms: f64| (ms.clamp(0.0, 1e6) * 1000.0) as u32;
    let begun = Instant::now();
    let outcome = simulate(&Cluster {
        nodes: args.nodes,
        ranks: args.ranks,
        tasks: args.tasks,
        cost: us(args.task_ms),
        overhead: us(args.overhead_ms),
        seed: args.seed,
    });
    let decided_per_s = (outcome.spans as f64 / begun.elapsed().as_secs_f64().max(1e-9)) as u64;
    if args.json {
        output::json(&Printed {
            outcome,
            decided_per_s,
        });
        return Ok(Exit::Ok);
    }
    let seconds = outcome.makespan_ms as f64 / 1000.0;
    output::line(format!(
        "{} images in {} spans on {} x {} ranks: {seconds:.1} s, {:.1} % of the ranks' time computing",
        outcome.tasks,
        outcome.spans,
        outcome.nodes,
        outcome.ranks,
        outcome.utilisation * 100.0
    ));
    output::line(format!("{decided_per_s} spans decided each second here"));
    Ok(Exit::Ok)
}
