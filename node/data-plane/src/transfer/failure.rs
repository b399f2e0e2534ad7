//! Why a transfer did not work, as its own side sees it.
//!
//! It does not speak gRPC: [`super::status`] turns it into wire answers and back.

use jobs::JobFailure;
use schemas::code::ErrorCode;
use schemas::decision::Reason;
use schemas::ledger_entry::LedgerIndex;

use crate::Error;

/// Why a transfer did not work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The provider's gate said no.
    #[error("the provider refused: {}{}", codes(reasons), entry(recorded_at.as_ref()))]
    Refused {
        reasons: Vec<Reason>,
        /// The entry in the provider's ledger.
        recorded_at: Option<LedgerIndex>,
    },
    /// The provider no longer has the release; a new one can be asked for.
    #[error("the provider has no such release; it ended or its node was restarted")]
    ReleaseGone,
    /// Something does not verify.
    #[error("{0} does not verify; nothing of this transfer was kept")]
    Rejected(&'static str),
    /// The provider's node cannot be reached or broke off.
    #[error("the provider's node did not answer: {why}")]
    Unreachable { why: String },
    /// The provider cannot do it, for a reason of its own.
    #[error("the provider's node could not do it: {why}")]
    Provider { why: String },
    /// No such record.
    #[error("no {what} {name}")]
    Missing { what: &'static str, name: String },
    /// The catalog did not open the transfer, and asking again changes nothing.
    #[error("the transfer was not opened: {why}")]
    NotOpened {
        /// What a program would act on.
        code: ErrorCode,
        /// The catalog's sentence.
        why: String,
        /// Why the grant gives nothing now.
        reasons: Vec<Reason>,
    },
    /// The catalog did not take what this node proposed.
    #[error("the catalog did not take it: {why}")]
    Catalog { why: String },
    /// The ledger did not take a receipt.
    #[error("a receipt could not be recorded: {why}")]
    NotRecorded { why: String },
    /// The job was cancelled.
    #[error("cancelled")]
    Cancelled,
    /// A record has no canonical form.
    #[error("write a record")]
    Record(#[from] schemas::Error),
    /// A key could not be used.
    #[error("use a key")]
    Key(#[from] crypto::Error),
    /// The node's own disk or tables.
    #[error("{0}")]
    Local(#[from] Error),
}

impl Failure {
    /// The stable code that programs match on.
    pub(crate) fn code(&self) -> ErrorCode {
        match self {
            Self::Refused { .. } => ErrorCode::Refused,
            Self::NotOpened { code, .. } => *code,
            Self::Rejected(_) => ErrorCode::Tampered,
            Self::ReleaseGone
            | Self::Unreachable { .. }
            | Self::Provider { .. }
            | Self::Catalog { .. }
            | Self::NotRecorded { .. } => ErrorCode::Unavailable,
            Self::Missing { .. } => ErrorCode::NotFound,
            Self::Cancelled => ErrorCode::Conflict,
            Self::Record(_) | Self::Key(_) => ErrorCode::Internal,
            Self::Local(error) => error.code(),
        }
    }
}

impl Failure {
    /// What the job says of it: for a refusal also why, on what that rests, and where it stands.
    pub(crate) fn into_job_failure(self) -> JobFailure {
        let failure = JobFailure::new(self.code(), self.to_string());
        match self {
            Self::Refused {
                reasons,
                recorded_at,
            } => failure.because(reasons, recorded_at),
            Self::NotOpened { reasons, .. } => failure.because(reasons, None),
            _ => failure,
        }
    }
}

fn codes(reasons: &[Reason]) -> String {
    let codes: Vec<&str> = reasons.iter().map(|reason| reason.code.as_str()).collect();
    codes.join(", ")
}

fn entry(recorded_at: Option<&LedgerIndex>) -> String {
    recorded_at.map_or_else(String::new, |index| format!(" (its ledger entry {index})"))
}
