//! The median: every rank keeps the values of the files it read, as keys that are ordered as the
//! values are, and the ranks select index range by index range.
//!
//! Of images with alpha, colours count as much as they are seen: half of the weight lies on either side of their median,
//! and what is wholly transparent is left out. Alpha itself is reduced as any other channel.
//!
//! The values of all files are kept in memory as far as that is allowed and in the temporary file
//! beyond; a slab of a few indices of all files is in memory at a time.

use super::board::{Board, Failure};
use super::crew::{self, Done, Work};
use super::keys::{Kind, of_float, of_float32, to_float, to_float32};
use super::layout::name;
use super::numbers;
use super::output::Output;
use super::partial::Partial;
use super::select::Key;
use super::slabs::{collect, trade};
use super::spool::Store;
use super::values::Block;
use super::visible::{self, Weighing};
use super::{Job, Results, picture};
use crate::atomic::Digested;
use imaging::comm::{Comm, Reduce, agree};
use imaging::window::Band;
use imaging::{Element, Error, Result, Rows, SampleType, Shape};
use std::ops::Range;
use std::sync::{Mutex, MutexGuard};

/// The kept values of one file.
pub(super) struct Kept<V: bytemuck::Pod> {
    store: Store<V>,
    kind: Kind,
}

struct Keeping<'a, V: bytemuck::Pod> {
    job: &'a Job<'a>,
    kept: Mutex<Vec<Kept<V>>>,
    read: fn(&Job<'_>, usize) -> Result<Kept<V>>,
}

impl<V: bytemuck::Pod + Send> Keeping<'_, V> {
    fn lock(&self) -> MutexGuard<'_, Vec<Kept<V>>> {
        self.kept.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl<V: bytemuck::Pod + Send> Work for Keeping<'_, V> {
    fn files(&self, group: usize) -> Range<usize> {
        group..group + 1
    }

    fn compute(&self, file: usize) -> Result<Done, Failure> {
        let kept = (self.read)(self.job, file).map_err(|error| Failure { file, error })?;
        self.lock().push(kept);
        Ok(Done {
            partial: None,
            integers: true,
        })
    }

    fn deliver(&self, _group: usize, _done: Done) -> Result<()> {
        Ok(())
    }

    fn receiving(&self) -> Result<Partial> {
        Err(Error::Io(
            "values of the median are not sent in pieces".into(),
        ))
    }
}

