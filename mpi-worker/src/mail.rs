//! Small messages between ranks, as JSON: what they say is up to who sends them.

use imaging::comm::Comm;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Posts a message to a rank.
pub fn send<M: Serialize>(comm: &dyn Comm, to: usize, message: &M) {
    match serde_json::to_vec(message) {
        Ok(bytes) => comm.post(to, bytes),
        Err(error) => unreachable!("messages are plain data: {error}"),
    }
}

/// The next message that has arrived, with the rank it is from.
pub fn receive<M: DeserializeOwned>(comm: &dyn Comm) -> Option<(usize, M)> {
    let (from, bytes) = comm.poll()?;
    match serde_json::from_slice(&bytes) {
        Ok(message) => Some((from, message)),
        Err(error) => unreachable!("ranks run the same build: {error}"),
    }
}
