//! What the conductor says is to be done, done beside it.

use super::{Done, Lead};
use crate::names;
use crate::observe::{self, Reason};
use cloud::queue::{Message, NodeId, QueueName};
use jobs::conductor::{Effect, Input};
use jobs::records::{Entry, SpanReceipt};
use jobs::span::{End, Order, Span};
use jobs::{JobId, NodeName};
use protocol::message::JobCancelled;
use protocol::state::TaskState;
use std::sync::atomic::Ordering;
use std::time::Instant;
use worker::batch::now;

/// Why a span failed whose node died.
const NODE_DIED: &str = "its node died over it while it did nothing else";

/// The class of what might have passed and did not.
pub(super) fn class(entry: &Entry) -> Reason {
    match entry.receipt.reason.as_deref() {
        Some(NODE_DIED) => Reason::NodeLost,
        _ => Reason::Other,
    }
}

impl Lead {
    pub(super) fn act(&mut self, effects: Vec<Effect>) {
        let mut feed = Vec::new();
        for effect in effects {
            match effect {
                Effect::Feed(order, to) => feed.push((order, to)),
                Effect::Load(id, known) => {
                    let node = self.node.clone();
                    self.work
                        .spawn(async move { super::load::job(&node, &id, known).await });
                }
                Effect::Plan(id) => self.plan(id),
                Effect::Look(span) => self.look_for(span),
                Effect::Blame(span) => self.blame(span),
                Effect::Accept(id, page, ends) => self.accept(&id, page, ends),
                Effect::Fold(id, page) => self.fold(&id, page),
                Effect::Stop(id) => self.stop(&id),
                Effect::Finish(id, round) => self.finish(id, round),
            }
        }
        if !feed.is_empty() {
            self.feed(feed);
        }
    }

    fn plan(&mut self, id: JobId) {
        let Some(job) = self.jobs.get(&id).cloned() else {
            return;
        };
        let node = self.node.clone();
        let outbox = self.outbox.clone();
        let planned = async move { super::plan::run(&node, job, &outbox).await };
        let handle = self.work.spawn(planned);
        self.planning.insert(id, handle);
    }

    /// Sends spans: to this node itself where it has room, since that takes no queue.
    fn feed(&mut self, orders: Vec<(Order, Option<NodeName>)>) {
        let mut messages = Vec::new();
        let mut spans = Vec::new();
        let others = self.core.living().count() > 1;
        for (mut order, to) in orders {
            order.store = self.node.standing.store().map(str::to_owned);
            let trace = self
                .jobs
                .get(&order.span.job)
                .and_then(|job| job.trace().clone());
            if to.is_none()
                && order.copy_of.is_none()
                && !order.may_refuse
                && self.node.takes_own(others, order.urgent)
            {
                if self.own.send((order, trace, Instant::now())).is_err() {
                    self.node.own_ended();
                }
                continue;
            }
            if order.copy_of.is_some() {
                let (job, node) = (&order.span.job, order.copy_of.as_deref());
                tracing::info!(job = %job, node, "a slow span is given to another node as well");
                observe::speculated();
            }
            let to = match to.map(|name| NodeId::new(&name)) {
                Some(Ok(node)) => QueueName::Node(node),
                _ => QueueName::Tasks,
            };
            spans.push(order.span.clone());
            messages.push(Message {
                trace,
                ..Message::new(to, names::to_json(&order))
            });
        }
        if messages.is_empty() {
            return;
        }
        let (queue, pause) = (self.node.jobs.queue.clone(), self.node.config.pause);
        self.work.spawn(async move {
            if let Err(error) = queue.publish(messages).await {
                // They are looked for, and sent again.
                tracing::warn!(%error, spans = spans.len(), "spans were not sent");
                tokio::time::sleep(pause).await;
            }
            Done::Nothing
        });
    }

    fn look_for(&mut self, span: Span) {
        let node = self.node.clone();
        self.work.spawn(async move {
            let name = names::span(&span);
            match node
                .persist(|| names::read::<SpanReceipt>(&node.jobs.store, &name))
                .await
            {
                Some(Some(receipt)) => Done::Receipt(Box::new(receipt)),
                _ => Done::Input(Input::Missing(span)),
            }
        });
    }

    /// Its node died while nothing else was at work there: an attempt that counts, written as any other commit.
    fn blame(&mut self, span: Span) {
        let node = self.node.clone();
        self.work.spawn(async move {
            let store = &node.jobs.store;
            let receipt = node
                .persist(|| async {
                    let page = crate::records::plan_page(store, &span.job, span.page).await?;
                    let Some(task) = page.tasks.get(span.first as usize) else {
                        return Ok(None);
                    };
                    let number = Span::number(span.page, span.first);
                    let reason = NODE_DIED;
                    let state = TaskState::Failed;
                    let receipt = SpanReceipt {
                        version: protocol::VERSION,
                        span: span.clone(),
                        node: node.config.node.clone(),
                        ms: 0,
                        entries: vec![Entry {
                            receipt: node.verdict(number, task, span.attempt, state, reason),
                            passing: true,
                        }],
                    };
                    let name = names::span(&span);
                    match names::create(store, &name, &receipt).await? {
                        true => Ok(Some(receipt)),
                        false => names::read(store, &name).await,
                    }
                })
                .await;
            let receipt = receipt.flatten().map(Box::new);
            receipt.map_or(Done::Nothing, Done::Receipt)
        });
    }

    fn accept(&mut self, id: &JobId, page: u32, ends: Vec<(u32, End)>) {
        let Some(job) = self.jobs.get(id) else {
            return;
        };
        let entries = job.entries();
        let (mut events, mut count) = (Vec::new(), 0);
        for (input, _) in ends {
            if let Some(receipt) = entries.get(&Span::number(page, input)) {
                let warnings = receipt.warnings.len() as u64;
                job.warnings.fetch_add(warnings, Ordering::Relaxed);
                events.extend(crate::tell::task_events(id, job.round, receipt));
                count += 1;
            }
        }
        drop(entries);
        self.outbox.events(job, events, count);
        self.changed.insert(id.clone());
    }

    fn fold(&mut self, id: &JobId, page: u32) {
        let (Some(job), node) = (self.jobs.get(id).cloned(), self.node.clone()) else {
            return;
        };
        self.work.spawn(async move {
            super::finish::fold(&node, &job, page).await;
            Done::Nothing
        });
    }

    fn stop(&mut self, id: &JobId) {
        let Some(job) = self.jobs.get(id).cloned() else {
            return;
        };
        let node = self.node.clone();
        self.work.spawn(async move {
            let marker = JobCancelled {
                version: protocol::VERSION,
                job: job.id().to_owned(),
                time: now(),
            };
            let name = names::cancelled(job.id(), job.round);
            node.persist(|| names::create(&node.jobs.store, &name, &marker))
                .await;
            Done::Nothing
        });
    }

    fn finish(&mut self, id: JobId, round: u32) {
        if let Some(planning) = self.planning.remove(&id) {
            planning.abort();
        }
        let Some(job) = self.jobs.get(&id).filter(|job| job.round == round).cloned() else {
            return;
        };
        let (node, outbox) = (self.node.clone(), self.outbox.clone());
        self.work.spawn(async move {
            super::finish::job(&node, &job, &outbox).await;
            Done::Input(Input::Finished(id, round))
        });
    }
}
