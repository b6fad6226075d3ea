//! The core, told one thing after the other.

use jobs::Span;
use jobs::conductor::{Beat, Conductor, Effect, Flags, Input, Loaded, Loading, Settings};
use jobs::span::{End, Order, Report};
use protocol::job::Schedule;

fn conductor() -> Conductor {
    Conductor::new(Settings {
        settle: 0,
        ..Settings::default()
    })
}

/// A job of so many inputs of that cost.
fn job(id: &str, inputs: usize, cost: u32) -> Input {
    Input::Loaded(Box::new(Loaded {
        job: id.into(),
        owner: id.into(),
        class: 1,
        round: 1,
        flags: Flags::default(),
        over: false,
        schedule: Schedule::default(),
        stops: false,
        capped: id == "capped",
        tree: None,
        pages: Some(vec![Loading {
            costs: vec![cost; inputs],
            ..Loading::default()
        }]),
    }))
}

fn beat(slots: u32) -> Input {
    Input::Beat(Beat {
        node: "n".into(),
        slots,
        load: 0.0,
        hand: Vec::new(),
    })
}

fn span(job: &str, first: u32, last: u32) -> Span {
    Span {
        job: job.into(),
        round: 1,
        page: 0,
        first,
        last,
        attempt: 1,
    }
}

fn fed(effects: Vec<Effect>) -> Vec<Order> {
    let orders = effects.into_iter().filter_map(|effect| match effect {
        Effect::Feed(order, _) => Some(order),
        _ => None,
    });
    orders.collect()
}

fn ended(order: &Order) -> Input {
    let span = order.span.clone();
    Input::Ended(Report {
        ends: (span.first..=span.last)
            .map(|n| (n, End::Succeeded))
            .collect(),
        span,
        node: "n".into(),
        ms: 10,
    })
}

#[test]
fn what_a_process_died_of_is_run_one_by_one_and_then_has_failed() {
    let mut core = conductor();
    // Before anybody knows of the job.
    core.step(0, Input::Crashed(Order::new(span("J", 2, 4))));
    let orders = fed(core.step(1, job("J", 8, 20_000)));
    let sent = orders.iter().map(|o| (o.span.first, o.span.last, o.alone));
    let alone = [(2, 2, true), (3, 3, true), (4, 4, true)];
    assert_eq!(sent.collect::<Vec<_>>(), alone);
    let others = fed(core.step(2, beat(8)));
    let apart = |o: &Order| !o.alone && (o.span.last < 2 || o.span.first > 4);
    assert!(!others.is_empty() && others.iter().all(apart), "{others:?}");
    // And of one that is known.
    let mut core = conductor();
    core.step(0, job("J", 8, 20_000));
    let orders = fed(core.step(2, Input::Crashed(Order::new(span("J", 2, 4)))));
    let sent = orders.iter().map(|o| (o.span.first, o.span.last, o.alone));
    assert_eq!(sent.collect::<Vec<_>>(), alone);
    // What is on its way is not sent once more.
    assert!(fed(core.step(3, Input::Crashed(Order::new(span("J", 1, 3))))).is_empty());
    // One of them again: it was alone.
    let deadly = Order {
        alone: true,
        ..Order::new(span("J", 3, 3))
    };
    let effects = core.step(4, Input::Crashed(deadly));
    assert_eq!(effects, [Effect::Blame(span("J", 3, 3))]);
    // Its next attempt is alone, too.
    core.step(5, beat(1));
    let passing = Report {
        span: span("J", 3, 3),
        node: "n".into(),
        ms: 0,
        ends: vec![(3, End::Passing)],
    };
    core.step(6, Input::Ended(passing));
    let orders = fed(core.step(5000, Input::Tick(Some(0))));
    let again: Vec<_> = orders.iter().filter(|o| o.span.attempt == 2).collect();
    assert_eq!((again.len(), again[0].alone), (1, true));
}

#[test]
fn of_costly_images_none_waits_at_a_node_and_of_cheap_ones_some_do() {
    for (cost, inputs, flying) in [(1_000_000, 100, 4), (60_000, 100, 7), (1000, 4000, 8)] {
        let mut core = conductor();
        core.step(0, job("J", inputs, cost));
        // Before one ran nobody knows what they really cost.
        let orders = fed(core.step(1, beat(4)));
        assert_eq!((orders.len(), core.in_flight()), (4, 4), "{cost}");
        // One ends: one follows, and of cheap ones more.
        let mut end = ended(&orders[0]);
        if let Input::Ended(report) = &mut end {
            report.ms = u64::from(cost.max(50_000)) / 1000;
        }
        let next = fed(core.step(20, end));
        assert_eq!(next.len(), flying - 3, "{cost}");
        assert_eq!(core.in_flight(), flying, "{cost}");
    }
}

#[test]
fn a_job_whose_images_wait_for_each_other_leaves_slots_to_others() {
    let mut core = conductor();
    core.step(0, job("capped", 100, 1_000_000));
    let first = fed(core.step(1, beat(4)));
    assert_eq!(first.len(), 2);
    let others = fed(core.step(2, job("other", 100, 1_000_000)));
    assert!(others.iter().all(|o| &*o.span.job == "other"), "{others:?}");
    assert_eq!(others.len(), 2);
    // Its share is free again when one has ended.
    let next = fed(core.step(20, ended(&first[0])));
    assert_eq!(next.len(), 1);
}

/// The same of somebody.
fn job_of(owner: &str, id: &str, inputs: usize, cost: u32) -> Input {
    let Input::Loaded(mut loaded) = job(id, inputs, cost) else {
        unreachable!()
    };
    loaded.owner = owner.into();
    Input::Loaded(loaded)
}

