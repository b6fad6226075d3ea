//! The device of builds without the feature `gpu`: there is none.

use super::{Info, Speed, Trouble};
use crate::executor::Stop;
use crate::image::Rows;
use crate::op::{Measured, Tally};
use crate::plan::{Segment, Stage};
use crate::window::Band;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// No value of this type exists.
#[derive(Debug)]
pub enum Device {}

impl Device {
    /// Always an error.
    pub fn shared(_software: bool) -> Result<Arc<Device>, Trouble> {
        Err(Trouble(
            "this build has no support for graphics devices (build it with the feature `gpu`)"
                .into(),
        ))
    }

    /// None.
    pub fn list() -> Vec<Info> {
        Vec::new()
    }

    /// What it is.
    pub fn info(&self) -> &Info {
        match *self {}
    }

    /// What it takes.
    pub fn speed(&self) -> Speed {
        match *self {}
    }

    /// The largest image that can stay on it between stages.
    pub fn holds(&self, _stages: &[Stage]) -> bool {
        match *self {}
    }

    /// Memory of this process that it works with.
    pub fn host_bytes(&self) -> usize {
        match *self {}
    }

    /// Output rows per piece.
    pub fn piece_rows(&self, _segment: &Segment) -> usize {
        match *self {}
    }

    /// Ends it, as a lost device ends.
    pub fn destroy(&self) {
        match *self {}
    }

    pub(crate) fn stream(
        &self,
        _segment: &Segment,
        _pieces: &[&Rows],
        _out: Band<'_>,
        _pool: Option<&rayon::ThreadPool>,
        _stop: &Stop,
    ) -> Result<(), Trouble> {
        match *self {}
    }

    pub(crate) fn tally(
        &self,
        _measured: &dyn Measured,
        _rows: &[&Rows],
        _range: Range<usize>,
        _pool: Option<&rayon::ThreadPool>,
        _stop: &Stop,
    ) -> Result<Tally, Trouble> {
        match *self {}
    }

    pub(crate) fn chain(
        &self,
        _stages: &[Stage],
        _rows: &Rows,
        _result: &mut Rows,
        _pool: Option<&rayon::ThreadPool>,
        _stop: &Stop,
    ) -> Result<(), Trouble> {
        match *self {}
    }

    /// The time of the passes alone.
    pub fn compute_time(
        &self,
        _stages: &[Stage],
        _rows: &Rows,
        _runs: usize,
    ) -> Result<Duration, Trouble> {
        match *self {}
    }
}
