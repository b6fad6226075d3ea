//! From a segment's steps to commands for a device.

use super::buffers::{Kind, Lease};
use super::kernel::{Extent, Kernel, Pass, Store, programs};
use super::{Count, Device, Trouble, place};
use crate::border::Border;
use crate::image::Shape;
use crate::plan::Segment;
use std::ops::Range;

/// Rows of an image on the device.
pub struct Chunk {
    pub lease: Lease,
    pub shape: Shape,
    pub store: Store,
    pub first: usize,
    pub count: usize,
}

/// The most rows of one chunk: a program is started for four rows at a time, 65535 times at most.
pub const MOST_ROWS: usize = 4 * 65535;

/// Words from one row to the next.
pub fn pitch(shape: Shape, store: Store) -> usize {
    // Rows begin at multiples of 16 bytes, which copies want.
    let words = shape.row_bytes().div_ceil(16) * 4;
    match store {
        Store::Bytes => words,
        Store::Halves => 2 * words,
    }
}

/// Bytes of `rows` rows.
pub fn bytes(shape: Shape, store: Store, rows: usize) -> u64 {
    4 * (pitch(shape, store) * rows) as u64
}

/// A segment's kernels with their data on the device.
pub struct Prepared {
    kernels: Vec<Kernel>,
    data: Vec<Vec<Option<wgpu::Buffer>>>,
}

impl Prepared {
    /// The kernels.
    pub fn kernels(&self) -> &[Kernel] {
        &self.kernels
    }
}

impl Device {
    /// Brings tables and weights there.
    pub(super) fn prepare(&self, segment: &Segment) -> Result<Prepared, Trouble> {
        let none = || Trouble("a step has no form for a device".into());
        let kernels = place::kernels(segment).ok_or_else(none)?;
        let data = |pass: &Pass| {
            (!pass.data.is_empty()).then(|| self.filled(bytemuck::cast_slice(&pass.data)))
        };
        Ok(Prepared {
            data: kernels
                .iter()
                .map(|k| k.passes.iter().map(data).collect())
                .collect(),
            kernels,
        })
    }

