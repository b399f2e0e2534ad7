//! Everything that can end a command, and the exit code of each.
//!
//! It does not hold text for people; that is in the message files.

use std::path::PathBuf;

use schemas::code::ErrorCode;
use schemas::decision::Reason;

use crate::problem::Problem;

/// Exit code of wrong usage or input.
pub(crate) const USAGE: u8 = 2;
/// Exit code of a check that failed.
const CHECK: u8 = 6;

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Error {
    /// A setting is not given.
    #[error("--{flag} is not given")]
    Missing {
        /// The flag that gives it.
        flag: &'static str,
    },
    /// Something that the user typed or wrote to a file cannot be used.
    #[error("{what}: {why}")]
    Input {
        /// What.
        what: String,
        /// Why, and what to do.
        why: String,
    },
    /// An answer was needed and there is nobody to ask.
    #[error("an answer is needed and input is off")]
    NoInput {
        /// The flag that answers instead.
        flag: &'static str,
    },
    /// The user said no.
    #[error("not confirmed")]
    NotConfirmed,
    /// A file that holds secrets can be read by others.
    #[error("{} can be read by others", path.display())]
    OpenToOthers {
        /// The file.
        path: PathBuf,
    },
    /// A file could not be read or written.
    #[error("{action} {}", path.display())]
    File {
        /// What was attempted.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// The node answered with a problem.
    #[error("{}: {}", .0.code, .0.detail)]
    Problem(Box<Problem>),
    /// A dry run says no; the reasons have been printed.
    #[error("the answer is no")]
    Denied,
    /// The ledger has no such entry.
    #[error("there is no entry {index}")]
    NoSuchEntry {
        /// Its index.
        index: u64,
    },
    /// A job did not succeed; its findings have been printed.
    #[error("job {}: {}", .0.job, .0.detail)]
    JobFailed(Box<JobFailed>),
    /// A job was called off.
    #[error("job {job} was called off")]
    JobCancelled {
        /// Which.
        job: String,
    },
    /// The session is one of a password, and this needs the person's own key.
    #[error("this needs your own key")]
    KeyNeeded,
    /// A check found rows that do not follow the standard; they have been printed.
    #[error("{kept_out} of {rows} rows do not follow the standard")]
    RowsKeptOut {
        /// Rows that would be kept out.
        kept_out: u64,
        /// Rows in the file.
        rows: u64,
    },
    /// Evidence or a ledger does not verify; where has been printed.
    #[error("{failed} of {all} do not verify")]
    NotVerified {
        /// How many do not.
        failed: usize,
        /// Of how many.
        all: usize,
    },
    /// A catalog record is filled in wrongly; where has been printed.
    #[error("{failed} findings block")]
    NotFilledIn {
        /// How many findings keep it from review.
        failed: usize,
    },
    /// No connection.
    #[error("{server}: {why}")]
    Unreachable {
        /// Which listener.
        server: String,
        /// What happened.
        why: String,
    },
    /// No answer, or no end of a job, in time.
    #[error("{what} took too long")]
    TimedOut {
        /// What.
        what: String,
    },
    /// The answer is not what this program knows.
    #[error("{server} answered what this program cannot read: {why}")]
    Answer {
        /// Which listener.
        server: String,
        /// What is wrong with it.
        why: String,
    },
    /// A key or signature could not be made or used.
    #[error(transparent)]
    Crypto(#[from] crypto::Error),
    /// A record has no canonical form, or an identifier the wrong one.
    #[error(transparent)]
    Record(#[from] schemas::Error),
    /// A ledger could not be read at all.
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
}

/// How a job failed.
#[derive(Clone, Debug)]
pub(crate) struct JobFailed {
    /// Which.
    pub(crate) job: String,
    /// What a program would act on.
    pub(crate) code: ErrorCode,
    /// Whether it was a publish job: then what is wrong with the file is a failed check.
    pub(crate) publish: bool,
    /// What failed and what to do.
    pub(crate) detail: String,
    /// Why a decision was no.
    pub(crate) reasons: Vec<Reason>,
    /// Where that decision stands in the ledger of whoever made it.
    pub(crate) ledger_index: Option<u64>,
}

impl Error {
    /// A file that could not be read or written.
    pub(crate) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
        source: std::io::Error,
    ) -> Self {
        Self::File {
            action,
            path: path.into(),
            source,
        }
    }

    /// Input that cannot be used.
    pub(crate) fn input(what: impl ToString, why: impl ToString) -> Self {
        Self::Input {
            what: what.to_string(),
            why: why.to_string(),
        }
    }

    /// The process's exit code.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Missing { .. }
            | Self::Input { .. }
            | Self::NoInput { .. }
            | Self::OpenToOthers { .. }
            | Self::KeyNeeded
            | Self::Crypto(crypto::Error::WrongPassphrase)
            | Self::Record(_) => USAGE,
            Self::File { source, .. } if source.kind() == std::io::ErrorKind::NotFound => USAGE,
            Self::File { source, .. } if source.kind() == std::io::ErrorKind::AlreadyExists => {
                USAGE
            }
            Self::File { .. }
            | Self::NotConfirmed
            | Self::JobCancelled { .. }
            | Self::Answer { .. }
            | Self::Crypto(_) => 1,
            Self::Problem(problem) => of_code(problem.code),
            Self::NoSuchEntry { .. } => 3,
            Self::Denied => 4,
            Self::JobFailed(it) if it.publish && is_about_the_file(it.code) => CHECK,
            Self::JobFailed(it) => of_code(it.code),
            Self::NotVerified { .. } | Self::NotFilledIn { .. } | Self::RowsKeptOut { .. } => CHECK,
            Self::Ledger(ledger::Error::NotALedger { .. }) => USAGE,
            Self::Ledger(ledger::Error::File { .. } | ledger::Error::StorageFull { .. }) => 1,
            Self::Ledger(_) => CHECK,
            Self::Unreachable { .. } => 7,
            Self::TimedOut { .. } => 8,
        }
    }
}

