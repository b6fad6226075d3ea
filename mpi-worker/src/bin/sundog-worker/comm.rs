//! Ranks over MPI. All calls come from the main thread (`MPI_THREAD_FUNNELED`).

use imaging::comm::{Comm, Incoming, Outgoing, Reduce};
use mpi::collective::SystemOperation;
use mpi::environment::Universe;
use mpi::point_to_point as p2p;
use mpi::request::multiple_scope;
use mpi::topology::SimpleCommunicator;
use mpi::traits::*;

const ROWS: i32 = 1;
const MAIL: i32 = 2;
/// Longest single message; MPI counts are 32-bit.
const PIECE: usize = 1 << 30;
/// Room for posted messages that nobody has read yet.
const MAILBOX_BYTES: usize = 32 << 20;

/// One rank of `MPI_COMM_WORLD`.
pub struct Mpi {
    world: SimpleCommunicator,
    // Finalizes MPI when dropped.
    _universe: Universe,
}

impl Mpi {
    /// Starts MPI. Panics when it was started before.
    pub fn start() -> Mpi {
        let Some((mut universe, _)) = mpi::initialize_with_threading(mpi::Threading::Funneled)
        else {
            panic!("MPI was already started in this process");
        };
        universe.set_buffer_size(MAILBOX_BYTES);
        Mpi {
            world: universe.world(),
            _universe: universe,
        }
    }
}

impl Comm for Mpi {
    fn rank(&self) -> usize {
        self.world.rank() as usize
    }

    fn size(&self) -> usize {
        self.world.size() as usize
    }

    fn exchange(
        &self,
        sends: &[Outgoing<'_>],
        receives: &mut [Incoming<'_>],
        meanwhile: &mut dyn FnMut(),
    ) {
        let n: usize = receives
            .iter()
            .map(|r| pieces(r.bytes.len()))
            .sum::<usize>()
            + sends.iter().map(|s| pieces(s.bytes.len())).sum::<usize>();
        let mut done = Vec::with_capacity(n);
        multiple_scope(n, |scope, requests| {
            for receive in receives.iter_mut() {
                let from = self.world.process_at_rank(receive.from as i32);
                for piece in receive.bytes.chunks_mut(PIECE) {
                    requests.add(from.immediate_receive_into_with_tag(scope, piece, ROWS));
                }
            }
            for send in sends {
                let to = self.world.process_at_rank(send.to as i32);
                for piece in send.bytes.chunks(PIECE) {
                    requests.add(to.immediate_send_with_tag(scope, piece, ROWS));
                }
            }
            meanwhile();
            requests.wait_all(&mut done);
        });
    }

    fn all_reduce(&self, values: &mut [i64], how: Reduce) {
        let mine = values.to_vec();
        let operation = match how {
            Reduce::Sum => SystemOperation::sum(),
            Reduce::Max => SystemOperation::max(),
        };
        self.world.all_reduce_into(&mine[..], values, operation);
    }

    fn broadcast(&self, root: usize, bytes: &mut Vec<u8>) {
        let root = self.world.process_at_rank(root as i32);
        let mut len = bytes.len() as u64;
        root.broadcast_into(&mut len);
        bytes.resize(len as usize, 0);
        for piece in bytes.chunks_mut(PIECE) {
            root.broadcast_into(piece);
        }
    }

    fn post(&self, to: usize, bytes: Vec<u8>) {
        self.world
            .process_at_rank(to as i32)
            .buffered_send_with_tag(&bytes[..], MAIL);
    }

    fn poll(&self) -> Option<(usize, Vec<u8>)> {
        let (message, status) = self
            .world
            .any_process()
            .immediate_matched_probe_with_tag(MAIL)?;
        let mut bytes = vec![0; p2p::Status::count(&status, u8::equivalent_datatype()) as usize];
        message.matched_receive_into(&mut bytes[..]);
        Some((status.source_rank() as usize, bytes))
    }
}

fn pieces(len: usize) -> usize {
    len.div_ceil(PIECE)
}
