//! Files that are selected, and those that are taken out of the list.

use super::files::{Files, Info};
use std::collections::HashSet;

impl Files {
    /// Selects by a click on a row: alone, with those before (`toggle`), or all from the last one clicked (`range`).
    pub fn click(&mut self, row: usize, toggle: bool, range: bool) {
        let Some(id) = self.row(row).map(|e| e.id) else {
            return;
        };
        match (range, self.anchor) {
            (true, Some(anchor)) => {
                let rows = anchor.min(row)..=anchor.max(row);
                let ids: HashSet<u64> = rows.filter_map(|r| Some(self.row(r)?.id)).collect();
                self.selected = ids;
            }
            _ if toggle => {
                if !self.selected.remove(&id) {
                    self.selected.insert(id);
                }
                self.anchor = Some(row);
            }
            _ => {
                self.selected = HashSet::from([id]);
                self.anchor = Some(row);
            }
        }
        self.current = Some(id);
    }

    /// Goes up or down by rows from the file that the preview shows. Returns the row.
    pub fn step(&mut self, by: isize) -> Option<usize> {
        let last = self.view.len().checked_sub(1)?;
        let at = self.current.and_then(|id| self.position(id));
        let row = at.and_then(|at| self.view.iter().position(|v| *v as usize == at));
        let row = row.map_or(0, |row| row.saturating_add_signed(by).min(last));
        self.click(row, false, false);
        Some(row)
    }

    /// Selects all that is shown.
    pub fn select_all(&mut self) {
        let ids = self.view.iter().map(|at| self.entries[*at as usize].id);
        self.selected = ids.collect();
    }

    /// Takes the selected files out of the list.
    pub fn remove_selected(&mut self) {
        let selected = std::mem::take(&mut self.selected);
        let sources = &mut self.sources;
        let seen = &mut self.seen;
        self.entries.retain(|entry| {
            let goes = selected.contains(&entry.id);
            if goes {
                sources[entry.source].left -= 1;
                sources[entry.source].removed += 1;
                seen.remove(&entry.input.path);
            }
            !goes
        });
        self.recount();
    }

    /// Takes all files out.
    pub fn clear(&mut self) {
        let next = self.next;
        let first = self.first + self.sources.len();
        *self = Files {
            sort: self.sort,
            next,
            first,
            ..Files::default()
        };
    }

    fn recount(&mut self) {
        self.trouble = 0;
        self.pixels = (0, 0);
        for entry in &self.entries {
            match &entry.info {
                Info::Broken(_) => self.trouble += 1,
                Info::Ready(h) => {
                    self.pixels.0 += u64::from(h.width) * u64::from(h.height);
                    self.pixels.1 += 1;
                }
                Info::Unread | Info::Far => {}
            }
        }
        if self.current.is_some_and(|id| self.get(id).is_none()) {
            self.current = self.entries.first().map(|e| e.id);
        }
        (self.stale, self.fresh) = (true, None);
    }
}
