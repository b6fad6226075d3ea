//! Inputs as they are found: what each is, each once, and a name of its own for each output.

use super::sink::without_hope;
use super::{Place, Sink};
use crate::error::{Error, Result};
use cloud::store::Store;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use imaging::codec::{Format, FormatKind};
use protocol::Job;
use protocol::job::OnClash;
use protocol::message::PlannedTask;
use std::collections::{HashMap, HashSet};
use worker::inputs::{Kind, START, Seen, Skipped};
use worker::names::{self, Facts, Template, Wish};

/// What an object of a folder is: by its name where that tells, else by its first bytes. `dots`: hidden ones are wanted.
pub(super) async fn judge(
    store: &Store,
    name: &str,
    from: usize,
    dots: bool,
) -> Result<(Kind, Option<FormatKind>)> {
    for part in name[from..].split('/') {
        match Kind::of_name(part) {
            Some(kind @ (Kind::Junk | Kind::Hidden)) if !dots => return Ok((kind, None)),
            _ => {}
        }
    }
    let file = name.rsplit('/').next().unwrap_or(name);
    if let Some(Kind::Image) = Kind::of_name(file) {
        return Ok((Kind::Image, None));
    }
    let own = start_of(store, name).await?;
    Ok((own.map_or(Kind::Unknown, |_| Kind::Image), own))
}

/// What an object's first bytes say that it is.
async fn start_of(store: &Store, name: &str) -> Result<Option<FormatKind>> {
    let (_, mut parts) = match store.get_stream(name).await {
        Err(cloud::Error::NotFound(_)) => return Ok(None),
        found => found?,
    };
    let mut start = Vec::new();
    while let Some(part) = parts.try_next().await?
        && start.len() < START
    {
        start.extend_from_slice(&part[..part.len().min(START)]);
    }
    Ok(FormatKind::detect(&start))
}

/// Objects looked into at once.
pub(super) const AT_ONCE: usize = 16;

/// Inputs as they are found.
#[derive(Default)]
pub(super) struct Finds {
    pub(super) inputs: Vec<Input>,
    pub(super) skipped: Skipped,
    /// Inputs may be something else than images.
    any: bool,
    /// More are not held.
    most: Option<usize>,
}

impl Sink for Finds {
    fn any(&self) -> bool {
        self.any
    }

    fn add(&mut self, task: PlannedTask, place: Place, own: Option<FormatKind>) -> Result<bool> {
        self.inputs.push(Input {
            task,
            place: Some(place),
            own,
        });
        Ok(!self.is_full())
    }

    fn hopeless(&mut self, input: &str, reason: String) -> Result<()> {
        self.inputs.push(Input {
            task: without_hope(input, reason),
            place: None,
            own: None,
        });
        Ok(())
    }

    fn skip(&mut self, kind: &str, count: u64) {
        *self.skipped.entry(kind.to_owned()).or_default() += count;
    }
}

pub(super) struct Input {
    pub(super) task: PlannedTask,
    place: Option<Place>,
    /// What it is, where its bytes were looked at.
    own: Option<FormatKind>,
}

impl Finds {
    /// Those of a job, of which nothing is known yet.
    pub(super) fn of(job: &Job) -> Finds {
        Finds {
            any: job.reduce.is_some(),
            ..Finds::default()
        }
    }

    /// The same that takes at most so many.
    pub(super) fn up_to(self, most: usize) -> Finds {
        Finds {
            most: Some(most),
            ..self
        }
    }

    /// Whether there are more than are held.
    pub(super) fn is_full(&self) -> bool {
        self.most.is_some_and(|most| self.inputs.len() > most)
    }

    /// An input that is named twice, however it is spelled, counts once.
    pub(super) fn once(&mut self) {
        let (mut texts, mut files) = (HashSet::new(), Seen::default());
        self.inputs.retain(|input| {
            let first = texts.insert(input.task.input.clone());
            first
                && match &input.place {
                    Some(Place::File(path)) => files.insert(path),
                    _ => true,
                }
        });
    }

    /// Each input once, and each output's name for one input: others get a number, or are refused.
    pub(super) async fn settle(&mut self, job: &Job) -> Result<()> {
        self.once();
        let format = job.format.as_deref().and_then(|f| Format::parse(f).ok());
        let format = format.map(|format| format.kind());
        // Only among inputs of one stem does it matter what they really are.
        if format.is_none() {
            let mut stems: HashMap<&str, u32> = HashMap::new();
            for input in &self.inputs {
                *stems.entry(names::stem(&input.task.relative)).or_default() += 1;
            }
            let doubtful =
                |input: &Input| input.own.is_none() && stems[names::stem(&input.task.relative)] > 1;
            let doubtful: Vec<usize> = (0..self.inputs.len())
                .filter(|&at| doubtful(&self.inputs[at]))
                .collect();
            let looked = doubtful.into_iter().map(|at| {
                let place = self.inputs[at].place.clone();
                async move { Ok::<_, Error>((at, look(place).await?)) }
            });
            let looked: Vec<_> = looked.collect();
            let looked: Vec<_> = stream::iter(looked).buffered(AT_ONCE).try_collect().await?;
            for (at, own) in looked {
                self.inputs[at].own = own;
            }
        }
        let template = job.names.as_deref().map(Template::parse).transpose();
        let template = template.ok().flatten();
        if template.as_ref().is_some_and(Template::needs_pixels) {
            // Names are known only when images are; their objects lie apart in any case.
            return Ok(());
        }
        let facts = |at: usize| {
            let Input { task, own, .. } = &self.inputs[at];
            let own = own.or_else(|| names::kind_of(&task.relative));
            let own = own.unwrap_or(FormatKind::Png);
            Facts {
                relative: &task.relative,
                own,
                format: format.unwrap_or_else(|| Format::of(own).kind()),
                index: at as u64 + 1,
                page: None,
                size: (0, 0),
                sha256: "",
            }
        };
        let wishes = (0..self.inputs.len()).filter_map(|at| {
            let task = &self.inputs[at].task;
            if task.reason.is_some() {
                return None;
            }
            let output = names::name(template.as_ref(), &facts(at)).ok()?;
            Some(Wish {
                input: at,
                keeps_name: output == task.relative,
                output,
            })
        });
        let mut wishes: Vec<Wish> = wishes.collect();
        if job.on_clash == OnClash::Number {
            for (wish, count) in names::number(&mut wishes).into_iter().enumerate() {
                self.inputs[wishes[wish].input].task.clash = count;
            }
            return Ok(());
        }
        let reasons = names::clashes(&wishes).into_iter().map(|clash| {
            let owner = &self.inputs[clash.owner].task.input;
            let way_out = names::mending(&facts(clash.owner), &facts(clash.other));
            let refused = wishes[clash.wish].input;
            let owner = match refused == clash.other {
                true => owner,
                false => &self.inputs[clash.other].task.input,
            };
            let reason = format!(
                "its output {} is already that of {owner} ({way_out})",
                wishes[clash.wish].output
            );
            (refused, reason)
        });
        for (at, reason) in reasons.collect::<Vec<_>>() {
            self.inputs[at].task.reason = Some(reason);
        }
        Ok(())
    }
}

pub(super) async fn look(place: Option<Place>) -> Result<Option<FormatKind>> {
    match place {
        None => Ok(None),
        Some(Place::Object(store, key)) => start_of(&store, &key).await,
        // So few bytes that asking another thread for them would take longer.
        Some(Place::File(path)) => Ok(worker::inputs::format_of(&path)),
    }
}
