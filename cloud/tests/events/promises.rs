//! What all events promise.

use crate::kit::*;
use cloud::Error;
use cloud::events::{Cursor, Events, Heartbeat, Sample, Switchboard, Topic, Update, subscribe};
use protocol::Event;
use protocol::event::JobStarted;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub(crate) async fn numbers_are_gap_free_for_many_writers(events: Arc<dyn Events>) {
    let writers = (0..8u64).map(|writer| {
        let events = events.clone();
        tokio::spawn(async move { add(&*events, "many", writer * 25..(writer + 1) * 25).await })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let page = events.read("many", 0, 1000).await.unwrap();
    let numbers: Vec<u64> = page.records.iter().map(|record| record.seq).collect();
    assert_eq!(numbers, (1..=200).collect::<Vec<_>>());
    assert_eq!((page.first, page.last), (1, 200));
    assert_ne!(page.history, 0);
    for record in &page.records {
        assert_eq!(seq_of(&record.event), Some(record.seq));
    }
    let page = events.read("many", 190, 5).await.unwrap();
    let numbers: Vec<u64> = page.records.iter().map(|record| record.seq).collect();
    assert_eq!(numbers, [191, 192, 193, 194, 195]);
}

pub(crate) async fn the_same_key_is_added_once(events: Arc<dyn Events>) {
    let first = events.append("once", "start", &started("once", 1)).await;
    let second = events.append("once", "other", &started("once", 2)).await;
    let again = events.append("once", "start", &started("once", 1)).await;
    assert_eq!((first.unwrap(), second.unwrap(), again.unwrap()), (1, 2, 1));
    assert_eq!(events.read("once", 0, 10).await.unwrap().records.len(), 2);
}

pub(crate) async fn events_come_back_as_they_were(events: Arc<dyn Events>) {
    let event = Event::JobStarted(JobStarted {
        cost: None,
        version: 1,
        seq: Some(77), // the writer's opinion does not count
        job: "back".into(),
        tasks: 36,
        time: "2026-11-20T10:00:00Z".into(),
    });
    events.append("back", "k \"1\"", &event).await.unwrap();
    let page = events.read("back", 0, 10).await.unwrap();
    assert_eq!(page.records[0].key, "k \"1\"");
    match &page.records[0].event {
        Event::JobStarted(read) => {
            assert_eq!(
                (read.seq, read.tasks, read.job.as_str()),
                (Some(1), 36, "back")
            );
        }
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn an_unknown_job_is_empty(events: Arc<dyn Events>) {
    let page = events.read("unknown", 5, 10).await.unwrap();
    assert_eq!(
        (page.records.len(), page.first, page.last, page.history),
        (0, 0, 0, 0)
    );
    assert!(events.fields("unknown").await.unwrap().is_empty());
    for id in ["", "a:b", "a*", "ä"] {
        let refused = events.append(id, "k", &started(id, 1)).await;
        assert!(matches!(refused, Err(Error::Invalid { .. })), "{refused:?}");
    }
}

pub(crate) async fn a_subscription_catches_up_then_follows(events: Arc<dyn Events>) {
    add(&*events, "follow", 0..600).await;
    let topic = job(
        "follow",
        Cursor {
            seq: 10,
            history: 0,
        },
    );
    let mut late = subscribe(events.clone(), topic).await.unwrap();
    let writer = {
        let events = events.clone();
        tokio::spawn(async move { add(&*events, "follow", 600..700).await })
    };
    let cursor = take(&mut late, "follow", 11..701).await;
    writer.await.unwrap();
    nothing_more(&mut late).await;
    drop(late);
    // Back with the last id, exactly what was missed.
    add(&*events, "follow", 700..703).await;
    let cursor = cursor.to_string().parse().unwrap();
    let mut back = subscribe(events.clone(), job("follow", cursor))
        .await
        .unwrap();
    take(&mut back, "follow", 701..704).await;
    add(&*events, "elsewhere", 0..2).await;
    nothing_more(&mut back).await;
}

pub(crate) async fn a_subscription_to_all_tells_every_job(events: Arc<dyn Events>) {
    let after = events.positions().await.unwrap();
    let mut all = subscribe(events.clone(), Topic::All { after })
        .await
        .unwrap();
    nothing_more(&mut all).await;
    let writers = ["all-a", "all-b", "all-c"].map(|job| {
        let events = events.clone();
        tokio::spawn(async move { add(&*events, job, 0..40).await })
    });
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    for _ in 0..120 {
        let Update::Event { job, record, .. } = next(&mut all).await else {
            panic!("a reset");
        };
        let last = seen.entry(job).or_default();
        assert_eq!(record.seq, *last + 1);
        *last = record.seq;
    }
    for writer in writers {
        writer.await.unwrap();
    }
    nothing_more(&mut all).await;
    assert_eq!(seen.len(), 3);
    // From an older place, exactly what came after it.
    let mut after = events.positions().await.unwrap();
    after.insert(
        "all-b".into(),
        Cursor {
            seq: 38,
            history: 0,
        },
    );
    let mut all = subscribe(events.clone(), Topic::All { after })
        .await
        .unwrap();
    take(&mut all, "all-b", 39..41).await;
    nothing_more(&mut all).await;
}

pub(crate) async fn a_slow_subscriber_misses_nothing(events: Arc<dyn Events>) {
    let mut slow = subscribe(events.clone(), job("slow", Cursor::default()))
        .await
        .unwrap();
    add(&*events, "slow", 0..3000).await;
    take(&mut slow, "slow", 1..3001).await;
}

pub(crate) async fn a_place_from_another_history_is_a_reset(events: Arc<dyn Events>) {
    add(&*events, "reset", 0..3).await;
    let history = events.read("reset", 0, 1).await.unwrap().history;
    for wrong in [
        Cursor {
            seq: 50,
            history: 0,
        },
        Cursor {
            seq: 2,
            history: history ^ 1,
        },
    ] {
        let mut updates = subscribe(events.clone(), job("reset", wrong))
            .await
            .unwrap();
        assert_eq!(
            next(&mut updates).await,
            Update::Reset {
                job: "reset".into()
            }
        );
        take(&mut updates, "reset", 1..4).await;
    }
}

pub(crate) async fn fields_are_kept_beside_each_other(events: Arc<dyn Events>) {
    events
        .set_fields("f", &[("state", "queued"), ("owner", "a")])
        .await
        .unwrap();
    events
        .set_fields("f", &[("state", "running")])
        .await
        .unwrap();
    add(&*events, "f", 0..2).await;
    let fields = events.fields("f").await.unwrap();
    let expected = [("owner", "a"), ("state", "running")];
    assert_eq!(fields, expected.map(|(n, v)| (n.into(), v.into())).into());
    assert_eq!(events.read("f", 0, 9).await.unwrap().last, 2);
}

pub(crate) async fn heartbeats_end_with_their_time(events: Arc<dyn Events>) {
    let beat = |node: &str| Heartbeat {
        node: node.into(),
        body: format!("{{\"node\":\"{node}\"}}"),
    };
    events.beat(&beat("z"), LIMIT).await.unwrap();
    events.beat(&beat("a"), LIMIT).await.unwrap();
    events
        .beat(&beat("m"), Duration::from_millis(100))
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(250)).await;
    assert_eq!(events.nodes().await.unwrap(), [beat("a"), beat("z")]);
}

pub(crate) async fn a_lease_has_one_holder(events: Arc<dyn Events>) {
    let brief = Duration::from_millis(300);
    assert!(events.lease("work", "a", LIMIT).await.unwrap());
    assert!(!events.lease("work", "b", LIMIT).await.unwrap());
    assert!(events.lease("other", "b", LIMIT).await.unwrap());
    events.release("work", "b").await.unwrap();
    assert!(!events.lease("work", "b", LIMIT).await.unwrap());
    // Kept for another time, and then run out.
    assert!(events.lease("work", "a", brief).await.unwrap());
    tokio::time::sleep(brief * 2).await;
    assert!(events.lease("work", "b", LIMIT).await.unwrap());
    events.release("work", "b").await.unwrap();
    assert!(events.lease("work", "a", LIMIT).await.unwrap());
    let refused = events.lease("a:b", "a", LIMIT).await;
    assert!(matches!(refused, Err(Error::Invalid { .. })), "{refused:?}");
}

pub(crate) async fn a_switchboard_tells_each_its_own(events: Arc<dyn Events>) {
    let names: Vec<String> = (0..50).map(|n| format!("line-{n}")).collect();
    let board = Switchboard::new(events.clone());
    let mut lines = Vec::new();
    for name in &names {
        add(&*events, name, 0..2).await;
        lines.push(board.subscribe(name, Cursor::default()).await.unwrap());
    }
    for (name, line) in names.iter().zip(&mut lines) {
        take(line, name, 1..3).await;
    }
    for name in &names {
        add(&*events, name, 2..5).await;
    }
    for (name, line) in names.iter().zip(&mut lines) {
        take(line, name, 3..6).await;
        nothing_more_at_once(line);
    }
    // Two on the same job, one of them late, after all others have gone.
    drop(lines);
    let mut one = board.subscribe("line-0", Cursor::default()).await.unwrap();
    let after = Cursor { seq: 4, history: 0 };
    let mut two = board.subscribe("line-0", after).await.unwrap();
    add(&*events, "line-0", 5..6).await;
    take(&mut one, "line-0", 1..7).await;
    take(&mut two, "line-0", 5..7).await;
}

/// Runs the whole suite; every case has jobs of its own.
pub(crate) async fn conforms(events: Arc<dyn Events>) {
    macro_rules! run {
        ($($case:ident),* $(,)?) => {$(
            eprintln!("case {}", stringify!($case));
            $case(events.clone()).await;
        )*};
    }
    run!(
        numbers_are_gap_free_for_many_writers,
        the_same_key_is_added_once,
        events_come_back_as_they_were,
        an_unknown_job_is_empty,
        a_subscription_catches_up_then_follows,
        a_subscription_to_all_tells_every_job,
        a_slow_subscriber_misses_nothing,
        a_place_from_another_history_is_a_reset,
        fields_are_kept_beside_each_other,
        heartbeats_end_with_their_time,
        what_nodes_did_is_a_series_by_the_clock_of_the_keeper,
        a_lease_has_one_holder,
        a_switchboard_tells_each_its_own,
    );
}

/// With few events kept: readers that are too far behind are told.
pub(crate) async fn forgets_in_order(events: Arc<dyn Events>) {
    add(&*events, "short", 0..30).await;
    let page = events.read("short", 0, 100).await.unwrap();
    assert_eq!((page.first, page.last, page.records.len()), (21, 30, 10));
    let mut behind = subscribe(events.clone(), job("short", Cursor::default()))
        .await
        .unwrap();
    assert_eq!(
        next(&mut behind).await,
        Update::Reset {
            job: "short".into()
        }
    );
    take(&mut behind, "short", 21..31).await;
}

/// With a short life: nothing stays.
pub(crate) async fn expires(events: Arc<dyn Events>) {
    add(&*events, "brief", 0..3).await;
    events
        .set_fields("brief", &[("state", "running")])
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(events.read("brief", 0, 10).await.unwrap().last, 0);
    assert!(events.fields("brief").await.unwrap().is_empty());
    assert!(events.positions().await.unwrap().is_empty());
}

/// What is told when everything is lost while somebody follows.
pub(crate) async fn a_loss_is_told(events: Arc<dyn Events>, lose: impl Fn()) {
    add(&*events, "lost", 0..5).await;
    let mut one = subscribe(events.clone(), job("lost", Cursor::default()))
        .await
        .unwrap();
    let after = events.positions().await.unwrap();
    let mut all = subscribe(events.clone(), Topic::All { after })
        .await
        .unwrap();
    let board = Switchboard::new(events.clone());
    let mut line = board.subscribe("lost", Cursor::default()).await.unwrap();
    take(&mut one, "lost", 1..6).await;
    take(&mut line, "lost", 1..6).await;
    nothing_more(&mut all).await;
    lose();
    // Without any new event.
    let reset = Update::Reset { job: "lost".into() };
    assert_eq!(next(&mut one).await, reset);
    assert_eq!(next(&mut line).await, reset);
    // A writer goes on, even past the numbers of before.
    add(&*events, "lost", 5..15).await;
    take(&mut one, "lost", 1..11).await;
    take(&mut line, "lost", 1..11).await;
    nothing_more(&mut one).await;
    let mut resets = 0;
    loop {
        match next(&mut all).await {
            Update::Reset { job } if job == "lost" => resets += 1,
            Update::Reset { .. } => {}
            Update::Event { record, .. } => {
                assert!(resets > 0, "an event of the new history before the reset");
                if record.seq == 10 {
                    break;
                }
            }
        }
    }
}

pub(crate) async fn what_nodes_did_is_a_series_by_the_clock_of_the_keeper(events: Arc<dyn Events>) {
    let before = events.clock().await.unwrap();
    for busy in 0..4 {
        let node = ["a", "b"][busy as usize % 2].to_owned();
        let sample = Sample {
            node,
            busy,
            slots: 4,
        };
        events.sample(&sample).await.unwrap();
    }
    let after = events.clock().await.unwrap();
    let moments = events.samples().await.unwrap();
    let busy: Vec<_> = moments.iter().map(|m| m.sample.busy).collect();
    assert_eq!(busy, [0, 1, 2, 3]);
    assert_eq!(moments[3].sample.node, "b");
    let second = Duration::from_secs(1);
    for moment in &moments {
        assert!(moment.time + second > before && moment.time < after + second);
    }
    assert!(moments.is_sorted_by_key(|moment| moment.time));
    let wrong = Sample {
        node: "a:b".into(),
        busy: 0,
        slots: 0,
    };
    assert!(matches!(
        events.sample(&wrong).await,
        Err(Error::Invalid { .. })
    ));
}
