//! What outputs of very many inputs would be called.

use super::finds::{AT_ONCE, look};
use super::wide::{Line, hash};
use super::{Named, Place};
use crate::error::{Error, Result};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use imaging::codec::{Format, FormatKind};
use worker::names::{self, Facts, Template, Wish};

/// How outputs are named.
pub(super) struct Naming<'a> {
    pub(super) template: Option<Template>,
    pub(super) format: Option<FormatKind>,
    /// Hashes of stems that several inputs have, in order: only among those it matters what they really are.
    pub(super) stems: Vec<u64>,
    /// What each entry of the job's inputs names; None for files.
    pub(super) roots: &'a [Option<Box<Named>>],
}

impl Naming<'_> {
    /// Looks at what inputs really are, where that matters.
    pub(super) async fn look(&self, lines: &mut [Line]) -> Result<()> {
        let matters = |line: &Line| {
            let stem = hash(names::stem(&line.task.relative));
            line.own.is_none() && self.stems.binary_search(&stem).is_ok()
        };
        let at: Vec<usize> = (0..lines.len()).filter(|&at| matters(&lines[at])).collect();
        let looked = at.into_iter().map(|at| {
            let place = self.place(&lines[at]);
            async move { Ok::<_, Error>((at, look(place).await?)) }
        });
        let looked: Vec<_> = looked.collect();
        let looked: Vec<_> = stream::iter(looked).buffered(AT_ONCE).try_collect().await?;
        for (at, own) in looked {
            lines[at].own = own.map(|kind| kind.name().to_owned());
        }
        Ok(())
    }

    fn place(&self, line: &Line) -> Option<Place> {
        if line.task.reason.is_some() {
            return None;
        }
        match self.roots.get(line.of as usize)? {
            None => Some(Place::File(protocol::name::to_path(&line.task.input))),
            Some(named) => {
                let shown = line.task.input.strip_prefix(&named.root)?;
                let key = format!("{}{shown}", &named.key[..named.hidden]);
                Some(Place::Object(named.store.clone(), key))
            }
        }
    }

    pub(super) fn facts<'l>(&self, number: usize, line: &'l Line) -> Facts<'l> {
        let own = line.own.as_deref().and_then(|name| {
            FormatKind::ALL
                .iter()
                .find(|kind| kind.name() == name)
                .copied()
        });
        let own = own.or_else(|| names::kind_of(&line.task.relative));
        let own = own.unwrap_or(FormatKind::Png);
        Facts {
            relative: &line.task.relative,
            own,
            format: self.format.unwrap_or_else(|| Format::of(own).kind()),
            index: number as u64 + 1,
            page: None,
            size: (0, 0),
            sha256: "",
        }
    }

    pub(super) fn wish(&self, number: usize, line: &Line) -> Option<Wish> {
        if line.task.reason.is_some() {
            return None;
        }
        let output = names::name(self.template.as_ref(), &self.facts(number, line)).ok()?;
        Some(Wish {
            input: number,
            keeps_name: output == line.task.relative,
            output,
        })
    }

    /// What outputs of some inputs would be called.
    pub(super) async fn outputs(&self, from: usize, mut lines: Vec<Line>) -> Result<Vec<Wish>> {
        self.look(&mut lines).await?;
        // Whoever wants to end this need not wait.
        tokio::task::yield_now().await;
        let wishes = (from..)
            .zip(&lines)
            .filter_map(|(n, line)| self.wish(n, line));
        Ok(wishes.collect())
    }
}
