//! How spans come to this node: through the queues, or from the conductor where that is here. They get a place, or go to whoever
//! has one.

use crate::execute::Place;
use crate::lead::Own;
use crate::names;
use crate::observe;
use crate::proof::Whose;
use crate::service::Node;
use cloud::queue::{Delivery, Message, QueueName};
use jobs::records::Told;
use jobs::span::Order;
use service::telemetry::trace;
use std::sync::Arc;
use std::time::Duration;
use tracing::Instrument as _;

/// How long a span that others may run, too, waits for room, up to twice that; then it goes to whoever has some.
const SOON: Duration = Duration::from_millis(200);

impl Node {
    /// Handles a message to its end.
    pub(crate) async fn take(self: Arc<Node>, delivery: Delivery) {
        let order: Order = match serde_json::from_slice(&delivery.body) {
            Ok(order) => order,
            Err(error) => {
                let reason = format!("not a span: {error}");
                if let Err(error) = delivery.reject(&reason).await {
                    tracing::warn!(%error, "a message that is none of ours");
                }
                return;
            }
        };
        observe::waited(delivery.published.and_then(|at| at.elapsed().ok()));
        match self.whose(order.store.as_deref()).await {
            Whose::Ours if !self.standing.is_unsound() => {}
            Whose::Foreign => {
                tracing::warn!(job = %order.span.job, "a span of another store is put aside");
                let _ = delivery.ack().await;
                return;
            }
            Whose::Ours | Whose::Doubted => {
                let same = delivery.message(QueueName::Tasks);
                let _ = delivery.replace(vec![same]).await;
                return;
            }
        }
        if delivery.redelivered {
            // Whoever had it may have died of it: the conductor knows what else was there.
            let told = Told::Returned { span: order.span };
            if self.tell(&told).await {
                let _ = delivery.ack().await;
            }
            return;
        }
        if order.may_refuse && self.refuses() {
            let node = self.config.node.clone();
            let span = order.span;
            if self.tell(&Told::Refused { span, node }).await {
                let _ = delivery.ack().await;
            }
            return;
        }
        if order.copy_of.as_deref() == Some(self.config.node.as_str()) {
            let _ = delivery.ack().await;
            return;
        }
        let mut place = None;
        if !order.alone && !order.stays {
            place = self.place_soon(order.urgent).await;
            if place.is_none() {
                // It came before its turn here, and another node may have nothing to do.
                let same = delivery.message(QueueName::Tasks);
                let _ = delivery.replace(vec![same]).await;
                return;
            }
        }
        let trace = delivery.trace.clone();
        let back = self.run(&order, place, trace.as_deref()).await;
        let traced = observe::ack(&order.span, &self.config.node, back.is_some());
        trace::follow(&traced, trace.as_deref());
        let settle = async {
            match back {
                Some(reason) => {
                    tracing::info!(job = %order.span.job, reason, "a span is handed back");
                    let same = delivery.message(QueueName::Tasks);
                    let _ = delivery.replace(vec![same]).await;
                }
                None => {
                    if let Err(error) = delivery.ack().await {
                        tracing::debug!(%error, "a message was not acknowledged; its span is done");
                    }
                }
            }
        };
        settle.instrument(traced).await;
    }

    /// A place for a span, where there is one within a moment. It is held from then on: of several that look at the same time
    /// none takes that of another.
    async fn place_soon(&self, urgent: bool) -> Option<Place<'_>> {
        let wait = SOON.mul_f64(1.0 + self.chance());
        let place = tokio::time::timeout(wait, self.place(urgent));
        place.await.ok().flatten()
    }

    /// A place beside others; None where work is handed back instead. What is to be alone is waited for first, since it needs
    /// a slot, too.
    pub(crate) async fn place(&self, urgent: bool) -> Option<Place<'_>> {
        let beside = self.turns.read().await;
        let room = self.room(urgent).await?;
        Some((beside, room))
    }

    /// Runs a span that came through no queue; where it has to go back, that is through the queue.
    pub(crate) async fn take_own(self: Arc<Node>, (order, trace, since): Own) {
        observe::waited(Some(since.elapsed()));
        let place = match order.alone {
            true => None,
            false => {
                let place = self.place_soon(order.urgent).await;
                if place.is_none() {
                    // Others came before it.
                    return self.give_back(&order, trace).await;
                }
                place
            }
        };
        let back = self.run(&order, place, trace.as_deref()).await;
        let traced = observe::ack(&order.span, &self.config.node, back.is_some());
        trace::follow(&traced, trace.as_deref());
        let settle = async {
            if let Some(reason) = back {
                tracing::info!(job = %order.span.job, reason, "a span is handed back");
                self.give_back(&order, trace).await;
            }
        };
        settle.instrument(traced).await;
    }

    /// Sends a span that came through no queue to whoever takes it.
    pub(crate) async fn give_back(&self, order: &Order, trace: Option<String>) {
        let message = Message {
            trace,
            ..Message::new(QueueName::Tasks, names::to_json(order))
        };
        if let Err(error) = self.jobs.queue.publish(vec![message]).await {
            tracing::warn!(%error, "a span was not handed back");
        }
    }
}
