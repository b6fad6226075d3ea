//! Files that are dropped on the window, or pasted as paths and addresses.

use crate::command::Command;
use crate::state::job;
use crate::work::objects::is_url;
use eframe::egui::{Context, Event};
use std::path::PathBuf;
use url::Url;

/// What was dropped or pasted in this frame.
pub fn take(ctx: &Context, commands: &mut Vec<Command>) {
    let mut paths: Vec<PathBuf> = ctx.input(|i| {
        let files = i.raw.dropped_files.iter();
        files.map(|file| file.path().to_owned()).collect()
    });
    if !ctx.egui_wants_keyboard_input() {
        ctx.input(|i| {
            for event in &i.events {
                if let Event::Paste(text) = event {
                    paths.extend(text.lines().filter_map(pasted));
                }
            }
        });
    }
    if !paths.is_empty() {
        commands.push(Command::Add(paths));
    }
}

/// The file that is there, or the address, of a line of text: a path, or what file managers copy.
fn pasted(line: &str) -> Option<PathBuf> {
    let path = named(line)?;
    (is_url(&protocol::name::to_text(&path)) || path.exists()).then_some(path)
}

/// What a typed or pasted line names: a path of this computer in full, or an address in a store. Whether it is there is not
/// asked.
pub fn named(line: &str) -> Option<PathBuf> {
    let line = line.trim();
    if is_url(line) {
        let more = line
            .split_once("://")
            .is_some_and(|(_, rest)| !rest.is_empty());
        return more.then(|| protocol::name::to_path(line));
    }
    let path = match line.strip_prefix("~/") {
        _ if line.starts_with("file://") => Url::parse(line).ok()?.to_file_path().ok()?,
        Some(rest) => PathBuf::from(std::env::var_os("HOME")?).join(rest),
        None => PathBuf::from(line),
    };
    path.is_absolute().then(|| job::absolute(&path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_file_managers_copy_is_read() {
        let at = |line| named(line).map(|path| path.display().to_string());
        let is = |path: &str| Some(path.to_owned());
        assert_eq!(at("/photos/a b.jpg "), is("/photos/a b.jpg"));
        assert_eq!(at("file:///photos/a%20b%C3%BC.jpg"), is("/photos/a bü.jpg"));
        assert_eq!(
            at("file://localhost/photos/100%25.jpg"),
            is("/photos/100%.jpg")
        );
        assert_eq!(at("s3://bucket/raw/"), is("s3://bucket/raw/"));
        for other in ["copy", "file://far/a", "s3://", "a.jpg"] {
            assert_eq!(at(other), None, "{other}");
        }
    }

    #[test]
    fn only_what_is_there_is_pasted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a b.jpg");
        std::fs::write(&path, "").unwrap();
        let line = format!("file://{}", path.display()).replace(' ', "%20");
        assert_eq!(pasted(&line), Some(path));
        assert_eq!(pasted("/no such file"), None);
    }
}