/// Reads all files, each on one rank.
pub(super) fn keep<V: bytemuck::Pod + Send>(
    comm: &dyn Comm,
    job: &Job<'_>,
    read: fn(&Job<'_>, usize) -> Result<Kept<V>>,
) -> Result<Vec<Kept<V>>> {
    let files = job.members.len();
    let board = Board::new(files, files);
    let keeping = Keeping {
        job,
        kept: Mutex::default(),
        read,
    };
    let open = job.request.max_open_files;
    let ran = crew::run(
        comm,
        job.threads,
        open,
        &board,
        &keeping,
        job.stop,
        job.progress,
    );
    agree(comm, ran)?;
    Ok(keeping.kept.into_inner().unwrap_or_else(|e| e.into_inner()))
}

fn read_numbers(job: &Job<'_>, index: usize) -> Result<Kept<u64>> {
    let mut store: Store<u64> = job.room.store(job.layout.values)?;
    let (mut kind, mut block) = (Kind::Signed, Block::new());
    let (mut keys, mut buffer) = (Vec::new(), Vec::new());
    numbers::read(job, index, &mut block, &mut |start, block| {
        let n = block.hi.len();
        let fits = |i| i64::try_from(block.integer(i)).is_ok();
        let now = match block.integers {
            false => Kind::Float,
            true if kind == Kind::Unsigned || !(0..n).all(fits) => Kind::Unsigned,
            true => Kind::Signed,
        };
        if now != kind {
            store.edit(0, start, false, &mut buffer, |all| {
                all.iter_mut()
                    .for_each(|key| *key = kind.convert(*key, now));
            })?;
            kind = now;
        }
        keys.clear();
        keys.extend((0..n).map(|i| match kind {
            Kind::Float => of_float(block.hi[i]),
            Kind::Signed => block.integer(i) as u64 ^ 1 << 63,
            Kind::Unsigned => block.integer(i) as u64,
        }));
        store.edit(start, n, true, &mut buffer, |all| {
            all.copy_from_slice(&keys)
        })
    })?;
    Ok(Kept { store, kind })
}

/// Reads an image of samples `T`, kept as `key` says of a sample and its weight: the pixel's alpha for colours, else all.
pub(super) fn read_image<T: Element, V: bytemuck::Pod>(
    job: &Job<'_>,
    index: usize,
    key: fn(T, T) -> V,
) -> Result<Kept<V>> {
    let mut store: Store<V> = job.room.store(job.layout.values)?;
    let member = &job.members[index];
    let path = &member.path;
    let mut source = picture::source(&job.opener, job.request, job.layout, member)?;
    let shape: Shape = source.shape();
    let band = picture::band_rows(shape, 1 << 16);
    let mut buffer = Vec::new();
    for first in (0..shape.rows).step_by(band) {
        job.stop.check()?;
        let mut rows = Rows::zeroed(shape, first..(first + band).min(shape.rows));
        let read = source.read(&mut Band::of(&mut rows));
        read.map_err(|error| name(path, error))?;
        let samples = T::of(&rows.data);
        let at = first * shape.row_len();
        store.edit(at, samples.len(), true, &mut buffer, |all| {
            let full = T::saturate(T::TOP);
            if !shape.color.has_alpha() {
                let all = all.iter_mut().zip(samples);
                return all.for_each(|(kept, &sample)| *kept = key(sample, full));
            }
            let step = shape.channels();
            for (kept, pixel) in all.chunks_exact_mut(step).zip(samples.chunks_exact(step)) {
                for (c, kept) in kept.iter_mut().enumerate() {
                    let weight = if c + 1 < step { pixel[step - 1] } else { full };
                    *kept = key(pixel[c], weight);
                }
            }
        })?;
    }
    Ok(Kept {
        store,
        kind: Kind::Unsigned,
    })
}

/// How kept values become keys and keys become results.
pub(super) struct Meaning<'f, V, K> {
    pub key: &'f (dyn Fn(Kind, V) -> K + Sync),
    /// A key that makes its whole column not a number.
    pub poison: Option<K>,
    /// How much keys count where they do not count alike.
    pub weighing: Option<Weighing<K>>,
    pub results: &'f dyn Fn(&[K], &[K]) -> Results,
}

/// Selects slab by slab. In every round each rank gets the keys of one slab from all ranks, and rank 0
/// gets the results.
pub(super) fn select<V: bytemuck::Pod + Sync, K: Key>(
    comm: &dyn Comm,
    job: &Job<'_>,
    kept: &[Kept<V>],
    meaning: &Meaning<'_, V, K>,
    mut output: Option<Output>,
) -> Result<Option<Digested>> {
    let (me, size, values) = (comm.rank(), comm.size(), job.layout.values);
    let files = job.members.len();
    let mut held = vec![0i64; size];
    held[me] = kept.len() as i64;
    comm.all_reduce(&mut held, Reduce::Sum);
    let held: Vec<usize> = held.iter().map(|&n| n as usize).collect();

    // A slab is held about three times: as sent, as received, and per thread.
    let memory = (job.request.memory / 12).clamp(1 << 20, 64 << 20);
    let slab = memory / (files * size_of::<K>());
    let slab = slab.clamp(16, 1 << 16).next_multiple_of(16);
    let range = |number: usize| (number * slab).min(values)..((number + 1) * slab).min(values);
    let slabs = values.div_ceil(slab);
    let mut outcome = Ok(());
    for round in 0..slabs.div_ceil(size) {
        let mut own: Vec<Vec<K>> = Vec::with_capacity(size);
        for rank in 0..size {
            let mut keys = Vec::new();
            if outcome.is_ok() {
                let range = range(round * size + rank);
                outcome = job
                    .stop
                    .check()
                    .and_then(|()| load(kept, range, meaning.key, &mut keys));
            }
            // Lengths are announced: after a failure the others still get theirs.
            keys.resize(held[me] * range(round * size + rank).len(), K::zeroed());
            own.push(keys);
        }
        let columns = range(round * size + me).len();
        let mut matrix = vec![K::zeroed(); files * columns];
        trade(comm, &mut own, &held, columns, &mut matrix);
        let (mut low, mut high) = (vec![K::zeroed(); columns], vec![K::zeroed(); columns]);
        if columns > 0 {
            middle(
                job.threads,
                &matrix,
                columns,
                (meaning.poison, meaning.weighing),
                &mut low,
                &mut high,
            );
        }
        drop(matrix);
        let all = collect(comm, (low, high), |rank| range(round * size + rank).len());
        if let Some(output) = &mut output {
            for (low, high) in all {
                if outcome.is_ok() && !low.is_empty() {
                    outcome = output.push((meaning.results)(&low, &high));
                }
            }
        }
    }
    agree(comm, outcome)?;
    output.map(Output::finish).transpose()
}

