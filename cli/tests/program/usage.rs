//! Wrong usage is explained.

use crate::{photos, run};

#[test]
fn without_arguments_it_shows_examples() {
    let dir = tempfile::tempdir().unwrap();
    let (code, out, _) = run(dir.path(), &[]);
    assert_eq!(code, 0);
    assert!(out.contains("sundog run photos/ -o out/"), "{out}");
}

#[test]
fn a_mistyped_name_is_an_error_with_the_nearest() {
    let dir = photos();
    for (arguments, hint) in [
        (&["runn"][..], "'run'"),
        (&["run", "--pipline", "x"], "'--pipeline'"),
        (&["ops", "gausian"], "`gaussian`"),
        (
            &["run", "photos", "-o", "out", "-p", "gausian"],
            "`gaussian`",
        ),
        (
            &["run", "photos", "-o", "out", "--format", "jpg(qualty=3)"],
            "`quality`",
        ),
        (&["run", "photos", "-o", "out", "--mode", "row"], "'rows'"),
    ] {
        let (code, out, err) = run(dir.path(), arguments);
        assert_eq!(code, 2, "{arguments:?}: {err}");
        assert!(err.contains(hint) && out.is_empty(), "{arguments:?}: {err}");
    }
    assert!(!dir.path().join("out").exists());
}

#[test]
fn what_is_missing_is_asked_for() {
    let dir = photos();
    assert!(run(dir.path(), &["run"]).2.contains("no inputs are named"));
    let (code, _, err) = run(dir.path(), &["run", "photos"]);
    assert_eq!(code, 2);
    assert!(err.contains("no output is named (give -o"), "{err}");
}
