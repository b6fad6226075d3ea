//! Which group of files is taken next, by threads of this process and by other ranks.

use imaging::executor::Stop;
use imaging::{Error, Result};
use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// Why a group failed, and the first file of the list that is to blame.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Index of the file.
    pub file: usize,
    /// What is wrong with it.
    pub error: Error,
}

/// The groups that are not taken yet. They are handed out in order, and none runs ahead of the oldest
/// unfinished one by more than `window`, so that few results wait for an earlier one.
///
/// After a failure nothing new is handed out, but what was handed out is finished: every earlier
/// group has been looked at, and the failure of the first bad file is the one that is told.
pub struct Board {
    groups: usize,
    window: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    next: usize,
    running: BTreeSet<usize>,
    failure: Option<Failure>,
}

impl State {
    fn fail(&mut self, failure: Failure) {
        if self.failure.as_ref().is_none_or(|f| failure.file < f.file) {
            self.failure = Some(failure);
        }
    }
}

/// An answer to who asks for work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Do this group.
    Group(usize),
    /// Ask again.
    Later,
    /// There is no more.
    End,
}

impl Board {
    /// A board of `groups` groups.
    pub fn new(groups: usize, window: usize) -> Board {
        Board {
            groups,
            window: window.max(1),
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn answer(&self, state: &mut State) -> Answer {
        if state.failure.is_some() || state.next == self.groups {
            return Answer::End;
        }
        let oldest = state.running.first().copied().unwrap_or(state.next);
        if state.next >= oldest + self.window {
            return Answer::Later;
        }
        state.running.insert(state.next);
        state.next += 1;
        Answer::Group(state.next - 1)
    }

    /// The next group, if there is one now.
    pub fn ask(&self) -> Answer {
        self.answer(&mut self.lock())
    }

    /// The next group; waits for one.
    pub fn wait(&self) -> Option<usize> {
        let mut state = self.lock();
        loop {
            match self.answer(&mut state) {
                Answer::Group(group) => return Some(group),
                Answer::End => return None,
                Answer::Later => {
                    let waited = self.changed.wait_timeout(state, Duration::from_millis(100));
                    state = waited.map_or_else(|e| e.into_inner().0, |w| w.0);
                }
            }
        }
    }

    /// Notes that a group is done.
    pub fn finish(&self, group: usize, result: Result<(), Failure>) {
        let mut state = self.lock();
        state.running.remove(&group);
        if let Err(failure) = result {
            state.fail(failure);
        }
        self.changed.notify_all();
    }

    /// Notes a failure of a group that is not finished yet.
    pub fn fail(&self, failure: Failure) {
        self.lock().fail(failure);
    }

    /// Whether nothing is left to do or to wait for.
    pub fn finished(&self) -> bool {
        let state = self.lock();
        state.running.is_empty() && (state.failure.is_some() || state.next == self.groups)
    }

    /// Success, or the failure of the first bad file.
    pub fn result(&self, stop: &Stop) -> Result<()> {
        match &self.lock().failure {
            Some(failure) => Err(failure.error.clone()),
            None => stop.check(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_order_and_not_too_far_ahead() {
        let board = Board::new(5, 2);
        assert_eq!(board.ask(), Answer::Group(0));
        assert_eq!(board.ask(), Answer::Group(1));
        assert_eq!(board.ask(), Answer::Later);
        board.finish(1, Ok(()));
        assert_eq!(board.ask(), Answer::Later);
        board.finish(0, Ok(()));
        assert_eq!(board.ask(), Answer::Group(2));
        assert_eq!(board.ask(), Answer::Group(3));
        let failure = |file, text: &str| Failure {
            file,
            error: Error::Decode(text.into()),
        };
        board.finish(3, Err(failure(15, "late")));
        assert_eq!(board.ask(), Answer::End);
        assert!(!board.finished());
        board.finish(2, Err(failure(11, "early")));
        assert!(board.finished());
        assert_eq!(
            board.result(&Stop::default()),
            Err(Error::Decode("early".into()))
        );
    }
}
