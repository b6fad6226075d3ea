//! One picture out of many: mean, median and the like of all files.

use super::view::Seen;
use protocol::job::{Bits, Job, Reduce, ReduceOp};
use std::path::PathBuf;

/// What is computed of all files, and what is seen of it.
#[derive(Debug)]
pub struct Stack {
    /// What is computed.
    pub op: ReduceOp,
    /// Samples of the result; none: those of the inputs.
    pub bits: Option<Bits>,
    /// The file of the result.
    pub output: String,
    /// Its preview.
    pub seen: Option<Seen>,
    /// Why there is none.
    pub fault: Option<String>,
    /// Whether one is being computed.
    pub busy: bool,
    /// The number of the latest request.
    pub serial: u64,
    /// Of how many files it is.
    pub of: usize,
}

/// Files of which a preview is made at the most.
pub const FEW: usize = 12;

impl Default for Stack {
    fn default() -> Stack {
        Stack {
            op: ReduceOp::Mean,
            bits: None,
            output: String::new(),
            seen: None,
            fault: None,
            busy: false,
            serial: 0,
            of: 0,
        }
    }
}

/// What an operation is good for.
pub fn about(op: ReduceOp) -> &'static str {
    match op {
        ReduceOp::Mean => "less noise: the average of every pixel",
        ReduceOp::Median => "what is there most of the time: passers-by and satellites vanish",
        ReduceOp::Min => "the darkest of every pixel",
        ReduceOp::Max => "the brightest of every pixel: star trails, lights of cars",
        ReduceOp::Std => "where pictures differ",
        ReduceOp::Sum => "all added up, for counts and data",
    }
}

impl Stack {
    /// The job over these inputs, with a result at `output`.
    pub fn job(&self, inputs: &[PathBuf], output: &str) -> Result<Job, String> {
        if inputs.is_empty() {
            return Err("add files or a folder first".into());
        }
        if output.trim().is_empty() {
            return Err("name the file of the result, such as stacked.png".into());
        }
        Ok(Job {
            inputs: inputs
                .iter()
                .map(|path| protocol::name::to_text(path))
                .collect(),
            output: output.trim().to_owned(),
            reduce: Some(Reduce {
                op: self.op,
                fan_in: 5,
                max_open_files: 5,
                bits: self.bits,
                keep_partials: false,
            }),
            ..Job::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let stack = Stack::default();
        assert!(
            stack
                .job(&[], "x.png")
                .is_err_and(|e| e.contains("add files"))
        );
        let one = ["a.png".into()];
        assert!(
            stack
                .job(&one, " ")
                .is_err_and(|e| e.contains("stacked.png"))
        );
        let job = stack.job(&one, "x.png").unwrap();
        assert_eq!(job.reduce.map(|r| r.op), Some(ReduceOp::Mean));
    }
}
