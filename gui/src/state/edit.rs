//! The pipeline as it is edited: steps that can be off, their text, undo and redo.

use imaging::op::{Group, Kind, Op, Value};
use imaging::pipeline::{Call, Pipeline};
use imaging::{Error, Result};

/// A step of the pipeline.
#[derive(Clone, Debug)]
pub struct Step {
    /// A number that stays with the step while others come and go.
    pub id: u64,
    /// The operation.
    pub op: Operation,
    /// All its arguments, in the order of its parameters.
    pub args: Vec<Value>,
    /// Whether it counts.
    pub on: bool,
}

/// An operation of the registry.
#[derive(Clone, Copy)]
pub struct Operation(pub &'static Op);

impl std::fmt::Debug for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.name)
    }
}

impl Step {
    /// The call, if its arguments suit the operation.
    fn call(&self) -> Result<Call> {
        let op = self.op.0;
        let given = op.params.iter().zip(&self.args);
        let given = given.map(|(param, value)| (param.name.to_owned(), value.clone()));
        let args = op.args(given.collect())?;
        // Relations between arguments are checked by the operation itself.
        (op.build)(&args)?;
        Ok(Call { op, args })
    }

    /// What is wrong with the arguments.
    pub fn fault(&self) -> Option<String> {
        self.call().err().map(|error| error.to_string())
    }
}

/// The steps, and how they came to be.
#[derive(Debug, Default)]
pub struct Edit {
    /// The steps in order.
    pub steps: Vec<Step>,
    /// Their text as the user sees and edits it.
    pub text: String,
    /// Why the text is no pipeline; then the steps are those of the last text that was.
    pub fault: Option<String>,
    /// The step whose form is open.
    pub open: Option<u64>,
    undo: Vec<Vec<Step>>,
    redo: Vec<Vec<Step>>,
    /// The argument that the last change was about: dragging a slider is one change.
    last: Option<(u64, usize)>,
    next: u64,
}

/// Changes that can be undone.
const HISTORY: usize = 200;

impl Edit {
    /// The pipeline of the steps that are on.
    pub fn pipeline(&self) -> Result<Pipeline> {
        if let Some(fault) = &self.fault {
            return Err(Error::Pipeline(fault.clone()));
        }
        let on = self.steps.iter().filter(|step| step.on);
        Ok(Pipeline {
            calls: on.map(Step::call).collect::<Result<_>>()?,
        })
    }

    fn remember(&mut self, about: Option<(u64, usize)>) {
        if about.is_some() && about == self.last {
            return;
        }
        self.last = about;
        self.undo.push(self.steps.clone());
        if self.undo.len() > HISTORY {
            self.undo.remove(0);
        }
        self.redo.clear();
    }

    fn retell(&mut self) {
        self.fault = None;
        let on = self.steps.iter().filter(|step| step.on);
        let calls: Result<Vec<Call>> = on.map(Step::call).collect();
        match calls {
            Ok(calls) => self.text = Pipeline { calls }.to_string(),
            Err(error) => self.fault = Some(error.to_string()),
        }
    }

    fn step_of(&mut self, call: Call) -> Step {
        self.next += 1;
        Step {
            id: self.next,
            op: Operation(call.op),
            args: call.args.0.into_iter().map(|(_, value)| value).collect(),
            on: true,
        }
    }

    /// Adds an operation behind the others, with defaults, or with the arguments of its example where it has none.
    /// A crop begins with the whole image, where its size is known.
    pub fn add(&mut self, op: &'static Op, size: Option<(u32, u32)>) {
        let usual = op.args(Vec::new()).ok().map(|args| Call { op, args });
        let sound = usual.filter(|call| (op.build)(&call.args).is_ok());
        let call = sound.or_else(|| {
            let example = Pipeline::parse(op.example).ok()?;
            let mut calls = example.calls.into_iter();
            calls.find(|call| call.op.name == op.name)
        });
        let Some(call) = call else { return };
        self.remember(None);
        let mut step = self.step_of(call);
        for (arg, param) in step.args.iter_mut().zip(op.params) {
            let side = match (param.name, op.group, &param.kind, size) {
                (name, Group::Geometry, Kind::Int { default: 1, .. }, Some(size)) => match name {
                    "width" => size.0,
                    "height" => size.1,
                    _ => continue,
                },
                _ => continue,
            };
            *arg = Value::Int(i64::from(side));
        }
        self.open = Some(step.id);
        self.steps.push(step);
        self.retell();
    }

