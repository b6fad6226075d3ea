//! What is sent, when, and to whom.

use super::job::Job;
use super::{Conductor, Due, Effect, Flight};
use crate::span::{Order, Span};
use crate::{JobId, Ms, NodeName};
use protocol::job::Placement;

/// Nodes whose loads differ by more are not alike.
const SKEW: f64 = 0.25;
/// What is not ours slows a span down by more than spans that wait before it.
const BUSY: f64 = 8.0;
/// Owners whose jobs are looked at for one that is small.
const LOOKED_AT: usize = 16;

impl Conductor {
    /// Counts the slots of the nodes that live.
    pub(super) fn count_slots(&mut self) {
        self.slots = self.nodes.values().map(|node| node.slots).sum();
    }

    /// Does what was put off until now.
    pub(super) fn run_due(&mut self, now: Ms, out: &mut Vec<Effect>) {
        let mut later = Vec::new();
        while self.due.first().is_some_and(|(at, _)| *at <= now) {
            let Some((at, due)) = self.due.pop_first() else {
                break;
            };
            match due {
                Due::Plan(job) => {
                    let open = self
                        .jobs
                        .get(&job)
                        .is_some_and(|job| !job.planned && !job.ending);
                    out.extend(open.then_some(Effect::Plan(job)));
                }
                Due::Enter(id) => {
                    if let Some(job) = self.jobs.get_mut(&id) {
                        job.held = false;
                        self.place(&id);
                    }
                }
                Due::Send(span) => self.send(now, &span, out),
                Due::Retry(span) => {
                    let Some(job) = self
                        .jobs
                        .get(&span.job)
                        .filter(|job| job.round == span.round)
                    else {
                        continue;
                    };
                    match job.is_fed() && !job.held {
                        true => self.try_again(now, span, out),
                        // Paused: looked at now and then.
                        false => later.push((at.max(now) + self.settings.slow, Due::Retry(span))),
                    }
                }
            }
        }
        self.due.extend(later);
    }

    fn try_again(&mut self, now: Ms, span: Span, out: &mut Vec<Effect>) {
        let id = span.job.clone();
        if let Some(job) = self.jobs.get_mut(&id) {
            job.waiting = job.waiting.saturating_sub(1);
            let page = job.pages.get(span.page as usize);
            let open = page.is_some_and(|page| !page.has_ended(span.first));
            let cost = page.map_or(0, |page| u64::from(page.cost(span.first)));
            let alone = job.deadly.contains(&(span.page, span.first));
            if open && !self.flights.contains_key(&span) {
                let order = Order {
                    alone,
                    ..Order::new(span)
                };
                self.launch(now, order, cost, out);
            }
            self.place(&id);
        }
    }

    /// Sends new spans while there are few on their way, and then those that do not wait for room.
    pub(super) fn feed(&mut self, now: Ms, out: &mut Vec<Effect>) {
        self.feed_room(now, out);
        self.feed_urgent(now, out);
    }

    fn feed_room(&mut self, now: Ms, out: &mut Vec<Effect>) {
        let slots = self.slots;
        let most = (slots * self.settings.ahead) as usize;
        // What waits is bounded by what it costs: of long spans there is one for each slot, so that none is bound to a node
        // while another has nothing.
        let enough = u64::from(slots * self.settings.ahead) * u64::from(self.settings.span);
        while self.flights.len() < most
            && (self.flights.len() < slots as usize || self.load < enough)
        {
            let Some(id) = self.fair.next() else {
                return;
            };
            // Until something of a job ran, a prediction is all that says that it is cheap.
            let known = self.jobs.get(&id).is_some_and(Job::has_run);
            if !known && self.flights.len() >= slots as usize {
                return;
            }
            let Some((span, cost)) = self.cut(&id, slots) else {
                self.place(&id);
                if self.fair.next().is_some_and(|next| next == id) {
                    return;
                }
                continue;
            };
            self.launch(now, Order::new(span), cost, out);
            if let Some(job) = self.jobs.get(&id) {
                self.fair
                    .charge(job.class, &job.owner.clone(), &id, cost.max(100));
            }
            self.place(&id);
        }
    }

    /// Small jobs of owners who have nothing under way do not wait for what others have: a node runs one such span beside its
    /// slots.
    fn feed_urgent(&mut self, now: Ms, out: &mut Vec<Effect>) {
        let nodes = self.nodes.values().filter(|node| node.slots > 0).count();
        while (self.urgent as usize) < nodes {
            let waits = |id: &JobId| {
                let job = self.jobs.get(id);
                job.is_some_and(|job| {
                    job.is_small(self.settings.soon) && !self.under_way.contains_key(&job.owner)
                })
            };
            let small = self.fair.soon(LOOKED_AT).find(|id| waits(id)).cloned();
            let Some(id) = small else {
                return;
            };
            let Some(job) = self.jobs.get_mut(&id) else {
                return;
            };
            let (class, owner) = (job.class, job.owner.clone());
            // All slots are taken: there is nothing to spread it over.
            let worth = job.worth(self.settings.span, 0);
            let found = job
                .pages
                .first_mut()
                .and_then(|page| page.cut(worth))
                .map(|(first, last, cost)| (job.span(0, first, last), cost));
            let Some((span, cost)) = found else {
                return self.place(&id);
            };
            let order = Order {
                urgent: true,
                ..Order::new(span)
            };
            self.launch(now, order, cost, out);
            self.fair.charge(class, &owner, &id, cost.max(100));
            self.place(&id);
        }
    }

