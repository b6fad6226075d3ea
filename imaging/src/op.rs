//! What an operation is: its name, its parameters, and the steps it is made of.

use crate::border::Border;
use crate::comm::Comm;
use crate::error::{Error, Result};
use crate::executor::Context;
use crate::image::{Rows, Shape};
use crate::window::{Band, Scratch, Window};
use std::fmt::Write as _;
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

/// One operation as users see it. Each file under `ops/` holds one or a close family of these.
pub struct Op {
    /// Name in pipelines.
    pub name: &'static str,
    /// What it does, in one sentence.
    pub about: &'static str,
    /// Its parameters, in the order in which they are shown.
    pub params: &'static [Param],
    /// A pipeline that shows its use.
    pub example: &'static str,
    /// The group under which menus and the reference page show it.
    pub group: Group,
    /// Makes its steps from arguments that were checked against `params`.
    pub build: fn(&Args) -> Result<Vec<Step>>,
}

/// Groups of operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Each output sample from one pixel.
    Point,
    /// Whole-image statistics first.
    Histogram,
    /// Neighbourhoods that smooth or sharpen.
    Filter,
    /// Gradients, edges, corners, lines.
    Edges,
    /// Minimum and maximum filters.
    Morphology,
    /// Pixels change place.
    Geometry,
}

impl Group {
    /// Title of the group.
    pub fn title(self) -> &'static str {
        match self {
            Group::Point => "Point operations",
            Group::Histogram => "Histograms",
            Group::Filter => "Filters",
            Group::Edges => "Edges and features",
            Group::Morphology => "Morphology",
            Group::Geometry => "Geometry",
        }
    }
}

/// One parameter: name, help, admitted values and default.
pub struct Param {
    /// Name in pipelines.
    pub name: &'static str,
    /// What it sets, with its unit.
    pub about: &'static str,
    /// Admitted values and the default.
    pub kind: Kind,
}

/// The admitted values of a parameter.
pub enum Kind {
    /// A whole number in `min..=max`.
    Int {
        /// Least.
        min: i64,
        /// Greatest.
        max: i64,
        /// Used when not given.
        default: i64,
    },
    /// A finite number in `min..=max`.
    Float {
        /// Least.
        min: f64,
        /// Greatest.
        max: f64,
        /// Used when not given.
        default: f64,
    },
    /// One of these words; the first is the default.
    Word(&'static [&'static str]),
    /// true or false.
    Bool(bool),
    /// Rows of numbers of equal, odd length; no default.
    Matrix {
        /// Greatest number of rows and of columns.
        max: usize,
    },
}

impl Param {
    /// A whole number.
    pub const fn int(
        name: &'static str,
        range: RangeInclusive<i64>,
        default: i64,
        about: &'static str,
    ) -> Param {
        Param {
            name,
            about,
            kind: Kind::Int {
                min: *range.start(),
                max: *range.end(),
                default,
            },
        }
    }

    /// A number.
    pub const fn float(
        name: &'static str,
        range: RangeInclusive<f64>,
        default: f64,
        about: &'static str,
    ) -> Param {
        Param {
            name,
            about,
            kind: Kind::Float {
                min: *range.start(),
                max: *range.end(),
                default,
            },
        }
    }

    /// One of some words, the first by default.
    pub const fn word(
        name: &'static str,
        words: &'static [&'static str],
        about: &'static str,
    ) -> Param {
        Param {
            name,
            about,
            kind: Kind::Word(words),
        }
    }

    /// true or false.
    pub const fn flag(name: &'static str, default: bool, about: &'static str) -> Param {
        Param {
            name,
            about,
            kind: Kind::Bool(default),
        }
    }

    /// The border rule, reflect101 by default.
    pub const fn border() -> Param {
        Param::word("border", Border::NAMES, "what lies beyond the image's edge")
    }
}

