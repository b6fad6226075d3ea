//! Inputs of a job that are very many: listed some at a time and put aside in a file of this machine, so that memory and the
//! time of each step do not grow with the job. What has to be known of all of them at once, whether an output's name is
//! another's, is kept as numbers.

use super::naming::Naming;
use super::sink::without_hope;
use super::{Found, Named, Place, STEP, Sink, Sources, files, objects, too_many};
use crate::error::{Error, Result};
use crate::scratch::Scratch;
use imaging::codec::{Format, FormatKind};
use protocol::Job;
use protocol::job::OnClash;
use protocol::message::PlannedTask;
use serde::{Deserialize, Serialize};
use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::File;
use std::hash::{Hash as _, Hasher as _};
use std::io::{BufRead as _, BufReader, BufWriter, Seek as _, SeekFrom, Write as _};
use worker::inputs::Skipped;
use worker::names::{self, Template, Wish};

/// Inputs at most whose outputs would have names of others': they are looked at all at once.
const MOST_DOUBTFUL: usize = 100_000;

/// An input in the file.
#[derive(Serialize, Deserialize)]
pub(super) struct Line {
    #[serde(flatten)]
    pub(super) task: PlannedTask,
    /// Which entry of the job's inputs it comes from.
    pub(super) of: u32,
    /// The format that its first bytes say, where they were looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) own: Option<String>,
}

/// Inputs in a file.
pub(crate) struct Wide {
    /// Removed with this.
    _place: crate::scratch::Temporary,
    file: File,
    /// Where each line begins.
    places: Vec<u64>,
    /// What was passed over.
    pub(crate) skipped: Skipped,
    /// What becomes of those whose outputs would have a name of another's.
    mended: BTreeMap<u32, Mended>,
}

enum Mended {
    Numbered(u32),
    Refused(String),
}

/// Inputs as they are listed.
struct List {
    out: BufWriter<File>,
    at: u64,
    places: Vec<u64>,
    /// Hashes of inputs, where several entries may name the same.
    seen: Option<HashSet<u128>>,
    skipped: Skipped,
    of: u32,
    most: usize,
}

impl Sink for List {
    fn any(&self) -> bool {
        false
    }

    fn add(&mut self, task: PlannedTask, _: Place, own: Option<FormatKind>) -> Result<bool> {
        self.write(task, own.map(|kind| kind.name().to_owned()))?;
        Ok(true)
    }

    fn hopeless(&mut self, input: &str, reason: String) -> Result<()> {
        self.write(without_hope(input, reason), None)
    }

    fn skip(&mut self, kind: &str, count: u64) {
        *self.skipped.entry(kind.to_owned()).or_default() += count;
    }
}

impl List {
    fn write(&mut self, task: PlannedTask, own: Option<String>) -> Result<()> {
        if let Some(seen) = &mut self.seen
            && !seen.insert(wide_hash(&task.input))
        {
            return Ok(());
        }
        if self.places.len() >= self.most {
            return Err(too_many(self.most));
        }
        let line = Line {
            task,
            of: self.of,
            own,
        };
        let mut text = crate::names::to_json(&line);
        text.push(b'\n');
        self.out.write_all(&text).map_err(put_aside)?;
        self.places.push(self.at);
        self.at += text.len() as u64;
        Ok(())
    }
}

fn put_aside(error: std::io::Error) -> Error {
    Error::local("putting a job's inputs aside", error)
}

pub(super) fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

fn wide_hash(text: &str) -> u128 {
    let mut hasher = DefaultHasher::new();
    (text, 1u8).hash(&mut hasher);
    u128::from(hash(text)) << 64 | u128::from(hasher.finish())
}