    /// A new buffer that holds `bytes`, whose number is a multiple of four.
    fn filled(&self, bytes: &[u8]) -> wgpu::Buffer {
        let buffer = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: bytes.len() as u64,
            usage: wgpu::BufferUsages::STORAGE,
            mapped_at_creation: true,
        });
        if let Ok(mut view) = buffer.get_mapped_range_mut(..) {
            view.copy_from_slice(bytes);
        }
        buffer.unmap();
        buffer
    }

    /// The most bytes of one chunk while rows `out` are made, and of the largest buffer.
    pub(super) fn largest(&self, segment: &Segment, kernels: &[Kernel], out: Range<usize>) -> u64 {
        let mut rows = out;
        let mut most = bytes(segment.output(), Store::Bytes, rows.len());
        for k in (0..kernels.len()).rev() {
            let need = segment.need(k, rows.clone());
            for pass in &kernels[k].passes {
                let made = match pass.rows {
                    Extent::Input => need.len(),
                    Extent::Output => rows.len(),
                };
                most = most.max(bytes(pass.output, pass.store, made));
            }
            rows = need;
        }
        most.max(bytes(segment.input, Store::Bytes, rows.len()))
    }

    /// Commands that make rows `out` of the segment from a chunk of its input.
    ///
    /// Whatever these commands no longer need is put into `held`, where later ones of them take it from again. Nobody
    /// else may have it before they are submitted: it would be written again then.
    pub(super) fn encode(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        segment: &Segment,
        prepared: &Prepared,
        input: Chunk,
        out: Range<usize>,
        held: &mut Vec<Lease>,
    ) -> Result<Chunk, Trouble> {
        // What each step makes, from the last one backwards.
        let mut ranges = vec![out];
        for k in (1..segment.locals.len()).rev() {
            let need = segment.need(k, ranges[ranges.len() - 1].clone());
            ranges.push(need);
        }
        let mut chunk = input;
        for (k, local) in segment.locals.iter().enumerate() {
            let range = ranges[segment.locals.len() - 1 - k].clone();
            let keeps = local.keeps_alpha()
                && chunk.shape.color.has_alpha()
                && segment.shapes[k].color.has_alpha();
            let mut source = Some(chunk);
            let mut made: Option<Chunk> = None;
            for (pass, data) in prepared.kernels[k].passes.iter().zip(&prepared.data[k]) {
                let rows = match pass.rows {
                    Extent::Input => segment.need(k, range.clone()),
                    Extent::Output => range.clone(),
                };
                let Some(from) = made.as_ref().or(source.as_ref()) else {
                    unreachable!("a step has an input")
                };
                let to = self.chunk_of(pass.output, pass.store, rows, held);
                self.dispatch(encoder, pass, data.as_ref(), from, &to)?;
                held.extend(made.replace(to).map(|chunk| chunk.lease));
                if !keeps {
                    held.extend(source.take().map(|chunk| chunk.lease));
                }
            }
            let (Some(to), source) = (made, source) else {
                return Err(Trouble("a step without passes".into()));
            };
            if let (true, Some(source)) = (keeps, &source) {
                let pass = Pass::new(&programs::ALPHA, to.shape);
                self.dispatch(encoder, &pass, None, source, &to)?;
            }
            held.extend(source.map(|chunk| chunk.lease));
            chunk = to;
        }
        Ok(chunk)
    }

    /// Room for rows on the device.
    pub(super) fn chunk(&self, shape: Shape, store: Store, rows: Range<usize>) -> Chunk {
        self.chunk_of(shape, store, rows, &mut Vec::new())
    }

    /// The same, in a buffer of `held` where one is large enough.
    fn chunk_of(
        &self,
        shape: Shape,
        store: Store,
        rows: Range<usize>,
        held: &mut Vec<Lease>,
    ) -> Chunk {
        let bytes = bytes(shape, store, rows.len());
        let fits = |lease: &Lease| lease.buffer().size() >= bytes;
        let lease = match held.iter().position(fits) {
            Some(at) => held.swap_remove(at),
            None => self.pool.take(Kind::Work, bytes),
        };
        Chunk {
            lease,
            shape,
            store,
            first: rows.start,
            count: rows.len(),
        }
    }

    fn dispatch(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        pass: &Pass,
        data: Option<&wgpu::Buffer>,
        from: &Chunk,
        to: &Chunk,
    ) -> Result<(), Trouble> {
        let groups = [
            pitch(to.shape, Store::Bytes).div_ceil(64),
            to.count.div_ceil(4),
        ];
        self.start(encoder, pass, data, from, to, to.lease.buffer(), groups)
    }

    /// Commands that add a plane of all rows of a chunk to `sums`.
    pub(super) fn count(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        count: &Count,
        chunk: &Chunk,
        rows: Range<usize>,
        sums: &wgpu::Buffer,
    ) -> Result<(), Trouble> {
        let groups = rows.len().min(1024);
        let pass = Pass::new(&programs::COUNT, chunk.shape)
            .constant("PLANE", count.plane)
            .constant("BINS", count.bins as i32)
            .params(&[groups as i32]);
        let counted = Counted {
            first: rows.start,
            count: rows.len(),
        };
        self.start_on(
            encoder,
            &pass,
            None,
            chunk,
            chunk.shape,
            &counted,
            sums,
            [groups, 1],
        )
    }

    fn start(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        pass: &Pass,
        data: Option<&wgpu::Buffer>,
        from: &Chunk,
        to: &Chunk,
        target: &wgpu::Buffer,
        groups: [usize; 2],
    ) -> Result<(), Trouble> {
        let rows = Counted {
            first: to.first,
            count: to.count,
        };
        self.start_on(encoder, pass, data, from, to.shape, &rows, target, groups)
    }

    fn start_on(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        pass: &Pass,
        data: Option<&wgpu::Buffer>,
        from: &Chunk,
        shape: Shape,
        rows: &Counted,
        target: &wgpu::Buffer,
        groups: [usize; 2],
    ) -> Result<(), Trouble> {
        if rows.count == 0 || shape.row_len() == 0 {
            return Ok(());
        }
        let pipeline = self.pipeline(pass)?;
        let mut words = vec![
            pitch(from.shape, from.store) as i32,
            from.first as i32,
            from.shape.rows as i32,
            from.shape.cols as i32,
            from.shape.channels() as i32,
            pitch(shape, pass.store) as i32,
            rows.first as i32,
            rows.count as i32,
            shape.rows as i32,
            shape.cols as i32,
            shape.channels() as i32,
            border(pass.border),
        ];
        words.extend(&pass.params);
        words.resize(12 + Pass::PARAMS, 0);
        let described = self.filled(bytemuck::cast_slice(&words));
        let bound = [
            from.lease.buffer(),
            target,
            &described,
            data.unwrap_or(&self.nothing),
        ];
        let entries: [_; 4] = std::array::from_fn(|k| wgpu::BindGroupEntry {
            binding: k as u32,
            resource: bound[k].as_entire_binding(),
        });
        let group = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &self.layout,
            entries: &entries,
        });
        let mut commands = encoder.begin_compute_pass(&Default::default());
        commands.set_pipeline(&pipeline);
        commands.set_bind_group(0, &group, &[]);
        commands.dispatch_workgroups(groups[0] as u32, groups[1] as u32, 1);
        Ok(())
    }
}

/// Rows that a pass makes or counts.
struct Counted {
    first: usize,
    count: usize,
}

/// As the shaders number the rules.
fn border(border: Border) -> i32 {
    match border {
        Border::Reflect101 => 0,
        Border::Reflect => 1,
        Border::Replicate => 2,
        Border::Constant => 3,
    }
}
