//! Buffers of a device and for the ways there and back: kept for the next piece of work, and under a cap.

use super::Trouble;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

/// What a buffer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Written by the processor, copied from by the device. Always mapped when it is taken.
    Up,
    /// Copied to by the device, read by the processor.
    Down,
    /// Rows on the device.
    Work,
}

/// All buffers of one device.
pub struct Pool {
    device: wgpu::Device,
    cap: u64,
    state: Mutex<State>,
    given_back: Condvar,
}

#[derive(Default)]
struct State {
    free: Vec<Free>,
    allocated: u64,
    promised: u64,
}

struct Free {
    kind: Kind,
    buffer: wgpu::Buffer,
    /// An `Up` buffer is of use again once the device is done with it and it is mapped.
    ready: Arc<AtomicBool>,
}

/// The bytes that a buffer of at least `bytes` takes.
pub fn rounded(bytes: u64) -> u64 {
    match bytes {
        0..=4096 => 4096,
        b if b < 1 << 20 => b.next_power_of_two(),
        b => b.next_multiple_of(1 << 20),
    }
}

/// Memory promised to one piece of work.
pub struct Permit {
    pool: Arc<Pool>,
    bytes: u64,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.pool.state().promised -= self.bytes;
        self.pool.given_back.notify_all();
    }
}

/// A buffer in use; dropped, it waits for the next user.
pub struct Lease {
    pool: Arc<Pool>,
    kind: Kind,
    buffer: wgpu::Buffer,
    mapped: bool,
    /// Set once a `Down` buffer can be read.
    readable: Arc<AtomicBool>,
}

impl Pool {
    /// Buffers of at most `cap` bytes together.
    pub fn new(device: wgpu::Device, cap: u64) -> Arc<Pool> {
        Arc::new(Pool {
            device,
            cap,
            state: Mutex::default(),
            given_back: Condvar::new(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// The most bytes that can be promised.
    pub fn cap(&self) -> u64 {
        self.cap
    }

    /// Promises `bytes`; waits for others to finish where `wait`, which only those do who hold no other promise.
    pub fn permit(self: &Arc<Self>, bytes: u64, wait: bool) -> Option<Permit> {
        if bytes > self.cap {
            return None;
        }
        let mut state = self.state();
        while state.promised + bytes > self.cap {
            if !wait {
                return None;
            }
            state = self
                .given_back
                .wait(state)
                .unwrap_or_else(|e| e.into_inner());
        }
        state.promised += bytes;
        Some(Permit {
            pool: self.clone(),
            bytes,
        })
    }

    /// A buffer of at least `bytes`.
    pub fn take(self: &Arc<Self>, kind: Kind, bytes: u64) -> Lease {
        let size = rounded(bytes);
        let fits = |f: &Free| {
            f.kind == kind
                && (size..=2 * size).contains(&f.buffer.size())
                && f.ready.load(Ordering::Acquire)
        };
        let mut state = self.state();
        let mut at = state.free.iter().position(fits);
        if at.is_none()
            && state
                .free
                .iter()
                .any(|f| f.kind == kind && !f.ready.load(Ordering::Acquire))
        {
            // Maybe the device is done by now.
            let _ = self.device.poll(wgpu::PollType::Poll);
            at = state.free.iter().position(fits);
        }
        if let Some(at) = at {
            let free = state.free.swap_remove(at);
            return self.lease(kind, free.buffer);
        }
        // Kept buffers give way.
        while state.allocated + size > self.cap && !state.free.is_empty() {
            let free = state.free.remove(0);
            // Not destroyed: commands of others that are yet to be submitted may name it.
            state.allocated -= free.buffer.size();
        }
        state.allocated += size;
        drop(state);
        let usage = match kind {
            Kind::Up => wgpu::BufferUsages::MAP_WRITE | wgpu::BufferUsages::COPY_SRC,
            Kind::Down => wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            Kind::Work => {
                wgpu::BufferUsages::STORAGE
                    | wgpu::BufferUsages::COPY_SRC
                    | wgpu::BufferUsages::COPY_DST
            }
        };
        let buffer = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size,
            usage,
            mapped_at_creation: kind == Kind::Up,
        });
        self.lease(kind, buffer)
    }

    fn lease(self: &Arc<Self>, kind: Kind, buffer: wgpu::Buffer) -> Lease {
        Lease {
            pool: self.clone(),
            kind,
            buffer,
            mapped: kind == Kind::Up,
            readable: Arc::default(),
        }
    }
}

impl Lease {
    /// The buffer.
    pub fn buffer(&self) -> &wgpu::Buffer {
        &self.buffer
    }

    /// Bytes `at..at + len` for writing; several parts may be written at a time.
    pub fn write(&self, at: u64, len: u64) -> Result<wgpu::BufferViewMut, Trouble> {
        self.buffer
            .get_mapped_range_mut(at..at + len)
            .map_err(|e| Trouble(e.to_string()))
    }

    /// Bytes `0..len` for reading.
    pub fn read(&self, len: u64) -> Result<wgpu::BufferView, Trouble> {
        self.buffer
            .get_mapped_range(0..len)
            .map_err(|e| Trouble(e.to_string()))
    }

    /// Asks for a `Down` buffer to be readable once the device has filled it.
    pub fn readable(&mut self, len: u64) {
        self.mapped = true;
        let flag = self.readable.clone();
        self.buffer
            .map_async(wgpu::MapMode::Read, 0..len, move |mapped| {
                flag.store(mapped.is_ok(), Ordering::Release);
            });
    }

    /// Whether that came to be: maybe a moment after the device is done, where another thread was told of it first.
    pub fn is_readable(&self) -> bool {
        self.readable.load(Ordering::Acquire)
    }

    /// The processor is done with it.
    pub fn unmap(&mut self) {
        if std::mem::take(&mut self.mapped) {
            self.buffer.unmap();
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let ready = Arc::new(AtomicBool::new(true));
        match self.kind {
            Kind::Up if !self.mapped => {
                ready.store(false, Ordering::Release);
                let flag = ready.clone();
                self.buffer
                    .map_async(wgpu::MapMode::Write, .., move |mapped| {
                        flag.store(mapped.is_ok(), Ordering::Release);
                    });
            }
            Kind::Up => {}
            _ => self.unmap(),
        }
        let (kind, buffer) = (self.kind, self.buffer.clone());
        self.pool.state().free.push(Free {
            kind,
            buffer,
            ready,
        });
    }
}
