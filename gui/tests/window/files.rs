//! The list of files.

use super::common::Desk;
use eframe::egui::{Key, Modifiers};
use egui_kittest::kittest::Queryable as _;
use gui::args::Args;
use gui::state::files::Info;

#[test]
fn an_empty_window_says_what_to_do() {
    let desk = Desk::open(tempfile::tempdir().unwrap(), Args::default());
    assert!(desk.sees("Drop images or folders here"));
    assert!(desk.sees("No operations yet"));
    assert!(desk.sees("add files or a folder first"));
    desk.harness.check_accessibility();
}

#[test]
fn files_come_with_sizes_and_broken_ones_say_why() {
    let mut desk = Desk::with_photos();
    desk.until_read();
    for label in ["a.ppm", "more/b.ppm", "cut.png", "60 × 40", "3 files"] {
        assert!(desk.sees(label), "{label}");
    }
    let broken = |e: &&gui::state::files::Entry| matches!(e.info, Info::Broken(_));
    let state = desk.state();
    let why = match &state.files.entries.iter().find(broken).unwrap().info {
        Info::Broken(why) => why.clone(),
        _ => unreachable!(),
    };
    assert!(desk.sees(&why), "{why}");
    desk.harness.check_accessibility();
}

#[test]
fn files_are_filtered_selected_and_taken_out_by_keyboard() {
    let mut desk = Desk::with_photos();
    desk.until_read();
    desk.click_containing("Trouble 1");
    assert_eq!(desk.state().files.view.len(), 1);
    assert!(desk.sees("cut.png") && !desk.sees("60 × 40"));
    desk.click("All");
    desk.press(Modifiers::COMMAND, Key::A);
    assert_eq!(desk.state().files.selected.len(), 3);
    desk.press(Modifiers::NONE, Key::ArrowDown);
    assert_eq!(desk.state().files.selected.len(), 1);
    desk.press(Modifiers::NONE, Key::Delete);
    assert_eq!(desk.state().files.entries.len(), 2);
    // The folder can no longer be named as a whole.
    assert_eq!(desk.state().files.inputs().len(), 2);
}

#[test]
fn names_that_deceive_are_spelled_out() {
    let dir = tempfile::tempdir().unwrap();
    super::common::picture(&dir.path().join("x\u{202e}gnp.ppm"), 4, 4);
    let files = vec![dir.path().to_owned()];
    let mut desk = Desk::open(
        dir,
        Args {
            files,
            ..Args::default()
        },
    );
    desk.until_read();
    assert!(desk.sees("x\\u{202e}gnp.ppm"));
    assert!(desk.harness.query_by_label_contains("\u{202e}").is_none());
}
