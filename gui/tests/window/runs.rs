//! Runs of this computer: plan, start, results, job files.

use super::common::{Desk, photos, picture};
use eframe::egui::{Key, Modifiers};
use gui::args::Args;
use gui::state::Tab;
use gui::state::inspect::Side;
use gui::state::run::Plan;
use protocol::state::JobState;

fn ready(desk: &mut Desk) {
    desk.until_read();
    let out = desk.path("out").to_str().unwrap().to_owned();
    desk.change(|state| {
        state.setup.output = out;
        state.setup.format = "png".into();
        state.edit.type_text("equalize | sharpen".into());
    });
}

#[test]
fn one_bad_file_stops_nobody_and_says_why() {
    let mut desk = Desk::with_photos();
    ready(&mut desk);
    desk.click("Start");
    desk.until("the end of the run", |s| s.run.took.is_some());
    assert_eq!(desk.state().run.state, Some(JobState::Partial));
    assert_eq!(desk.state().run.counts, (2, 1));
    assert_eq!(desk.state().tab, Tab::Results);
    assert!(desk.path("out/a.png").is_file() && desk.path("out/more/b.png").is_file());
    assert!(desk.sees("2 images done, 1 failed"));
    desk.click("Only failed (1)");
    desk.click("cut.png");
    let why = desk
        .state()
        .run
        .ended
        .iter()
        .find_map(|e| e.reason.clone())
        .unwrap();
    assert!(desk.sees(&why), "{why}");
    desk.click("Verify");
    desk.until("the hashes", |s| s.run.verified.is_some());
    assert!(desk.sees("2 outputs match the receipt"));
    desk.harness.check_accessibility();
    std::fs::write(desk.path("out/a.png"), "changed").unwrap();
    desk.click("Verify");
    desk.until("the hashes", |s| {
        s.run.verified.as_ref().is_some_and(Result::is_err)
    });
    assert!(desk.sees("was changed since the run"));
}

#[test]
fn only_what_failed_runs_again() {
    let mut desk = Desk::with_photos();
    ready(&mut desk);
    desk.press(Modifiers::COMMAND, Key::Enter);
    desk.until("the end of the run", |s| s.run.took.is_some());
    let before = std::fs::metadata(desk.path("out/a.png"))
        .unwrap()
        .modified()
        .unwrap();
    std::fs::remove_file(desk.path("photos/cut.png")).unwrap();
    picture(&desk.path("photos/whole.ppm"), 9, 9);
    std::fs::rename(desk.path("photos/whole.ppm"), desk.path("photos/cut.png")).unwrap();
    desk.click("Run the rest again");
    desk.until("the end of the run", |s| s.run.took.is_some());
    assert_eq!(desk.state().run.state, Some(JobState::Succeeded));
    assert!(desk.path("out/cut.png").is_file());
    assert_eq!(
        std::fs::metadata(desk.path("out/a.png"))
            .unwrap()
            .modified()
            .unwrap(),
        before
    );
    assert_eq!(
        desk.state()
            .run
            .ended
            .iter()
            .filter(|e| e.reason.is_none())
            .count(),
        3
    );
}

#[test]
fn the_plan_tells_outputs_and_the_way_out_of_a_clash() {
    let dir = photos();
    picture(&dir.path().join("photos/a.pgm.ppm"), 3, 3);
    picture(&dir.path().join("photos/more/b.pbm"), 3, 3);
    let files = vec![dir.path().join("photos")];
    let mut desk = Desk::open(
        dir,
        Args {
            files,
            ..Args::default()
        },
    );
    ready(&mut desk);
    desk.press(Modifiers::COMMAND, Key::P);
    desk.until("a refusal", |s| matches!(s.plan, Plan::Refused(_)));
    assert!(desk.sees("would both be"));
    desk.click("Give the later ones numbers");
    desk.until("a plan", |s| matches!(s.plan, Plan::Made(_)));
    assert!(desk.sees("4 outputs") && desk.sees("1 would fail"));
    desk.harness.check_accessibility();
    desk.press(Modifiers::NONE, Key::Escape);
    assert!(matches!(desk.state().plan, Plan::None));
    assert!(!desk.path("out").exists());
}

#[test]
fn a_run_can_be_stopped_and_gone_on_with() {
    let dir = tempfile::tempdir().unwrap();
    for number in 0..60 {
        picture(&dir.path().join(format!("photos/{number}.ppm")), 700, 500);
    }
    let files = vec![dir.path().join("photos")];
    let mut desk = Desk::open(
        dir,
        Args {
            files,
            ..Args::default()
        },
    );
    ready(&mut desk);
    desk.change(|state| state.edit.type_text("median(radius=12)".into()));
    desk.click("Start");
    desk.until("some images", |s| s.run.counts.0 >= 2);
    desk.click("Stop");
    desk.until("the end of the run", |s| s.run.took.is_some());
    assert_eq!(desk.state().run.state, Some(JobState::Cancelled));
    assert!(desk.state().run.counts.0 < 60);
    desk.change(|state| state.edit.type_text("invert".into()));
    desk.click("Run the rest again");
    desk.until("the end of the run", |s| s.run.took.is_some());
    assert_eq!(
        desk.state()
            .run
            .ended
            .iter()
            .filter(|e| e.reason.is_none())
            .count(),
        60
    );
}

