//! Whatever is lost, doubled or comes in another order, and whoever dies: every job ends, with one result an input.
#![allow(clippy::unwrap_used)]

use jobs::conductor::{Beat, Conductor, Effect, Flags, Input, Loaded, Loading, Settings};
use jobs::span::{End, Order, Report, Span};
use jobs::{JobId, Ms};
use proptest::prelude::*;
use protocol::job::{Acceptance, Placement, Schedule};
use std::collections::{BTreeMap, BTreeSet};

/// How an image behaves.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Nature {
    Sound,
    Damaged,
    /// It fails so often in a way that passes.
    Shaky(u32),
    /// Whoever runs it dies.
    Deadly,
}

#[derive(Clone, Debug)]
struct Wish {
    inputs: Vec<Nature>,
    owner: usize,
    schedule: Schedule,
    /// Cancelled at that time.
    cancel: Option<Ms>,
}

#[derive(Clone, Debug)]
struct Trouble {
    nodes: usize,
    /// In thousandths of messages.
    lost: u64,
    doubled: u64,
    late: u64,
    /// Nodes that die, and when; each comes back as another.
    deaths: Vec<(Ms, usize)>,
    /// When another conductor takes over.
    takeovers: Vec<Ms>,
    seed: u64,
}

struct Running {
    order: Order,
    until: Ms,
}

struct Node {
    name: String,
    running: Vec<Running>,
}

/// All that survives: the store.
#[derive(Default)]
struct Store {
    receipts: BTreeMap<Span, Report>,
    over: BTreeMap<String, BTreeMap<(u32, u32), End>>,
    cancelled: BTreeSet<String>,
}

struct World {
    wishes: BTreeMap<String, Wish>,
    trouble: Trouble,
    store: Store,
    conductor: Conductor,
    now: Ms,
    dice: jobs::backoff::Dice,
    nodes: Vec<Node>,
    named: usize,
    shared: Vec<(Ms, Order, bool)>,
    /// To the conductor.
    letters: Vec<(Ms, Input)>,
    accepted: BTreeMap<(String, u32, u32), End>,
    ran: u64,
    alone_with_others: bool,
}

const PAGE_OF_TESTS: usize = 8;

impl World {
    fn new(wishes: Vec<Wish>, trouble: Trouble) -> World {
        let wishes = wishes.into_iter().enumerate();
        let mut world = World {
            wishes: wishes.map(|(n, wish)| (format!("J{n}"), wish)).collect(),
            store: Store::default(),
            conductor: Conductor::new(settings(trouble.seed)),
            now: 0,
            dice: jobs::backoff::Dice::new(trouble.seed),
            nodes: Vec::new(),
            named: 0,
            shared: Vec::new(),
            letters: Vec::new(),
            accepted: BTreeMap::new(),
            ran: 0,
            alone_with_others: false,
            trouble,
        };
        for _ in 0..world.trouble.nodes {
            world.add_node();
        }
        let ids: Vec<JobId> = world.wishes.keys().map(|id| id.as_str().into()).collect();
        for id in ids {
            world.tell(Input::Job(id));
        }
        world
    }

    fn add_node(&mut self) {
        self.named += 1;
        self.nodes.push(Node {
            name: format!("n{}", self.named),
            running: Vec::new(),
        });
    }

    fn chance(&mut self, thousandths: u64) -> bool {
        self.dice.below(1000) < thousandths
    }

    fn tell(&mut self, input: Input) {
        if self.chance(self.trouble.lost) {
            return;
        }
        let times = 1 + u64::from(self.chance(self.trouble.doubled));
        for _ in 0..times {
            let late = match self.chance(self.trouble.late) {
                true => self.dice.below(5000),
                false => self.dice.below(5),
            };
            self.letters.push((self.now + late, input.clone()));
        }
    }

    fn pages(&self, id: &str) -> Vec<Vec<Nature>> {
        let chunks = self.wishes[id].inputs.chunks(PAGE_OF_TESTS);
        chunks.map(<[Nature]>::to_vec).collect()
    }

