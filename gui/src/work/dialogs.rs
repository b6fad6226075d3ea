//! The system's dialogs, asked on a thread of their own, and what opens files in other programs.

use super::{News, Post, spawn};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Sooner than that nobody closes a dialog: there was none.
const AT_ONCE: Duration = Duration::from_millis(250);

/// What a choice is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Images to add.
    Files,
    /// A folder to add.
    Folder,
    /// Where results go.
    Output,
    /// A job file to open.
    OpenJob,
    /// Where to save a job file.
    SaveJob,
}

/// Asks; the answer comes as [`News::Chosen`].
pub fn ask(post: &Post, purpose: Purpose) {
    spawn(post, "dialog", move |post| {
        let asked = Instant::now();
        let dialog = rfd::FileDialog::new();
        let jobs =
            || rfd::FileDialog::new().add_filter("Job files", &["toml", "yaml", "yml", "json"]);
        let one = |path: Option<PathBuf>| path.into_iter().collect();
        let chosen: Vec<PathBuf> = match purpose {
            Purpose::Files => dialog
                .set_title("Add images")
                .pick_files()
                .unwrap_or_default(),
            Purpose::Folder => dialog
                .set_title("Add folders")
                .pick_folders()
                .unwrap_or_default(),
            Purpose::Output => one(dialog.set_title("Where results go").pick_folder()),
            Purpose::OpenJob => one(jobs().set_title("Open a job file").pick_file()),
            Purpose::SaveJob => one(jobs()
                .set_title("Save the job")
                .set_file_name("job.toml")
                .save_file()),
        };
        if !chosen.is_empty() {
            post.send(News::Chosen(purpose, chosen));
        } else if asked.elapsed() < AT_ONCE {
            let way = match purpose {
                Purpose::Files | Purpose::Folder => {
                    "or drop files on the window, paste their paths, or use Path…"
                }
                Purpose::Output => "or type the folder",
                Purpose::OpenJob => "or start the window with --spec FILE",
                Purpose::SaveJob => "or keep it as a preset",
            };
            let text = format!(
                "The desktop shows no dialog for files (install xdg-desktop-portal or zenity, {way})"
            );
            post.send(News::Told(true, text));
        }
    });
}

/// Opens a file or folder in the program that the system has for it.
pub fn open(post: &Post, path: &Path) {
    let path = path.to_owned();
    spawn(post, "open", move |post| {
        let started = std::process::Command::new("xdg-open")
            .arg(&path)
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .status();
        if !started.is_ok_and(|status| status.success()) {
            let text = format!(
                "no program could be started for {} (install xdg-utils, or open it by hand)",
                path.display()
            );
            post.send(News::Told(true, text));
        }
    });
}

/// Tells the desktop; where it has no way to be told, nothing happens.
pub fn notify(post: &Post, title: String, text: String) {
    spawn(post, "notify", move |_| {
        let told = std::process::Command::new("notify-send")
            .args(["--app-name=Sundog", "--", &title, &text])
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .status();
        drop(told);
    });
}