#[test]
fn a_run_pauses_after_what_is_being_worked_on_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    for number in 0..30 {
        picture(&dir.path().join(format!("photos/{number}.ppm")), 700, 500);
    }
    let files = vec![dir.path().join("photos")];
    let args = Args {
        files,
        ..Args::default()
    };
    let mut desk = Desk::open(dir, args);
    ready(&mut desk);
    desk.change(|state| state.edit.type_text("median(radius=12)".into()));
    desk.click("Start");
    desk.until("some images", |s| s.run.counts.0 >= 2);
    desk.click("Pause");
    assert!(desk.sees("paused"));
    // What is in hand comes to its end, and then nothing more.
    let mut before = u64::MAX;
    let began = std::time::Instant::now();
    while before != desk.state().run.counts.0 {
        before = desk.state().run.counts.0;
        let until = std::time::Instant::now() + std::time::Duration::from_millis(900);
        while std::time::Instant::now() < until {
            desk.frames(1);
        }
        assert!(began.elapsed().as_secs() < 30, "it does not pause");
    }
    assert!(before < 30 && desk.state().run.active());
    desk.click("Resume");
    desk.until("the end of the run", |s| s.run.took.is_some());
    assert_eq!(desk.state().run.counts.0, 30);
    assert_eq!(desk.state().run.state, Some(JobState::Succeeded));
}

#[test]
fn a_job_file_opens_as_it_was_saved() {
    let dir = photos();
    let photos = dir.path().join("photos");
    let job = protocol::Job {
        inputs: vec![protocol::name::to_text(&photos)],
        output: "out".into(),
        pipeline: "invert".into(),
        format: Some("png(compression=best)".into()),
        keep_times: true,
        ..protocol::Job::default()
    };
    let spec = dir.path().join("job.toml");
    std::fs::write(&spec, gui::state::job::to_toml(&job).unwrap()).unwrap();
    let mut desk = Desk::open(
        dir,
        Args {
            spec: Some(spec),
            ..Args::default()
        },
    );
    desk.until_read();
    assert_eq!(desk.state().job(), Ok(job));
    let wrong = desk.path("wrong.toml");
    std::fs::write(&wrong, "pipline = \"invert\"").unwrap();
    let mut other = Desk::open(
        tempfile::tempdir().unwrap(),
        Args {
            spec: Some(wrong),
            ..Args::default()
        },
    );
    other.frames(1);
    assert!(other.sees("did you mean `pipeline`?"));
}

#[test]
fn a_result_is_seen_beside_its_input_with_its_receipt() {
    let mut desk = Desk::with_photos();
    ready(&mut desk);
    desk.click("Start");
    desk.until("the end of the run", |s| s.run.took.is_some());
    desk.click("a.ppm");
    desk.until("both pictures", |s| {
        matches!(
            (&s.inspect.before, &s.inspect.after),
            (Side::Seen(_), Side::Seen(_))
        )
    });
    assert!(desk.sees("Picture before: a.ppm") && desk.sees("Picture after: a.png"));
    // What is shown are the pixels of both files.
    let pixels = |side: &Side| match side {
        Side::Seen(seen) => seen.pyramid.full().rgba.clone(),
        other => panic!("{other:?}"),
    };
    let read = |path: std::path::PathBuf| {
        let bytes = std::fs::read(path).unwrap();
        let image = imaging::codec::decode(bytes, &Default::default(), &Default::default());
        gui::picture::Picture::of(&image.unwrap().rows).rgba
    };
    assert_eq!(
        pixels(&desk.state().inspect.before),
        read(desk.path("photos/a.ppm"))
    );
    assert_eq!(
        pixels(&desk.state().inspect.after),
        read(desk.path("out/a.png"))
    );
    desk.press(Modifiers::NONE, Key::I);
    desk.until("the receipt", |s| s.inspect.record.is_some());
    let sha256 = worker::atomic::digest_file(&desk.path("out/a.png"))
        .unwrap()
        .sha256;
    let path = desk.path("photos/a.ppm").to_str().unwrap().to_owned();
    for told in [
        "Receipt",
        &sha256,
        &path,
        "60 × 40 pixels",
        "equalize | sharpen",
    ] {
        assert!(desk.sees(told), "{told}: {:?}", desk.state().inspect.record);
    }
    desk.harness.check_accessibility();
    desk.click("In one picture");
    desk.slide("Line between before and after", 0.25);
    desk.click("Verify this file");
    desk.until("the hash", |s| s.inspect.checked.is_some());
    assert!(desk.sees("It has the hash of its receipt"));
    std::fs::write(desk.path("out/a.png"), "changed").unwrap();
    desk.click("Verify this file");
    desk.until("the hash", |s| matches!(s.inspect.checked, Some(Err(_))));
    assert!(desk.sees("It was changed since the run"));
    desk.press(Modifiers::NONE, Key::Escape);
    assert!(!desk.state().inspect.open);
    // The next one, by keyboard; of what failed there is no output.
    desk.press(Modifiers::NONE, Key::ArrowDown);
    assert_ne!(
        desk.state().inspect.subject.as_ref().unwrap().input(),
        "a.ppm"
    );
    desk.click("cut.png");
    desk.press(Modifiers::NONE, Key::I);
    desk.until("the receipt", |s| s.inspect.record.is_some());
    assert!(desk.sees("Nothing after") && desk.sees("failed"));
}