/// In a publish job, "cannot be read" and "too large" speak of the file, not of the command.
fn is_about_the_file(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::Invalid | ErrorCode::LimitExceeded)
}

/// Exit code of a problem's code.
fn of_code(code: ErrorCode) -> u8 {
    match code {
        ErrorCode::Invalid => USAGE,
        ErrorCode::NotFound => 3,
        ErrorCode::Unauthenticated | ErrorCode::Refused | ErrorCode::LockedOut => 4,
        ErrorCode::Conflict
        | ErrorCode::PreconditionFailed
        | ErrorCode::PreconditionRequired
        | ErrorCode::KeyReused => 5,
        ErrorCode::SchemaViolation | ErrorCode::QualityGateFailed | ErrorCode::Tampered => CHECK,
        ErrorCode::Unavailable => 7,
        ErrorCode::LimitExceeded | ErrorCode::StorageFull | ErrorCode::Internal => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_code_has_its_exit_code() {
        let told: Vec<(&str, u8)> = ErrorCode::ALL
            .iter()
            .map(|code| {
                let body = format!("{{\"code\":\"{code}\"}}");
                let problem = Problem::read(500, body.as_bytes());
                (code.as_str(), Error::Problem(Box::new(problem)).exit_code())
            })
            .collect();
        let expected = [
            ("INVALID", 2),
            ("SCHEMA_VIOLATION", 6),
            ("QUALITY_GATE_FAILED", 6),
            ("UNAUTHENTICATED", 4),
            ("REFUSED", 4),
            ("NOT_FOUND", 3),
            ("CONFLICT", 5),
            ("PRECONDITION_FAILED", 5),
            ("PRECONDITION_REQUIRED", 5),
            ("IDEMPOTENCY_KEY_REUSED", 5),
            ("LIMIT_EXCEEDED", 1),
            ("LOCKED_OUT", 4),
            ("UNAVAILABLE", 7),
            ("STORAGE_FULL", 1),
            ("TAMPERED", 6),
            ("INTERNAL", 1),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn a_file_that_breaks_its_standard_is_a_failed_check() {
        let failed = |publish, code| {
            Error::JobFailed(Box::new(JobFailed {
                job: "j".to_owned(),
                code,
                publish,
                detail: String::new(),
                reasons: Vec::new(),
                ledger_index: None,
            }))
        };
        assert_eq!(failed(true, ErrorCode::Invalid).exit_code(), 6);
        assert_eq!(failed(true, ErrorCode::SchemaViolation).exit_code(), 6);
        assert_eq!(failed(true, ErrorCode::Unavailable).exit_code(), 7);
        assert_eq!(failed(false, ErrorCode::Refused).exit_code(), 4);
    }
}
