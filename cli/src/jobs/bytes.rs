//! A bar that counts the bytes of a transfer.

use crate::output;
use indicatif::{ProgressBar, ProgressStyle};

/// Hidden where nobody would see it. It is cleared when it is dropped.
pub fn bar(what: &'static str, quiet: bool) -> ProgressBar {
    if quiet || !output::interactive() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(0).with_finish(indicatif::ProgressFinish::AndClear);
    let template = "{msg} {bar:30} {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("##-"));
    }
    bar.set_message(what);
    bar.enable_steady_tick(std::time::Duration::from_millis(200));
    bar
}
