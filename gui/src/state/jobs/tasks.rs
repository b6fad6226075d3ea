//! Images of the job that is looked at.

use super::Jobs;
use protocol::state::TaskState;
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

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

impl Task {
    fn trouble(&self) -> bool {
        matches!(self.state, TaskState::Failed | TaskState::Rejected)
    }
}

/// Which images are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Which {
    /// All.
    #[default]
    All,
    /// Those that are being worked on.
    Running,
    /// Those that failed or were refused.
    Failed,
    /// Those whose output is stored.
    Done,
}

impl Which {
    /// All of them, with their names.
    pub const ALL: [(Which, &'static str); 4] = [
        (Which::All, "All"),
        (Which::Running, "Running"),
        (Which::Failed, "Failed"),
        (Which::Done, "Done"),
    ];

    fn fits(self, task: &Task) -> bool {
        match self {
            Which::All => true,
            Which::Running => task.state == TaskState::Running,
            Which::Failed => task.trouble(),
            Which::Done => task.state == TaskState::Succeeded,
        }
    }
}

/// How often a list that has to be searched for follows what happens.
const DELAY: Duration = Duration::from_millis(400);

/// The images and which of them are listed.
#[derive(Debug, Default)]
pub struct Tasks {
    /// By their numbers.
    pub all: HashMap<u64, Task>,
    /// Which are listed.
    pub which: Which,
    /// Text that names or reasons must contain.
    pub filter: String,
    /// Their numbers as they came, and of those in trouble.
    order: [Vec<u64>; 2],
    /// Those that are listed, where it is neither of both.
    found: Vec<u64>,
    stale: bool,
    fresh: Option<Instant>,
}

impl Tasks {
    /// Nothing is known; what is listed stays chosen.
    pub fn forget(&mut self) {
        *self = Tasks {
            which: self.which,
            filter: std::mem::take(&mut self.filter),
            ..Tasks::default()
        };
    }

    /// Lists others.
    pub fn list(&mut self, which: Which, filter: String) {
        (self.which, self.filter) = (which, filter);
        (self.stale, self.fresh) = (true, None);
        self.refresh();
    }

    /// How many are in trouble.
    pub fn failed(&self) -> usize {
        self.order[1].len()
    }

    fn kept(&self) -> Option<&[u64]> {
        match (self.which, self.filter.is_empty()) {
            (Which::All, true) => Some(&self.order[0]),
            (Which::Failed, true) => Some(&self.order[1]),
            _ => None,
        }
    }

    /// Numbers of the images that are listed.
    pub fn rows(&self) -> &[u64] {
        self.kept().unwrap_or(&self.found)
    }

    /// Whether what is listed will change by itself.
    pub fn is_stale(&self) -> bool {
        self.stale && self.kept().is_none()
    }

    /// Brings the list up to date; where it has to be searched for, not in every frame.
    pub fn refresh(&mut self) {
        let recent = self.fresh.is_some_and(|at| at.elapsed() < DELAY);
        if !self.is_stale() || recent {
            return;
        }
        (self.stale, self.fresh) = (false, Some(Instant::now()));
        let text = self.filter.to_lowercase();
        let has = |field: &str| field.to_lowercase().contains(&text);
        let fits = |number: &u64| {
            let Some(task) = self.all.get(number) else {
                return false;
            };
            self.which.fits(task) && (text.is_empty() || has(&task.input) || has(&task.reason))
        };
        let all = self.order[0].iter().copied();
        self.found = all.filter(fits).collect();
    }
}

impl Jobs {
    /// Takes in images of the job that is looked at; `anew`: those known before count no more.
    pub fn learn(&mut self, anew: bool, told: Vec<(u64, Task)>) {
        let tasks = &mut self.tasks;
        if anew {
            tasks.forget();
        }
        tasks.stale = true;
        let mut mended = HashSet::new();
        for (number, task) in told {
            let trouble = task.trouble();
            let before = tasks.all.insert(number, task);
            if before.is_none() {
                tasks.order[0].push(number);
            }
            let known = before.is_some_and(|task| task.trouble());
            match (known, trouble) {
                // It may have been mended before, together with others.
                (false, true) if !mended.remove(&number) => tasks.order[1].push(number),
                (true, false) => drop(mended.insert(number)),
                _ => {}
            }
        }
        if !mended.is_empty() {
            tasks.order[1].retain(|number| !mended.contains(number));
        }
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
        let mut jobs = Jobs::default();
        jobs.tasks.list(Which::Failed, String::new());
        let told = |number, state| (number, task(state));
        jobs.learn(
            true,
            vec![told(0, TaskState::Failed), told(1, TaskState::Failed)],
        );
        assert_eq!(jobs.tasks.rows(), [0, 1]);
        let again = vec![told(0, TaskState::Running), told(0, TaskState::Failed)];
        jobs.learn(false, again);
        assert_eq!(jobs.tasks.rows(), [0, 1]);
        jobs.learn(false, vec![told(0, TaskState::Succeeded)]);
        assert_eq!(jobs.tasks.rows(), [1]);
        jobs.tasks.list(Which::All, String::new());
        assert_eq!(jobs.tasks.rows(), [0, 1]);
    }

    #[test]
    fn images_are_listed_by_state_and_by_text_of_name_or_reason() {
        let mut jobs = Jobs::default();
        let states = [
            TaskState::Running,
            TaskState::Failed,
            TaskState::Succeeded,
            TaskState::Succeeded,
        ];
        let told = (0..).zip(states).map(|(number, state)| {
            let mut task = task(state);
            task.input = format!("IMG-{number}.jpg");
            if state == TaskState::Failed {
                task.reason = "truncated PNG".into();
            }
            (number, task)
        });
        jobs.learn(true, told.collect());
        let mut rows = |which, filter: &str| {
            jobs.tasks.list(which, filter.into());
            jobs.tasks.rows().to_vec()
        };
        assert_eq!(rows(Which::Running, ""), [0]);
        assert_eq!(rows(Which::Done, ""), [2, 3]);
        assert_eq!(rows(Which::Done, "img-3"), [3]);
        assert_eq!(rows(Which::All, "TRUNCATED"), [1]);
        assert_eq!(rows(Which::Failed, "img-3"), Vec::<u64>::new());
        // Another round: what was chosen stays chosen.
        jobs.learn(true, vec![(7, task(TaskState::Failed))]);
        assert_eq!(jobs.tasks.which, Which::Failed);
    }
}
