//! Tests of the list of files.

use super::*;

fn files(names: &[&str]) -> Files {
    let mut files = Files::default();
    let source = files.add_source("/photos".into());
    let found = names.iter().enumerate().map(|(n, name)| {
        let input = Input {
            path: Path::new("/photos").join(name),
            relative: name.into(),
        };
        (input, n as u64, Info::Unread)
    });
    files.add(source, found.collect());
    files.refresh();
    files
}

fn shown(files: &Files) -> Vec<&str> {
    (0..files.view.len())
        .map(|row| files.row(row).unwrap().shown.as_str())
        .collect()
}

#[test]
fn a_source_is_named_as_a_whole_until_files_are_taken_out() {
    let mut files = files(&["a.png", "b.png", "c.png"]);
    assert_eq!(files.inputs(), [Path::new("/photos")]);
    files.click(1, false, false);
    files.remove_selected();
    let left = [Path::new("/photos/a.png"), Path::new("/photos/c.png")];
    assert_eq!(files.inputs(), left);
    files.refresh();
    files.select_all();
    files.remove_selected();
    assert!(files.inputs().is_empty());
    assert_eq!(files.current, None);
}

#[test]
fn rows_are_sorted_filtered_and_selected_by_ranges() {
    let mut files = files(&["a10.png", "a2.png", "B1.png"]);
    files.arrange(|f| f.sort = (Key::Name, false));
    files.refresh();
    assert_eq!(shown(&files), ["a2.png", "a10.png", "B1.png"]);
    files.click(0, false, false);
    files.click(2, false, true);
    assert_eq!(files.selected.len(), 3);
    files.click(1, true, false);
    assert_eq!(files.selected.len(), 2);
    files.arrange(|f| f.filter = "b".into());
    files.refresh();
    assert_eq!(shown(&files), ["B1.png"]);
    assert_eq!(files.step(5), Some(0));
}

#[test]
fn what_a_name_hides_is_shown() {
    let files = files(&["a\u{202e}gnp.exe", "b\n.png"]);
    assert_eq!(shown(&files), ["a\\u{202e}gnp.exe", "b\\n.png"]);
}

#[test]
fn the_same_file_counts_once_and_trouble_is_counted() {
    let mut files = files(&["a.png", "a.png", "b.png"]);
    assert_eq!(files.entries.len(), 2);
    files.learn(0, Info::Broken("truncated".into()));
    files.progress(1, Progress::Failed("full".into()));
    assert_eq!(files.trouble, 2);
    files.arrange(|f| f.show = Show::Trouble);
    files.refresh();
    assert_eq!(files.view.len(), 2);
    files.forget_progress();
    assert_eq!(files.trouble, 1);
}

#[test]
fn what_is_found_after_the_list_was_cleared_counts_no_more() {
    let mut files = Files::default();
    let input = |name: &str| Input {
        path: name.into(),
        relative: name.into(),
    };
    let old = files.add_source("/old".into());
    files.add(old, vec![(input("/old/a"), 1, Info::Unread)]);
    files.clear();
    let late = files.add(old, vec![(input("/old/b"), 1, Info::Unread)]);
    assert!(late.is_empty());
    let new = files.add_source("/new".into());
    files.add(old, vec![(input("/old/c"), 1, Info::Unread)]);
    files.add(new, vec![(input("/new/a"), 1, Info::Far)]);
    assert_eq!(files.entries.len(), 1);
    assert_eq!(files.inputs(), [std::path::PathBuf::from("/new")]);
}
