//! Spans that this dispatcher works on: what its beats name. Another message of one of them is worth nothing.
//!
//! They are also in a journal on this machine. A process that dies of an image leaves it behind; the next one finds there what
//! that had in hand, so that it is not begun in the same way again and again.

use jobs::Span;
use jobs::span::Order;
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How journals' names begin.
const PREFIX: &str = "sundog-hand-";

/// The spans.
#[derive(Debug, Default)]
pub(crate) struct InHand {
    spans: Mutex<Spans>,
    journal: Option<Journal>,
}

#[derive(Debug, Default)]
struct Spans {
    /// What is worked on.
    begun: BTreeSet<Span>,
    /// What is to run alone and waits until nothing else does: when the process dies, it has not died of that.
    waiting: BTreeSet<Span>,
}

/// A line for each span that is taken, `+` and the order, or let go, `-` and the span; nothing while none is in hand.
#[derive(Debug)]
struct Journal {
    path: PathBuf,
    /// Locked as long as the process lives.
    file: File,
}

impl InHand {
    /// None yet, with a journal in that folder; and what dead processes had in hand by theirs.
    pub(crate) fn open(folder: &Path) -> io::Result<(InHand, Vec<Order>)> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let left = adopt(folder)?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{number}", std::process::id());
        let path = folder.join(name);
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        file.lock()?;
        let in_hand = InHand {
            spans: Mutex::default(),
            journal: Some(Journal { path, file }),
        };
        Ok((in_hand, left))
    }

    /// Begins with a span; None where it is in hand already.
    pub(crate) fn enter(&self, order: &Order) -> Option<Taken<'_>> {
        let span = &order.span;
        let mut spans = self.spans();
        let known = spans.begun.contains(span) || spans.waiting.contains(span);
        if known {
            return None;
        }
        match order.alone {
            true => drop(spans.waiting.insert(span.clone())),
            false => {
                spans.begun.insert(span.clone());
                self.note('+', order);
            }
        }
        drop(spans);
        Some(Taken {
            all: self,
            span: span.clone(),
        })
    }

    /// A span that waited runs now.
    pub(crate) fn begin(&self, order: &Order) {
        let mut spans = self.spans();
        if spans.waiting.remove(&order.span) {
            spans.begun.insert(order.span.clone());
            self.note('+', order);
        }
    }

    /// Whether there is no more than one.
    pub(crate) fn is_one(&self) -> bool {
        self.spans().begun.len() <= 1
    }

    /// All that it works on.
    pub(crate) fn all(&self) -> Vec<Span> {
        self.spans().begun.iter().cloned().collect()
    }

    fn spans(&self) -> MutexGuard<'_, Spans> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leave(&self, span: &Span) {
        let mut spans = self.spans();
        if spans.waiting.remove(span) {
            return;
        }
        spans.begun.remove(span);
        match (&self.journal, spans.begun.is_empty()) {
            (Some(journal), true) => {
                // It stays short.
                let _ = journal.file.set_len(0);
            }
            _ => self.note('-', span),
        }
    }

    /// In one write, which a death of this process does not cut in two. What cannot be noted is not found again.
    fn note<T: serde::Serialize>(&self, sign: char, what: &T) {
        if let Some(journal) = &self.journal
            && let Ok(text) = serde_json::to_string(what)
        {
            let _ = (&journal.file).write_all(format!("{sign}{text}\n").as_bytes());
        }
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        // What was in hand was handed back, or comes again by itself.
        if let Some(journal) = &self.journal {
            let _ = std::fs::remove_file(&journal.path);
        }
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
        self.all.leave(&self.span);
    }
}

/// What dead processes had in hand; their journals go.
fn adopt(folder: &Path) -> io::Result<Vec<Order>> {
    let mut left = Vec::new();
    for entry in folder.read_dir()?.flatten() {
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        // One that lives holds its lock; one that is gone by now was another's.
        let Ok(file) = File::open(entry.path()) else {
            continue;
        };
        if file.try_lock().is_err() {
            continue;
        }
        left.extend(in_hand_by(&std::fs::read_to_string(entry.path())?));
        std::fs::remove_file(entry.path())?;
    }
    Ok(left)
}

fn in_hand_by(text: &str) -> Vec<Order> {
    let mut orders: Vec<Order> = Vec::new();
    for line in text.lines() {
        if let Some(Ok(order)) = line.strip_prefix('+').map(serde_json::from_str) {
            orders.push(order);
        } else if let Some(Ok(span)) = line.strip_prefix('-').map(serde_json::from_str::<Span>) {
            orders.retain(|order| order.span != span);
        }
    }
    orders
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(first: u32) -> Order {
        Order::new(Span {
            job: "J".into(),
            round: 1,
            page: 0,
            first,
            last: first + 2,
            attempt: 1,
        })
    }

    #[test]
    fn what_a_dead_process_had_in_hand_is_found_once() {
        let dir = tempfile::tempdir().unwrap();
        let (one, left) = InHand::open(dir.path()).unwrap();
        assert!(left.is_empty());
        let (a, b) = (order(0), order(3));
        // One that waits to be alone is nobody's death.
        let alone = Order {
            alone: true,
            ..order(6)
        };
        let waits = one.enter(&alone).unwrap();
        assert!(one.all().is_empty() && one.enter(&alone).is_none());
        let taken = one.enter(&a).unwrap();
        let other = one.enter(&b).unwrap();
        assert!(one.enter(&a).is_none() && !one.is_one());
        drop(taken);
        // It lives: nobody takes it for dead.
        let (two, left) = InHand::open(dir.path()).unwrap();
        assert!(left.is_empty());
        let journal = one.journal.as_ref().unwrap().path.clone();
        let text = std::fs::read_to_string(&journal).unwrap();
        assert_eq!(in_hand_by(&text), vec![b.clone()]);
        // As after a death: a file without a lock, its last line cut off.
        let dead = dir.path().join(format!("{PREFIX}1-0"));
        std::fs::write(&dead, format!("{text}+{{\"jo")).unwrap();
        let (three, left) = InHand::open(dir.path()).unwrap();
        assert_eq!(left, [b]);
        assert!(!dead.exists());
        one.begin(&alone);
        let text = std::fs::read_to_string(&journal).unwrap();
        assert!(in_hand_by(&text).contains(&alone));
        drop((other, waits));
        assert_eq!(std::fs::read_to_string(&journal).unwrap(), "");
        drop((one, two, three));
        assert_eq!(dir.path().read_dir().unwrap().count(), 0);
    }
}
