//! Stages that stay on the device: the image goes there once, is counted and changed there, and comes back at the end.

use super::buffers::{Kind, Permit, rounded};
use super::encode::{self, Chunk, MOST_ROWS};
use super::kernel::Store;
use super::run::{FLYING, stopped};
use super::{Device, Trouble, place};
use crate::executor::Stop;
use crate::image::Rows;
use crate::op::{Measured, Tally};
use crate::plan::{Head, Segment, Stage};
use crate::window::Band;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Bytes brought at once.
const WAY_BYTES: usize = 8 << 20;

impl Device {
    /// Bytes that stages take while the image stays here; `None` where a buffer would be too large.
    fn chain_bytes(&self, stages: &[Stage]) -> Option<u64> {
        let mut most = 0;
        for stage in stages {
            let kernels = place::kernels(&stage.segment)?;
            let rows = stage.segment.output().rows;
            let tall = stage.segment.shapes.iter().chain([&stage.segment.input]);
            if tall.into_iter().any(|shape| shape.rows > MOST_ROWS) {
                return None;
            }
            most = most.max(rounded(self.largest(&stage.segment, &kernels, 0..rows)));
        }
        let ways = 2 * (FLYING as u64 + 1) * rounded(WAY_BYTES as u64);
        (most <= self.most).then_some(4 * most + ways)
    }

    /// Whether these stages can stay here.
    pub fn holds(&self, stages: &[Stage]) -> bool {
        self.chain_bytes(stages)
            .is_some_and(|bytes| bytes <= self.pool.cap())
    }

    fn promise(&self, stages: &[Stage]) -> Result<Permit, Trouble> {
        let bytes = self.chain_bytes(stages);
        let permit = bytes.and_then(|bytes| self.pool.permit(bytes, true));
        permit.ok_or_else(|| Trouble("the image is larger than the device's memory".into()))
    }

    /// Runs stages on a whole image.
    pub(crate) fn chain(
        &self,
        stages: &[Stage],
        rows: &Rows,
        result: &mut Rows,
        pool: Option<&rayon::ThreadPool>,
        stop: &Stop,
    ) -> Result<(), Trouble> {
        self.check()?;
        let _permit = self.promise(stages)?;
        let mut chunk = self.bring(rows, pool, stop)?;
        for stage in stages {
            stopped(stop)?;
            chunk = self.stage(stage, chunk)?;
        }
        self.take_back(chunk, result, pool, stop)
    }

    fn counted(
        &self,
        measured: &dyn Measured,
        stage: &Stage,
        chunk: &Chunk,
    ) -> Result<Tally, Trouble> {
        let count = measured.gpu(stage.input);
        let count = count.ok_or_else(|| Trouble("a step has no form for a device".into()))?;
        let mut tally = measured.empty(stage.input);
        let encoder = self.device.create_command_encoder(&Default::default());
        self.add_count(encoder, &count, chunk, 0..stage.input.rows, &mut tally)?;
        Ok(tally)
    }

    fn stage(&self, stage: &Stage, chunk: Chunk) -> Result<Chunk, Trouble> {
        let segment = match (&stage.head, stage.gpu.is_some()) {
            (Head::Measured(measured), true) => {
                let mut measured = measured.clone();
                let mut tally = self.counted(&*measured, stage, &chunk)?;
                while let Some(next) = measured.refine(stage.input, &tally) {
                    measured = next;
                    tally = self.counted(&*measured, stage, &chunk)?;
                }
                let finished = measured.finish(stage.input, &tally);
                let mut locals = finished.map_err(|e| Trouble(e.to_string()))?;
                locals.extend(stage.tail.iter().cloned());
                Segment::new(stage.input, &locals).map_err(|e| Trouble(e.to_string()))?
            }
            _ => stage.segment.clone(),
        };
        let prepared = self.prepare(&segment)?;
        let mut encoder = self.device.create_command_encoder(&Default::default());
        let rows = 0..segment.output().rows;
        let mut held = Vec::new();
        let made = self.encode(&mut encoder, &segment, &prepared, chunk, rows, &mut held)?;
        self.queue.submit([encoder.finish()]);
        drop(held);
        Ok(made)
    }

