//! What the types of a job cannot say: the same in job files, flags, and the JSON that a job system is sent.

use crate::color;
use crate::names::Template;
use crate::reduce::Target;
use imaging::Pipeline;
use imaging::codec::Format;
use protocol::Job;

/// Why a submitted job does not say how many ranks and threads it gets.
pub const WORLD: &str = "how many ranks and threads compute a submitted job is set where its dispatchers are started \
                         (leave it out; hint: sundog dispatcher --ranks N --threads N, or sundog run)";

/// The keys that say it.
pub const WORLD_KEYS: [&str; 3] = ["ranks", "thread_ranks", "threads"];

/// Most attempts, and most refusals, of a task.
const ATTEMPTS: u32 = 100;
const REJECTIONS: u32 = 100_000;
/// The widest fan-in, and the most files open at once.
const WIDEST: usize = 100_000;
/// The most ranks and threads.
const RANKS: usize = 65_536;

/// What is wrong with a job, if anything is: the key at fault, and why.
pub fn job(job: &Job) -> Result<(), (&'static str, String)> {
    if job.version != protocol::VERSION {
        let (version, known) = (job.version, protocol::VERSION);
        let reason = format!("{version} is not known; this program reads version {known}");
        return Err(("version", reason));
    }
    Pipeline::from_json(&job.pipeline.to_value()).map_err(|e| ("pipeline", e.to_string()))?;
    if let Some(format) = &job.format {
        let known = match job.reduce {
            Some(_) => Target::parse(format).map(drop),
            None => Format::parse(format).map(drop),
        };
        known.map_err(|e| ("format", e.to_string()))?;
    }
    if let Some(names) = &job.names {
        Template::parse(names).map_err(|wrong| ("names", wrong))?;
    }
    color::background(job).map_err(|e| ("background", e.to_string()))?;
    let counts = [
        ("ranks", job.ranks),
        ("thread_ranks", job.thread_ranks),
        ("threads", job.threads),
    ];
    for (key, value) in counts {
        if let Some(value) = value {
            within(key, value, 1, RANKS)?;
        }
    }
    if job.limits.max_pixels == 0 {
        return Err(("limits.max_pixels", "0 is outside 1..".into()));
    }
    if let Some(secs) = job.limits.timeout_secs.filter(|t| !(*t > 0.0 && *t < 1e9)) {
        let reason = format!("{secs} is not a time above 0 seconds");
        return Err(("limits.timeout_secs", reason));
    }
    let schedule = &job.schedule;
    if !(0.0..=1.0).contains(&schedule.speculate_after) {
        let reason = format!("{} is outside 0..=1", schedule.speculate_after);
        return Err(("schedule.speculate_after", reason));
    }
    if !(1.0..=1e6).contains(&schedule.speculate_ratio) {
        let reason = format!("{} is outside 1..=1000000", schedule.speculate_ratio);
        return Err(("schedule.speculate_ratio", reason));
    }
    within("schedule.max_attempts", schedule.max_attempts, 1, ATTEMPTS)?;
    within(
        "schedule.max_rejections",
        schedule.max_rejections,
        0,
        REJECTIONS,
    )?;
    if let Some(reduce) = &job.reduce {
        if !job.pipeline.is_empty() {
            let reason = "a job has a pipeline or a reduction, not both";
            return Err(("reduce", reason.into()));
        }
        within("reduce.fan_in", reduce.fan_in, 2, WIDEST)?;
        within("reduce.max_open_files", reduce.max_open_files, 1, WIDEST)?;
    }
    Ok(())
}

fn within<T: PartialOrd + std::fmt::Display>(
    key: &'static str,
    value: T,
    least: T,
    most: T,
) -> Result<(), (&'static str, String)> {
    match value >= least && value <= most {
        true => Ok(()),
        false => Err((key, format!("{value} is outside {least}..={most}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_are_bounded_and_the_key_at_fault_is_named() {
        let sound = json!({"inputs": ["a"], "output": "b"});
        let sound: Job = serde_json::from_value(sound).unwrap();
        assert_eq!(job(&sound), Ok(()));
        for (key, spec) in [
            ("ranks", json!({"ranks": 0})),
            ("threads", json!({"threads": 70000})),
            ("limits.max_pixels", json!({"limits": {"max_pixels": 0}})),
            (
                "limits.timeout_secs",
                json!({"limits": {"timeout_secs": -1.0}}),
            ),
            (
                "schedule.speculate_after",
                json!({"schedule": {"speculate_after": 1.5}}),
            ),
            (
                "schedule.speculate_ratio",
                json!({"schedule": {"speculate_ratio": 0.5}}),
            ),
            (
                "schedule.max_attempts",
                json!({"schedule": {"max_attempts": 0}}),
            ),
            (
                "schedule.max_attempts",
                json!({"schedule": {"max_attempts": 101}}),
            ),
            (
                "schedule.max_rejections",
                json!({"schedule": {"max_rejections": 1000000}}),
            ),
            (
                "reduce.fan_in",
                json!({"reduce": {"op": "mean", "fan_in": 1}}),
            ),
            (
                "reduce.fan_in",
                json!({"reduce": {"op": "mean", "fan_in": 100001}}),
            ),
            (
                "reduce.max_open_files",
                json!({"reduce": {"op": "sum", "max_open_files": 0}}),
            ),
            (
                "reduce",
                json!({"reduce": {"op": "sum"}, "pipeline": "invert"}),
            ),
            ("format", json!({"format": "npz"})),
        ] {
            let spec: Job = serde_json::from_value(spec).unwrap();
            let (named, reason) = job(&spec).unwrap_err();
            assert_eq!(named, key, "{reason}");
        }
        let text = json!({"reduce": {"op": "sum"}, "format": "csv"});
        assert_eq!(job(&serde_json::from_value(text).unwrap()), Ok(()));
    }
}
