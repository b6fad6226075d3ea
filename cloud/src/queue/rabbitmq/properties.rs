//! Messages as AMQP properties and headers, and back.

use crate::queue::{Death, Message, QueueName, traceparent};
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const ATTEMPT: &str = "sundog-attempt";
const PUBLISHED: &str = "sundog-published-ms";
const DEATH_REASON: &str = "sundog-death-reason";
const DEATH_QUEUE: &str = "sundog-death-queue";
/// The name that other programs know, too.
const TRACE: &str = "traceparent";

/// What the headers of a delivery say.
pub struct Received {
    pub attempt: u32,
    pub redeliveries: u32,
    pub published: Option<SystemTime>,
    pub death: Option<Death>,
    pub trace: Option<String>,
}

/// Properties of a message: persistent JSON with our headers.
pub fn of(message: &Message) -> BasicProperties {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let mut headers = FieldTable::default();
    headers.insert(
        ATTEMPT.into(),
        AMQPValue::LongLongInt(i64::from(message.attempt)),
    );
    let millis = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
    headers.insert(PUBLISHED.into(), AMQPValue::LongLongInt(millis));
    let text = |value: String| AMQPValue::LongString(value.into());
    if let Some(trace) = message.trace.as_deref().and_then(traceparent) {
        headers.insert(TRACE.into(), text(trace.to_owned()));
    }
    if let Some(death) = &message.death {
        headers.insert(DEATH_REASON.into(), text(death.reason.clone()));
        if let Some(queue) = &death.queue {
            headers.insert(DEATH_QUEUE.into(), text(queue.to_string()));
        }
    }
    BasicProperties::default()
        .with_delivery_mode(2)
        .with_content_type("application/json".into())
        .with_timestamp(now.as_secs())
        .with_headers(headers)
}

/// Reads the headers of a delivery; a message from elsewhere counts as a first attempt.
pub fn read(delivery: &lapin::message::Delivery) -> Received {
    let headers = delivery.properties.headers().as_ref();
    let attempt = number(headers, ATTEMPT).unwrap_or(1).max(1);
    let redeliveries = number(headers, "x-delivery-count").unwrap_or(0);
    let published = number(headers, PUBLISHED)
        .and_then(|millis| UNIX_EPOCH.checked_add(Duration::from_millis(millis)));
    let death = match text(headers, DEATH_REASON) {
        Some(reason) => Some(Death {
            queue: text(headers, DEATH_QUEUE).and_then(|name| QueueName::parse(&name).ok()),
            reason,
        }),
        // The broker's own record, when it gave the message up.
        None => text(headers, "x-first-death-reason").map(|reason| Death {
            queue: text(headers, "x-first-death-queue")
                .and_then(|name| QueueName::parse(&name).ok()),
            reason,
        }),
    };
    Received {
        attempt: u32::try_from(attempt.saturating_add(redeliveries)).unwrap_or(u32::MAX),
        redeliveries: u32::try_from(redeliveries).unwrap_or(u32::MAX),
        published,
        death,
        trace: text(headers, TRACE).filter(|text| traceparent(text).is_some()),
    }
}

fn value<'a>(headers: Option<&'a FieldTable>, key: &str) -> Option<&'a AMQPValue> {
    headers?.inner().get(key)
}

fn number(headers: Option<&FieldTable>, key: &str) -> Option<u64> {
    match value(headers, key)? {
        AMQPValue::ShortShortInt(v) => u64::try_from(*v).ok(),
        AMQPValue::ShortShortUInt(v) => Some(u64::from(*v)),
        AMQPValue::ShortInt(v) => u64::try_from(*v).ok(),
        AMQPValue::ShortUInt(v) => Some(u64::from(*v)),
        AMQPValue::LongInt(v) => u64::try_from(*v).ok(),
        AMQPValue::LongUInt(v) => Some(u64::from(*v)),
        AMQPValue::LongLongInt(v) => u64::try_from(*v).ok(),
        _ => None,
    }
}

fn text(headers: Option<&FieldTable>, key: &str) -> Option<String> {
    match value(headers, key)? {
        AMQPValue::LongString(v) => Some(String::from_utf8_lossy(v.as_bytes()).into_owned()),
        AMQPValue::ShortString(v) => Some(v.to_string()),
        _ => None,
    }
}