/// The keys of these indices of all kept files, file after file.
fn load<V: bytemuck::Pod, K>(
    kept: &[Kept<V>],
    range: Range<usize>,
    key: &dyn Fn(Kind, V) -> K,
    keys: &mut Vec<K>,
) -> Result<()> {
    let mut buffer = Vec::new();
    keys.reserve_exact(kept.len() * range.len());
    for file in kept {
        let values = file.store.read(range.start, range.len(), &mut buffer)?;
        keys.extend(values.iter().map(|&v| key(file.kind, v)));
    }
    Ok(())
}

/// Selects with all threads, each a range of columns.
fn middle<K: Key>(
    threads: usize,
    matrix: &[K],
    columns: usize,
    (poison, weighing): (Option<K>, Option<Weighing<K>>),
    low: &mut [K],
    high: &mut [K],
) {
    let rows = matrix.len() / columns;
    let k = ((rows - 1) / 2, rows / 2);
    let part = columns.div_ceil(threads.max(1)).next_multiple_of(64);
    let parts = low.chunks_mut(part).zip(high.chunks_mut(part)).enumerate();
    let work = |number: usize, low: &mut [K], high: &mut [K]| {
        let first = number * part;
        let n = low.len();
        // A copy of these columns alone, unless they are all.
        let own: Vec<K>;
        let matrix = match n == columns {
            true => matrix,
            false => {
                let rows = matrix.chunks_exact(columns);
                own = rows
                    .flat_map(|row| &row[first..first + n])
                    .copied()
                    .collect();
                &own
            }
        };
        if let Some(weighing) = weighing {
            let mut column = Vec::with_capacity(rows);
            for j in 0..n {
                column.clear();
                column.extend(matrix.chunks_exact(n).map(|row| row[j]));
                (low[j], high[j]) = weighing.middle(&mut column);
            }
            return;
        }
        K::select(matrix, n, k, low, high);
        if let Some(poison) = poison {
            for row in matrix.chunks_exact(n) {
                for (j, key) in row.iter().enumerate() {
                    if *key == poison {
                        (low[j], high[j]) = (poison, poison);
                    }
                }
            }
        }
    };
    if part >= columns {
        parts.for_each(|(number, (low, high))| work(number, low, high));
        return;
    }
    std::thread::scope(|scope| {
        for (number, (low, high)) in parts {
            let work = &work;
            scope.spawn(move || work(number, low, high));
        }
    });
}

/// The mean of two doubles without overflow.
fn between(a: f64, b: f64) -> f64 {
    let sum = a + b;
    match sum.is_infinite() && a.is_finite() && b.is_finite() {
        true => a / 2.0 + b / 2.0,
        // A single middle value keeps the sign of its zero.
        false if a == b => a,
        false => sum / 2.0,
    }
}

pub(super) fn floats<K: Copy>(low: &[K], high: &[K], value: impl Fn(K) -> f64) -> Results {
    let pairs = low.iter().zip(high);
    Results::Floats(pairs.map(|(&a, &b)| between(value(a), value(b))).collect())
}

