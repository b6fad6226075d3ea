//! The pipeline and its preview.

use super::common::Desk;
use eframe::egui::{Key, Modifiers};
use gui::state::view::Exactness;

/// SHA-256 of the output that a batch writes for `a.ppm` with the job as it stands.
fn hash_of_run(desk: &Desk, out: &str) -> String {
    let mut job = desk.state().job().unwrap();
    job.output = desk.path(out).to_str().unwrap().into();
    let request = gui::work::run::request(job);
    let stop = imaging::executor::Stop::default();
    let mut hash = String::new();
    worker::here::run(&request, &stop, &mut |_| {}).unwrap();
    let receipt = std::fs::read(desk.path(out).join("sundog-receipt.json")).unwrap();
    let receipt: protocol::JobReceipt = serde_json::from_slice(&receipt).unwrap();
    for task in receipt.tasks.iter().filter(|t| t.input.ends_with("a.ppm")) {
        hash = task.output_sha256.clone().unwrap();
    }
    hash
}

fn hash_of_preview(desk: &Desk) -> String {
    match &desk.state().view.exactness {
        Exactness::Exact(written) => written.sha256.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_preview_shows_the_very_bytes_that_a_run_writes() {
    let mut desk = Desk::with_photos();
    desk.until_read();
    desk.change(|state| {
        state.setup.output = "/tmp/nowhere".into();
        state
            .edit
            .type_text("equalize | gaussian(sigma=1.5) | rotate(degrees=90)".into());
    });
    for (number, format) in [
        "",
        "jpeg(quality=70, subsampling=420)",
        "png(compression=best)",
        "tiff",
    ]
    .into_iter()
    .enumerate()
    {
        desk.change(|state| state.setup.format = format.into());
        desk.until_exact();
        assert_eq!(
            hash_of_preview(&desk),
            hash_of_run(&desk, &format!("out{number}")),
            "{format}"
        );
        let after = desk.state().view.after.as_ref().unwrap();
        assert_eq!(after.size, (40, 60));
    }
}

#[test]
fn the_pixels_of_the_preview_are_those_of_the_file() {
    let mut desk = Desk::with_photos();
    desk.until_read();
    desk.change(|state| {
        state.setup.output = "/tmp/nowhere".into();
        state.setup.format = "png".into();
        state.edit.type_text("equalize".into());
    });
    desk.until_exact();
    hash_of_run(&desk, "out");
    let bytes = std::fs::read(desk.path("out/a.png")).unwrap();
    let limits = imaging::codec::Limits::default();
    let image = imaging::codec::decode(bytes, &limits, &Default::default()).unwrap();
    let written = gui::picture::Picture::of(&image.rows);
    let shown = desk.state().view.after.as_ref().unwrap();
    assert_eq!(*shown.pyramid.full(), written);
    assert_eq!(*shown.histogram, written.histogram());
}

#[test]
fn operations_are_searched_added_set_switched_off_and_undone() {
    let mut desk = Desk::with_photos();
    desk.until_read();
    desk.click_containing("Add an operation");
    desk.write("Search operations", "gauss");
    desk.press(Modifiers::NONE, Key::Enter);
    assert_eq!(desk.state().edit.text, "gaussian");
    assert!(desk.sees("standard deviation") || desk.sees("0.1 to 200"));
    desk.slide("sigma", 4.0);
    assert_eq!(desk.state().edit.text, "gaussian(sigma=4)");
    desk.click("Switch gaussian off");
    assert_eq!(desk.state().edit.text, "");
    desk.click("Undo");
    desk.click("Undo");
    assert_eq!(desk.state().edit.text, "gaussian");
    desk.click("Redo");
    assert_eq!(desk.state().edit.text, "gaussian(sigma=4)");
    desk.click("Remove gaussian");
    assert!(desk.sees("No operations yet"));
    desk.harness.check_accessibility();
}

#[test]
fn steps_are_reordered_by_buttons_and_keys() {
    let mut desk = Desk::with_photos();
    desk.change(|state| state.edit.type_text("invert | sepia".into()));
    desk.click("Move sepia up");
    assert_eq!(desk.state().edit.text, "sepia | invert");
    desk.click("invert");
    desk.press(Modifiers::ALT, Key::ArrowUp);
    assert_eq!(desk.state().edit.text, "invert | sepia");
}

#[test]
fn the_preview_is_zoomed_and_moved_by_keys() {
    let mut desk = Desk::with_photos();
    desk.until_read();
    desk.until_exact();
    desk.press(Modifiers::SHIFT, Key::Plus);
    let zoom = desk.state().view.zoom.unwrap();
    desk.press(Modifiers::NONE, Key::Plus);
    let larger = desk.state().view.zoom.unwrap();
    assert!((larger / zoom - 1.25).abs() < 0.01, "{zoom} {larger}");
    let before = desk.state().view.center;
    desk.press(Modifiers::SHIFT, Key::ArrowRight);
    let after = desk.state().view.center;
    assert!(
        after.0 > before.0 && after.1 == before.1,
        "{before:?} {after:?}"
    );
    desk.press(Modifiers::NONE, Key::Num0);
    assert_eq!(desk.state().view.zoom, None);
}

#[test]
fn a_wrong_text_says_why_and_the_newest_change_wins() {
    let mut desk = Desk::with_photos();
    desk.until_read();
    desk.change(|state| state.edit.type_text("gausian(sigma=2)".into()));
    assert!(desk.sees("did you mean `gaussian`?"));
    for sigma in 1..9 {
        desk.change(|state| state.edit.type_text(format!("gaussian(sigma={sigma})")));
    }
    desk.until_exact();
    desk.change(|state| state.setup.output = "/tmp/nowhere".into());
    desk.until_exact();
    let last = hash_of_preview(&desk);
    assert_eq!(last, hash_of_run(&desk, "out"));
}

#[test]
fn presets_replace_the_pipeline_and_own_ones_are_kept() {
    let mut desk = Desk::with_photos();
    desk.click("Presets");
    desk.click("Photos for the web");
    assert!(desk.state().edit.text.starts_with("resize(width=1600"));
    assert_eq!(desk.state().setup.format, "jpeg(quality=82)");
    desk.click("Presets");
    desk.write("Name of the new preset", "Mine");
    desk.click("Keep");
    assert!(desk.path("presets/mine.toml").is_file());
}

#[test]
fn a_broken_image_and_an_unsuitable_pipeline_say_why_there_is_no_preview() {
    let mut desk = Desk::with_photos();
    desk.until_read();
    desk.change(|state| {
        state
            .edit
            .type_text("crop(x=50, width=500, height=10)".into())
    });
    desk.until("a failure", |s| {
        matches!(s.view.exactness, Exactness::Failed(_))
    });
    assert!(desk.sees("no result"));
    desk.click_containing("cut.png");
    desk.until("a failure", |s| {
        s.view.before.is_none() && matches!(s.view.exactness, Exactness::Failed(_))
    });
    assert!(desk.sees("There is no preview"));
}
