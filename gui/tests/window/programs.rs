//! The programs around the window: `sundog run` of what it saves, jobs in a real `sundog serve`.

use super::common::{Desk, photos};
use super::systems::at_serve;
use gui::args::Args;
use gui::command::Command as Ask;
use gui::state::Tab;
use gui::state::jobs::Link;
use protocol::state::JobState;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The command line: `SUNDOG_BIN`, or what was built beside this test.
pub fn sundog(home: &Path) -> Command {
    let beside = || {
        std::env::current_exe()
            .unwrap()
            .parent()
            .unwrap()
            .with_file_name("sundog")
    };
    let program = std::env::var_os("SUNDOG_BIN").map_or_else(beside, PathBuf::from);
    assert!(
        program.is_file(),
        "no {} (build it: cargo build -p sundog-cli)",
        program.display()
    );
    let mut command = Command::new(program);
    for (name, _) in
        std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SUNDOG_"))
    {
        command.env_remove(name);
    }
    for name in ["CONFIG_HOME", "DATA_HOME", "RUNTIME_DIR", "STATE_HOME"] {
        command.env_remove(format!("XDG_{name}"));
    }
    command.env("HOME", home).current_dir(home);
    command
}

/// The files below a folder by their names, the receipt left out.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.ends_with("sundog-receipt.json") {
                let name = path.strip_prefix(folder).unwrap().to_owned();
                files.push((name, std::fs::read(&path).unwrap()));
            }
        }
    }
    files.sort();
    files
}

/// A window with a pipeline over a folder's photos.
pub fn composed(dir: tempfile::TempDir) -> Desk {
    let files = vec![dir.path().join("photos")];
    let mut desk = Desk::open(
        dir,
        Args {
            files,
            ..Args::default()
        },
    );
    desk.until_read();
    let out = desk.path("window").to_str().unwrap().to_owned();
    desk.change(|state| {
        state.setup.output = out;
        state.setup.format = "jpeg(quality=83)".into();
        state
            .edit
            .type_text("clahe | gaussian(sigma=1.1) | rotate(degrees=90)".into());
    });
    desk
}

#[test]
fn what_the_window_saves_the_command_line_runs_to_the_same_bytes() {
    let mut desk = composed(photos());
    let saved = desk.path("saved.toml");
    desk.post(gui::work::News::Chosen(
        gui::work::dialogs::Purpose::SaveJob,
        vec![saved.clone()],
    ));
    desk.until("the file", |s| !s.banners.is_empty());
    assert!(desk.sees("sundog run --spec"));
    desk.click("Start");
    desk.until("the end of the run", |s| s.run.took.is_some());
    let line = desk.path("line");
    let ran = sundog(desk.dir.path())
        .arg("run")
        .arg("--spec")
        .arg(&saved)
        .arg("-o")
        .arg(&line)
        .status();
    assert_eq!(ran.unwrap().code(), Some(3), "one file is broken");
    let written = contents(&desk.path("window"));
    assert_eq!(written.len(), 2);
    assert_eq!(written, contents(&line));
}

#[test]
fn a_job_goes_to_a_job_system_and_its_files_come_back() {
    let (mut desk, serve) = at_serve();
    let home = desk.path("home");
    desk.click("Submit");
    assert_eq!(desk.state().tab, Tab::Queue);
    desk.until("the end of the job", |s| {
        s.jobs.list.iter().any(|j| j.state == JobState::Succeeded)
    });
    desk.until("its images", |s| {
        s.jobs.tasks.rows().len() == 2 && s.jobs.chosen_status().is_some_and(|j| j.state.is_final())
    });
    assert!(desk.sees("a.ppm") && desk.sees("2 of 2"));
    desk.harness.check_accessibility();
    desk.click("Running");
    assert!(desk.sees("No image is in that state"));
    desk.click("Done");
    desk.write("Filter images", "b.ppm");
    assert_eq!(desk.state().jobs.tasks.rows().len(), 1);
    desk.click("Download");
    desk.until("the files", |s| !s.banners.is_empty());
    assert!(
        desk.sees("2 files fetched into"),
        "{:?}",
        desk.state().banners
    );
    let line = desk.path("line");
    let photos = desk.path("photos");
    let ran = sundog(&home)
        .arg("run")
        .arg(&photos)
        .args([
            "-p",
            "clahe | gaussian(sigma=1.1) | rotate(degrees=90)",
            "--format",
            "jpeg(quality=83)",
            "-o",
        ])
        .arg(&line)
        .status();
    assert!(ran.unwrap().success());
    assert_eq!(contents(&desk.path("window")), contents(&line));
    // What it did can be edited, and the job deleted once one is sure.
    desk.change(|state| state.edit.type_text("invert".into()));
    let first = desk.state().jobs.chosen.clone().unwrap();
    desk.click("Edit as new");
    desk.until("the operations", |s| s.tab == Tab::Compose);
    let job = desk.state().job().unwrap();
    assert!(format!("{:?}", job.pipeline).contains("clahe"));
    desk.ask(Ask::Tab(Tab::Queue));
    desk.click("Delete");
    assert!(desk.state().jobs.list.iter().any(|j| j.job == first));
    desk.click("Delete with its results?");
    desk.until("its end", |s| s.jobs.list.iter().all(|j| j.job != first));
    // A job of the command line is seen here, too.
    let submitted = sundog(&home)
        .arg("submit")
        .arg(&photos)
        .args(["-p", "invert"])
        .output()
        .unwrap();
    let id = String::from_utf8(submitted.stdout)
        .unwrap()
        .trim()
        .to_owned();
    desk.until("the other job", |s| s.jobs.list.iter().any(|j| j.job == id));
    drop(serve);
    desk.until("the loss", |s| matches!(s.jobs.link, Link::Down(_)));
    assert!(!desk.state().jobs.list.is_empty());
}
