//! What goes wrong around the window is told in words, with the way out.

use super::common::{Desk, picture};
use eframe::egui;
use gui::args::Args;
use gui::state::run::Ended;
use gui::work::News;
use protocol::state::JobState;

#[test]
fn a_full_disk_is_a_banner_and_the_run_waits_for_room() {
    let dir = tempfile::tempdir().unwrap();
    for number in 0..20 {
        picture(&dir.path().join(format!("photos/{number}.ppm")), 700, 500);
    }
    let args = Args {
        files: vec![dir.path().join("photos")],
        ..Args::default()
    };
    let mut desk = Desk::open(dir, args);
    desk.until_read();
    let out = desk.path("out").to_str().unwrap().to_owned();
    desk.change(|state| {
        state.setup.output = out;
        state.edit.type_text("median(radius=12)".into());
    });
    desk.click("Start");
    desk.until("some images", |s| s.run.counts.0 >= 2);
    // As the run tells of it.
    let full = || Ended {
        file: None,
        input: "0.ppm".into(),
        path: "/photos/0.ppm".into(),
        outputs: Vec::new(),
        reason: Some(std::io::Error::from_raw_os_error(28).to_string()),
        ms: 1,
        warnings: Vec::new(),
    };
    desk.post(News::TaskEnded(97, Box::new(full())));
    desk.post(News::TaskEnded(98, Box::new(full())));
    assert!(desk.sees("The disk of the results is full"));
    assert_eq!(desk.state().banners.len(), 1, "it is told once");
    assert!(desk.state().run.paused.is_some());
    desk.click("Resume");
    desk.until("the end of the run", |s| s.run.took.is_some());
    assert_eq!(desk.state().run.state, Some(JobState::Succeeded));
}

#[test]
fn what_file_managers_copy_is_pasted() {
    let dir = tempfile::tempdir().unwrap();
    picture(&dir.path().join("my photos/a.ppm"), 8, 8);
    let mut desk = Desk::open(dir, Args::default());
    let folder = desk.path("my photos").to_str().unwrap().replace(' ', "%20");
    let pasted = format!("x-special/nautilus-clipboard\ncopy\nfile://{folder}");
    desk.harness.event(egui::Event::Paste(pasted));
    desk.frames(2);
    desk.until_read();
    assert!(desk.sees("a.ppm") && desk.sees("8 × 8"));
}
