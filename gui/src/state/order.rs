//! The order in which files are shown.

use super::files::{Entry, Files, Info, Key, Progress, Show};
use super::natural::natural;
use std::time::{Duration, Instant};

/// From so many files on the order follows what happens with a delay.
const LONG: usize = 5000;
/// That delay.
const DELAY: Duration = Duration::from_millis(400);
/// The delay is so many times what it takes, so that frames which are late are few.
const SHARE: u32 = 30;

impl Files {
    /// Whether the order will change by itself.
    pub fn is_stale(&self) -> bool {
        self.stale
    }

    /// Brings the order up to date where something changed. Takes time in proportion to the list, so it is not for every
    /// frame.
    pub fn refresh(&mut self) {
        let delay = DELAY.max(self.cost * SHARE);
        let recent = self.fresh.is_some_and(|at| at.elapsed() < delay);
        if !self.stale || recent && self.entries.len() > LONG {
            return;
        }
        let began = Instant::now();
        self.stale = false;
        let filter = self.filter.to_lowercase();
        let shown = |e: &Entry| {
            let fits = match self.show {
                Show::All => true,
                Show::Trouble => {
                    matches!(e.info, Info::Broken(_)) || matches!(e.progress, Progress::Failed(_))
                }
                Show::Done => e.progress == Progress::Done,
            };
            fits && (filter.is_empty() || e.shown.to_lowercase().contains(&filter))
        };
        let entries = &self.entries;
        let mut view: Vec<u32> = (0..entries.len() as u32)
            .filter(|at| shown(&entries[*at as usize]))
            .collect();
        let at = |at: &u32| &entries[*at as usize];
        let pixels = |e: &Entry| match &e.info {
            Info::Ready(h) => u64::from(h.width) * u64::from(h.height),
            _ => 0,
        };
        let format = |e: &Entry| match &e.info {
            Info::Ready(h) => h.format,
            _ => "",
        };
        match self.sort.0 {
            Key::Added => {}
            Key::Name => view.sort_by_cached_key(|a| natural(&at(a).shown)),
            Key::Size => view.sort_by_key(|a| at(a).bytes),
            Key::Pixels => view.sort_by_key(|a| pixels(at(a))),
            Key::Format => view.sort_by_key(|a| format(at(a))),
            Key::State => view.sort_by_key(|a| rank(at(a))),
        }
        if self.sort.1 {
            view.reverse();
        }
        self.view = view;
        self.anchor = None;
        (self.cost, self.fresh) = (began.elapsed(), Some(Instant::now()));
    }
}

fn rank(entry: &Entry) -> u8 {
    match (&entry.info, &entry.progress) {
        (Info::Broken(_), _) => 0,
        (_, Progress::Failed(_)) => 1,
        (_, Progress::Running) => 2,
        (_, Progress::Idle) => 3,
        (_, Progress::Done) => 4,
    }
}