    /// Takes a step out.
    pub fn remove(&mut self, id: u64) {
        self.remember(None);
        self.steps.retain(|step| step.id != id);
        self.retell();
    }

    /// Moves a step to a place among those that are left when it is taken out.
    pub fn shift(&mut self, id: u64, to: usize) {
        let Some(from) = self.steps.iter().position(|step| step.id == id) else {
            return;
        };
        if from == to {
            return;
        }
        self.remember(None);
        let step = self.steps.remove(from);
        self.steps.insert(to.min(self.steps.len()), step);
        self.retell();
    }

    /// Switches a step on or off.
    pub fn toggle(&mut self, id: u64) {
        self.remember(None);
        if let Some(step) = self.steps.iter_mut().find(|step| step.id == id) {
            step.on = !step.on;
        }
        self.retell();
    }

    /// Sets an argument.
    pub fn set(&mut self, id: u64, param: usize, value: Value) {
        self.remember(Some((id, param)));
        if let Some(step) = self.steps.iter_mut().find(|step| step.id == id)
            && let Some(arg) = step.args.get_mut(param)
        {
            *arg = value;
        }
        self.retell();
    }

    /// Gives all arguments of a step their defaults, where they have one.
    pub fn reset(&mut self, id: u64) {
        self.remember(None);
        if let Some(step) = self.steps.iter_mut().find(|step| step.id == id) {
            for (arg, param) in step.args.iter_mut().zip(step.op.0.params) {
                if let Some(default) = param.default() {
                    *arg = default;
                }
            }
        }
        self.retell();
    }

    /// Takes the text as it is typed; steps follow where it is a pipeline. Steps that are off have no text and go.
    pub fn type_text(&mut self, text: String) {
        match Pipeline::parse(&text) {
            Ok(pipeline) => {
                self.remember(Some((0, 0)));
                self.replace(pipeline);
                self.fault = None;
            }
            Err(error) => self.fault = Some(error.to_string()),
        }
        self.text = text;
    }

    /// Begins with a pipeline that was kept as text; what is none any more is left out.
    pub fn recall(&mut self, text: &str) {
        if let Ok(pipeline) = Pipeline::parse(text) {
            self.replace(pipeline);
            self.retell();
        }
    }

    /// Puts a whole pipeline in place of the steps.
    pub fn load(&mut self, pipeline: Pipeline) {
        self.remember(None);
        self.replace(pipeline);
        self.retell();
    }

    /// Steps that are the same operation in the same place keep their numbers, so that open forms stay open.
    fn replace(&mut self, pipeline: Pipeline) {
        let old = std::mem::take(&mut self.steps);
        for (at, call) in pipeline.calls.into_iter().enumerate() {
            let name = call.op.name;
            let mut step = self.step_of(call);
            if let Some(same) = old.get(at).filter(|s| s.op.0.name == name && s.on) {
                step.id = same.id;
            }
            self.steps.push(step);
        }
    }

    /// Whether there is something to undo, and to do again.
    pub fn history(&self) -> (bool, bool) {
        (!self.undo.is_empty(), !self.redo.is_empty())
    }

    /// Takes the last change back.
    pub fn undo(&mut self) {
        if let Some(steps) = self.undo.pop() {
            self.redo.push(std::mem::replace(&mut self.steps, steps));
            self.last = None;
            self.retell();
        }
    }

    /// Makes the change again that was taken back.
    pub fn redo(&mut self) {
        if let Some(steps) = self.redo.pop() {
            self.undo.push(std::mem::replace(&mut self.steps, steps));
            self.last = None;
            self.retell();
        }
    }
}

#[cfg(test)]
#[path = "edit_tests.rs"]
mod tests;
