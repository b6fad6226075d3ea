//! The pipeline's text and JSON forms, parsed once into checked calls.
//!
//! Text: `equalize | gaussian(sigma=2)`. JSON: `[{"op": "gaussian", "sigma": 2}]`.

use crate::adapt::{Colors, Weighted};
use crate::error::{Error, Result};
use crate::op::{self, Args, Channels, Op, Step, Value, nearest};
use crate::ops;

/// One operation with its arguments.
#[derive(Clone)]
pub struct Call {
    /// The operation.
    pub op: &'static Op,
    /// All its arguments, defaults filled in.
    pub args: Args,
}

/// A list of checked calls; empty means: only convert.
#[derive(Clone, Default)]
pub struct Pipeline {
    /// The calls in order.
    pub calls: Vec<Call>,
}

impl std::fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pipeline({self})")
    }
}

/// The canonical text: every call with the arguments that differ from their defaults.
impl std::fmt::Display for Pipeline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, call) in self.calls.iter().enumerate() {
            if i > 0 {
                f.write_str(" | ")?;
            }
            f.write_str(call.op.name)?;
            let given: Vec<String> = (call.args.0.iter().zip(call.op.params))
                .filter(|((_, value), param)| param.default().as_ref() != Some(value))
                .map(|((name, value), _)| format!("{name}={value}"))
                .collect();
            if !given.is_empty() {
                write!(f, "({})", given.join(", "))?;
            }
        }
        Ok(())
    }
}

impl Pipeline {
    /// Parses the text form. Errors name the operation or parameter, the range and the nearest valid name.
    pub fn parse(text: &str) -> Result<Pipeline> {
        let mut parser = Parser { text, at: 0 };
        let mut calls = Vec::new();
        parser.space();
        while parser.at < text.len() {
            calls.push(parser.call()?);
            parser.space();
            if parser.at < text.len() {
                parser.expect('|')?;
                parser.space();
                if parser.at == text.len() {
                    return Err(parser.error("an operation after `|`"));
                }
            }
        }
        Ok(Pipeline { calls })
    }

    /// Parses the JSON form: an array of objects with `op` and parameters, or a string in text form.
    pub fn from_json(json: &serde_json::Value) -> Result<Pipeline> {
        use serde_json::Value as Json;
        let list = match json {
            Json::String(text) => return Pipeline::parse(text),
            Json::Array(list) => list,
            _ => {
                return Err(Error::Pipeline(
                    "a pipeline is a text or a list of { op = \"…\", … }".into(),
                ));
            }
        };
        let calls = list.iter().map(|entry| {
            let Json::Object(fields) = entry else {
                return Err(Error::Pipeline(format!(
                    "{entry} is not of the form {{ op = \"…\", … }}"
                )));
            };
            let Some(Json::String(name)) = fields.get("op") else {
                return Err(Error::Pipeline(format!(
                    "{entry} names no operation (`op` is missing)"
                )));
            };
            let given = fields
                .iter()
                .filter(|(key, _)| *key != "op")
                .map(|(key, value)| Ok((key.clone(), value_of(key, value)?)));
            call(name, given.collect::<Result<_>>()?)
        });
        Ok(Pipeline {
            calls: calls.collect::<Result<_>>()?,
        })
    }

    /// The JSON form, with every argument.
    pub fn to_json(&self) -> serde_json::Value {
        let calls = self.calls.iter().map(|call| {
            let mut fields = serde_json::Map::new();
            fields.insert("op".into(), call.op.name.into());
            for (name, value) in &call.args.0 {
                let json = match value {
                    Value::Int(v) => (*v).into(),
                    Value::Float(v) => (*v).into(),
                    Value::Word(v) => v.clone().into(),
                    Value::Bool(v) => (*v).into(),
                    Value::Matrix(v) => serde_json::json!(v),
                    Value::List(v) => serde_json::json!(v),
                };
                fields.insert((*name).into(), json);
            }
            serde_json::Value::Object(fields)
        });
        calls.collect()
    }

