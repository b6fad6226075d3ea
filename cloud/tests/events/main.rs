//! What all events promise, for the twin in memory and for Redis; then what only a server can break.
#![allow(clippy::unwrap_used)]

mod kit;
mod promises;

use crate::kit::*;
use crate::promises::*;
use cloud::Error;
use cloud::events::memory::MemoryEvents;
use cloud::events::redis::{RedisConfig, RedisEvents};
use cloud::events::{Cursor, Events, Retention, subscribe};
use cloud::testing::{Redis, available};
use std::sync::Arc;
use std::time::Duration;

#[tokio::test]
async fn memory_conforms() {
    conforms(Arc::new(MemoryEvents::default())).await;
    forgets_in_order(Arc::new(MemoryEvents::new(few()))).await;
    expires(Arc::new(MemoryEvents::new(brief()))).await;
    let events = MemoryEvents::default();
    a_loss_is_told(Arc::new(events.clone()), || events.clear()).await;
}

/// One test for all that needs the server.
#[tokio::test]
async fn redis_conforms_and_survives() {
    if !available(Redis::program(), "Redis") {
        return;
    }
    let mut server = Redis::start().unwrap();
    let connect = |retention| {
        let mut config = RedisConfig::new(&server.url()).unwrap();
        config.retention = retention;
        Arc::new(RedisEvents::new(config).unwrap())
    };
    let flush = || assert!(server.command(&["FLUSHALL"]).unwrap().starts_with("+OK"));
    let events = connect(Retention::default());
    conforms(events.clone()).await;
    eprintln!("case expiry");
    every_key_expires(&server);
    flush();
    forgets_in_order(connect(few())).await;
    flush();
    expires(connect(brief())).await;
    flush();
    eprintln!("case flush");
    a_loss_is_told(events.clone(), flush).await;
    eprintln!("case password");
    a_wrong_password_is_refused_and_not_shown(&server).await;
    eprintln!("case restart");
    a_restart_is_bridged(&mut server, events).await;
}

pub(crate) fn every_key_expires(server: &Redis) {
    let script = "local n = 0 for _, k in ipairs(redis.call('KEYS', '*')) do \
                  if redis.call('PTTL', k) < 0 then n = n + 1 end end return n";
    assert_eq!(server.command(&["EVAL", script, "0"]).unwrap(), ":0\r\n");
}

pub(crate) async fn a_wrong_password_is_refused_and_not_shown(server: &Redis) {
    let url = server.url().replace("test-", "swordfish-");
    let config = RedisConfig::new(&url).unwrap();
    assert!(!format!("{config:?}").contains("swordfish"));
    let events = RedisEvents::new(config).unwrap();
    let error = events.read("x", 0, 1).await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error:?}");
    assert!(!format!("{error} {error:?} {events:?}").contains("swordfish"));
}

pub(crate) async fn a_restart_is_bridged(server: &mut Redis, events: Arc<RedisEvents>) {
    add(&*events, "restart", 0..5).await;
    let mut updates = subscribe(events.clone(), job("restart", Cursor::default()))
        .await
        .unwrap();
    take(&mut updates, "restart", 1..6).await;
    server.kill();
    let mut config = RedisConfig::new(&server.url()).unwrap();
    config.patience = Duration::from_millis(400);
    let hasty = RedisEvents::new(config).unwrap();
    let error = hasty.append("restart", "x", &started("restart", 9)).await;
    assert!(matches!(error, Err(Error::Unreachable { .. })), "{error:?}");
    // One with patience waits and is not doubled.
    let patient = events.clone();
    let writer = tokio::spawn(async move { add(&*patient, "restart", 5..10).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.resume().unwrap();
    writer.await.unwrap();
    take(&mut updates, "restart", 6..11).await;
    nothing_more(&mut updates).await;
}
