//! A cluster in simulated time: what the conductor would do with so many nodes and tasks, and how long that would take.

use crate::conductor::{Beat, Conductor, Effect, Flags, Input, Loaded, Loading, Settings};
use crate::span::{End, Order, PAGE, Report};
use crate::{JobId, Ms, NodeName};
use protocol::job::Schedule;
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// What is simulated.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// Nodes.
    pub nodes: u32,
    /// Ranks of each, which run a span each.
    pub ranks: u32,
    /// Images of the one job.
    pub tasks: u64,
    /// Microseconds that an image takes on average.
    pub cost: u32,
    /// Microseconds that a span takes beside its images: its message, its commit.
    pub overhead: u32,
    /// Where chance begins; images take from half to one and a half times their average.
    pub seed: u64,
}

/// What came out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// Nodes.
    pub nodes: u32,
    /// Ranks of each.
    pub ranks: u32,
    /// Images.
    pub tasks: u64,
    /// Spans that they went in.
    pub spans: u64,
    /// Copies of slow spans.
    pub copies: u64,
    /// Milliseconds from the job's start to its end.
    pub makespan_ms: u64,
    /// Share of that in which ranks computed images.
    pub utilisation: f64,
}

/// How often nodes say that they live, in milliseconds.
const BEAT: Ms = 2000;
/// How often the conductor looks.
const TICK: Ms = 250;

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Happens {
    Tick,
    Beat(u32),
    /// A span ends on a node; its number.
    End(u32, usize),
}

struct World {
    cluster: Cluster,
    costs: Vec<Box<[u32]>>,
    /// Free ranks, by node.
    free: Vec<u32>,
    shared: VecDeque<Order>,
    own: Vec<VecDeque<Order>>,
    running: Vec<Order>,
    hands: Vec<Vec<usize>>,
    events: BinaryHeap<Reverse<(u64, Happens)>>,
    computed: u64,
    copies: u64,
    idle: VecDeque<u32>,
}

impl World {
    fn take(&mut self, now: u64, node: u32, order: Order) {
        let span = &order.span;
        let costs = &self.costs[span.page as usize];
        let work: u64 = (span.first..=span.last)
            .map(|n| u64::from(costs[n as usize]))
            .sum();
        self.computed += work;
        self.copies += u64::from(order.copy_of.is_some());
        let number = self.running.len();
        self.running.push(order);
        self.hands[node as usize].push(number);
        self.free[node as usize] -= 1;
        let end = now + work + u64::from(self.cluster.overhead);
        self.events.push(Reverse((end, Happens::End(node, number))));
    }

    /// Gives what waits to ranks that are free.
    fn assign(&mut self, now: u64) {
        for node in 0..self.own.len() {
            while self.free[node] > 0
                && let Some(order) = self.own[node].pop_front()
            {
                self.take(now, node as u32, order);
            }
        }
        while !self.shared.is_empty()
            && let Some(node) = self.idle.pop_front()
        {
            if self.free[node as usize] > 0
                && let Some(order) = self.shared.pop_front()
            {
                self.take(now, node, order);
            }
        }
    }
}

fn name(node: u32) -> NodeName {
    format!("node-{node}").into()
}

