//! Trials by fire on this machine: something breaks while a job runs, and nothing may be lost, doubled or left.

use clap::Parser;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;
use trials::cases::{CASES, Case, Verdict, carry_out};
use trials::{Cluster, Failure, Work};

/// Breaks things while jobs run, and looks at what became of them.
#[derive(Debug, Parser)]
#[command(name = "sundog-chaos")]
struct Arguments {
    /// Which trial: a name or its beginning, or `all`
    #[arg(long, default_value = "all")]
    case: String,
    /// How often each is carried out, with another seed each time
    #[arg(long, default_value_t = 1)]
    rounds: u64,
    /// Decides all chance; what is printed with a trial repeats it [default: the time]
    #[arg(long)]
    seed: Option<u64>,
    /// Images of a job
    #[arg(long, default_value_t = 40)]
    images: usize,
    /// What is done to each
    #[arg(
        long,
        default_value = "bilateral(radius=8) | unsharp(sigma=3, amount=0.8)"
    )]
    pipeline: String,
    /// Where logs of failures are kept
    #[arg(long, default_value = "target/chaos")]
    keep: PathBuf,
    /// Print the names of all trials
    #[arg(long)]
    list: bool,
}

#[tokio::main]
async fn main() -> Result<ExitCode, Failure> {
    let arguments = Arguments::parse();
    let mut out = std::io::stdout();
    if arguments.list {
        for case in CASES {
            writeln!(out, "{}", case.name)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let all = arguments.case == "all";
    let cases: Vec<&Case> = CASES
        .iter()
        .filter(|case| all || case.name.starts_with(&arguments.case))
        .collect();
    if cases.is_empty() {
        return Err(format!("there is no trial `{}` (hint: --list)", arguments.case).into());
    }
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed()?;
    let first = arguments.seed.unwrap_or(now.as_secs());
    let mut cluster = None;
    let (mut passed, mut skipped, mut failed) = (0, 0, Vec::new());
    for seed in first..first + arguments.rounds {
        let work = Arc::new(Work::make(seed, arguments.images, &arguments.pipeline)?);
        for case in &cases {
            let services = match cluster.take() {
                Some(services) => services,
                None => Cluster::start(case.store)?,
            };
            let begun = Instant::now();
            let keep = arguments.keep.join(format!("{}-{seed}", case.name));
            let (verdict, services) = carry_out(case, services, &work, seed, &keep).await;
            cluster = services;
            let secs = begun.elapsed().as_secs_f64();
            write!(out, "{:<22} seed {seed}  {secs:6.1} s  ", case.name)?;
            match verdict {
                Verdict::Passed => {
                    passed += 1;
                    writeln!(out, "passed")?;
                }
                Verdict::Skipped(reason) => {
                    skipped += 1;
                    writeln!(out, "SKIPPED: {reason}")?;
                }
                Verdict::Failed(problems) => {
                    writeln!(out, "FAILED ({})", keep.display())?;
                    for problem in problems {
                        writeln!(out, "    {problem}")?;
                    }
                    failed.push(format!("--case {} --seed {seed}", case.name));
                }
            }
        }
    }
    writeln!(
        out,
        "{passed} passed, {skipped} skipped, {} failed",
        failed.len()
    )?;
    for again in &failed {
        writeln!(out, "again: scripts/chaos {again}")?;
    }
    Ok(match failed.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}
