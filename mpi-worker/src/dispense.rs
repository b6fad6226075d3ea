//! Whole images handed out to ranks and threads as they get free, within the memory cap.
//!
//! Rank 0 hands out; every rank works on as many images at once as it has threads. The costliest
//! images go first, so that none is left alone at the end. Outputs wait for the disk beside the work, all together that
//! are there when it is free.

use crate::mail::{receive, send};
use crate::settings::Settings;
use crate::single::{self, Computed};
use crate::task::{Finished, Order};
use crate::watch::Watch;
use imaging::comm::Comm;
use imaging::executor::Stop;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, VecDeque};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Serialize, Deserialize)]
enum Message {
    /// To a rank: work on this.
    Take(Box<Order>),
    /// To rank 0: what happened to an image.
    Report(Report),
    /// To a rank: end what is in flight.
    Stop,
    /// To a rank: nothing more will come.
    End,
}

/// What a rank tells of an image.
#[derive(Serialize, Deserialize)]
enum Report {
    /// This task's part is computed: only its output waits for the disk.
    Computed(u64, u32),
    /// Its end.
    Finished(Box<Finished>),
}

/// Outputs that wait for the disk at once, each an open file.
const WAITING: usize = 64;

/// What rank 0 hands out, and what happens to it.
pub struct Work<'a> {
    /// Images, the costliest first.
    pub orders: Vec<Order>,
    /// Bytes that images in flight may take together.
    pub budget: Option<u64>,
    /// Told of each image as it is begun.
    pub started: &'a mut dyn FnMut(&Order),
    /// Told of each image as it ends; false: hand out no more.
    pub finished: &'a mut dyn FnMut(Finished) -> bool,
}

/// Threads of this rank that work on an image each.
struct Workers {
    orders: Option<Sender<Order>>,
    reports: Receiver<Report>,
}

/// Gives outputs their names, as many at once as there are.
fn store(waiting: &Receiver<Computed>, told: &Sender<Report>) {
    while let Ok(first) = waiting.recv() {
        let more = waiting.try_iter().take(WAITING - 1);
        let group = std::iter::once(first).chain(more).collect();
        for finished in single::store_all(group) {
            // Who asked is gone only when its own thread has failed.
            let _ = told.send(Report::Finished(Box::new(finished)));
        }
    }
}

/// Runs all images. Every rank calls this together; rank 0 brings the work. Returns the orders that
/// were never begun.
pub fn run(
    comm: &dyn Comm,
    settings: &Settings,
    threads: usize,
    stop: &Stop,
    work: Option<Work<'_>>,
) -> Vec<Order> {
    let watch = Watch::start(settings.timeout);
    std::thread::scope(|scope| {
        let (orders, queue) = channel::<Order>();
        let (told, reports) = channel::<Report>();
        let (storing, waiting) = sync_channel::<Computed>(WAITING);
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..threads {
            let (told, storing) = (told.clone(), storing.clone());
            let (queue, watch, stop) = (queue.clone(), &watch, stop.clone());
            scope.spawn(move || {
                let spare = Arc::default();
                loop {
                    let order = queue.lock().unwrap_or_else(|e| e.into_inner()).recv();
                    let Ok(order) = order else { break };
                    let stop = stop.child();
                    let guard = watch.add(&stop);
                    // Started for the few images that want it; one that cannot be started is done without.
                    let pool = (order.threads > 1).then(|| {
                        rayon::ThreadPoolBuilder::new()
                            .num_threads(order.threads)
                            .build()
                    });
                    let pool = pool.and_then(Result::ok);
                    let computed = single::compute(order, settings, pool.as_ref(), stop, &spare);
                    drop(guard);
                    let (task, part) = computed.key();
                    let handed_on = match computed.waits() {
                        // Told of first, so that the end comes second.
                        true => {
                            told.send(Report::Computed(task, part)).is_ok()
                                && storing.send(computed).is_ok()
                        }
                        false => {
                            let finished = Box::new(computed.store());
                            told.send(Report::Finished(finished)).is_ok()
                        }
                    };
                    if !handed_on {
                        break;
                    }
                }
            });
        }
        drop(storing);
        scope.spawn(move || store(&waiting, &told));
        let workers = Workers {
            orders: Some(orders),
            reports,
        };
        match work {
            Some(work) if comm.rank() == 0 => hand_out(comm, workers, threads, stop, work),
            _ => {
                serve(comm, workers, stop);
                Vec::new()
            }
        }
    })
}