/// One argument's value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// For [`Kind::Int`].
    Int(i64),
    /// For [`Kind::Float`].
    Float(f64),
    /// For [`Kind::Word`].
    Word(String),
    /// For [`Kind::Bool`].
    Bool(bool),
    /// For [`Kind::Matrix`].
    Matrix(Vec<Vec<f64>>),
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Value::Int(v) => write!(f, "{v}"),
            Value::Float(v) => write!(f, "{v}"),
            Value::Word(v) => f.write_str(v),
            Value::Bool(v) => write!(f, "{v}"),
            Value::Matrix(rows) => {
                f.write_char('[')?;
                for (i, row) in rows.iter().enumerate() {
                    let cells: Vec<String> = row.iter().map(f64::to_string).collect();
                    write!(f, "{}[{}]", if i > 0 { "," } else { "" }, cells.join(","))?;
                }
                f.write_char(']')
            }
        }
    }
}

/// A complete, checked set of arguments: every parameter of the operation has a value.
#[derive(Clone, Debug, PartialEq)]
pub struct Args(pub Vec<(&'static str, Value)>);

impl Args {
    fn get(&self, name: &str) -> &Value {
        match self.0.iter().find(|(n, _)| *n == name) {
            Some((_, value)) => value,
            None => unreachable!("`{name}` is no parameter of this operation"),
        }
    }

    /// A whole number as usize (its range must exclude negatives).
    pub fn size(&self, name: &str) -> usize {
        self.int(name) as usize
    }

    /// A whole number.
    pub fn int(&self, name: &str) -> i64 {
        match self.get(name) {
            Value::Int(v) => *v,
            other => unreachable!("`{name}` is {other:?}"),
        }
    }

    /// A number.
    pub fn float(&self, name: &str) -> f64 {
        match self.get(name) {
            Value::Float(v) => *v,
            other => unreachable!("`{name}` is {other:?}"),
        }
    }

    /// A word.
    pub fn word(&self, name: &str) -> &str {
        match self.get(name) {
            Value::Word(v) => v,
            other => unreachable!("`{name}` is {other:?}"),
        }
    }

    /// true or false.
    pub fn flag(&self, name: &str) -> bool {
        match self.get(name) {
            Value::Bool(v) => *v,
            other => unreachable!("`{name}` is {other:?}"),
        }
    }

    /// Rows of numbers.
    pub fn matrix(&self, name: &str) -> &[Vec<f64>] {
        match self.get(name) {
            Value::Matrix(v) => v,
            other => unreachable!("`{name}` is {other:?}"),
        }
    }

    /// The border rule of the parameter `border`.
    pub fn border(&self) -> Border {
        match Border::from_name(self.word("border")) {
            Some(border) => border,
            None => unreachable!("words were checked"),
        }
    }
}

/// What an operation is made of; the executor runs these without knowing which operation they are.
#[derive(Clone)]
pub enum Step {
    /// Output rows from a bounded range of input rows.
    Local(Arc<dyn Local>),
    /// A tally over the whole image first, merged over all ranks, then local steps.
    Measured(Arc<dyn Measured>),
    /// Talks to the other ranks itself.
    Collective(Arc<dyn Collective>),
}

impl Step {
    /// A local step.
    pub fn local(step: impl Local + 'static) -> Step {
        Step::Local(Arc::new(step))
    }

    /// A measured step.
    pub fn measured(step: impl Measured + 'static) -> Step {
        Step::Measured(Arc::new(step))
    }

    /// A collective step.
    pub fn collective(step: impl Collective + 'static) -> Step {
        Step::Collective(Arc::new(step))
    }
}

/// A step whose output rows need only some input rows.
pub trait Local: Send + Sync {
    /// Shape of the output for that input; an error where the step cannot be applied to it.
    fn output(&self, input: Shape) -> Result<Shape> {
        Ok(input)
    }

    /// Input rows for output rows `out`. May reach outside of the image: such rows are answered by
    /// [`Local::border`]. The default is the same rows.
    fn rows_needed(&self, out: Range<usize>, input: Shape) -> Range<isize> {
        let _ = input;
        out.start as isize..out.end as isize
    }

    /// The rule for rows outside of the image (kernels apply the same to columns).
    fn border(&self) -> Border {
        Border::Reflect101
    }

    /// Whether the input's alpha channel replaces the output's after `apply` (same shape only).
    fn keeps_alpha(&self) -> bool {
        false
    }

    /// Whether the step leaves every image of this shape as it is; the planner then drops it.
    fn is_identity(&self, input: Shape) -> bool {
        let _ = input;
        false
    }

    /// For a step that maps each 8-bit sample by itself: the table, one for all colour channels.
    /// Consecutive tables are composed into one.
    fn table(&self) -> Option<[u8; 256]> {
        None
    }

    /// Rough cost in nanoseconds per output sample on one core, for the planner.
    fn cost(&self) -> f64 {
        1.0
    }

    /// The greatest of 1, 2, 4 and 8 by which a decoder may shrink the image beforehand without
    /// visible loss.
    fn shrink(&self, input: Shape) -> usize {
        let _ = input;
        1
    }

    /// The step that makes the same output from an image that a decoder shrunk from `original` to
    /// `reduced` (sides divided by [`Local::shrink`] and rounded up); `None` where there is none.
    fn shrunk(&self, original: Shape, reduced: Shape) -> Option<Arc<dyn Local>> {
        let _ = (original, reduced);
        None
    }

    /// Fill the band. Rows of the window are asked for by their index in the input image.
    fn apply(&self, input: &Window<'_>, out: &mut Band<'_>, scratch: &mut Scratch);
}

/// Whole-image numbers that merge exactly in any order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// Merged by addition.
    pub sums: Vec<i64>,
    /// Merged by maximum.
    pub maxima: Vec<i64>,
}

impl Tally {
    /// Adds another part of the image.
    pub fn merge(&mut self, other: &Tally) {
        for (a, b) in self.sums.iter_mut().zip(&other.sums) {
            *a += b;
        }
        for (a, b) in self.maxima.iter_mut().zip(&other.maxima) {
            *a = (*a).max(*b);
        }
    }

    /// Merges the tallies of all ranks.
    pub fn reduce(&mut self, comm: &dyn Comm) {
        if !self.sums.is_empty() {
            comm.all_reduce(&mut self.sums, crate::comm::Reduce::Sum);
        }
        if !self.maxima.is_empty() {
            comm.all_reduce(&mut self.maxima, crate::comm::Reduce::Max);
        }
    }
}

/// A step that measures the whole image, then works locally.
pub trait Measured: Send + Sync {
    /// Input rows that measuring rows `rows` needs (rows outside follow [`Measured::border`]).
    fn rows_needed(&self, rows: Range<usize>, input: Shape) -> Range<isize> {
        let _ = input;
        rows.start as isize..rows.end as isize
    }

    /// The rule for rows outside of the image while measuring.
    fn border(&self) -> Border {
        Border::Reflect101
    }

    /// The tally of no rows at all.
    fn empty(&self, input: Shape) -> Tally;

    /// Add input rows `rows` to the tally.
    fn measure(
        &self,
        input: &Window<'_>,
        rows: Range<usize>,
        tally: &mut Tally,
        scratch: &mut Scratch,
    );

    /// The local steps for that tally. Also called with the empty tally when planning, for shapes
    /// and rows needed, which must not depend on the tally.
    fn finish(&self, input: Shape, tally: &Tally) -> Result<Vec<Arc<dyn Local>>>;

    /// Rough cost of measuring in nanoseconds per input sample.
    fn cost(&self) -> f64 {
        0.5
    }
}

/// A step that exchanges data with the other ranks in its own way.
pub trait Collective: Send + Sync {
    /// Shape of the output for that input.
    fn output(&self, input: Shape) -> Result<Shape> {
        Ok(input)
    }

    /// Turn this rank's rows of the input into this rank's rows of the output (both as cut by
    /// [`crate::halo::partition`]). All ranks call this together and must leave together.
    fn run(&self, context: &mut Context<'_>, input: Rows) -> Result<Rows>;

    /// Working memory in bytes on one rank beside its input and output rows.
    fn memory(&self, input: Shape, ranks: usize) -> usize {
        input.bytes() / ranks.max(1)
    }

    /// Rough cost in nanoseconds per input sample.
    fn cost(&self) -> f64 {
        5.0
    }
}

/// The valid name nearest to `name`, for error messages.
pub fn nearest<'n>(name: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    names
        .into_iter()
        .map(|n| (strsim::damerau_levenshtein(&name.to_lowercase(), n), n))
        .filter(|(distance, n)| *distance <= n.len().max(name.len()) / 2)
        .min()
        .map(|(_, n)| n)
}

impl Op {
    /// Checks a given argument list and completes it with defaults.
    pub fn args(&self, given: Vec<(String, Value)>) -> Result<Args> {
        let mut values: Vec<(&'static str, Option<Value>)> =
            self.params.iter().map(|p| (p.name, None)).collect();
        for (name, value) in given {
            let Some(at) = self.params.iter().position(|p| p.name == name) else {
                let names: Vec<&str> = self.params.iter().map(|p| p.name).collect();
                let hint = match nearest(&name, names.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None if names.is_empty() => "it takes none".into(),
                    None => format!("it takes {}", names.join(", ")),
                };
                return Err(Error::Pipeline(format!(
                    "`{}` has no parameter `{name}` ({hint})",
                    self.name
                )));
            };
            if values[at].1.is_some() {
                return Err(Error::Pipeline(format!(
                    "`{}`: `{name}` is given twice",
                    self.name
                )));
            }
            values[at].1 = Some(self.check(&self.params[at], value)?);
        }
        let complete = values
            .into_iter()
            .zip(self.params)
            .map(|((name, value), param)| {
                let value = value.or_else(|| param.default()).ok_or_else(|| {
                    Error::Pipeline(format!(
                        "`{}` needs `{name}` (for example: {})",
                        self.name, self.example
                    ))
                })?;
                Ok((name, value))
            });
        Ok(Args(complete.collect::<Result<_>>()?))
    }

    fn check(&self, param: &Param, value: Value) -> Result<Value> {
        let wrong = |what: String| {
            let hint = format!("hint: sundog ops {}", self.name);
            Err(Error::Pipeline(format!(
                "`{}`: {} = {value} {what} ({hint})",
                self.name, param.name
            )))
        };
        match (&param.kind, &value) {
            (Kind::Int { min, max, .. }, Value::Int(v)) => match (min..=max).contains(&v) {
                true => Ok(value),
                false => wrong(format!("is outside {min}..={max}")),
            },
            (Kind::Int { .. }, Value::Float(_)) => wrong("is not a whole number".into()),
            (Kind::Float { min, max, .. }, Value::Float(_) | Value::Int(_)) => {
                let v = match value {
                    Value::Int(v) => v as f64,
                    Value::Float(v) => v,
                    _ => unreachable!("matched above"),
                };
                match v.is_finite() && (min..=max).contains(&&v) {
                    true => Ok(Value::Float(v)),
                    false => wrong(format!("is outside {min}..={max}")),
                }
            }
            (Kind::Word(words), Value::Word(word)) => match words.contains(&word.as_str()) {
                true => Ok(value),
                false => {
                    let near = nearest(word, words.iter().copied());
                    let hint = near.map_or(String::new(), |n| format!("; did you mean `{n}`?"));
                    wrong(format!("is none of {}{hint}", words.join(", ")))
                }
            },
            (Kind::Bool(_), Value::Bool(_)) => Ok(value),
            (Kind::Bool(_), Value::Int(v @ (0 | 1))) => Ok(Value::Bool(*v == 1)),
            (Kind::Matrix { max }, Value::Matrix(rows)) => {
                let (h, w) = (rows.len(), rows.first().map_or(0, Vec::len));
                if rows.iter().any(|r| r.len() != w) {
                    wrong("has rows of different lengths".into())
                } else if h % 2 == 0 || w % 2 == 0 || h > *max || w > *max {
                    wrong(format!("is {h} by {w}; both must be odd and at most {max}"))
                } else {
                    Ok(value)
                }
            }
            (kind, _) => wrong(format!("is not {}", kind.noun())),
        }
    }
}

impl Kind {
    /// What a value of this kind is called.
    pub fn noun(&self) -> &'static str {
        match self {
            Kind::Int { .. } => "a whole number",
            Kind::Float { .. } => "a number",
            Kind::Word(_) => "a word",
            Kind::Bool(_) => "true or false",
            Kind::Matrix { .. } => "a matrix such as [[0,1,0],[1,1,1],[0,1,0]]",
        }
    }
}

impl Param {
    /// The value used when none is given.
    pub fn default(&self) -> Option<Value> {
        match &self.kind {
            Kind::Int { default, .. } => Some(Value::Int(*default)),
            Kind::Float { default, .. } => Some(Value::Float(*default)),
            Kind::Word(words) => Some(Value::Word(words[0].to_owned())),
            Kind::Bool(default) => Some(Value::Bool(*default)),
            Kind::Matrix { .. } => None,
        }
    }
}
