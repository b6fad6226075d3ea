//! A rank for each image, or all ranks for the rows of one.

use super::{Batch, World};
use crate::settings::Settings;
use crate::task::Order;
use protocol::job::Mode;

impl Order {
    /// Whether all is done sooner when all ranks share this image, the costliest of what is left.
    /// `rest` is the work left with it, in nanoseconds of one core.
    pub(crate) fn gains(&self, rest: f64, world: World) -> bool {
        /// Rows also travel between the ranks.
        const TRAVEL: f64 = 1.25;
        /// Least gain for which it is worth it, as predictions are rough.
        const LEAST: f64 = 0.9;
        let slots = world.slots() as f64;
        let shared = match world.ranks {
            // Threads decode ahead and encode behind while others compute.
            1 => (self.serial / 2.0).max(self.cost / slots),
            _ => TRAVEL * self.serial + (self.cost - self.serial) / slots,
        };
        let alone = self.cost.max(rest / slots);
        shared + (rest - self.cost) / slots < LEAST * alone
    }
}

impl Batch {
    /// Costly images whose turn alone would outlast the rest go to all ranks together.
    pub(super) fn choose_modes(&mut self, world: World, mode: Mode, settings: &Settings) {
        self.orders
            .sort_by(|a, b| b.cost.total_cmp(&a.cost).then(a.task.cmp(&b.task)));
        let slots = world.slots();
        let budget = settings.memory.map(|cap| cap.saturating_sub(self.base));
        let mut rest: f64 = self.orders.iter().map(|o| o.cost).sum();
        let images = self.orders.len();
        let mut sharing = true;
        for order in &mut self.orders {
            let share = rest / slots as f64;
            let fits = budget.is_none_or(|budget| order.shared_memory <= budget);
            let (rows, reason) = match mode {
                Mode::Rows => (true, "asked for by --mode rows".into()),
                Mode::Images => (false, "asked for by --mode images".into()),
                Mode::Auto if slots == 1 => (false, "one rank with one thread".into()),
                Mode::Auto if !fits => {
                    (false, "sharing its rows would not fit into --memory".into())
                }
                Mode::Auto if sharing && order.cost > share && !order.gains(rest, world) => {
                    let what = match images {
                        1 => "the only image".to_owned(),
                        _ => format!("one of {images} images that would outlast the rest"),
                    };
                    let codec = 100.0 * order.serial / order.cost;
                    let threads = world.borrowed();
                    let one_rank = World {
                        ranks: 1,
                        threads,
                        processes: false,
                    };
                    let fits = budget.is_none_or(|budget| order.borrowed_memory <= budget);
                    if world.ranks > 1 && fits && order.gains(rest, one_rank) {
                        order.threads = threads;
                        order.memory = order.borrowed_memory;
                    }
                    let borrows = match order.threads {
                        1 => String::new(),
                        n => format!("; {n} threads, as ranks run out of work"),
                    };
                    (
                        false,
                        format!(
                            "{what}, but decoding and encoding, {codec:.0} % of its work, cannot be shared{borrows}"
                        ),
                    )
                }
                Mode::Auto if sharing && order.cost > share => {
                    let reason = match images {
                        1 => format!("the only image: its rows keep all {slots} workers busy"),
                        _ => format!(
                            "one of {images} images, but {:.0} % of the remaining work: alone it would outlast the rest",
                            100.0 * order.cost / rest
                        ),
                    };
                    (true, reason)
                }
                Mode::Auto => (
                    false,
                    format!("{images} images for {slots} workers: one image each"),
                ),
            };
            order.reason = reason;
            if rows {
                order.mode = Mode::Rows;
                order.memory = order.shared_memory;
                order.ranks = world.ranks;
                rest -= order.cost;
            } else {
                sharing = false;
            }
        }
        // Images by rows first: then the others fill up all ranks to the end.
        self.orders.sort_by_key(|o| o.mode != Mode::Rows);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An image of `compute` and `serial` seconds.
    fn image(compute: f64, serial: f64) -> Order {
        Order {
            task: 0,
            part: 0,
            parts: 1,
            input: String::new(),
            files: Vec::new(),
            pages: 1,
            mode: Mode::Auto,
            reason: String::new(),
            ranks: 1,
            threads: 1,
            memory: 0,
            shared_memory: 0,
            borrowed_memory: 0,
            cost: compute + serial,
            serial,
            size: (1, 1),
            warnings: Vec::new(),
            device_threads: 0,
            device_reason: String::new(),
        }
    }

    fn world(ranks: usize, threads: usize) -> World {
        World {
            ranks,
            threads,
            processes: ranks > 1,
        }
    }

    /// The same among `others` seconds of small ones.
    fn gains(compute: f64, serial: f64, others: f64, ranks: usize, threads: usize) -> bool {
        let order = image(compute, serial);
        order.gains(order.cost + others, world(ranks, threads))
    }

    /// Threads of the costliest of these images, under a cap.
    fn threads_of_first(images: &[(f64, f64)], ranks: usize, memory: Option<u64>) -> usize {
        let mut orders: Vec<Order> = images.iter().map(|(c, s)| image(*c, *s)).collect();
        orders[0].borrowed_memory = 1 << 30;
        let mut batch = Batch {
            orders,
            ..Batch::default()
        };
        let job = protocol::Job {
            pipeline: "invert".into(),
            ..protocol::Job::default()
        };
        let settings = Settings {
            memory,
            ..Settings::of(&job).unwrap()
        };
        batch.choose_modes(world(ranks, 1), Mode::Auto, &settings);
        batch.orders[0].threads
    }

    #[test]
    fn a_straggler_that_cannot_be_shared_borrows_threads() {
        let cores = std::thread::available_parallelism().unwrap().get();
        let straggler = [(0.5, 3.0), (0.1, 0.1), (0.1, 0.1)];
        assert_eq!(threads_of_first(&straggler, 2, None), cores.min(2));
        assert_eq!(threads_of_first(&straggler, 1, None), 1);
        let cap = Some(700 << 20);
        assert_eq!(threads_of_first(&straggler, 2, cap), 1);
        let alike = [(0.5, 3.0), (0.5, 2.9), (0.5, 2.8)];
        assert_eq!(threads_of_first(&alike, 2, None), 1);
    }

    #[test]
    fn ranks_share_an_image_only_where_computing_is_what_takes_long() {
        assert!(gains(10.0, 1.0, 0.5, 2, 1));
        assert!(gains(10.0, 1.0, 0.0, 4, 1));
        // The others would wait for the decoder and the encoder of one rank.
        assert!(!gains(0.5, 3.0, 0.3, 2, 1));
        assert!(!gains(0.0, 1.0, 0.0, 2, 1));
    }

    #[test]
    fn threads_decode_and_encode_at_once_so_they_share_sooner() {
        assert!(gains(0.5, 3.0, 0.3, 1, 2));
        assert!(!gains(1.0, 1.0, 20.0, 1, 2));
    }
}
