//! A result beside its input, and its receipt.

use crate::state::State;
use crate::state::inspect::{Side, Subject};
use crate::work::jobs::Ask;
use crate::work::{Work, inspect};
use protocol::name;

/// What is looked at where a result of the run is chosen.
fn result(state: &State, number: usize) -> Option<Subject> {
    let ended = state.run.ended.get(number)?;
    Some(Subject::Result {
        number,
        name: name::to_text(&ended.path),
        input: ended.path.clone(),
        output: ended.outputs.first().cloned(),
        receipt: state.run.receipt.clone(),
    })
}

/// Chooses a result of the run, whose pictures are read.
pub(super) fn choose(state: &mut State, work: &Work, number: usize) {
    state.run.chosen = Some(number);
    let subject = result(state, number);
    state.inspect.turn(subject);
    let Some(Subject::Result { input, output, .. }) = &state.inspect.subject else {
        return;
    };
    let (input, output) = (input.clone(), output.clone());
    let inspect = &mut state.inspect;
    inspect.before = Side::Coming;
    inspect.after = if output.is_some() {
        Side::Coming
    } else {
        Side::None
    };
    inspect::pair(&work.post, inspect.serial, input, output, &work.services);
}

/// Looks at the result that is chosen, large and with its receipt.
pub(super) fn open(state: &mut State, work: &Work) {
    let Some(number) = state.run.chosen else {
        return;
    };
    let ended = state.run.receipt.clone();
    let known = |s: &Subject| matches!(s, Subject::Result { number: n, receipt, .. } if *n == number && *receipt == ended);
    if !state.inspect.subject.as_ref().is_some_and(known) {
        choose(state, work, number);
    }
    state.inspect.open = true;
    if std::mem::replace(&mut state.inspect.asked, true) {
        return;
    }
    let Some(Subject::Result {
        name,
        output,
        receipt,
        ..
    }) = &state.inspect.subject
    else {
        return;
    };
    match receipt {
        Some(receipt) => inspect::receipt(
            &work.post,
            state.inspect.serial,
            receipt.clone(),
            name.clone(),
            output.clone(),
        ),
        None => {
            let why = "the receipt is written at the end of the run".to_owned();
            state.inspect.record = Some(Err(why));
        }
    }
}

/// Looks at an output of a job.
pub(super) fn output(state: &mut State, work: &Work, subject: Subject) {
    state.inspect.turn(Some(subject.clone()));
    let inspect = &mut state.inspect;
    (inspect.open, inspect.asked) = (true, true);
    (inspect.before, inspect.after) = (Side::Coming, Side::Coming);
    work.jobs
        .ask(Ask::Inspect(inspect.serial, Box::new(subject)));
}

/// Compares the output with the hash of its receipt.
pub(super) fn check(state: &mut State, work: &Work) {
    let inspect = &mut state.inspect;
    let Some(Ok(record)) = &inspect.record else {
        return;
    };
    if let (
        Some(Subject::Result {
            output: Some(file), ..
        }),
        Some(sha256),
    ) = (&inspect.subject, &record.sha256)
    {
        inspect.checked = None;
        inspect::check(&work.post, inspect.serial, file.clone(), sha256.clone());
    }
}
