//! A job as the conductor knows it.

use super::needs::Needs;
use super::{Flags, Loaded};
use crate::JobId;
use crate::page::Page;
use crate::span::{End, Span};
use protocol::job::Schedule;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Inputs that wait to be tried again at most, before the job gets nothing new: what fails all of them may pass.
const WAITING: usize = 64;

/// How far a job has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Its inputs.
    pub inputs: u64,
    /// Those with an output.
    pub succeeded: u64,
    /// Those that failed.
    pub failed: u64,
    /// Those that a limit refused.
    pub rejected: u64,
    /// What all of them cost together, in microseconds as predicted.
    pub work: u64,
    /// What of that is done.
    pub worked: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Job {
    id: JobId,
    pub(super) owner: Arc<str>,
    pub(super) class: u8,
    pub(super) round: u32,
    pub(super) schedule: Schedule,
    pub(super) stops: bool,
    pub(super) capped: bool,
    /// Its spans that are on their way.
    pub(super) flying: u32,
    pub(super) flags: Flags,
    /// Whether its inputs are known.
    pub(super) planned: bool,
    /// Times that they could not be looked for.
    pub(super) plan_failures: u32,
    pub(super) pages: Vec<Page>,
    /// Where its inputs are nodes of a tree.
    pub(super) needs: Option<Needs>,
    /// No page before this one has inputs that were never sent.
    pub(super) feeding: usize,
    pub(super) left: u64,
    counted: Counted,
    /// Attempts at single inputs beyond the first that are on their way or wait, by page and input.
    pub(super) tries: BTreeMap<(u32, u32), u32>,
    /// Of those, the ones that wait.
    pub(super) waiting: usize,
    /// Inputs that nodes died of while they did nothing else, by page: they are run so from then on.
    pub(super) deadly: BTreeSet<(u32, u32)>,
    /// Predicted microseconds: of spans on their way.
    pub(super) aloft: u64,
    /// Microseconds predicted and milliseconds measured, of spans that ran.
    ran: (f64, f64),
    /// Its receipt is being written.
    pub(super) ending: bool,
    /// Nothing is fed until nodes have said what they have of it.
    pub(super) held: bool,
}

impl Job {
    pub(super) fn new(loaded: &Loaded) -> Job {
        Job {
            id: loaded.job.clone(),
            owner: loaded.owner.clone(),
            class: loaded.class,
            round: loaded.round,
            schedule: loaded.schedule.clone(),
            stops: loaded.stops,
            capped: loaded.capped,
            flying: 0,
            flags: loaded.flags,
            planned: false,
            plan_failures: 0,
            pages: Vec::new(),
            needs: None,
            feeding: 0,
            left: 0,
            counted: Counted::default(),
            tries: BTreeMap::new(),
            deadly: BTreeSet::new(),
            waiting: 0,
            aloft: 0,
            ran: (0.0, 0.0),
            ending: false,
            held: false,
        }
    }

    /// Whether something of it could be sent for the first time.
    pub(super) fn has_new(&self, slots: u32) -> bool {
        // Images that wait for each other hold slots: others have half of them at least.
        let shared = self.capped && self.flying >= (slots / 2).max(1);
        let waits = match &self.needs {
            Some(needs) => needs.has_next(),
            None => self.feeding < self.pages.len(),
        };
        !shared && self.is_fed() && !self.held && self.waiting < WAITING && waits
    }

    /// Inputs of each page but the last.
    fn per_page(&self) -> u64 {
        let first = self.pages.first().map_or(1, Page::inputs);
        u64::from(first.max(1))
    }

    /// Takes the next node of the tree whose inputs exist: its page, and its place in it.
    pub(super) fn next_node(&mut self) -> Option<(u32, u32)> {
        let per_page = self.per_page();
        while let Some(node) = self.needs.as_mut()?.next() {
            let (page, input) = ((node / per_page) as usize, (node % per_page) as u32);
            if self.pages.get_mut(page)?.take(input) {
                return Some((page as u32, input));
            }
        }
        None
    }

