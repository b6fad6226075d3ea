//! What the conductor makes of what it is told about jobs and spans.

use super::needs::Needs;
use super::{Conductor, Due, Effect, Flags, Flight, Loaded, Loading};
use crate::backoff;
use crate::conductor::job::Job;
use crate::page::Page;
use crate::span::{End, Order, Report, Span};
use crate::tree::Tree;
use crate::{JobId, Ms, NodeName};

/// Spans of unknown jobs that processes died of, at most.
const CRASHED: usize = 4096;

impl Conductor {
    pub(super) fn loaded(&mut self, now: Ms, born: Ms, loaded: Loaded, out: &mut Vec<Effect>) {
        let id = loaded.job.clone();
        if let Some(known) = self.jobs.get(&id) {
            match known.round {
                // What is known is as new.
                round if round == loaded.round => return self.wished(&id, loaded.flags, out),
                round if round > loaded.round => return,
                _ => self.forget(&id),
            }
        }
        let mut job = Job::new(&loaded);
        let settles = born + self.settings.settle;
        let Some(pages) = loaded.pages else {
            let cancelled = loaded.flags.cancelled || loaded.over;
            job.ending = cancelled;
            out.push(match cancelled {
                true => Effect::Finish(id.clone(), job.round),
                false => Effect::Plan(id.clone()),
            });
            self.jobs.insert(id, job);
            return;
        };
        job.held = now < settles && !pages.is_empty();
        if job.held {
            self.due.insert((settles, Due::Enter(id.clone())));
        }
        self.jobs.insert(id.clone(), job);
        self.pages(now, &id, pages, loaded.tree, true, out);
        if loaded.over
            && let Some(job) = self.jobs.get_mut(&id)
            && !job.ending
        {
            job.ending = true;
            out.push(Effect::Finish(id, job.round));
        }
    }

    pub(super) fn planned(
        &mut self,
        now: Ms,
        id: &JobId,
        pages: Vec<Loading>,
        tree: Option<Tree>,
        out: &mut Vec<Effect>,
    ) {
        if self
            .jobs
            .get(id)
            .is_some_and(|job| !job.planned && !job.ending)
        {
            self.pages(now, id, pages, tree, false, out);
        }
    }

    /// `told`: what has ended is not new.
    fn pages(
        &mut self,
        now: Ms,
        id: &JobId,
        pages: Vec<Loading>,
        tree: Option<Tree>,
        told: bool,
        out: &mut Vec<Effect>,
    ) {
        let Some(job) = self.jobs.get_mut(id) else {
            return;
        };
        job.planned = true;
        job.needs = tree.map(Needs::new);
        let mut broken = false;
        job.left = pages.iter().map(|page| page.costs.len() as u64).sum();
        let mut again = Vec::new();
        for (number, page) in (0..).zip(pages) {
            job.weigh(&page.costs, page.ended.iter().map(|(input, _)| *input));
            job.pages.push(Page::new(page.costs, self.settings.span));
            let mut new = Vec::new();
            for (input, end) in page.ended {
                broken |= job.needs.is_some() && job.is_ended_by(end);
                if job.end(number, input, end) && !told {
                    new.push((input, end));
                }
            }
            if !new.is_empty() {
                out.push(Effect::Accept(id.clone(), number, new));
            }
            again.extend(page.again.into_iter().map(|(input, n)| (number, input, n)));
        }
        if broken && !job.flags.cancelled && !job.ending {
            job.flags.cancelled = true;
            out.push(Effect::Stop(id.clone()));
        }
        let round = job.round;
        let mine = |order: &Order| order.span.job == *id;
        let (mine, others) = std::mem::take(&mut self.crashed)
            .into_iter()
            .partition(mine);
        self.crashed = others;
        let mine: Vec<Order> = mine;
        for order in mine {
            self.crashed(now, order, out);
        }
        for (page, input, attempt) in again {
            let span = Span {
                job: id.clone(),
                round,
                page,
                first: input,
                last: input,
                attempt,
            };
            self.retry(0, span);
        }
        self.settle(id, out);
    }

    /// Looking for a job's inputs is tried again later.
    pub(super) fn plan_failed(&mut self, now: Ms, id: JobId) {
        if let Some(job) = self.jobs.get_mut(&id)
            && !job.planned
        {
            job.plan_failures += 1;
            let wait = backoff::before(job.plan_failures + 1, &mut self.dice);
            self.due.insert((now + wait, Due::Plan(id)));
        }
    }

    pub(super) fn wished(&mut self, id: &JobId, flags: Flags, out: &mut Vec<Effect>) {
        let Some(job) = self.jobs.get_mut(id) else {
            return;
        };
        job.flags = Flags {
            // A job that was stopped stays so.
            cancelled: flags.cancelled || job.flags.cancelled,
            paused: flags.paused,
        };
        self.settle(id, out);
    }

