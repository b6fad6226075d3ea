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

/// Whether a slider for that range should be logarithmic: its ends are some powers of ten apart and neither is 0 or below.
pub fn logarithmic(kind: &Kind) -> bool {
    let wide = |min: f64, max: f64| min > 0.0 && max / min >= 100.0;
    match kind {
        Kind::Int { min, max, .. } => wide(*min as f64, *max as f64),
        Kind::Float { min, max, .. } => wide(*min, *max),
        _ => false,
    }
}

/// The pipeline for an image whose sides are `scale` of the real ones: lengths in pixels shrink with it, as far as the
/// registry says that a parameter is one.
pub fn scaled(pipeline: &Pipeline, scale: f64) -> Pipeline {
    let mut scaled = pipeline.clone();
    for call in &mut scaled.calls {
        for ((_, value), param) in call.args.0.iter_mut().zip(call.op.params) {
            let sizes = call.op.group == Group::Geometry && matches!(param.kind, Kind::Int { .. });
            if !sizes && !param.about.contains("pixel") {
                continue;
            }
            match (value, &param.kind) {
                (Value::Int(v), Kind::Int { min, max, .. }) if *v != 0 => {
                    *v = ((*v as f64 * scale).round() as i64).clamp(*min, *max);
                }
                (Value::Float(v), Kind::Float { min, max, .. }) => {
                    *v = (*v * scale).clamp(*min, *max);
                }
                _ => {}
            }
        }
    }
    scaled
}

#[cfg(test)]
mod tests {
    use super::*;
    use imaging::ops;

    fn op(name: &str) -> &'static Op {
        ops::find(name).unwrap()
    }

    #[test]
    fn every_operation_can_be_added_and_runs_as_it_comes() {
        for op in ops::ALL {
            let mut edit = Edit::default();
            edit.add(op, None);
            assert!(edit.pipeline().is_ok(), "{}: {:?}", op.name, edit.fault);
            assert_eq!(edit.steps.len(), 1, "{}", op.name);
            assert!(Pipeline::parse(&edit.text).is_ok(), "{}", edit.text);
        }
    }

    #[test]
    fn text_and_steps_stay_in_step() {
        let mut edit = Edit::default();
        edit.type_text("equalize | gaussian(sigma=2)".into());
        let id = edit.steps[1].id;
        edit.set(id, 0, Value::Float(3.5));
        assert_eq!(edit.text, "equalize | gaussian(sigma=3.5)");
        edit.toggle(edit.steps[0].id);
        assert_eq!(edit.text, "gaussian(sigma=3.5)");
        edit.type_text("gaussian(sigma=".into());
        assert!(edit.fault.is_some());
        assert!(edit.pipeline().is_err());
        assert_eq!(edit.steps.len(), 2);
        edit.type_text("gaussian(sigma=4)".into());
        assert_eq!(edit.steps[0].args[0], Value::Float(4.0));
    }

    #[test]
    fn changes_are_undone_one_drag_at_a_time() {
        let mut edit = Edit::default();
        edit.add(op("gaussian"), None);
        let id = edit.steps[0].id;
        for tenths in 20..30 {
            edit.set(id, 0, Value::Float(f64::from(tenths) / 10.0));
        }
        edit.add(op("invert"), None);
        edit.shift(edit.steps[1].id, 0);
        assert_eq!(edit.text, "invert | gaussian(sigma=2.9)");
        edit.undo();
        edit.undo();
        assert_eq!(edit.text, "gaussian(sigma=2.9)");
        edit.undo();
        assert_eq!(edit.text, "gaussian");
        edit.redo();
        assert_eq!(edit.text, "gaussian(sigma=2.9)");
        edit.undo();
        edit.undo();
        assert_eq!(edit.text, "");
        assert_eq!(edit.history(), (false, true));
    }

    #[test]
    fn arguments_that_do_not_suit_each_other_are_told_of() {
        let mut edit = Edit::default();
        edit.add(op("gaussian"), None);
        let id = edit.steps[0].id;
        edit.set(id, 0, Value::Float(1e9));
        assert!(edit.fault.as_deref().is_some_and(|f| f.contains("sigma")));
        assert!(edit.steps[0].fault().is_some());
        edit.undo();
        assert_eq!(edit.fault, None);
    }

    #[test]
    fn lengths_shrink_with_the_picture() {
        let pipeline =
            Pipeline::parse("gaussian(sigma=8) | median(radius=8) | gamma(gamma=2)").unwrap();
        let text = scaled(&pipeline, 0.25).to_string();
        assert!(
            text.starts_with("gaussian(sigma=2) | median(radius=2) | gamma"),
            "{text}"
        );
        assert!(logarithmic(&op("gaussian").params[0].kind));
    }
}
