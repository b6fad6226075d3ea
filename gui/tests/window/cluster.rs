//! The services of a cluster themselves, one of which goes away and comes back.

use super::common::{Desk, photos};
use cloud::config::Config;
use cloud::testing::{RabbitMq, Redis, available};
use gui::args::Args;
use gui::command::Command;
use gui::state::jobs::{Link, Target};
use gui::work::objects::Services;
use std::sync::Arc;

#[test]
fn a_service_that_is_away_is_a_banner_until_it_is_back() {
    if !available(RabbitMq::program(), "RabbitMQ") || !available(Redis::program(), "Redis") {
        return;
    }
    let dir = photos();
    let mut broker = RabbitMq::start().unwrap();
    let mut redis = Redis::start().unwrap();
    let store = dir.path().join("store");
    let vars = [
        ("SUNDOG_BROKER", broker.url()),
        ("SUNDOG_REDIS", redis.url()),
        ("SUNDOG_STORE", store.to_str().unwrap().to_owned()),
    ];
    let vars = vars.map(|(name, value)| (name.to_owned(), value));
    let services = Services::Given(Arc::new(Config::from_vars(vars).unwrap()));
    let mut desk = Desk::open(dir, Args::default());
    desk.harness.state_mut().as_mut().unwrap().work.services = services;
    // A window that is started while the broker is away.
    broker.kill();
    desk.ask(Command::Target(Target::Cluster, None));
    desk.until("the loss of the broker", |s| s.jobs.silent.queue.is_some());
    assert!(desk.sees("RabbitMQ does not answer") && desk.sees("SUNDOG_BROKER"));
    desk.harness.check_accessibility();
    broker.resume().unwrap();
    desk.until("the broker", |s| {
        s.jobs.silent.none() && s.jobs.link == Link::Up
    });
    assert!(!desk.sees("does not answer"));
    // One that is lost while the window is used.
    redis.kill();
    desk.until("the loss of Redis", |s| s.jobs.silent.events.is_some());
    assert!(desk.sees("Redis does not answer") && desk.sees("SUNDOG_REDIS"));
    redis.resume().unwrap();
    desk.click("Try now");
    desk.until("Redis", |s| s.jobs.silent.none());
    assert!(!desk.sees("does not answer"));
    // This computer needs none of them.
    broker.kill();
    desk.until("the loss of the broker", |s| s.jobs.silent.queue.is_some());
    desk.ask(Command::Target(Target::Local, None));
    assert!(!desk.sees("does not answer"));
}
