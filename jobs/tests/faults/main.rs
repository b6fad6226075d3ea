//! Whatever is lost, doubled or comes in another order, and whoever dies: every job ends, with one result an input.
#![allow(clippy::unwrap_used)]

mod core;
mod trees;
mod world;

use jobs::span::End;
use proptest::prelude::*;
use protocol::job::{Acceptance, Placement, Schedule};
use world::{Nature, PAGE_OF_TESTS, Trouble, Wish, World};

fn nature() -> impl Strategy<Value = Nature> {
    prop_oneof![
        20 => Just(Nature::Sound),
        2 => Just(Nature::Damaged),
        2 => (1..5u32).prop_map(Nature::Shaky),
        1 => Just(Nature::Deadly),
    ]
}

fn schedule() -> impl Strategy<Value = Schedule> {
    let placements = vec![Placement::Shared, Placement::Random, Placement::LeastLoaded];
    let acceptances = vec![Acceptance::Mandatory, Acceptance::Optional];
    (
        prop::sample::select(placements),
        prop::sample::select(acceptances),
        1..5u32,
    )
        .prop_map(|(placement, acceptance, max_attempts)| Schedule {
            placement,
            acceptance,
            max_attempts,
            ..Schedule::default()
        })
}

fn wish() -> impl Strategy<Value = Wish> {
    let cancel = prop::option::weighted(0.2, (0..400u64).prop_map(|n| n * 5));
    (
        prop::collection::vec(nature(), 0..40),
        0..3usize,
        schedule(),
        cancel,
    )
        .prop_map(|(inputs, owner, schedule, cancel)| Wish {
            inputs,
            owner,
            schedule,
            cancel,
            tree: None,
        })
}

fn trouble() -> impl Strategy<Value = Trouble> {
    let times = |most| prop::collection::vec((0..1000u64).prop_map(|n| n * 5), 0..most);
    let deaths = prop::collection::vec(((0..1000u64).prop_map(|n| n * 5), 0..9usize), 0..6);
    (
        1..5usize,
        0..300u64,
        0..300u64,
        0..300u64,
        deaths,
        times(4),
        any::<u64>(),
    )
        .prop_map(
            |(nodes, lost, doubled, late, deaths, takeovers, seed)| Trouble {
                nodes,
                lost,
                doubled,
                late,
                deaths,
                takeovers,
                seed,
            },
        )
}

/// What must hold afterwards.
fn judge(world: &World) {
    for (id, wish) in &world.wishes {
        let ends = &world.store.over[id];
        let cancelled = world.store.cancelled.contains(id);
        for (number, nature) in wish.inputs.iter().enumerate() {
            let key = (
                (number / PAGE_OF_TESTS) as u32,
                (number % PAGE_OF_TESTS) as u32,
            );
            let end = ends.get(&key);
            let most = wish.schedule.max_attempts;
            let right = match (nature, end) {
                (_, None) => cancelled,
                // It may have ended otherwise where nodes died over it by chance.
                (Nature::Sound, Some(end)) => *end == End::Succeeded || *end == End::Passing,
                (Nature::Damaged, Some(end)) => matches!(end, End::Failed | End::Passing),
                (Nature::Shaky(n), Some(End::Succeeded)) => *n < most,
                (Nature::Shaky(_) | Nature::Deadly, Some(end)) => *end == End::Passing,
            };
            assert!(right, "{id} {number}: {nature:?} ended as {end:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn every_job_ends_with_one_result_an_input(
        wishes in prop::collection::vec(wish(), 1..4),
        trouble in trouble(),
    ) {
        let mut world = World::new(wishes, trouble);
        world.run();
        judge(&world);
    }
}

fn calm(nodes: usize) -> Trouble {
    Trouble {
        nodes,
        lost: 0,
        doubled: 0,
        late: 0,
        deaths: Vec::new(),
        takeovers: Vec::new(),
        seed: 5,
    }
}

fn plain(inputs: Vec<Nature>) -> Wish {
    Wish {
        inputs,
        owner: 0,
        schedule: Schedule::default(),
        cancel: None,
        tree: None,
    }
}

#[test]
fn a_deadly_image_fails_alone_and_its_neighbours_succeed() {
    let mut inputs = vec![Nature::Sound; 16];
    inputs[5] = Nature::Deadly;
    let mut world = World::new(vec![plain(inputs)], calm(3));
    world.run();
    judge(&world);
    let ends = &world.store.over["J0"];
    let failed: Vec<_> = ends
        .iter()
        .filter(|(_, end)| **end != End::Succeeded)
        .collect();
    assert_eq!(failed, [(&(0, 5), &End::Passing)]);
    assert!(!world.alone_with_others);
}

#[test]
fn what_passes_waits_one_four_and_sixteen_seconds_and_what_does_not_is_not_tried_again() {
    let mut wish = plain(vec![Nature::Damaged, Nature::Shaky(3)]);
    wish.schedule.max_attempts = 4;
    let mut world = World::new(vec![wish], calm(1));
    world.run();
    judge(&world);
    assert!((16_000..27_000).contains(&world.now), "{}", world.now);
    // Both once, and one of them three times more.
    assert_eq!(
        world
            .store
            .receipts
            .keys()
            .map(|span| u64::from(span.len()))
            .sum::<u64>(),
        5
    );
}

#[test]
fn a_cancelled_job_ends_at_once_whatever_is_under_way() {
    let mut wish = plain(vec![Nature::Sound; 400]);
    wish.cancel = Some(100);
    let mut world = World::new(vec![wish], calm(1));
    world.run();
    judge(&world);
    assert!(world.now <= 150, "{}", world.now);
}

#[test]
fn one_image_of_another_user_does_not_wait_for_a_thousand() {
    let other = Wish {
        owner: 1,
        ..plain(vec![Nature::Sound])
    };
    let mut world = World::new(vec![plain(vec![Nature::Sound; 1000]), other], calm(2));
    while !world.store.over.contains_key("J1") {
        world.turn();
    }
    // It waits until nodes have said what they have, as after a take-over.
    assert!(world.now < 1500, "{}", world.now);
    assert!(!world.store.over.contains_key("J0"));
    world.run();
}