    /// Brings an image there: while one part travels, the next is filled.
    fn bring(
        &self,
        rows: &Rows,
        pool: Option<&rayon::ThreadPool>,
        stop: &Stop,
    ) -> Result<Chunk, Trouble> {
        let shape = rows.shape;
        let chunk = self.chunk(shape, Store::Bytes, rows.range());
        let step = (WAY_BYTES / (4 * encode::pitch(shape, Store::Bytes)).max(1)).max(1);
        let mut flying = VecDeque::new();
        for at in rows.range().step_by(step) {
            stopped(stop)?;
            let part = at..(at + step).min(rows.range().end);
            if flying.len() == FLYING
                && let Some(oldest) = flying.pop_front()
            {
                self.wait(oldest)?;
            }
            let up = self.fill(&[rows], shape, &part, pool)?;
            let mut encoder = self.device.create_command_encoder(&Default::default());
            let to = encode::bytes(shape, Store::Bytes, part.start - rows.first);
            let bytes = encode::bytes(shape, Store::Bytes, part.len());
            encoder.copy_buffer_to_buffer(up.buffer(), 0, chunk.lease.buffer(), to, bytes);
            flying.push_back(self.queue.submit([encoder.finish()]));
        }
        Ok(chunk)
    }

    /// Brings an image back: while one part travels, the one before is emptied.
    fn take_back(
        &self,
        chunk: Chunk,
        result: &mut Rows,
        pool: Option<&rayon::ThreadPool>,
        stop: &Stop,
    ) -> Result<(), Trouble> {
        let shape = chunk.shape;
        let step = (WAY_BYTES / (4 * encode::pitch(shape, Store::Bytes)).max(1)).max(1);
        let mut out = Band::of(result);
        let range = out.range();
        let mut flying = VecDeque::new();
        let mut parts = range.clone().step_by(step);
        loop {
            stopped(stop)?;
            let next = parts.next();
            if let Some(at) = next {
                let part = at..(at + step).min(range.end);
                let bytes = encode::bytes(shape, Store::Bytes, part.len());
                let from = encode::bytes(shape, Store::Bytes, part.start - chunk.first);
                let mut down = self.pool.take(Kind::Down, bytes);
                let mut encoder = self.device.create_command_encoder(&Default::default());
                encoder.copy_buffer_to_buffer(chunk.lease.buffer(), from, down.buffer(), 0, bytes);
                let submitted = self.queue.submit([encoder.finish()]);
                down.readable(bytes);
                flying.push_back((part, down, submitted));
            }
            if flying.len() >= FLYING || next.is_none() {
                let Some((part, mut down, submitted)) = flying.pop_front() else {
                    return Ok(());
                };
                self.wait_for(submitted, &down)?;
                self.empty(&mut down, &mut out.part(part), pool)?;
            }
        }
    }

    /// The time of the passes alone, of one run: without the ways there and back.
    pub fn compute_time(
        &self,
        stages: &[Stage],
        rows: &Rows,
        runs: usize,
    ) -> Result<Duration, Trouble> {
        self.check()?;
        let _permit = self.promise(stages)?;
        let stop = Stop::default();
        let mut times = Vec::new();
        for _ in 0..=runs {
            let mut chunk = self.bring(rows, None, &stop)?;
            let nothing = self.device.create_command_encoder(&Default::default());
            self.wait(self.queue.submit([nothing.finish()]))?;
            let start = Instant::now();
            for stage in stages {
                chunk = self.stage(stage, chunk)?;
            }
            let nothing = self.device.create_command_encoder(&Default::default());
            self.wait(self.queue.submit([nothing.finish()]))?;
            times.push(start.elapsed());
        }
        // The first run compiles programs and makes buffers.
        let mut times = times.split_off(1);
        times.sort();
        Ok(times.get(times.len() / 2).copied().unwrap_or_default())
    }
}