/// Integers stay exact where one value is in the middle; the mean of two is rounded to a double.
fn integers<K: Copy>(low: &[K], high: &[K], odd: bool, value: impl Fn(K) -> i128) -> Results {
    let pairs = low.iter().zip(high);
    match odd {
        true => Results::Integers(low.iter().map(|&a| value(a)).collect()),
        false => Results::Floats(
            pairs
                .map(|(&a, &b)| (value(a) + value(b)) as f64 / 2.0)
                .collect(),
        ),
    }
}

/// Finds the medians and writes them.
pub fn run(
    comm: &dyn Comm,
    job: &Job<'_>,
    output: Option<Output>,
) -> Result<(bool, Option<Digested>)> {
    let odd = job.members.len() % 2 == 1;
    if job
        .layout
        .picture
        .is_some_and(|shape| shape.color.has_alpha())
    {
        return visible::run(comm, job, output);
    }
    match job.layout.picture.map(|shape| shape.sample) {
        Some(SampleType::U8) => {
            let kept = keep::<u8>(comm, job, |job, i| read_image(job, i, |v: u8, _| v))?;
            let meaning = Meaning::<u8, u8> {
                key: &|_, v| v,
                poison: None,
                weighing: None,
                results: &|a, b| floats(a, b, f64::from),
            };
            Ok((true, select(comm, job, &kept, &meaning, output)?))
        }
        Some(SampleType::U16) => {
            let kept = keep::<u16>(comm, job, |job, i| read_image(job, i, |v: u16, _| v))?;
            let meaning = Meaning::<u16, u16> {
                key: &|_, v| v,
                poison: None,
                weighing: None,
                results: &|a, b| floats(a, b, f64::from),
            };
            Ok((true, select(comm, job, &kept, &meaning, output)?))
        }
        Some(SampleType::F32) => {
            let kept = keep::<u32>(comm, job, |job, i| read_image(job, i, |v, _| of_float32(v)))?;
            let meaning = Meaning::<u32, u32> {
                key: &|_, v| v,
                poison: Some(u32::MAX),
                weighing: None,
                results: &|a, b| floats(a, b, |key| f64::from(to_float32(key))),
            };
            Ok((false, select(comm, job, &kept, &meaning, output)?))
        }
        Some(SampleType::F64) => {
            let kept = keep::<u64>(comm, job, |job, i| read_image(job, i, |v, _| of_float(v)))?;
            let meaning = Meaning::<u64, u64> {
                key: &|_, v| v,
                poison: Some(u64::MAX),
                weighing: None,
                results: &|a, b| floats(a, b, to_float),
            };
            Ok((false, select(comm, job, &kept, &meaning, output)?))
        }
        None => {
            let kept = keep(comm, job, read_numbers)?;
            let any = |kind| i64::from(kept.iter().any(|k| k.kind == kind));
            let mut kinds = [Kind::Float, Kind::Signed, Kind::Unsigned].map(any);
            comm.all_reduce(&mut kinds, Reduce::Max);
            let written = match kinds {
                [0, 1, 1] => {
                    let meaning = Meaning::<u64, u128> {
                        key: &|kind, v| (kind.integer(v) + (1 << 64)) as u128,
                        poison: None,
                        weighing: None,
                        results: &|a, b| integers(a, b, odd, |key| key as i128 - (1 << 64)),
                    };
                    select(comm, job, &kept, &meaning, output)
                }
                [0, signed, _] => {
                    let kind = if signed > 0 {
                        Kind::Signed
                    } else {
                        Kind::Unsigned
                    };
                    let meaning = Meaning::<u64, u64> {
                        key: &|_, v| v,
                        poison: None,
                        weighing: None,
                        results: &|a, b| integers(a, b, odd, |key| kind.integer(key)),
                    };
                    select(comm, job, &kept, &meaning, output)
                }
                _ => {
                    let meaning = Meaning::<u64, u64> {
                        key: &|kind, v| kind.convert(v, Kind::Float),
                        poison: Some(u64::MAX),
                        weighing: None,
                        results: &|a, b| floats(a, b, to_float),
                    };
                    select(comm, job, &kept, &meaning, output)
                }
            };
            Ok((kinds[0] == 0, written?))
        }
    }
}