#[test]
fn a_small_job_of_somebody_who_has_nothing_under_way_does_not_wait_for_others() {
    let mut core = conductor();
    core.step(0, job_of("ada", "big", 100, 1_000_000));
    let big = fed(core.step(1, beat(4)));
    assert_eq!(big.len(), 4);
    // All slots are taken: a job that is not small waits, whosever it is, and one of ada's own.
    assert!(fed(core.step(2, job_of("bob", "large", 2, 600_000))).is_empty());
    assert!(fed(core.step(3, job_of("ada", "own", 1, 20_000))).is_empty());
    // Those of eve go at once, one after the other: she has one under way then. What is worth one span is one.
    let first = fed(core.step(4, job_of("eve", "E1", 4, 10_000)));
    assert_eq!(first.len(), 1);
    let (span, urgent) = (&first[0].span, first[0].urgent);
    assert_eq!(
        (&*span.job, span.first, span.last, urgent),
        ("E1", 0, 3, true)
    );
    assert!(fed(core.step(5, job_of("eve", "E2", 1, 10_000))).is_empty());
    // There is one such span for each node: that of fay follows.
    assert!(fed(core.step(6, job_of("fay", "F", 1, 10_000))).is_empty());
    let next = fed(core.step(10, ended(&first[0])));
    assert_eq!(next.len(), 1, "{next:?}");
    assert!(next[0].urgent && matches!(&*next[0].span.job, "E2" | "F"));
    let last = fed(core.step(20, ended(&next[0])));
    assert!(last.len() == 1 && last[0].urgent && last[0].span.job != next[0].span.job);
    core.step(30, ended(&last[0]));
    assert_eq!(core.in_flight(), 4);
    // Where there is room nothing is urgent.
    big.iter()
        .for_each(|order| drop(core.step(40, ended(order))));
    let mut core = conductor();
    core.step(0, beat(4));
    assert!(!fed(core.step(1, job_of("eve", "E3", 1, 10_000)))[0].urgent);
}

#[test]
fn urgent_spans_leave_when_their_job_is_cancelled() {
    let mut core = conductor();
    core.step(0, job_of("ada", "big", 100, 1_000_000));
    core.step(1, beat(4));
    for n in 0..3 {
        let id = format!("E{n}");
        let sent = fed(core.step(2, job_of("eve", &id, 1, 10_000)));
        assert!(sent.len() == 1 && sent[0].urgent, "{n}");
        let flags = Flags {
            cancelled: true,
            paused: false,
        };
        let job: jobs::JobId = id.as_str().into();
        core.step(
            3,
            Input::Flags {
                job: job.clone(),
                flags,
            },
        );
        core.step(4, Input::Finished(job, 1));
        assert_eq!(core.in_flight(), 4);
    }
}

#[test]
fn a_span_that_is_refused_goes_to_each_node_before_it_comes_to_one_again() {
    let mut core = conductor();
    let names = ["a", "b", "c", "d"];
    for name in names {
        core.step(
            0,
            Input::Beat(Beat {
                node: name.into(),
                slots: 1,
                load: 0.5,
                hand: Vec::new(),
            }),
        );
    }
    let Input::Loaded(mut loaded) = job("J", 1, 1000) else {
        unreachable!()
    };
    loaded.schedule.placement = protocol::job::Placement::Random;
    loaded.schedule.acceptance = protocol::job::Acceptance::Optional;
    let mut effects = core.step(1, Input::Loaded(loaded));
    let (mut now, mut asked) = (1, Vec::new());
    while asked.len() < 12 {
        let found = effects.iter().find_map(|effect| match effect {
            Effect::Feed(order, Some(node)) => Some((order.span.clone(), node.clone())),
            _ => None,
        });
        effects = match found {
            Some((span, node)) => {
                asked.push(node.to_string());
                core.step(now, Input::Refused(span, node))
            }
            None => {
                now += 1;
                core.step(now, Input::Tick(None))
            }
        };
    }
    // The first round of all; then again all, beginning with another than the last.
    for (before, round) in [(None, &asked[..4]), (Some(&asked[3]), &asked[4..7])] {
        let mut each: Vec<&String> = before.into_iter().chain(round).collect();
        each.sort();
        assert_eq!(each, names, "{asked:?}");
    }
    assert!(asked.windows(2).all(|two| two[0] != two[1]), "{asked:?}");
}

#[test]
fn progress_is_the_share_of_the_work_and_not_of_the_number_of_images() {
    let mut core = conductor();
    let mut costs = vec![10_000; 100];
    costs[70] = 9_000_000;
    let Input::Loaded(mut loaded) = job("J", 0, 0) else {
        unreachable!()
    };
    loaded.pages = Some(vec![Loading {
        costs,
        ended: vec![(3, End::Succeeded)],
        ..Loading::default()
    }]);
    core.step(0, Input::Loaded(loaded));
    let counted = |core: &Conductor| core.counted("J").unwrap();
    assert_eq!(
        (counted(&core).worked, counted(&core).work),
        (10_000, 9_990_000)
    );
    let mut orders = fed(core.step(1, beat(1)));
    let (mut now, mut before) = (2, counted(&core).worked);
    while let Some(order) = orders.pop() {
        now += 1;
        let first = order.span.first;
        orders.extend(fed(core.step(now, ended(&order))));
        let Some(counted) = core.counted("J") else {
            break;
        };
        assert!(counted.worked <= counted.work);
        assert!(
            counted.worked >= before || core.in_flight() == 0,
            "{counted:?}"
        );
        before = counted.worked;
        if first == 70 {
            // One image of a hundred, nine tenths of the work.
            assert!(
                counted.succeeded <= 30 && counted.worked >= 9_000_000,
                "{counted:?}"
            );
        }
        if counted.succeeded == 100 {
            assert_eq!(counted.worked, counted.work);
        }
    }
}
