//! The one place that prints: data on stdout, messages on stderr, colour only where it is wanted.
//!
//! A reader that went away (`sundog ops | head -1`) ends the output, not the work.
#![allow(clippy::print_stderr)]

use client::exit::Failure;
pub use client::text::{harmless, input};
use std::collections::BTreeMap;
use std::io::{ErrorKind, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

static CLOSED: AtomicBool = AtomicBool::new(false);

/// Writes one line of data.
pub fn line(text: impl std::fmt::Display) {
    text_block(&format!("{text}\n"));
}

/// Writes data as it is and flushes, so that a follower sees each event when it happens.
pub fn text_block(text: &str) {
    bytes(text.as_bytes());
}

/// Writes raw data.
pub fn bytes(bytes: &[u8]) {
    if CLOSED.load(Ordering::Relaxed) {
        return;
    }
    let mut out = std::io::stdout().lock();
    if let Err(error) = out.write_all(bytes).and_then(|()| out.flush()) {
        CLOSED.store(true, Ordering::Relaxed);
        if error.kind() != ErrorKind::BrokenPipe {
            message(&format!(
                "{}: cannot write to stdout: {error}",
                red("error")
            ));
        }
    }
}

/// Writes a value as one line of JSON.
pub fn json(value: &impl serde::Serialize) {
    match serde_json::to_string(value) {
        Ok(text) => line(text),
        Err(error) => message(&format!("{}: {error}", red("error"))),
    }
}

/// Writes a message for people.
pub fn message(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Writes a message in place of a progress bar, which appears again below it.
pub fn over_bar(text: &str) {
    match interactive() {
        true => message(&format!("\r\x1b[K{text}")),
        false => message(text),
    }
}

/// Writes what ended the program.
pub fn failure(failure: &Failure) {
    message(&format!("{}: {failure}", red("error")));
}

/// Writes what the user should know though the work goes on.
pub fn warning(text: &str) {
    message(&format!("{}: {text}", paint("33", "warning")));
}

/// Whether messages may be coloured.
fn colored() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|t| t == "dumb");
    std::io::stderr().is_terminal() && !refused && !dumb
}

fn paint(code: &str, text: &str) -> String {
    match colored() {
        true => format!("\x1b[1;{code}m{text}\x1b[0m"),
        false => text.to_owned(),
    }
}

/// Red where colour is wanted on stderr.
pub fn red(text: &str) -> String {
    paint("31", text)
}

/// Whether a progress bar makes sense.
pub fn interactive() -> bool {
    std::io::stderr().is_terminal()
}

/// Files that were passed over, as the end of a summary.
pub fn passed_over(skipped: &BTreeMap<String, u64>) -> String {
    let total: u64 = skipped.values().sum();
    if total == 0 {
        return String::new();
    }
    let kinds = skipped.iter().map(|(kind, count)| match kind.as_str() {
        "junk" => format!("{count} junk"),
        "hidden" => format!("{count} hidden"),
        "unknown" => format!("{count} no image"),
        "special" => format!("{count} no regular file"),
        other => format!("{count} {}", harmless(other)),
    });
    let s = if total == 1 { "" } else { "s" };
    let kinds: Vec<String> = kinds.collect();
    format!(", {total} file{s} skipped ({})", kinds.join(", "))
}

/// A warning about an image, as a line.
pub fn warned(image: &str, text: &str) -> String {
    format!("warning: {}: {}", input(image), harmless(text))
}

/// How many warnings there were, as a part of a summary.
pub fn warnings(count: u64) -> String {
    match count {
        0 => String::new(),
        1 => ", 1 warning".into(),
        n => format!(", {n} warnings"),
    }
}
