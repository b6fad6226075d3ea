//! Spans that this dispatcher works on: what its beats name. Another message of one of them is worth nothing.

use jobs::Span;
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The spans.
#[derive(Debug, Default)]
pub(crate) struct InHand {
    spans: Mutex<BTreeSet<Span>>,
}

impl InHand {
    /// Begins with a span; None where it is in hand already.
    pub(crate) fn enter(&self, span: &Span) -> Option<Taken<'_>> {
        let new = self.spans().insert(span.clone());
        new.then(|| Taken {
            all: self,
            span: span.clone(),
        })
    }

    /// Whether there is no more than one.
    pub(crate) fn is_one(&self) -> bool {
        self.spans().len() <= 1
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<Span> {
        self.spans().iter().cloned().collect()
    }

    fn spans(&self) -> MutexGuard<'_, BTreeSet<Span>> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A span that is worked on while this lives.
#[derive(Debug)]
pub(crate) struct Taken<'a> {
    all: &'a InHand,
    span: Span,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.all.spans().remove(&self.span);
    }
}