    /// Ends a job that has nothing left or is cancelled, and gives it its place among those that are fed.
    pub(super) fn settle(&mut self, id: &JobId, out: &mut Vec<Effect>) {
        let Some(job) = self.jobs.get_mut(id) else {
            return;
        };
        let over = (job.planned && job.left == 0) || job.flags.cancelled;
        if over && !job.ending {
            job.ending = true;
            out.push(Effect::Finish(id.clone(), job.round));
            self.drop_flights(id);
        }
        self.place(id);
    }

    /// Enters a job among those that have something new to send, or takes it out.
    pub(super) fn place(&mut self, id: &JobId) {
        let slots = self.slots;
        let Some(job) = self.jobs.get_mut(id) else {
            return;
        };
        while job
            .pages
            .get(job.feeding)
            .is_some_and(|page| !page.has_waiting())
        {
            job.feeding += 1;
        }
        match job.has_new(slots) {
            true => self.fair.enter(job.class, &job.owner, id),
            false => self.fair.leave(job.class, &job.owner, id),
        }
    }

    pub(super) fn finished(&mut self, id: &JobId, round: u32) {
        if self.jobs.get(id).is_some_and(|job| job.round == round) {
            self.forget(id);
        }
    }

    fn forget(&mut self, id: &JobId) {
        self.drop_flights(id);
        if let Some(job) = self.jobs.remove(id) {
            self.fair.leave(job.class, &job.owner, id);
        }
    }

    fn drop_flights(&mut self, id: &JobId) {
        let begin = Span {
            job: id.clone(),
            round: 0,
            page: 0,
            first: 0,
            last: 0,
            attempt: 0,
        };
        let own = self.flights.range(begin..);
        let own = own.take_while(|(span, _)| span.job == *id);
        let own: Vec<Span> = own.map(|(span, _)| span.clone()).collect();
        for span in own {
            self.land(&span);
        }
    }

    pub(super) fn release(&mut self, node: &Option<NodeName>) {
        if let Some(node) = node.as_ref().and_then(|name| self.nodes.get_mut(name)) {
            node.given = node.given.saturating_sub(1);
        }
    }

    pub(super) fn ended(&mut self, now: Ms, report: Report, out: &mut Vec<Effect>) {
        let span = report.span;
        let flight = self.land(&span);
        if let Some(flight) = &flight
            && flight.to.is_none()
        {
            self.front = self.front.max(flight.fed);
        }
        let Some(job) = self.jobs.get_mut(&span.job) else {
            return;
        };
        if job.round != span.round || job.ending {
            return;
        }
        if let Some(flight) = &flight {
            job.learn(flight.cost, report.ms);
            job.worked(flight.cost);
        }
        let (mut new, mut again) = (Vec::new(), Vec::new());
        for (input, end) in report.ends {
            if input < span.first || input > span.last {
                continue;
            }
            let open = end == End::Passing && span.attempt < job.schedule.max_attempts;
            if open {
                again.push(input);
            } else if job.end(span.page, input, end) {
                new.push((input, end));
            }
        }
        let ends = |(_, end): &(u32, End)| job.is_ended_by(*end);
        let stops = !job.flags.cancelled && new.iter().any(ends);
        let done = job.pages.get(span.page as usize).is_some_and(Page::is_done);
        if !new.is_empty() {
            out.push(Effect::Accept(span.job.clone(), span.page, new));
            if done && job.pages.len() > 1 {
                out.push(Effect::Fold(span.job.clone(), span.page));
            }
        }
        if stops {
            job.flags.cancelled = true;
            out.push(Effect::Stop(span.job.clone()));
        }
        for input in again {
            let attempt = span.attempt + 1;
            let wait = backoff::before(attempt, &mut self.dice);
            let (first, last) = (input, input);
            self.retry(
                now + wait,
                Span {
                    first,
                    last,
                    attempt,
                    ..span.clone()
                },
            );
        }
        self.settle(&span.job, out);
    }

    /// An input is to be tried again at that time, unless it is already, or has ended.
    pub(super) fn retry(&mut self, at: Ms, span: Span) {
        let Some(job) = self.jobs.get_mut(&span.job) else {
            return;
        };
        let (key, id) = ((span.page, span.first), span.job.clone());
        let known = job
            .tries
            .get(&key)
            .is_some_and(|attempt| *attempt >= span.attempt);
        let Some(page) = job.pages.get_mut(span.page as usize) else {
            return;
        };
        if known || span.first >= page.inputs() || page.has_ended(span.first) {
            return;
        }
        page.take(span.first);
        job.tries.insert(key, span.attempt);
        job.waiting += 1;
        self.due.insert((at, Due::Retry(span)));
        self.place(&id);
    }

    /// Another node has what this one had: it is run again, alone where it may be what kills nodes.
    pub(super) fn returned(&mut self, now: Ms, span: &Span, out: &mut Vec<Effect>) {
        let Some(flight) = self.flights.get_mut(span) else {
            return;
        };
        flight.returned += 1;
        if flight.seen.is_some() {
            // It may be that a broker took back what its node still has: that shows soon.
            flight.doubted = flight.doubted.or(Some(now));
            return;
        }
        let suspect = flight.returned > 1;
        self.died(now, span, suspect, out);
    }