impl Sources {
    /// All inputs of a job, in a file. What cannot be read becomes a task with its reason; an error is a service's.
    pub(crate) async fn spread(&self, owner: &str, job: &Job, scratch: &Scratch) -> Result<Wide> {
        let place = scratch.name();
        let file = File::create_new(place.path()).map_err(put_aside)?;
        let mut list = List {
            out: BufWriter::with_capacity(1 << 16, file.try_clone().map_err(put_aside)?),
            at: 0,
            places: Vec::new(),
            seen: (job.inputs.len() > 1).then(HashSet::new),
            skipped: Skipped::default(),
            of: 0,
            most: self.rules.max_tasks,
        };
        let mut roots = Vec::new();
        for (of, input) in (0..).zip(&job.inputs) {
            list.of = of;
            let mut root = None;
            match self.find(owner, input) {
                Ok(Found::File(path)) => files(path, &mut list).await?,
                Ok(Found::Objects(named)) => {
                    objects(&named, &mut list).await?;
                    root = Some(named);
                }
                Err(error) if error.is_transient() => return Err(error),
                Err(error) => list.hopeless(input, error.to_string())?,
            }
            roots.push(root);
        }
        list.out.flush().map_err(put_aside)?;
        drop(list.out);
        let file = File::open(place.path()).map_err(put_aside)?;
        let mut wide = Wide {
            _place: place,
            file,
            places: list.places,
            skipped: list.skipped,
            mended: BTreeMap::new(),
        };
        wide.settle(job, &roots).await?;
        Ok(wide)
    }
}

impl Wide {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// Those from one number on, as many as are read in one step.
    fn lines(&self, from: usize, most: usize) -> Result<Vec<Line>> {
        let Some(at) = self.places.get(from) else {
            return Ok(Vec::new());
        };
        let mut file = &self.file;
        file.seek(SeekFrom::Start(*at)).map_err(put_aside)?;
        let room = (most * 256).min(1 << 16);
        let lines = BufReader::with_capacity(room, file).lines().take(most);
        let read = |line: std::io::Result<String>| {
            let line = line.map_err(put_aside)?;
            serde_json::from_str(&line).map_err(|error| put_aside(error.into()))
        };
        lines.map(read).collect()
    }

    /// The tasks of a page of the plan.
    pub(crate) fn tasks(&self, from: usize, most: usize) -> Result<Vec<PlannedTask>> {
        let lines = self.lines(from, most)?;
        let tasks = (from as u32..).zip(lines).map(|(number, line)| {
            let mut task = line.task;
            match self.mended.get(&number) {
                Some(Mended::Numbered(count)) => task.clash = Some(*count),
                Some(Mended::Refused(reason)) => task.reason = Some(reason.clone()),
                None => {}
            }
            task
        });
        Ok(tasks.collect())
    }

    /// Each output's name is for one input; others get a number, or are refused.
    async fn settle(&mut self, job: &Job, roots: &[Option<Box<Named>>]) -> Result<()> {
        let template = job.names.as_deref().map(Template::parse).transpose();
        let template = template.ok().flatten();
        if template.as_ref().is_some_and(Template::needs_pixels) {
            // Names are known only when images are; their objects lie apart in any case.
            return Ok(());
        }
        let format = job.format.as_deref().and_then(|f| Format::parse(f).ok());
        let naming = Naming {
            template,
            format: format.as_ref().map(Format::kind),
            stems: match format {
                Some(_) => Vec::new(),
                None => self.stems().await?,
            },
            roots,
        };
        // Hashes of names in their order, with whose they are.
        let mut all: Vec<(u64, u32)> = Vec::with_capacity(self.len());
        for from in (0..self.len()).step_by(STEP) {
            let outputs = naming.outputs(from, self.lines(from, STEP)?).await?;
            all.extend(
                outputs
                    .iter()
                    .map(|wish| (hash(&wish.output), wish.input as u32)),
            );
        }
        all.sort_unstable();
        let owner = |text: &str| {
            let wanted = hash(text);
            let at = all.partition_point(|(hash, _)| *hash < wanted);
            all.get(at)
                .filter(|(hash, _)| *hash == wanted)
                .map(|(_, n)| *n)
        };
        // Those whose names may be another's, or lie below one.
        let mut doubtful: BTreeSet<u32> = BTreeSet::new();
        for pair in all.windows(2) {
            if pair[0].0 == pair[1].0 {
                doubtful.extend([pair[0].1, pair[1].1]);
            }
        }
        for from in (0..self.len()).step_by(STEP) {
            let mut last = String::new();
            for wish in naming.outputs(from, self.lines(from, STEP)?).await? {
                let folder = wish
                    .output
                    .rsplit_once('/')
                    .map_or("", |(folder, _)| folder);
                if folder == last {
                    continue;
                }
                let ends = wish.output.match_indices('/').map(|(at, _)| at);
                for file in ends.filter_map(|end| owner(&wish.output[..end])) {
                    doubtful.extend([file, wish.input as u32]);
                }
                last = folder.to_owned();
            }
        }
        if doubtful.is_empty() {
            return Ok(());
        }
        self.mend(job, &naming, doubtful, owner).await
    }
}

