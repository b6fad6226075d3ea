//! What goes wrong at the server of objects by chance, the same for the same seed.

use super::objects::Fault;
use bytes::Bytes;
use http::Method;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use std::io;

/// How often things go wrong, each as a share of requests between 0 and 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Weather {
    /// Answers of 500 or 503 to any request; half of those to writes come after the deed.
    pub errors: f64,
    /// Bodies of objects that break off in the middle.
    pub cuts: f64,
    /// Objects that are created only if absent, and then the connection breaks.
    pub lost_replies: f64,
    /// Requests wait until this is no longer so.
    pub silent: bool,
}

/// What becomes of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lot {
    Fine,
    /// The body of the answer ends early.
    Cut,
    Fault(Fault, u16),
}

/// The weather of now, and its dice.
#[derive(Debug)]
pub(super) struct Sky {
    pub(super) weather: Weather,
    dice: fastrand::Rng,
    /// How many requests something went wrong with.
    pub(super) spoiled: u64,
}

impl Default for Sky {
    fn default() -> Sky {
        Sky::new(Weather::default(), 0)
    }
}

impl Sky {
    pub(super) fn new(weather: Weather, seed: u64) -> Sky {
        Sky {
            weather,
            dice: fastrand::Rng::with_seed(seed),
            spoiled: 0,
        }
    }

    /// Throws the dice for a request.
    pub(super) fn lot(&mut self, method: &Method, conditional: bool) -> Lot {
        let lot = self.throw(method, conditional);
        self.spoiled += u64::from(lot != Lot::Fine);
        lot
    }

    fn throw(&mut self, method: &Method, conditional: bool) -> Lot {
        let reads = matches!(*method, Method::GET | Method::HEAD);
        if self.dice.f64() < self.weather.errors {
            let status = if self.dice.bool() { 500 } else { 503 };
            let fault = match !reads && self.dice.bool() {
                true => Fault::FailAfter,
                false => Fault::FailBefore,
            };
            return Lot::Fault(fault, status);
        }
        if conditional && self.dice.f64() < self.weather.lost_replies {
            return Lot::Fault(Fault::LoseReply, 0);
        }
        match *method == Method::GET && self.dice.f64() < self.weather.cuts {
            true => Lot::Cut,
            false => Lot::Fine,
        }
    }
}

/// The body of an answer.
pub(super) type Body = BoxBody<Bytes, io::Error>;

/// A whole body.
pub(super) fn whole(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed()
}

/// The first half of a body, then the end of its connection.
pub(super) fn half(bytes: &Bytes) -> Body {
    let first = Ok(Frame::data(bytes.slice(..bytes.len() / 2)));
    let end = Err(io::ErrorKind::ConnectionReset.into());
    StreamBody::new(futures_util::stream::iter([first, end])).boxed()
}
