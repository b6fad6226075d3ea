//! RabbitMQ and Redis that hang, die, or forget.

use super::{Case, Course, THREADS};
use crate::Failure;
use crate::cluster::StoreKind;
use crate::trial::Trial;
use std::time::Duration;
use worker::batch::now;

/// RabbitMQ hangs for 5 s, which no heartbeat notices.
pub const BROKER_PAUSED_5: Case = Case {
    name: "broker-paused-5",
    store: StoreKind::Directory,
    needs_ranks: false,
    play: |trial| Box::pin(broker_paused(trial, 5)),
};

/// RabbitMQ hangs for 30 s, so that both sides give up their connections.
pub const BROKER_PAUSED_30: Case = Case {
    name: "broker-paused-30",
    store: StoreKind::S3,
    needs_ranks: false,
    play: |trial| Box::pin(broker_paused(trial, 30)),
};

/// RabbitMQ is killed and started again.
pub const BROKER_KILLED: Case = Case {
    name: "broker-killed",
    store: StoreKind::Directory,
    needs_ranks: false,
    play: |trial| Box::pin(broker_killed(trial)),
};

/// Redis hangs for 30 s.
pub const REDIS_PAUSED: Case = Case {
    name: "redis-paused-30",
    store: StoreKind::Directory,
    needs_ranks: false,
    play: |trial| Box::pin(redis_paused(trial)),
};

/// Redis forgets everything.
pub const REDIS_WIPED: Case = Case {
    name: "redis-wiped",
    store: StoreKind::S3,
    needs_ranks: false,
    play: |trial| Box::pin(redis_wiped(trial)),
};

async fn two_at_work(trial: &mut Trial) -> Result<(), Failure> {
    trial.submit(1).await?;
    trial.dispatcher(THREADS)?;
    trial.dispatcher(THREADS)?;
    trial.midst().await
}

async fn broker_paused(trial: &mut Trial, secs: u64) -> Result<Course, Failure> {
    two_at_work(trial).await?;
    trial.cluster.broker.pause()?;
    trial.note("the broker hangs");
    trial.pause(Duration::from_secs(secs)).await;
    trial.cluster.broker.unpause()?;
    trial.ended().await?;
    Ok(Course::Through)
}

async fn broker_killed(trial: &mut Trial) -> Result<Course, Failure> {
    two_at_work(trial).await?;
    trial.cluster.broker.kill();
    trial.note("the broker was killed");
    let wait = Duration::from_millis(trial.dice.u64(0..4000));
    trial.pause(wait).await;
    trial.cluster.broker.resume()?;
    trial.note("the broker is back");
    trial.ended().await?;
    Ok(Course::Through)
}

async fn redis_paused(trial: &mut Trial) -> Result<Course, Failure> {
    two_at_work(trial).await?;
    trial.cluster.redis.pause()?;
    trial.note("Redis hangs");
    trial.pause(Duration::from_secs(30)).await;
    trial.cluster.redis.unpause()?;
    trial.ended().await?;
    Ok(Course::Through)
}

async fn redis_wiped(trial: &mut Trial) -> Result<Course, Failure> {
    two_at_work(trial).await?;
    trial.cluster.redis.command(&["FLUSHALL"])?;
    trial.expect.wiped = Some(now());
    trial.note("Redis has forgotten everything");
    trial.ended().await?;
    Ok(Course::Through)
}