    /// The steps of all calls in order.
    pub fn steps(&self) -> Result<Vec<Step>> {
        let mut steps = Vec::new();
        for call in &self.calls {
            if call.op.channels == Channels::Mixed {
                steps.push(Step::local(Colors { name: call.op.name }));
            }
            let own = (call.op.build)(&call.args)?;
            match call.args.is(&op::ALPHA, "weighted") {
                true => steps.push(weighted(own)),
                false => steps.extend(own),
            }
        }
        Ok(steps)
    }

    /// Whether samples have the units of the input afterwards, so that they can be stored as they were.
    pub fn keeps_units(&self) -> bool {
        self.calls.iter().all(|call| call.op.group.keeps_units())
    }

    /// The first operation after which samples are no longer in the units of the input.
    pub fn leaves_units(&self) -> Option<&'static str> {
        let leaves = |call: &&Call| !call.op.group.keeps_units();
        self.calls.iter().find(leaves).map(|call| call.op.name)
    }
}

/// One step that runs local steps on colours weighted by alpha.
fn weighted(steps: Vec<Step>) -> Step {
    let local = |step: Step| match step {
        Step::Local(local) => local,
        Step::Measured(_) | Step::Collective(_) => {
            unreachable!("operations with the parameter `alpha` are local")
        }
    };
    Step::local(Weighted(steps.into_iter().map(local).collect()))
}

fn call(name: &str, given: Vec<(String, Value)>) -> Result<Call> {
    let op = ops::find(name).ok_or_else(|| {
        let near = nearest(name, ops::ALL.iter().map(|op| op.name));
        let hint = near.map_or_else(
            || "list: sundog ops".into(),
            |n| format!("did you mean `{n}`?"),
        );
        Error::Pipeline(format!("there is no operation `{name}` ({hint})"))
    })?;
    let args = op.args(given)?;
    // Relations between arguments are checked by the operation itself.
    (op.build)(&args)?;
    Ok(Call { op, args })
}