    fn loaded(&self, id: &JobId) -> Loaded {
        let wish = &self.wishes[&**id];
        let most = wish.schedule.max_attempts;
        let pages = self
            .pages(id)
            .into_iter()
            .enumerate()
            .map(|(page, inputs)| {
                let (mut ended, mut again) = (BTreeMap::new(), BTreeMap::new());
                let own = self.store.receipts.iter();
                for (span, report) in
                    own.filter(|(span, _)| span.job == *id && span.page == page as u32)
                {
                    for (input, end) in &report.ends {
                        match end {
                            End::Passing if span.attempt < most => {
                                let next = again.entry(*input).or_insert(0);
                                *next = (*next).max(span.attempt + 1);
                            }
                            end => {
                                ended.entry(*input).or_insert(*end);
                            }
                        }
                    }
                }
                Loading {
                    costs: inputs.iter().map(|_| 10_000).collect(),
                    again: again
                        .into_iter()
                        .filter(|(n, _)| !ended.contains_key(n))
                        .collect(),
                    ended: ended.into_iter().collect(),
                }
            });
        Loaded {
            job: id.clone(),
            owner: format!("o{}", wish.owner).into(),
            class: 1,
            round: 1,
            flags: Flags {
                cancelled: self.store.cancelled.contains(&**id),
                paused: false,
            },
            over: self.store.over.contains_key(&**id),
            schedule: wish.schedule.clone(),
            stops: false,
            pages: Some(pages.collect()),
        }
    }

    /// Does what the conductor says; the store never fails here, but answers when it likes.
    fn act(&mut self, effect: Effect) {
        match effect {
            Effect::Load(id, _) => {
                let loaded = self.loaded(&id);
                self.step(Input::Loaded(Box::new(loaded)));
            }
            Effect::Plan(_) => unreachable!("pages are there"),
            Effect::Feed(order, to) => {
                if self.chance(self.trouble.lost) {
                    return;
                }
                match to {
                    None => self.shared.push((self.now, order, false)),
                    Some(name) => {
                        if let Some(at) = self.nodes.iter().position(|node| *node.name == *name) {
                            self.take(at, order);
                        }
                    }
                }
            }
            Effect::Look(span) => match self.store.receipts.get(&span) {
                Some(report) => self.step(Input::Ended(report.clone())),
                None => self.step(Input::Missing(span)),
            },
            Effect::Blame(span) => {
                let report = Report {
                    ends: vec![(span.first, End::Passing)],
                    node: "conductor".into(),
                    ms: 0,
                    span: span.clone(),
                };
                let kept = self.store.receipts.entry(span).or_insert(report).clone();
                self.step(Input::Ended(kept));
            }
            Effect::Accept(job, page, ends) => {
                for (input, end) in ends {
                    let key = (job.to_string(), page, input);
                    // Another conductor may tell it once more, but never otherwise.
                    let known = *self.accepted.entry(key).or_insert(end);
                    let failed = |end| matches!(end, End::Failed | End::Passing);
                    assert!(
                        known == end || (failed(known) && failed(end)),
                        "{known:?} {end:?}"
                    );
                }
            }
            Effect::Fold(..) | Effect::Stop(_) => {}
            Effect::Finish(job, round) => {
                let loaded = self.loaded(&job);
                let mut ends = BTreeMap::new();
                for (page, loading) in (0..).zip(loaded.pages.unwrap()) {
                    ends.extend(loading.ended.into_iter().map(|(n, end)| ((page, n), end)));
                }
                self.store.over.entry(job.to_string()).or_insert(ends);
                self.tell(Input::Finished(job.clone(), round));
                // Where that is lost, another look finds the mark of the job gone.
                self.step(Input::Finished(job, round));
            }
        }
    }

    fn step(&mut self, input: Input) {
        for effect in self.conductor.step(self.now, input) {
            self.act(effect);
        }
    }

    fn take(&mut self, at: usize, order: Order) {
        let until = self.now + 10 * u64::from(order.span.len()) + self.dice.below(20);
        let node = &mut self.nodes[at];
        self.alone_with_others |= order.alone && !node.running.is_empty();
        node.running.push(Running { order, until });
    }

    fn nature(&self, span: &Span, input: u32) -> Nature {
        let pages = self.pages(&span.job);
        pages[span.page as usize][input as usize]
    }

    /// A node ends a span: commits, then says so.
    fn commit(&mut self, at: usize, order: Order) {
        self.ran += 1;
        let span = order.span;
        let ends = (span.first..=span.last).map(|input| {
            let end = match self.nature(&span, input) {
                Nature::Sound | Nature::Deadly => End::Succeeded,
                Nature::Damaged => End::Failed,
                Nature::Shaky(times) if span.attempt <= times => End::Passing,
                Nature::Shaky(_) => End::Succeeded,
            };
            (input, end)
        });
        let report = Report {
            ends: ends.collect(),
            node: self.nodes[at].name.as_str().into(),
            ms: 10,
            span: span.clone(),
        };
        if self.store.over.contains_key(&*span.job) {
            return;
        }
        let kept = self.store.receipts.entry(span).or_insert(report).clone();
        self.tell(Input::Ended(kept));
    }

