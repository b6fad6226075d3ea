//! What the window knows of jobs, told line by line on standard error where `SUNDOG_GUI_TRACE` is set: what a script that
//! drives a real window waits for.

use crate::state::State;
use crate::state::jobs::{Link, Target};
use std::collections::HashMap;

/// What was told last.
#[derive(Default)]
pub struct Trace {
    link: String,
    silent: String,
    jobs: HashMap<String, String>,
    banner: String,
}

impl Trace {
    /// Whether it is wanted.
    pub fn wanted() -> bool {
        std::env::var_os("SUNDOG_GUI_TRACE").is_some()
    }

    /// Lines for what has changed.
    pub fn changes(&mut self, state: &State) -> Vec<String> {
        let mut lines = Vec::new();
        let link = match &state.jobs.link {
            Link::None => "none",
            Link::Connecting => "connecting",
            Link::Up => "up",
            Link::Down(_) => "down",
        };
        if self.link != link && state.jobs.target != Target::Local {
            link.clone_into(&mut self.link);
            lines.push(format!("link {link}"));
        }
        let silent = &state.jobs.silent;
        let all = [
            ("broker", &silent.queue),
            ("events", &silent.events),
            ("store", &silent.store),
        ];
        let silent = all.iter().filter(|(_, why)| why.is_some());
        let silent: String = silent.map(|(name, _)| format!(" {name}")).collect();
        if self.silent != silent {
            lines.push(match silent.as_str() {
                "" => "all answer".to_owned(),
                silent => format!("no answer{silent}"),
            });
            self.silent = silent;
        }
        for status in &state.jobs.list {
            let counts = &status.counts;
            let done = client::ended(counts);
            let now = format!("{} {done} of {}", status.state, counts.tasks);
            if self.jobs.get(&status.job) != Some(&now) {
                lines.push(format!("job {} {now}", status.job));
                self.jobs.insert(status.job.clone(), now);
            }
        }
        if let Some(banner) = state.banners.last()
            && self.banner != banner.text
        {
            self.banner.clone_from(&banner.text);
            let kind = if banner.error { "error" } else { "note" };
            lines.push(format!("{kind} {}", crate::text::harmless(&banner.text)));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::jobs::Listed;

    #[test]
    fn only_what_changes_is_told() {
        let mut state = State::default();
        let mut trace = Trace::default();
        assert!(trace.changes(&state).is_empty());
        state.jobs.turn(Target::Cluster);
        assert_eq!(trace.changes(&state), ["link connecting"]);
        let job = serde_json::json!({
            "job": "J", "state": "running",
            "counts": {"tasks": 3, "succeeded": 1, "failed": 0, "rejected": 0}
        });
        let job = vec![serde_json::from_value(job).unwrap()];
        state.jobs.listed(Listed::Newest(job, false));
        assert_eq!(trace.changes(&state), ["link up", "job J running 1 of 3"]);
        state.jobs.silent.queue = Some("refused".into());
        state.jobs.silent.store = Some("refused".into());
        assert_eq!(trace.changes(&state), ["no answer broker store"]);
        state.jobs.silent = client::Silent::default();
        assert_eq!(trace.changes(&state), ["all answer"]);
        state.tell(true, "a\nb");
        assert_eq!(trace.changes(&state), ["error a\\nb"]);
        assert!(trace.changes(&state).is_empty());
    }
}