/// Pauses that grow while nothing happens, so that an idle rank does not spin.
struct Pause(Duration);

impl Pause {
    const LEAST: Duration = Duration::from_micros(100);
    const MOST: Duration = Duration::from_millis(2);

    fn reset(&mut self) {
        self.0 = Pause::LEAST;
    }

    fn next(&mut self) -> Duration {
        let pause = self.0;
        self.0 = (pause * 2).min(Pause::MOST);
        pause
    }
}

fn hand_out(
    comm: &dyn Comm,
    mut workers: Workers,
    threads: usize,
    stop: &Stop,
    work: Work<'_>,
) -> Vec<Order> {
    let mut queue: VecDeque<Order> = work.orders.into();
    // Those that are not ended; the bytes of those that are still computed.
    let mut flying: HashMap<(u64, u32), Option<u64>> = HashMap::new();
    let mut free = vec![threads; comm.size()];
    let (mut used, mut computing, mut going, mut told) = (0, 0, true, false);
    let mut pause = Pause(Pause::LEAST);
    loop {
        if stop.is_set() && !told {
            going = false;
            told = true;
            (1..comm.size()).for_each(|rank| send(comm, rank, &Message::Stop));
        }
        // As many as fit now.
        loop {
            if !going {
                break;
            }
            // The rank with most free threads, others before rank 0 when equal: it also hands out.
            let Some(rank) = (0..comm.size())
                .rev()
                .max_by_key(|&r| free[r])
                .filter(|&r| free[r] > 0)
            else {
                break;
            };
            let fits = |o: &Order| {
                computing == 0 || work.budget.is_none_or(|budget| used + o.memory <= budget)
            };
            let Some(at) = queue.iter().position(fits) else {
                break;
            };
            let Some(order) = queue.remove(at) else { break };
            used += order.memory;
            computing += 1;
            flying.insert((order.task, order.part), Some(order.memory));
            free[rank] -= 1;
            (work.started)(&order);
            match (&workers.orders, rank) {
                (Some(orders), 0) => {
                    // The threads live as long as this sender.
                    let _ = orders.send(order);
                }
                _ => send(comm, rank, &Message::Take(Box::new(order))),
            }
        }
        if flying.is_empty() && (queue.is_empty() || !going) {
            break;
        }
        let report = if comm.size() == 1 {
            // Waking up now and then for the stop flag.
            workers
                .reports
                .recv_timeout(Duration::from_millis(50))
                .ok()
                .map(|report| (0, report))
        } else {
            match receive(comm) {
                Some((rank, Message::Report(report))) => Some((rank, report)),
                Some(_) => None,
                None => workers
                    .reports
                    .recv_timeout(pause.next())
                    .ok()
                    .map(|report| (0, report)),
            }
        };
        let Some((rank, report)) = report else {
            continue;
        };
        pause.reset();
        let key = match &report {
            Report::Computed(task, part) => (*task, *part),
            Report::Finished(finished) => (finished.receipt.task, finished.part),
        };
        // Its thread and memory are free, if they were not already.
        if let Some(memory) = flying.get_mut(&key).and_then(Option::take) {
            free[rank] += 1;
            used -= memory;
            computing -= 1;
        }
        if let Report::Finished(finished) = report {
            flying.remove(&key);
            going &= (work.finished)(*finished);
        }
    }
    workers.orders = None;
    (1..comm.size()).for_each(|rank| send(comm, rank, &Message::End));
    queue.into()
}

/// A rank other than 0: takes orders until the end.
fn serve(comm: &dyn Comm, mut workers: Workers, stop: &Stop) {
    let mut pause = Pause(Pause::LEAST);
    loop {
        match receive(comm) {
            Some((_, Message::Take(order))) => {
                pause.reset();
                if let Some(orders) = &workers.orders {
                    let _ = orders.send(*order);
                }
                continue;
            }
            Some((_, Message::Stop)) => stop.set(),
            Some((_, Message::End)) => break,
            Some((_, Message::Report(_))) | None => {}
        }
        match workers.reports.recv_timeout(pause.next()) {
            Ok(report) => {
                pause.reset();
                send(comm, 0, &Message::Report(report));
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(pause.next()),
        }
    }
    workers.orders = None;
}