fn value_of(key: &str, json: &serde_json::Value) -> Result<Value> {
    use serde_json::Value as Json;
    let wrong = || {
        Error::Pipeline(format!(
            "`{key}` = {json} is no number, word, true, false or matrix"
        ))
    };
    Ok(match json {
        Json::Number(n) => match (n.as_i64(), n.as_f64()) {
            (Some(v), _) => Value::Int(v),
            (_, Some(v)) => Value::Float(v),
            _ => return Err(wrong()),
        },
        Json::String(word) => Value::Word(word.clone()),
        Json::Bool(v) => Value::Bool(*v),
        Json::Array(items) if items.iter().all(Json::is_number) => {
            Value::List(items.iter().filter_map(Json::as_f64).collect())
        }
        Json::Array(rows) => {
            let row = |r: &Json| {
                r.as_array()
                    .and_then(|r| r.iter().map(Json::as_f64).collect::<Option<Vec<f64>>>())
            };
            Value::Matrix(
                rows.iter()
                    .map(row)
                    .collect::<Option<_>>()
                    .ok_or_else(wrong)?,
            )
        }
        _ => return Err(wrong()),
    })
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn error(&self, wanted: &str) -> Error {
        let found = match self.rest().chars().next() {
            Some(c) => format!("`{c}`"),
            None => "the end".into(),
        };
        let column = self.text[..self.at].chars().count() + 1;
        Error::Pipeline(format!(
            "expected {wanted} at column {column} of the pipeline, found {found}"
        ))
    }

    fn accept(&mut self, wanted: char) -> bool {
        self.space();
        let found = self.rest().starts_with(wanted);
        if found {
            self.at += wanted.len_utf8();
        }
        found
    }

    fn expect(&mut self, wanted: char) -> Result<()> {
        match self.accept(wanted) {
            true => Ok(()),
            false => Err(self.error(&format!("`{wanted}`"))),
        }
    }

    fn token(&mut self, wanted: &str, admit: fn(char) -> bool) -> Result<String> {
        self.space();
        let rest = self.rest();
        let end = rest.find(|c| !admit(c)).unwrap_or(rest.len());
        if end == 0 {
            return Err(self.error(wanted));
        }
        let token = rest[..end].to_owned();
        self.at += end;
        Ok(token)
    }

    fn call(&mut self) -> Result<Call> {
        let name = self.token("an operation's name", |c| {
            c.is_alphanumeric() || c == '_' || c == '-'
        })?;
        let mut given = Vec::new();
        if self.accept('(') && !self.accept(')') {
            loop {
                let key = self.token("a parameter's name", |c| c.is_alphanumeric() || c == '_')?;
                self.expect('=')?;
                given.push((key, self.value()?));
                if self.accept(')') {
                    break;
                }
                self.expect(',')?;
            }
        }
        call(&name, given)
    }

    fn value(&mut self) -> Result<Value> {
        if self.accept('[') {
            self.space();
            if !self.rest().starts_with('[') {
                return Ok(Value::List(self.numbers()?));
            }
            let mut rows = Vec::new();
            loop {
                self.expect('[')?;
                rows.push(self.numbers()?);
                if self.accept(']') {
                    return Ok(Value::Matrix(rows));
                }
                self.expect(',')?;
            }
        }
        let token = self.token("a value", |c| c.is_alphanumeric() || "_-+.%#".contains(c))?;
        if let Ok(v) = token.parse::<i64>() {
            return Ok(Value::Int(v));
        }
        Ok(match (token.as_str(), token.parse::<f64>()) {
            ("true", _) => Value::Bool(true),
            ("false", _) => Value::Bool(false),
            (_, Ok(v)) if token.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) => {
                Value::Float(v)
            }
            _ => Value::Word(token),
        })
    }

    /// The rest of a list, its bracket included.
    fn numbers(&mut self) -> Result<Vec<f64>> {
        let mut numbers = Vec::new();
        loop {
            numbers.push(self.number()?);
            if self.accept(']') {
                return Ok(numbers);
            }
            self.expect(',')?;
        }
    }

    fn number(&mut self) -> Result<f64> {
        let token = self.token("a number", |c| c.is_alphanumeric() || "-+.".contains(c))?;
        match token.parse::<f64>() {
            Ok(v) if v.is_finite() => Ok(v),
            _ => Err(Error::Pipeline(format!("`{token}` is no number"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        Pipeline::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn text_is_canonical_after_a_round_trip() {
        let text = "equalize | gaussian(sigma=2.5, border=replicate)";
        let pipeline = Pipeline::parse(text).unwrap();
        assert_eq!(pipeline.to_string(), text);
        assert_eq!(
            Pipeline::from_json(&pipeline.to_json())
                .unwrap()
                .to_string(),
            text
        );
        assert_eq!(Pipeline::parse("  ").unwrap().to_string(), "");
    }

    #[test]
    fn errors_name_the_thing_and_the_way_out() {
        assert_eq!(
            message("gausian"),
            "there is no operation `gausian` (did you mean `gaussian`?)"
        );
        assert_eq!(
            message("gaussian(sgma=2)"),
            "`gaussian` has no parameter `sgma` (did you mean `sigma`?)"
        );
        assert!(
            message("gaussian(sigma=900)")
                .starts_with("`gaussian`: sigma = 900 is outside 0.1..=200")
        );
        assert!(message("gaussian(sigma=2,sigma=3)").contains("twice"));
        assert!(message("gaussian(sigma=2").contains("expected `,` at column 17"));
        assert!(message("gaussian |").contains("an operation after `|`"));
        assert!(message("gaussian(border=mirror)").contains("none of reflect101"));
    }
}
