//! A result beside its input, and what its receipt says of it.

use super::record::Record;
use super::view::Seen;
use std::path::PathBuf;

/// What is looked at.
#[derive(Clone, Debug)]
pub enum Subject {
    /// A result of the run of this computer.
    Result {
        /// Its number among the results.
        number: usize,
        /// The input as receipts name it.
        name: String,
        /// Where the input lies.
        input: PathBuf,
        /// Where the output lies; none where the image did not succeed.
        output: Option<PathBuf>,
        /// The receipt, once the run has ended.
        receipt: Option<PathBuf>,
    },
    /// An output of a job.
    Output {
        /// The job.
        job: String,
        /// The output with its link.
        output: Box<client::Output>,
    },
}

impl Subject {
    /// The input, for people.
    pub fn input(&self) -> String {
        match self {
            Subject::Result { name, .. } => super::run::Run::shown(name),
            Subject::Output { output, .. } => client::text::input(&output.input).into_owned(),
        }
    }

    /// The output, for people.
    pub fn output(&self) -> String {
        let name = match self {
            Subject::Result { output, .. } => output
                .as_ref()
                .and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
                .unwrap_or_default(),
            Subject::Output { output, .. } => output.output.clone(),
        };
        crate::text::harmless(&name).into_owned()
    }
}

/// One of both pictures.
#[derive(Clone, Debug, Default)]
pub enum Side {
    /// There is none to show.
    #[default]
    None,
    /// It is being read.
    Coming,
    /// It, as large as a screen at the most.
    Seen(Seen),
    /// Why it cannot be shown.
    Failed(String),
}

impl Side {
    /// What was read.
    pub fn of(read: Result<Seen, String>) -> Side {
        match read {
            Ok(seen) => Side::Seen(seen),
            Err(why) => Side::Failed(why),
        }
    }
}

/// What is known of what is looked at.
#[derive(Debug)]
pub struct Inspect {
    /// The number of the latest question; older answers are for nobody.
    pub serial: u64,
    /// What is looked at.
    pub subject: Option<Subject>,
    /// Whether it lies over the window, large and with its receipt.
    pub open: bool,
    /// The input.
    pub before: Side,
    /// The output.
    pub after: Side,
    /// What the receipt says; none: it is not known yet.
    pub record: Option<Result<Box<Record>, String>>,
    /// Whether the receipt was asked for.
    pub asked: bool,
    /// What comparing the output with its hash told.
    pub checked: Option<Result<String, String>>,
    /// Whether both are in one picture, cut by a line.
    pub split: bool,
    /// Where the line is, as a share of the width.
    pub share: f32,
}

impl Default for Inspect {
    fn default() -> Inspect {
        Inspect {
            serial: 0,
            subject: None,
            open: false,
            before: Side::None,
            after: Side::None,
            record: None,
            asked: false,
            checked: None,
            split: false,
            share: 0.5,
        }
    }
}

impl Inspect {
    /// Looks at something else, or at nothing.
    pub fn turn(&mut self, subject: Option<Subject>) {
        *self = Inspect {
            serial: self.serial + 1,
            subject,
            split: self.split,
            ..Inspect::default()
        };
    }
}
