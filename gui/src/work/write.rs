//! Writes the output of one image as a run writes it.

use super::preview::Request;
use super::read;
use crate::state::view::Written;
use imaging::codec::{Format, FormatKind};
use imaging::executor::Stop;
use imaging::{Error, Result, Spare};
use protocol::Pages;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use worker::planner::{self, Target, World};
use worker::settings::Settings;
use worker::{inputs, single};

/// Writes the output of one image into a folder and says what a run would say of it. `threads` at most work on it.
pub fn write(
    request: &Request,
    folder: &Path,
    pool: &rayon::ThreadPool,
    stop: &Stop,
    spare: &Arc<Spare>,
) -> Result<(PathBuf, Written)> {
    let mut job = request.job.clone();
    // Pages beyond the first are not looked at.
    job.pages = match job.pages {
        Pages::Range(first, _) => Pages::Range(first, first),
        _ => Pages::First,
    };
    (job.names, job.skip_existing) = (None, false);
    let mut settings = Settings::of(&job)?;
    settings.scratch = true;
    (settings.keep_times, settings.keep_mode) = (false, false);
    if settings.format.is_none() {
        let output = Path::new(&job.output);
        let extension = output.extension().and_then(|e| e.to_str());
        let named = extension.and_then(FormatKind::from_extension);
        settings.format = named.filter(|_| !output.is_dir()).map(Format::of);
    }
    let output = folder.join("preview");
    let found = inputs::expand(std::slice::from_ref(&request.path), None);
    let world = World {
        ranks: 1,
        threads: pool.current_num_threads(),
        processes: false,
    };
    let target = Target::File(output);
    let batch = planner::plan(found, &target, &settings, world, &job, None)?;
    if let Some(failed) = batch.failures.first() {
        let reason = failed.receipt.reason.clone();
        return Err(Error::Unsuitable(reason.unwrap_or_default()));
    }
    let Some(order) = batch.orders.first() else {
        return Err(Error::Unsuitable("there is nothing to do".into()));
    };
    let finished = single::run(order, &settings, Some(pool), stop.clone(), spare);
    let receipt = finished.receipt;
    if let Some(reason) = receipt.reason {
        return Err(match stop.is_set() {
            true => Error::Stopped(reason),
            false => Error::Unsuitable(reason),
        });
    }
    let stored = receipt.outputs().first().map(|o| {
        let sha256 = o.sha256.unwrap_or_default().to_owned();
        (PathBuf::from(o.output), sha256, o.bytes.unwrap_or(0))
    });
    let Some((path, sha256, bytes)) = stored else {
        return Err(Error::Unsuitable("there is no output".into()));
    };
    // Reading and writing have one thread, computing has all of them.
    let stages = &receipt.ms;
    let alone = stages.fetch + stages.decode + stages.encode + stages.store;
    let core_ms = alone + stages.compute * pool.current_num_threads() as f64;
    let warnings = receipt.warnings.into_iter().map(|w| w.text).collect();
    let written = Written {
        sha256,
        bytes,
        ms: finished.ms,
        core_ms,
        format: read::header(&path)?.kind.name(),
        warnings,
    };
    Ok((path, written))
}
