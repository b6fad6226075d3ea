//! What the conductor sees by looking: nodes that are dead, spans that nobody has, spans that are slow.

use super::{Beat, Conductor, Effect, Flight, Node};
use crate::span::{Order, Span};
use crate::{Ms, NodeName};
use std::collections::BTreeMap;

impl Conductor {
    pub(super) fn beat(&mut self, now: Ms, beat: Beat) {
        let given = self.nodes.get(&beat.node).map_or(0, |node| node.given);
        for span in beat.hand {
            self.seen(now, &span, &beat.node);
        }
        let node = Node {
            seen: now,
            slots: beat.slots,
            load: beat.load.clamp(0.0, 1.0),
            given,
        };
        self.nodes.insert(beat.node, node);
        self.count_slots();
    }

    pub(super) fn began(&mut self, now: Ms, span: &Span, node: NodeName, since: Ms) {
        self.seen(now, span, &node);
        if let Some(flight) = self.flights.get_mut(span) {
            flight.begun = Some(now.saturating_sub(since));
        }
    }

    fn seen(&mut self, now: Ms, span: &Span, node: &NodeName) {
        if let Some(flight) = self.flights.get_mut(span) {
            let first = flight.seen.as_ref().is_none_or(|(known, _)| known != node);
            // Of two that have it, the one that began counts.
            if first && flight.begun.is_some() && flight.order.copy_of.is_some() {
                return;
            }
            flight.seen = Some((node.clone(), now));
            flight.begun = flight.begun.or(Some(now));
            flight.looking = false;
            if flight.to.is_none() {
                self.front = self.front.max(flight.fed);
            }
            return;
        }
        // One that another conductor sent.
        let Some(job) = self.jobs.get_mut(&span.job) else {
            return;
        };
        let Some(page) = job.pages.get_mut(span.page as usize) else {
            return;
        };
        if job.round != span.round
            || job.ending
            || span.last >= page.inputs()
            || span.first > span.last
        {
            return;
        }
        let open = (span.first..=span.last)
            .filter(|input| !page.has_ended(*input))
            .count();
        if open == 0 {
            return;
        }
        let cost = (span.first..=span.last)
            .map(|input| u64::from(page.cost(input)))
            .sum();
        (span.first..=span.last).for_each(|input| {
            page.take(input);
        });
        let flight = Flight {
            order: Order::new(span.clone()),
            to: None,
            fed: now,
            seen: Some((node.clone(), now)),
            begun: Some(now),
            cost,
            weight: cost,
            returned: 0,
            doubted: None,
            looking: false,
            refused_by: Vec::new(),
        };
        let id = span.job.clone();
        self.fly(span.clone(), flight);
        self.place(&id);
    }

    pub(super) fn tick(&mut self, now: Ms, ready: Option<u64>, out: &mut Vec<Effect>) {
        let patience = self.settings.patience;
        self.nodes.retain(|_, node| node.seen + patience >= now);
        self.count_slots();
        let (mut missing, mut died) = (Vec::new(), Vec::new());
        for (span, flight) in &mut self.flights {
            if let (Some(doubted), Some((_, at))) = (flight.doubted, &flight.seen) {
                if *at > doubted {
                    flight.doubted = None;
                } else if doubted + patience / 2 < now {
                    died.push(span.clone());
                    continue;
                }
            }
            let told = match &flight.seen {
                Some((_, at)) => (*at).max(flight.fed),
                None => flight.fed,
            };
            if flight.looking || told + patience >= now {
                continue;
            }
            let alone = flight.to.as_ref();
            let gone = match alone {
                Some(node) => !self.nodes.contains_key(node),
                None => false,
            };
            // The shared queue is empty of it when it is empty, or when one that came long after it was taken.
            let taken =
                flight.seen.is_some() || ready == Some(0) || flight.fed + patience < self.front;
            if taken || gone {
                flight.looking = true;
                missing.push(span.clone());
            }
        }
        out.extend(missing.into_iter().map(Effect::Look));
        for span in died {
            self.died(now, &span, true, out);
        }
        self.speculate(now, out);
    }

    /// Sends copies of spans that take far longer than others, near the end of their jobs, while another node is free.
    fn speculate(&mut self, now: Ms, out: &mut Vec<Effect>) {
        let mut busy: BTreeMap<&NodeName, u32> = BTreeMap::new();
        for flight in self.flights.values() {
            if let Some((node, _)) = &flight.seen {
                *busy.entry(node).or_default() += 1;
            }
        }
        let free = self
            .nodes
            .iter()
            .filter(|(name, node)| busy.get(name).copied().unwrap_or(0) < node.slots);
        let mut free: Vec<NodeName> = free.map(|(name, _)| name.clone()).collect();
        for (span, flight) in &mut self.flights {
            let (Some((holder, _)), Some(begun)) = (&flight.seen, flight.begun) else {
                continue;
            };
            let elapsed = now.saturating_sub(begun);
            if flight.order.copy_of.is_some() || flight.order.alone || elapsed < self.settings.slow
            {
                continue;
            }
            let Some(job) = self.jobs.get(&span.job) else {
                continue;
            };
            let schedule = &job.schedule;
            let expected = job.expected(flight.cost);
            let slow =
                expected.is_some_and(|ms| elapsed as f64 > ms * schedule.speculate_ratio.max(1.0));
            if !schedule.speculate || !slow || job.share() < schedule.speculate_after {
                continue;
            }
            let Some(at) = free.iter().position(|name| name != holder) else {
                continue;
            };
            let node = free.swap_remove(at);
            flight.order.copy_of = Some(holder.clone());
            let order = Order {
                may_refuse: false,
                stays: false,
                ..flight.order.clone()
            };
            out.push(Effect::Feed(order, Some(node)));
        }
    }
}
