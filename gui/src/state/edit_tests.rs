//! Tests of the pipeline as it is edited.

use super::*;
use imaging::ops;

fn op(name: &str) -> &'static Op {
    ops::find(name).unwrap()
}

#[test]
fn every_operation_can_be_added_and_runs_as_it_comes() {
    for op in ops::ALL {
        let mut edit = Edit::default();
        edit.add(op, None);
        assert!(edit.pipeline().is_ok(), "{}: {:?}", op.name, edit.fault);
        assert_eq!(edit.steps.len(), 1, "{}", op.name);
        assert!(Pipeline::parse(&edit.text).is_ok(), "{}", edit.text);
    }
}

#[test]
fn text_and_steps_stay_in_step() {
    let mut edit = Edit::default();
    edit.type_text("equalize | gaussian(sigma=2)".into());
    let id = edit.steps[1].id;
    edit.set(id, 0, Value::Float(3.5));
    assert_eq!(edit.text, "equalize | gaussian(sigma=3.5)");
    edit.toggle(edit.steps[0].id);
    assert_eq!(edit.text, "gaussian(sigma=3.5)");
    edit.type_text("gaussian(sigma=".into());
    assert!(edit.fault.is_some());
    assert!(edit.pipeline().is_err());
    assert_eq!(edit.steps.len(), 2);
    edit.type_text("gaussian(sigma=4)".into());
    assert_eq!(edit.steps[0].args[0], Value::Float(4.0));
}

#[test]
fn changes_are_undone_one_drag_at_a_time() {
    let mut edit = Edit::default();
    edit.add(op("gaussian"), None);
    let id = edit.steps[0].id;
    for tenths in 20..30 {
        edit.set(id, 0, Value::Float(f64::from(tenths) / 10.0));
    }
    edit.add(op("invert"), None);
    edit.shift(edit.steps[1].id, 0);
    assert_eq!(edit.text, "invert | gaussian(sigma=2.9)");
    edit.undo();
    edit.undo();
    assert_eq!(edit.text, "gaussian(sigma=2.9)");
    edit.undo();
    assert_eq!(edit.text, "gaussian");
    edit.redo();
    assert_eq!(edit.text, "gaussian(sigma=2.9)");
    edit.undo();
    edit.undo();
    assert_eq!(edit.text, "");
    assert_eq!(edit.history(), (false, true));
}

#[test]
fn arguments_that_do_not_suit_each_other_are_told_of() {
    let mut edit = Edit::default();
    edit.add(op("gaussian"), None);
    let id = edit.steps[0].id;
    edit.set(id, 0, Value::Float(1e9));
    assert!(edit.fault.as_deref().is_some_and(|f| f.contains("sigma")));
    assert!(edit.steps[0].fault().is_some());
    edit.undo();
    assert_eq!(edit.fault, None);
}
