//! A world of one rank.

use super::{Comm, Incoming, Outgoing, Reduce};
use std::collections::VecDeque;
use std::sync::Mutex;

/// The only rank of its world.
#[derive(Default)]
pub struct Serial {
    mailbox: Mutex<VecDeque<Vec<u8>>>,
}

impl Comm for Serial {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn exchange(
        &self,
        sends: &[Outgoing<'_>],
        receives: &mut [Incoming<'_>],
        meanwhile: &mut dyn FnMut(),
    ) {
        assert_eq!(
            sends.len(),
            receives.len(),
            "a lone rank receives what it sends"
        );
        for (send, receive) in sends.iter().zip(receives) {
            receive.bytes.copy_from_slice(send.bytes);
        }
        meanwhile();
    }

    fn all_reduce(&self, _values: &mut [i64], _how: Reduce) {}

    fn broadcast(&self, _root: usize, _bytes: &mut Vec<u8>) {}

    fn post(&self, _to: usize, bytes: Vec<u8>) {
        self.mailbox
            .lock()
            .unwrap_or_else(|e| e.into_inner())
            .push_back(bytes);
    }

    fn poll(&self) -> Option<(usize, Vec<u8>)> {
        self.mailbox
            .lock()
            .unwrap_or_else(|e| e.into_inner())
            .pop_front()
            .map(|bytes| (0, bytes))
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn conforms() {
        super::super::conformance::all(&super::Serial::default());
    }
}