    fn cut(&mut self, id: &JobId, slots: u32) -> Option<(Span, u64)> {
        let job = self.jobs.get_mut(id)?;
        if job.needs.is_some() {
            let (page, input) = job.next_node()?;
            let cost = job
                .pages
                .get(page as usize)
                .map_or(0, |page| page.cost(input));
            return Some((job.span(page, input, input), u64::from(cost)));
        }
        let worth = job.worth(self.settings.span, slots);
        let page = job.pages.get_mut(job.feeding)?;
        let (first, last, cost) = page.cut(worth)?;
        Some((job.span(job.feeding as u32, first, last), cost))
    }

    /// Sends a span that is not on its way.
    pub(super) fn launch(&mut self, now: Ms, mut order: Order, cost: u64, out: &mut Vec<Effect>) {
        let span = order.span.clone();
        let schedule = self.jobs.get(&span.job).map(|job| &job.schedule);
        let expected = self.jobs.get(&span.job).and_then(|job| job.expected(cost));
        let weight = expected.map_or(cost, |ms| (ms * 1000.0) as u64);
        order.may_refuse = schedule.is_some_and(Self::may_refuse) && !order.alone;
        let flight = Flight {
            order,
            to: None,
            fed: now,
            seen: None,
            begun: None,
            cost,
            weight,
            returned: 0,
            doubted: None,
            looking: false,
            refused_by: Vec::new(),
        };
        self.fly(span.clone(), flight);
        self.fed += 1;
        self.send(now, &span, out);
    }

    /// A span is on its way.
    pub(super) fn fly(&mut self, span: Span, flight: Flight) {
        self.load += flight.weight;
        self.urgent += u32::from(flight.order.urgent);
        if let Some(job) = self.jobs.get_mut(&span.job) {
            job.flying += 1;
            job.aloft += flight.cost;
            *self.under_way.entry(job.owner.clone()).or_default() += 1;
        }
        self.flights.insert(span, flight);
    }

    /// A span is on its way no more.
    pub(super) fn land(&mut self, span: &Span) -> Option<Flight> {
        let flight = self.flights.remove(span)?;
        self.release(&flight.to);
        self.load -= flight.weight;
        self.urgent -= u32::from(flight.order.urgent);
        if let Some(job) = self.jobs.get_mut(&span.job) {
            job.flying = job.flying.saturating_sub(1);
            job.aloft -= flight.cost.min(job.aloft);
            if let Some(n) = self.under_way.get_mut(&job.owner) {
                *n -= 1;
                if *n == 0 {
                    self.under_way.remove(&job.owner);
                }
            }
        }
        Some(flight)
    }

    /// Sends a span that is on its way, perhaps once more.
    fn send(&mut self, now: Ms, span: &Span, out: &mut Vec<Effect>) {
        let Some(flight) = self.flights.get(span) else {
            return;
        };
        let schedule = self.jobs.get(&span.job).map(|job| job.schedule.clone());
        let placed = schedule.as_ref().is_some_and(Self::is_placed) || self.skewed();
        let refused = flight.refused_by.clone();
        let stays = schedule.as_ref().is_some_and(Self::stays);
        let to = match schedule {
            Some(schedule) if placed || !refused.is_empty() => {
                self.choose(schedule.placement, &refused)
            }
            _ => None,
        };
        if placed && to.is_none() {
            // There is no node: that is a refusal, too.
            self.due
                .insert((now + self.settings.slow, Due::Send(span.clone())));
            return;
        }
        let Some(flight) = self.flights.get_mut(span) else {
            return;
        };
        let before = std::mem::replace(&mut flight.to, to.clone());
        flight.order.stays = stays;
        flight.fed = now;
        out.push(Effect::Feed(flight.order.clone(), to.clone()));
        self.release(&before);
        if let Some(node) = to.as_ref().and_then(|name| self.nodes.get_mut(name)) {
            node.given += 1;
        }
    }

    /// Whether some nodes are far busier than others: whoever is free then is not as good as any.
    fn skewed(&self) -> bool {
        let loads = self.nodes.values().filter(|node| node.slots > 0);
        let (mut least, mut most) = (1.0_f64, 0.0_f64);
        for node in loads {
            (least, most) = (least.min(node.load), most.max(node.load));
        }
        most - least > SKEW
    }

    /// A node for a span: one that has not refused it, if there is one, and never the same twice in a row, if there is another.
    fn choose(&mut self, placement: Placement, refused: &[NodeName]) -> Option<NodeName> {
        let living = self.nodes.iter().filter(|(_, node)| node.slots > 0);
        let all: Vec<(&NodeName, f64)> = living
            .map(|(name, node)| {
                let own = f64::from(node.given) / f64::from(node.slots);
                (name, BUSY * node.load + own)
            })
            .collect();
        let without = |refused: &[NodeName]| -> Vec<(&NodeName, f64)> {
            let others = all.iter().filter(|(name, _)| !refused.contains(name));
            others.copied().collect()
        };
        let last = refused.last().map_or(&[][..], std::slice::from_ref);
        let names = [without(refused), without(last), all.clone()];
        let names = names.into_iter().find(|names| !names.is_empty())?;
        let found = match placement {
            Placement::LeastLoaded | Placement::Shared => {
                names.iter().min_by(|a, b| a.1.total_cmp(&b.1))
            }
            _ => names.get(self.dice.below(names.len() as u64) as usize),
        };
        found.map(|(name, _)| (*name).clone())
    }
}
