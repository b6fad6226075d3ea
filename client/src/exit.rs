//! How the program ends: exit codes and the errors that carry them.

use std::fmt;
use std::process::ExitCode;

/// Exit codes that scripts rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All succeeded.
    Ok = 0,
    /// The job failed.
    Failed = 1,
    /// Wrong usage or job file.
    Usage = 2,
    /// Some images failed, the rest are done.
    Some = 3,
    /// A service cannot be reached.
    Unreachable = 4,
    /// Refused by a limit.
    Refused = 5,
    /// Interrupted by the user.
    Interrupted = 130,
}

impl Exit {
    /// From the code of an error of the services.
    pub fn from_code(code: u8) -> Exit {
        match code {
            2 => Exit::Usage,
            4 => Exit::Unreachable,
            _ => Exit::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// An error that ends the program: a message that names the thing, the cause and what to do.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// One sentence, lower case, no full stop.
    pub message: String,
}

/// What commands return.
pub type Result<T = Exit> = std::result::Result<T, Failure>;

impl Failure {
    /// Wrong usage or job file.
    pub fn usage(message: impl Into<String>) -> Failure {
        Failure {
            exit: Exit::Usage,
            message: message.into(),
        }
    }

    /// The work could not be done.
    pub fn failed(message: impl Into<String>) -> Failure {
        Failure {
            exit: Exit::Failed,
            message: message.into(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<imaging::Error> for Failure {
    fn from(error: imaging::Error) -> Failure {
        use imaging::Error as E;
        let exit = match error {
            E::Pipeline(_) => Exit::Usage,
            E::Limit { .. } => Exit::Refused,
            E::Stopped(_) => Exit::Interrupted,
            _ => Exit::Failed,
        };
        Failure {
            exit,
            message: error.to_string(),
        }
    }
}
