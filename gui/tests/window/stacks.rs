//! One picture out of many.

use super::common::{Desk, picture};
use super::systems::at_serve;
use eframe::egui::{Key, Modifiers};
use gui::args::Args;
use gui::command::Command;
use protocol::state::JobState;

#[test]
fn the_preview_is_the_reduction_itself() {
    let dir = tempfile::tempdir().unwrap();
    for number in 0..4 {
        picture(&dir.path().join(format!("photos/{number}.ppm")), 20, 10);
    }
    let files = vec![dir.path().join("photos")];
    let mut desk = Desk::open(
        dir,
        Args {
            files,
            ..Args::default()
        },
    );
    desk.until_read();
    desk.press(Modifiers::COMMAND, Key::Num2);
    desk.until("the preview", |s| s.stack.seen.is_some() && !s.stack.busy);
    // The mean of four equal pictures is each of them.
    let one = imaging::codec::decode(
        std::fs::read(desk.path("photos/0.ppm")).unwrap(),
        &imaging::codec::Limits::default(),
        &Default::default(),
    );
    let one = gui::picture::Picture::of(&one.unwrap().rows);
    assert_eq!(
        *desk.state().stack.seen.as_ref().unwrap().pyramid.full(),
        one
    );
    desk.click("median");
    desk.until("another preview", |s| s.stack.serial == 2 && !s.stack.busy);
    assert!(desk.sees("name the file of the result"));
    let out = desk.path("stacked.png").to_str().unwrap().to_owned();
    desk.change(|state| state.stack.output = out);
    desk.harness.check_accessibility();
    desk.click("Stack them");
    desk.until("the end of the run", |s| s.run.took.is_some());
    assert!(
        desk.path("stacked.png").is_file(),
        "{:?}",
        desk.state().banners
    );
}

#[test]
fn a_stack_is_made_in_a_job_system_to_the_same_pixels() {
    let (mut desk, serve) = at_serve();
    picture(&desk.path("frames/1.ppm"), 20, 10);
    picture(&desk.path("frames/2.ppm"), 20, 10);
    let frames = desk.path("frames");
    desk.ask(Command::Clear);
    desk.ask(Command::Add(vec![frames]));
    desk.until("the frames", |s| {
        s.searching == 0 && s.files.entries.len() == 2
    });
    desk.press(Modifiers::COMMAND, Key::Num2);
    desk.until("the preview", |s| s.stack.seen.is_some() && !s.stack.busy);
    desk.change(|state| state.stack.output = "night sky.png".into());
    desk.click("Submit");
    desk.until("the end of the job", |s| {
        let job = s.jobs.chosen_status();
        job.is_some_and(|job| job.state == JobState::Succeeded)
    });
    assert!(desk.sees("night sky"));
    desk.click("Download");
    desk.until("the file", |s| !s.banners.is_empty());
    let fetched = std::fs::read(desk.path("window/mean.png")).unwrap();
    let image = imaging::codec::decode(fetched, &Default::default(), &Default::default());
    let seen = desk.state().stack.seen.as_ref().unwrap();
    assert_eq!(
        gui::picture::Picture::of(&image.unwrap().rows),
        *seen.pyramid.full()
    );
    drop(serve);
}
