//! Reductions: every tree comes to its result or to an error, and no node is run before all that it needs is there.

use crate::world::{Nature, Trouble, Wish, World};
use crate::{calm, judge, nature, plain, schedule, trouble, wish};
use jobs::span::End;
use jobs::tree::Tree;
use proptest::prelude::*;

fn reduction() -> impl Strategy<Value = Wish> {
    let cancel = prop::option::weighted(0.1, (0..400u64).prop_map(|n| n * 5));
    let bad = prop::collection::vec((0..60usize, nature()), 0..3);
    (0..60u64, 2..7u64, bad, schedule(), cancel).prop_map(
        |(files, fan_in, bad, schedule, cancel)| {
            let tree = Tree::new(files, fan_in);
            let mut inputs = vec![Nature::Sound; tree.nodes() as usize];
            for (at, nature) in bad {
                let at = at % inputs.len();
                inputs[at] = nature;
            }
            Wish {
                inputs,
                owner: 0,
                schedule,
                cancel,
                tree: Some(tree),
            }
        },
    )
}

fn tree(files: u64, fan_in: u64) -> Wish {
    let tree = Tree::new(files, fan_in);
    Wish {
        tree: Some(tree.clone()),
        ..plain(vec![Nature::Sound; tree.nodes() as usize])
    }
}

/// There is a result of all nodes, or an error or a wish ended the job.
fn judge_trees(world: &World) {
    for (id, wish) in world.wishes.iter().filter(|(_, wish)| wish.tree.is_some()) {
        let ends = &world.store.over[id];
        let all = ends.len() == wish.inputs.len();
        let sound = ends.values().all(|end| *end == End::Succeeded);
        let cancelled = world.store.cancelled.contains(id);
        assert!(all && sound || cancelled, "{id}: {ends:?}");
        if wish.inputs.iter().all(|nature| *nature == Nature::Sound) && !cancelled {
            assert!(all && sound, "{id}: {ends:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn every_reduction_ends_and_its_nodes_are_run_when_their_inputs_exist(
        trees in prop::collection::vec(reduction(), 1..4),
        others in prop::collection::vec(wish(), 0..2),
        trouble in trouble(),
    ) {
        let wishes = trees.into_iter().chain(others).collect();
        let mut world = World::new(wishes, trouble);
        world.run();
        judge(&world);
        judge_trees(&world);
    }
}

#[test]
fn a_node_that_fails_ends_its_tree_and_no_other() {
    let mut broken = tree(36, 5);
    broken.inputs[3] = Nature::Damaged;
    let mut world = World::new(vec![broken, tree(36, 5)], calm(2));
    world.run();
    judge(&world);
    judge_trees(&world);
    let (bad, good) = (&world.store.over["J0"], &world.store.over["J1"]);
    assert_eq!(bad[&(0, 3)], End::Failed);
    assert!(bad.len() < 11 && good.len() == 11);
}

#[test]
fn a_death_costs_what_its_node_had_in_hand() {
    for at in 0..40 {
        let trouble = Trouble {
            deaths: vec![(at * 25, 0), (at * 25 + 300, 1)],
            ..calm(3)
        };
        let wish = tree(100, 3);
        let nodes = wish.inputs.len() as u64;
        let mut world = World::new(vec![wish], trouble);
        world.run();
        judge_trees(&world);
        let (begun, died) = (world.begun, world.died);
        assert!(begun <= nodes + died, "{begun} of {nodes}, {died} died");
    }
}