    /// Whether an end ends the job: an error where that was asked for, and whatever leaves a tree without a result.
    pub(super) fn is_ended_by(&self, end: End) -> bool {
        match (end, &self.needs) {
            (End::Succeeded, _) => false,
            (_, Some(_)) => true,
            (End::Failed | End::Passing, None) => self.stops,
            (End::Rejected, None) => false,
        }
    }

    /// Whether anything of it may be sent.
    pub(super) fn is_fed(&self) -> bool {
        !self.flags.paused && !self.flags.cancelled && !self.ending && self.planned
    }

    pub(super) fn counted(&self) -> Counted {
        Counted {
            inputs: self.pages.iter().map(|page| u64::from(page.inputs())).sum(),
            // Of what is on its way half waits, and the other half is half done.
            worked: (self.counted.worked + self.aloft / 4).min(self.counted.work),
            ..self.counted
        }
    }

    /// An input has ended; whether that is new.
    pub(super) fn end(&mut self, page: u32, input: u32, end: End) -> bool {
        let Some(found) = self.pages.get_mut(page as usize) else {
            return false;
        };
        if input >= found.inputs() || !found.end(input) {
            return false;
        }
        self.tries.remove(&(page, input));
        self.left -= 1;
        let node = u64::from(page) * self.per_page() + u64::from(input);
        if let (End::Succeeded, Some(needs)) = (end, &mut self.needs) {
            needs.has(node);
        }
        match end {
            End::Succeeded => self.counted.succeeded += 1,
            End::Failed | End::Passing => self.counted.failed += 1,
            End::Rejected => self.counted.rejected += 1,
        }
        true
    }

    /// What a span is worth, in predicted microseconds: less where what ran took longer than predicted, and less where the
    /// job is so small that its spans would not reach all slots.
    pub(super) fn worth(&self, most: u32, slots: u32) -> u32 {
        let ratio = match self.ran {
            (predicted, measured) if predicted > 0.0 => (measured * 1000.0 / predicted).max(0.02),
            _ => 1.0,
        };
        let most = (f64::from(most) / ratio).min(f64::from(u32::MAX)) as u32;
        match (&self.pages[..], slots) {
            ([page], 1..) => most.min(page.total() / (slots * 4)).max(1),
            _ => most,
        }
    }

    /// A span of it, as it is sent first.
    pub(super) fn span(&self, page: u32, first: u32, last: u32) -> Span {
        Span {
            job: self.id.clone(),
            round: self.round,
            page,
            first,
            last,
            attempt: 1,
        }
    }

    /// Whether its inputs are worth no more together, and independent of each other.
    pub(super) fn is_small(&self, most: u32) -> bool {
        let small = matches!(&self.pages[..], [page] if page.total() <= most);
        small && self.needs.is_none()
    }

    /// A page of it is known: what its inputs cost, and which have ended.
    pub(super) fn weigh(&mut self, costs: &[u32], ended: impl Iterator<Item = u32>) {
        let sum = |costs: &mut dyn Iterator<Item = u32>| costs.map(u64::from).sum::<u64>();
        self.counted.work += sum(&mut costs.iter().copied());
        self.counted.worked += sum(&mut ended.filter_map(|n| costs.get(n as usize).copied()));
    }

    /// A span of that cost ended.
    pub(super) fn worked(&mut self, cost: u64) {
        self.counted.worked += cost;
    }

    /// A span ran.
    pub(super) fn learn(&mut self, predicted: u64, ms: u64) {
        // What ran long ago counts less.
        self.ran.0 = self.ran.0 * 0.95 + predicted as f64;
        self.ran.1 = self.ran.1 * 0.95 + ms as f64;
    }

    /// Whether a span of it ran.
    pub(super) fn has_run(&self) -> bool {
        self.ran.0 > 0.0
    }

    /// How many milliseconds a span of that cost takes, where some have run.
    pub(super) fn expected(&self, cost: u64) -> Option<f64> {
        let (predicted, measured) = self.ran;
        (predicted > 0.0).then(|| cost as f64 / predicted * measured)
    }

    /// Which share of its inputs has ended.
    pub(super) fn share(&self) -> f64 {
        let inputs = self.counted().inputs;
        1.0 - self.left as f64 / inputs.max(1) as f64
    }
}
