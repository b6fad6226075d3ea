//! Parameters of operations: admitted values, checking what was given, and the complete set of arguments.

use super::Op;
use crate::border::Border;
use crate::error::{Error, Result};
use std::fmt::Write as _;
use std::ops::RangeInclusive;

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
    /// Channels by number, from 1; no default.
    Bands,
    /// A number in the image's own units, `min`, `max`, or a share of the samples such as `2%`.
    Level(&'static str),
    /// A colour: a name of CSS's sixteen, or `#rrggbb`.
    Color(&'static str),
}

/// Whether colours are weighted by alpha where neighbours are mixed.
pub const ALPHA: Param = Param::word(
    "alpha",
    &["keep", "weighted"],
    "keep: alpha stays as it is; weighted: works on premultiplied colours and on alpha",
);

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
    /// For [`Kind::Bands`].
    List(Vec<f64>),
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
            Value::List(numbers) => {
                let numbers: Vec<String> = numbers.iter().map(f64::to_string).collect();
                write!(f, "[{}]", numbers.join(","))
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

    /// A list of numbers.
    pub fn list(&self, name: &str) -> &[f64] {
        match self.get(name) {
            Value::List(v) => v,
            other => unreachable!("`{name}` is {other:?}"),
        }
    }

    /// A value as it was given.
    pub fn value(&self, name: &str) -> &Value {
        self.get(name)
    }

    /// Whether the operation has that parameter and it is this word.
    pub fn is(&self, param: &Param, word: &str) -> bool {
        (self.0.iter()).any(|(name, value)| {
            *name == param.name && matches!(value, Value::Word(given) if given == word)
        })
    }

    /// The border rule of the parameter `border`.
    pub fn border(&self) -> Border {
        match Border::from_name(self.word("border")) {
            Some(border) => border,
            None => unreachable!("words were checked"),
        }
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
            (Kind::Bands, Value::Int(band)) => self.check(param, Value::List(vec![*band as f64])),
            (Kind::Bands, Value::List(bands)) => {
                let known = |v: &f64| v.fract() == 0.0 && (1.0..=65535.0).contains(v);
                match bands.iter().all(known) && bands.len() <= 65535 {
                    true => Ok(value),
                    false => wrong("names channels by whole numbers from 1".into()),
                }
            }
            (Kind::Level(_), Value::Int(v)) => Ok(Value::Float(*v as f64)),
            (Kind::Level(_), Value::Float(v)) if v.is_finite() => Ok(value),
            (Kind::Level(_), Value::Word(word)) => {
                let share = word.strip_suffix('%').map(str::parse::<f64>);
                match (word.as_str(), share) {
                    ("min" | "max", _) => Ok(value),
                    (_, Some(Ok(share))) if (0.0..=100.0).contains(&share) => Ok(value),
                    _ => wrong("is no number, min, max or share from 0% to 100%".into()),
                }
            }
            (Kind::Color(_), Value::Word(word)) => match crate::color::parse(word) {
                Ok(_) => Ok(value),
                Err(what) => wrong(what),
            },
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
            Kind::Bands => "a list of channels such as [3, 2, 1]",
            Kind::Level(_) => "a number, min, max or a share such as 2%",
            Kind::Color(_) => "a colour such as white or #ff8000",
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
            Kind::Matrix { .. } | Kind::Bands => None,
            Kind::Level(default) | Kind::Color(default) => Some(Value::Word((*default).to_owned())),
        }
    }
}
