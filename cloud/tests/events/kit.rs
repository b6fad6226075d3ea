//! Events to add and ways to wait for them.

use cloud::events::{Cursor, Events, Retention, Subscription, Topic, Update};
use protocol::Event;
use protocol::event::TaskStarted;
use std::time::Duration;

pub(crate) const LIMIT: Duration = Duration::from_secs(20);

pub(crate) fn started(job: &str, task: u64) -> Event {
    Event::TaskStarted(TaskStarted {
        cost: None,
        version: 1,
        seq: None,
        job: job.into(),
        task,
        input: format!("ä \"{task}\".jpg"),
        node: Some("n1".into()),
        attempt: 1,
    })
}

pub(crate) fn seq_of(event: &Event) -> Option<u64> {
    match event {
        Event::TaskStarted(event) => event.seq,
        Event::JobStarted(event) => event.seq,
        _ => None,
    }
}

pub(crate) async fn add(events: &dyn Events, job: &str, tasks: std::ops::Range<u64>) {
    for task in tasks {
        let key = format!("task-{task}");
        events.append(job, &key, &started(job, task)).await.unwrap();
    }
}

pub(crate) async fn next(subscription: &mut Subscription) -> Update {
    tokio::time::timeout(LIMIT, subscription.next())
        .await
        .expect("an update in time")
        .expect("a subscription that goes on")
}

/// Takes events `range` of a job and nothing else; returns the last cursor.
pub(crate) async fn take(
    subscription: &mut Subscription,
    name: &str,
    range: std::ops::Range<u64>,
) -> Cursor {
    let mut last = Cursor::default();
    for expected in range {
        match next(subscription).await {
            Update::Event {
                job,
                cursor,
                record,
            } => {
                assert_eq!((job.as_str(), record.seq), (name, expected));
                assert_eq!(cursor.seq, expected);
                assert_eq!(seq_of(&record.event), Some(expected));
                last = cursor;
            }
            other => panic!("{other:?} instead of event {expected}"),
        }
    }
    last
}

pub(crate) async fn nothing_more(subscription: &mut Subscription) {
    let more = tokio::time::timeout(Duration::from_millis(300), subscription.next()).await;
    assert!(more.is_err(), "{more:?}");
}

pub(crate) fn job(name: &str, after: Cursor) -> Topic {
    Topic::Job {
        job: name.into(),
        after,
    }
}

pub(crate) fn nothing_more_at_once(subscription: &mut Subscription) {
    use futures_util::FutureExt as _;
    assert_eq!(subscription.next().now_or_never(), None);
}

pub(crate) fn few() -> Retention {
    Retention {
        events: 10,
        ..Retention::default()
    }
}

pub(crate) fn brief() -> Retention {
    Retention {
        job: Duration::from_millis(500),
        ..Retention::default()
    }
}