    /// A process died that had a span in hand: each of its inputs is run alone, or, where it was that already, has failed an
    /// attempt.
    pub(super) fn crashed(&mut self, now: Ms, order: Order, out: &mut Vec<Effect>) {
        let span = order.span.clone();
        let Some(job) = self.jobs.get_mut(&span.job).filter(|job| job.planned) else {
            // It may be loaded soon.
            if self.crashed.len() < CRASHED {
                self.crashed.push(order);
            }
            return;
        };
        let Some(page) = job.pages.get_mut(span.page as usize) else {
            return;
        };
        let all = span.first..=span.last;
        let there = span.last < page.inputs() && job.round == span.round && !job.ending;
        if !there || all.clone().all(|input| page.has_ended(input)) {
            return;
        }
        if let Some(flight) = self.flights.get_mut(&span) {
            flight.order.alone |= order.alone;
            return self.died(now, &span, true, out);
        }
        // What is on its way otherwise is looked after already.
        let apart = |other: &Span| other.last < span.first || other.first > span.last;
        let of_page = |other: &Span| (&other.job, other.page) == (&span.job, span.page);
        if self
            .flights
            .keys()
            .any(|other| of_page(other) && !apart(other))
        {
            return;
        }
        all.for_each(|input| {
            page.take(input);
        });
        let flight = Flight {
            order,
            to: None,
            fed: now,
            seen: None,
            begun: None,
            cost: 0,
            weight: 0,
            returned: 0,
            doubted: None,
            looking: false,
            refused_by: Vec::new(),
        };
        self.fly(span.clone(), flight);
        self.died(now, &span, true, out);
    }

    /// A span whose node is gone. `suspect`: it was at work on it.
    pub(super) fn died(&mut self, now: Ms, span: &Span, suspect: bool, out: &mut Vec<Effect>) {
        let Some(flight) = self.flights.get(span) else {
            return;
        };
        if !suspect {
            return self.again(now, span);
        }
        if span.first == span.last && flight.order.alone {
            out.push(Effect::Blame(span.clone()));
            if let Some(job) = self.jobs.get_mut(&span.job) {
                job.deadly.insert((span.page, span.first));
            }
            if let Some(flight) = self.flights.get_mut(span) {
                (flight.seen, flight.begun, flight.fed) = (None, None, now);
                flight.doubted = None;
                flight.looking = true;
            }
            return;
        }
        // Which of them it is shows when each is run where nothing else is.
        self.land(span);
        for input in span.first..=span.last {
            let one = Span {
                first: input,
                last: input,
                ..span.clone()
            };
            let open = self.jobs.get(&span.job).is_some_and(|job| {
                let page = job.pages.get(span.page as usize);
                page.is_some_and(|page| !page.has_ended(input))
            });
            if open {
                let order = Order {
                    alone: true,
                    ..Order::new(one)
                };
                self.launch(now, order, 0, out);
            }
        }
    }

    /// A span is sent again as it is.
    pub(super) fn again(&mut self, now: Ms, span: &Span) {
        if let Some(flight) = self.flights.get_mut(span) {
            (flight.seen, flight.begun, flight.looking) = (None, None, false);
            flight.doubted = None;
            flight.fed = now;
            flight.order.copy_of = None;
            self.due.insert((now, Due::Send(span.clone())));
        }
    }

    pub(super) fn refused(&mut self, now: Ms, span: &Span, node: NodeName) {
        let Some(flight) = self.flights.get_mut(span) else {
            return;
        };
        flight.order.rejections += 1;
        let most = self
            .jobs
            .get(&span.job)
            .map_or(0, |job| job.schedule.max_rejections);
        flight.order.may_refuse = flight.order.rejections < most;
        flight.refused_by.retain(|name| *name != node);
        flight.refused_by.push(node);
        let mut living = self.nodes.iter().filter(|(_, node)| node.slots > 0);
        if living.all(|(name, _)| flight.refused_by.contains(name)) {
            // All were asked, and are again.
            let others = flight.refused_by.len() - 1;
            flight.refused_by.drain(..others);
        }
        flight.fed = now;
        let wait = backoff::after_rejection(flight.order.rejections, &mut self.dice);
        self.due.insert((now + wait, Due::Send(span.clone())));
    }

    /// A span that was looked for has no receipt, and nobody has it.
    pub(super) fn missing(&mut self, now: Ms, span: &Span, out: &mut Vec<Effect>) {
        let Some(flight) = self.flights.get(span) else {
            return;
        };
        if flight.looking {
            let dead = |name: &NodeName| !self.nodes.contains_key(name);
            let holder = flight.seen.as_ref().map(|(node, _)| node);
            let suspect = flight.begun.is_some() && holder.is_some_and(dead);
            self.died(now, span, suspect, out);
        }
    }
}
