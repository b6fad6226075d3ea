//! Images of the job that is looked at.

use super::Jobs;
use protocol::state::TaskState;
use std::collections::HashSet;

/// An image of the job that is looked at.
#[derive(Clone, Debug)]
pub struct Task {
    /// The input, harmless.
    pub input: String,
    /// Where it is.
    pub state: TaskState,
    /// Why it did not succeed.
    pub reason: String,
    /// Milliseconds.
    pub ms: Option<u64>,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// The machine.
    pub node: String,
}

impl Jobs {
    pub(super) fn forget_tasks(&mut self) {
        self.tasks.clear();
        self.order = Default::default();
    }

    /// Takes in images of the job that is looked at; `anew`: those known before count no more.
    pub fn learn(&mut self, anew: bool, tasks: Vec<(u64, Task)>) {
        if anew {
            self.forget_tasks();
        }
        let mut mended = HashSet::new();
        for (number, task) in tasks {
            let trouble = matches!(task.state, TaskState::Failed | TaskState::Rejected);
            let before = self.tasks.insert(number, task);
            if before.is_none() {
                self.order[0].push(number);
            }
            let known =
                before.is_some_and(|t| matches!(t.state, TaskState::Failed | TaskState::Rejected));
            match (known, trouble) {
                // It may have been mended before, together with others.
                (false, true) if !mended.remove(&number) => self.order[1].push(number),
                (true, false) => drop(mended.insert(number)),
                _ => {}
            }
        }
        if !mended.is_empty() {
            self.order[1].retain(|number| !mended.contains(number));
        }
    }

    /// Numbers of the images that are listed.
    pub fn rows(&self) -> &[u64] {
        &self.order[usize::from(self.only_failed)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(state: TaskState) -> Task {
        Task {
            input: "a.jpg".into(),
            state,
            reason: String::new(),
            ms: None,
            attempt: 1,
            node: String::new(),
        }
    }

    #[test]
    fn what_failed_and_came_right_is_in_trouble_no_more() {
        let mut jobs = Jobs {
            only_failed: true,
            ..Jobs::default()
        };
        let told = |number, state| (number, task(state));
        jobs.learn(
            true,
            vec![told(0, TaskState::Failed), told(1, TaskState::Failed)],
        );
        assert_eq!(jobs.rows(), [0, 1]);
        let again = vec![told(0, TaskState::Running), told(0, TaskState::Failed)];
        jobs.learn(false, again);
        assert_eq!(jobs.rows(), [0, 1]);
        jobs.learn(false, vec![told(0, TaskState::Succeeded)]);
        assert_eq!(jobs.rows(), [1]);
        jobs.only_failed = false;
        assert_eq!(jobs.rows(), [0, 1]);
    }
}