impl Wide {
    /// Hashes of stems that several inputs have, in order: only among those it matters what they really are.
    async fn stems(&self) -> Result<Vec<u64>> {
        let mut stems = Vec::with_capacity(self.len());
        for from in (0..self.len()).step_by(STEP) {
            let lines = self.lines(from, STEP)?;
            stems.extend(
                lines
                    .iter()
                    .map(|line| hash(names::stem(&line.task.relative))),
            );
            tokio::task::yield_now().await;
        }
        stems.sort_unstable();
        let mut several: Vec<u64> = stems
            .windows(2)
            .filter(|pair| pair[0] == pair[1])
            .map(|pair| pair[0])
            .collect();
        several.dedup();
        Ok(several)
    }

    /// Decides among inputs whose outputs may have one name.
    async fn mend(
        &mut self,
        job: &Job,
        naming: &Naming<'_>,
        mut doubtful: BTreeSet<u32>,
        owner: impl Fn(&str) -> Option<u32>,
    ) -> Result<()> {
        loop {
            if doubtful.len() > MOST_DOUBTFUL {
                let reason = format!(
                    "more than {MOST_DOUBTFUL} outputs would have the names of others (give --names, or split the job)"
                );
                return Err(Error::invalid("inputs", reason));
            }
            let mut lines = BTreeMap::new();
            for number in &doubtful {
                let mut one = self.lines(*number as usize, 1)?;
                naming.look(&mut one).await?;
                lines.extend(one.pop().map(|line| (*number as usize, line)));
            }
            let wishes = lines.iter().filter_map(|(n, line)| naming.wish(*n, line));
            let wishes: Vec<Wish> = wishes.collect();
            if job.on_clash == OnClash::Number {
                let mut named = wishes.clone();
                let counts = names::number(&mut named);
                let pairs = || named.iter().zip(&counts);
                let renamed = pairs().filter(|(_, count)| count.is_some());
                // A number may lead to the name of one that was not looked at.
                let more = renamed.filter_map(|(wish, _)| owner(&wish.output));
                let more: Vec<u32> = more.filter(|n| !doubtful.contains(n)).collect();
                if more.is_empty() {
                    let numbered = pairs().filter_map(|(wish, count)| {
                        Some((wish.input as u32, Mended::Numbered((*count)?)))
                    });
                    self.mended = numbered.collect();
                    return Ok(());
                }
                doubtful.extend(more);
                continue;
            }
            for clash in names::clashes(&wishes) {
                let refused = wishes[clash.wish].input;
                let other = match refused == clash.other {
                    true => clash.owner,
                    false => clash.other,
                };
                let (first, second) = (&lines[&clash.owner], &lines[&clash.other]);
                let way_out = names::mending(
                    &naming.facts(clash.owner, first),
                    &naming.facts(clash.other, second),
                );
                let reason = format!(
                    "its output {} is already that of {} ({way_out})",
                    wishes[clash.wish].output, lines[&other].task.input
                );
                self.mended.insert(refused as u32, Mended::Refused(reason));
            }
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::Rules;
    use cloud::config::Config;
    use cloud::store::Store;

    /// What a job comes to in memory, and in a file.
    async fn both(store: &Store, job: &Job) -> [Vec<PlannedTask>; 2] {
        let dir = tempfile::tempdir().unwrap();
        let scratch = Scratch::open(dir.path()).unwrap();
        let sources = Sources {
            own: store.clone(),
            config: Config::default(),
            rules: Rules::default(),
        };
        let few = sources.expand("me", job).await.unwrap().unwrap();
        let wide = sources.spread("me", job, &scratch).await.unwrap();
        assert_eq!(wide.skipped, few.skipped);
        let mut many = Vec::new();
        while many.len() < wide.len() {
            many.extend(wide.tasks(many.len(), 3).unwrap());
        }
        [few.tasks, many]
    }

    #[tokio::test]
    async fn many_inputs_come_to_the_same_as_few() {
        let store = Store::memory();
        let (jpeg, png) = (&b"\xff\xd8\xff\xe0"[..], &b"\x89PNG\r\n\x1a\n"[..]);
        for (name, bytes) in [
            ("A/Thumbs.db", jpeg),
            ("A/frame.000", png),
            ("A/notes.txt", b"x"),
            ("A/photo.jpg", jpeg),
            ("A/photo.png", jpeg),
            ("A/photo.tif", png),
            ("A/photo-2.jpg", jpeg),
            ("A/x.png", png),
            ("A/x.png/below.png", png),
            ("B/photo.jpg", jpeg),
            ("B/photo.bmp", jpeg),
        ] {
            let name = format!("uploads/me/{name}");
            let bytes = bytes.to_vec().into();
            store.put(&name, bytes, "image/jpeg").await.unwrap();
        }
        let named = ["A/", "B/", "A/photo.jpg", "C/none.jpg"];
        let inputs = named.map(|name| format!("uploads/{name}")).to_vec();
        let refuse = Job {
            inputs,
            ..Job::default()
        };
        let number = Job {
            on_clash: OnClash::Number,
            ..refuse.clone()
        };
        let one = Job {
            format: Some("png".into()),
            ..refuse.clone()
        };
        let template = Job {
            names: Some("{stem}-{ext}.{format}".into()),
            ..refuse.clone()
        };
        for job in [&refuse, &number, &one, &template] {
            let [few, many] = both(&store, job).await;
            assert_eq!(few, many);
        }
        let [few, _] = both(&store, &refuse).await;
        assert!(few.iter().filter(|task| task.reason.is_some()).count() > 2);
        let [few, _] = both(&store, &number).await;
        assert!(few.iter().filter(|task| task.clash.is_some()).count() > 2);
    }

    #[tokio::test]
    async fn more_than_may_be_are_refused() {
        let store = Store::memory();
        for n in 0..5 {
            let name = format!("uploads/me/A/{n}.png");
            store.put(&name, "x".into(), "image/png").await.unwrap();
        }
        let dir = tempfile::tempdir().unwrap();
        let scratch = Scratch::open(dir.path()).unwrap();
        let sources = Sources {
            own: store,
            config: Config::default(),
            rules: Rules {
                max_tasks: 4,
                ..Rules::default()
            },
        };
        let job = Job {
            inputs: vec!["uploads/A/".into()],
            ..Job::default()
        };
        assert!(sources.expand("me", &job).await.unwrap().is_none());
        let spread = sources.spread("me", &job, &scratch).await;
        let error = spread.err().unwrap().to_string();
        assert!(
            error.contains("more than 4 files (split the job)"),
            "{error}"
        );
    }
}
