//! What is amiss with the job system, in words.

use super::{Jobs, Link, Target};
use crate::text::harmless;

/// What is amiss: it stands until that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What does not answer.
    pub what: String,
    /// What that means, why, and the way out.
    pub way: String,
}

impl Jobs {
    /// What is amiss, if anything is.
    pub fn trouble(&self) -> Option<Trouble> {
        if self.target == Target::Local {
            return None;
        }
        if let (Link::Down(why), true) = (&self.link, self.silent.none()) {
            return Some(Trouble {
                what: format!("{} does not answer", self.target.name()),
                way: format!(
                    "{}. It is tried again every few seconds; runs of this computer do not need it.",
                    harmless(why)
                ),
            });
        }
        let silent = &self.silent;
        let cluster = self.target == Target::Cluster;
        let named = |own: &str, behind: &str| match cluster {
            true => own.to_owned(),
            false => format!("{behind} behind {}", self.target.name()),
        };
        let all = [
            (
                &silent.queue,
                named("RabbitMQ", "the broker"),
                "what runs may go on, but nothing can be submitted, cancelled or resumed",
                "SUNDOG_BROKER",
            ),
            (
                &silent.events,
                named("Redis", "Redis"),
                "progress cannot be followed",
                "SUNDOG_REDIS",
            ),
            (
                &silent.store,
                named("the store", "the store"),
                "files can be neither sent nor fetched",
                "SUNDOG_STORE",
            ),
        ];
        let mut away = all.iter().filter_map(|(why, name, means, setting)| {
            Some((why.as_ref()?, name.as_str(), *means, *setting))
        });
        let first = away.next()?;
        let others: Vec<_> = away.collect();
        let names: Vec<&str> = std::iter::once(first.1)
            .chain(others.iter().map(|other| other.1))
            .collect();
        let verb = if others.is_empty() { "does" } else { "do" };
        let what = format!("{} {verb} not answer", names.join(" and "));
        let check = match cluster {
            true => format!("check {}, or start it again", first.3),
            false => "who runs it has to start it again".to_owned(),
        };
        let why = harmless(first.0);
        Some(Trouble {
            what: capital(&what),
            way: format!(
                "{}: {why}. Nothing is lost, and it is tried again every few seconds; {check}.",
                capital(first.2)
            ),
        })
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| {
        first.to_uppercase().chain(chars).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(target: Target, link: Link) -> Jobs {
        Jobs {
            target,
            link,
            ..Jobs::default()
        }
    }

    #[test]
    fn what_is_away_is_named_with_what_it_means_and_the_way_out() {
        let mut jobs = at(Target::Cluster, Link::Up);
        assert_eq!(jobs.trouble(), None);
        jobs.silent.queue = Some("connection\u{202e} refused".into());
        let told = jobs.trouble().unwrap();
        assert_eq!(told.what, "RabbitMQ does not answer");
        for words in ["nothing can be submitted", "SUNDOG_BROKER", "\\u{202e}"] {
            assert!(told.way.contains(words), "{told:?}");
        }
        jobs.silent.events = Some("no answer within 3 s".into());
        let told = jobs.trouble().unwrap();
        assert_eq!(told.what, "RabbitMQ and Redis do not answer");
        jobs.silent = client::Silent::default();
        assert_eq!(jobs.trouble(), None);
    }

    #[test]
    fn a_job_system_that_is_away_is_told_of_by_its_name_and_this_computer_never() {
        let down = Link::Down("nobody listens there".into());
        let gateway = Target::Gateway("https://images.example.org".into());
        let mut jobs = at(gateway, down.clone());
        let told = jobs.trouble().unwrap();
        assert_eq!(told.what, "images.example.org does not answer");
        assert!(told.way.starts_with("nobody listens there"));
        jobs.link = Link::Up;
        jobs.silent.queue = Some("the gateway gets no answer".into());
        let told = jobs.trouble().unwrap();
        assert_eq!(
            told.what,
            "The broker behind images.example.org does not answer"
        );
        assert_eq!(at(Target::Local, down).trouble(), None);
    }
}