    /// A node dies: what it had comes to others again, who say so.
    fn die(&mut self, at: usize) {
        let dead = self.nodes.remove(at);
        for Running { order, .. } in dead.running {
            self.shared.insert(0, (self.now, order, true));
        }
        self.add_node();
    }

    fn second(&mut self) {
        for at in 0..self.nodes.len() {
            let node = &self.nodes[at];
            let beat = Beat {
                node: node.name.as_str().into(),
                slots: 2,
                load: node.running.len() as f64 / 2.0,
                hand: node.running.iter().map(|r| r.order.span.clone()).collect(),
            };
            self.tell(Input::Beat(beat));
        }
        // Jobs whose message was lost are found by their marks.
        if self.now.is_multiple_of(10_000) {
            let open = self
                .wishes
                .keys()
                .filter(|id| !self.store.over.contains_key(*id));
            let open: Vec<JobId> = open.map(|id| id.as_str().into()).collect();
            for id in open {
                self.step(Input::Job(id));
            }
        }
    }

    fn turn(&mut self) {
        if self.now.is_multiple_of(1000) {
            self.second();
        }
        if self.now.is_multiple_of(250) {
            let ready = self.shared.len() as u64;
            self.step(Input::Tick(Some(ready)));
        }
        let cancels: Vec<String> = (self.wishes.iter())
            .filter(|(_, wish)| wish.cancel.is_some_and(|at| at == self.now))
            .map(|(id, _)| id.clone())
            .collect();
        for id in cancels {
            self.store.cancelled.insert(id.clone());
            self.tell(Input::Job(id.as_str().into()));
        }
        if self.trouble.takeovers.contains(&self.now) {
            self.conductor = Conductor::new(settings(self.now));
            self.letters.retain(|(at, _)| at % 2 == 0);
            let open = self
                .wishes
                .keys()
                .filter(|id| !self.store.over.contains_key(*id));
            let open: Vec<JobId> = open.map(|id| id.as_str().into()).collect();
            for id in open {
                self.step(Input::Job(id));
            }
        }
        for (when, at) in self.trouble.deaths.clone() {
            if when == self.now {
                self.die(at % self.nodes.len());
            }
        }
        self.run_nodes();
        let (due, later) = std::mem::take(&mut self.letters)
            .into_iter()
            .partition(|(at, _)| *at <= self.now);
        self.letters = later;
        let mut due: Vec<(Ms, Input)> = due;
        while !due.is_empty() {
            let at = self.dice.below(due.len() as u64) as usize;
            let (_, input) = due.swap_remove(at);
            self.step(input);
        }
        self.now += 5;
    }

    fn run_nodes(&mut self) {
        let mut at = 0;
        while at < self.nodes.len() {
            let deadly = self.nodes[at].running.iter().any(|running| {
                let span = &running.order.span;
                let mut inputs = span.first..=span.last;
                running.until <= self.now && inputs.any(|n| self.nature(span, n) == Nature::Deadly)
            });
            if deadly {
                self.die(at);
                continue;
            }
            let running = std::mem::take(&mut self.nodes[at].running);
            let (ended, open): (Vec<_>, Vec<_>) =
                running.into_iter().partition(|r| r.until <= self.now);
            self.nodes[at].running = open;
            for ended in ended {
                self.commit(at, ended.order);
            }
            let alone = self.nodes[at]
                .running
                .iter()
                .any(|running| running.order.alone);
            while self.nodes[at].running.len() < 2 && !alone && !self.shared.is_empty() {
                let (_, order, returned) = self.shared.remove(0);
                let name = self.nodes[at].name.clone();
                if returned {
                    self.tell(Input::Returned(order.span));
                } else if order.copy_of.as_deref() == Some(&name) {
                    self.shared.push((self.now, order, false));
                    break;
                } else if order.may_refuse && self.chance(300) {
                    self.tell(Input::Refused(order.span, name.as_str().into()));
                } else if order.alone && !self.nodes[at].running.is_empty() {
                    self.shared.insert(0, (self.now, order, false));
                    break;
                } else {
                    self.take(at, order);
                }
            }
            at += 1;
        }
    }

    fn run(&mut self) {
        while self.store.over.len() < self.wishes.len() {
            self.turn();
            assert!(self.now < 3_600_000, "not ended: {:?}", self.conductor);
        }
    }
}

fn settings(seed: u64) -> Settings {
    Settings {
        seed,
        patience: 3000,
        settle: 1000,
        ..Settings::default()
    }
}

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