/// Runs one job to its end.
pub fn run(cluster: &Cluster) -> Outcome {
    let job: JobId = "simulated".into();
    let mut conductor = Conductor::new(Settings {
        seed: cluster.seed,
        ..Settings::default()
    });
    let mut dice = crate::backoff::Dice::new(cluster.seed);
    let pages = cluster.tasks.div_ceil(u64::from(PAGE));
    let costs = (0..pages).map(|page| {
        let inputs = (cluster.tasks - page * u64::from(PAGE)).min(u64::from(PAGE));
        let one = |_| cluster.cost / 2 + dice.below(u64::from(cluster.cost) + 1) as u32;
        (0..inputs).map(one).collect()
    });
    let costs: Vec<Box<[u32]>> = costs.collect();
    let loading = costs.iter().map(|costs| Loading {
        costs: costs.to_vec(),
        ..Loading::default()
    });
    let loaded = Loaded {
        job: job.clone(),
        owner: "somebody".into(),
        class: 1,
        round: 1,
        flags: Flags::default(),
        over: false,
        schedule: Schedule::default(),
        stops: false,
        capped: false,
        pages: None,
        tree: None,
    };
    let nodes = cluster.nodes as usize;
    let mut world = World {
        free: vec![cluster.ranks; nodes],
        shared: VecDeque::new(),
        own: vec![VecDeque::new(); nodes],
        running: Vec::new(),
        hands: vec![Vec::new(); nodes],
        events: BinaryHeap::new(),
        computed: 0,
        copies: 0,
        idle: (0..cluster.ranks).flat_map(|_| 0..cluster.nodes).collect(),
        cluster: cluster.clone(),
        costs: costs.clone(),
    };
    let beat = |world: &World, node: u32| {
        Input::Beat(Beat {
            node: name(node),
            slots: cluster.ranks,
            load: 0.0,
            hand: world.hands[node as usize]
                .iter()
                .map(|n| world.running[*n].span.clone())
                .collect(),
        })
    };
    let mut inputs: VecDeque<Input> = (0..cluster.nodes).map(|node| beat(&world, node)).collect();
    inputs.push_back(Input::Loaded(Box::new(loaded)));
    inputs.push_back(Input::Planned {
        job: job.clone(),
        pages: loading.collect(),
        tree: None,
    });
    for node in 0..cluster.nodes {
        let first = (BEAT * u64::from(node) / u64::from(cluster.nodes)) * 1000;
        world.events.push(Reverse((first, Happens::Beat(node))));
    }
    world.events.push(Reverse((TICK * 1000, Happens::Tick)));
    let mut now = 0;
    let makespan = loop {
        let mut over = false;
        while let Some(input) = inputs.pop_front() {
            for effect in conductor.step(now / 1000, input) {
                match effect {
                    Effect::Feed(order, None) => world.shared.push_back(order),
                    Effect::Feed(order, Some(to)) => {
                        let number = to
                            .strip_prefix("node-")
                            .and_then(|n| n.parse::<usize>().ok());
                        world.own[number.unwrap_or_default()].push_back(order);
                    }
                    Effect::Finish(..) => over = true,
                    _ => {}
                }
            }
        }
        if over {
            break now;
        }
        world.assign(now);
        let Some(Reverse((at, happens))) = world.events.pop() else {
            break now;
        };
        now = at;
        match happens {
            Happens::Tick => {
                inputs.push_back(Input::Tick(Some(world.shared.len() as u64)));
                world
                    .events
                    .push(Reverse((now + TICK * 1000, Happens::Tick)));
            }
            Happens::Beat(node) => {
                inputs.push_back(beat(&world, node));
                world
                    .events
                    .push(Reverse((now + BEAT * 1000, Happens::Beat(node))));
            }
            Happens::End(node, number) => {
                world.free[node as usize] += 1;
                world.idle.push_back(node);
                world.hands[node as usize].retain(|n| *n != number);
                let span = world.running[number].span.clone();
                let costs = &world.costs[span.page as usize];
                let us: u64 = (span.first..=span.last)
                    .map(|n| u64::from(costs[n as usize]))
                    .sum();
                inputs.push_back(Input::Ended(Report {
                    ends: (span.first..=span.last)
                        .map(|n| (n, End::Succeeded))
                        .collect(),
                    node: name(node),
                    ms: (us + u64::from(cluster.overhead)) / 1000,
                    span,
                }));
            }
        }
    };
    let ranks = u64::from(cluster.nodes) * u64::from(cluster.ranks);
    Outcome {
        nodes: cluster.nodes,
        ranks: cluster.ranks,
        tasks: cluster.tasks,
        spans: conductor.fed(),
        copies: world.copies,
        makespan_ms: makespan / 1000,
        utilisation: world.computed as f64 / (makespan * ranks).max(1) as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_is_kept_busy_and_more_nodes_take_less_time() {
        let cluster = |nodes| Cluster {
            nodes,
            ranks: 2,
            tasks: 20_000,
            cost: 10_000,
            overhead: 2000,
            seed: 3,
        };
        let (few, many) = (run(&cluster(2)), run(&cluster(8)));
        assert!(
            few.utilisation > 0.9 && many.utilisation > 0.9,
            "{few:?} {many:?}"
        );
        let ratio = few.makespan_ms as f64 / many.makespan_ms as f64;
        assert!((3.5..4.5).contains(&ratio), "{few:?} {many:?}");
        // 200 s of work on 4 ranks.
        assert!((50_000..58_000).contains(&few.makespan_ms), "{few:?}");
        assert!(few.spans < 20_000 / 3, "{few:?}");
    }
}
