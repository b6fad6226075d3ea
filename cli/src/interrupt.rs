//! Ctrl-C and SIGTERM: the first asks the work to end after its current bands, the second ends the process.

use crate::output;
use imaging::executor::Stop;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

static COUNT: AtomicUsize = AtomicUsize::new(0);
/// Temporary folders that go with the process.
static FOLDERS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Names a folder that is also removed when the second interrupt ends the process.
pub fn remove_at_once(folder: &Path) {
    let mut folders = FOLDERS.lock().unwrap_or_else(|e| e.into_inner());
    folders.push(folder.to_owned());
}

/// A flag that the first interrupt sets. To be called once.
pub fn stop() -> Stop {
    let stop = Stop::default();
    let flag = stop.clone();
    let installed = ctrlc::set_handler(move || {
        if COUNT.fetch_add(1, Ordering::Relaxed) > 0 {
            worker::atomic::discard_pending();
            for folder in FOLDERS.lock().unwrap_or_else(|e| e.into_inner()).iter() {
                // What is left is removed by the next run.
                let _ = std::fs::remove_dir_all(folder);
            }
            std::process::exit(130);
        }
        flag.set();
        output::over_bar("stopping (once more: at once)");
    });
    if let Err(error) = installed {
        output::warning(&format!("Ctrl-C will not end the job cleanly: {error}"));
    }
    stop
}

/// Whether an interrupt came.
pub fn happened() -> bool {
    COUNT.load(Ordering::Relaxed) > 0
}
