//! The worker: a rank under `mpirun` or `srun`. The only code that links MPI.

mod comm;

fn main() {
    let comm = comm::Mpi::start();
    imaging::comm::conformance::all(&comm);
}
