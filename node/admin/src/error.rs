//! Why a REST call did not do what was asked, before it becomes a wire answer.

use enforcement::{Refusal, SignInError};
use schemas::code::ErrorCode;
use schemas::command::RefusalCode;

use crate::enrolment::EnrolError;

/// Everything that can end a call. [`crate::problem`] turns each into one answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The call cannot be read.
    #[error("{why}")]
    Invalid {
        /// What is wrong and what to do.
        why: String,
    },
    /// The body is larger than any command.
    #[error("a body has at most {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// No bearer token, or one that ended.
    #[error("sign in first: POST /api/v1/sessions")]
    Unauthenticated,
    /// A sign-in was not accepted.
    #[error(transparent)]
    SignIn(#[from] SignInError),
    /// The gate said no.
    #[error("refused")]
    Refused(Refusal),
    /// No such record, or none that the caller may know of.
    #[error("no {kind} {id}")]
    NotFound {
        /// The kind of record.
        kind: &'static str,
        /// What was asked for.
        id: String,
    },
    /// The catalog refused the command.
    #[error("{detail}")]
    CommandRefused {
        /// Why, for programs.
        code: RefusalCode,
        /// Why, for people.
        detail: String,
    },
    /// `If-Match` names another revision than the command.
    #[error(
        "If-Match is {given}, the change was made for revision {expected}; read the record again"
    )]
    PreconditionFailed {
        /// What the header says.
        given: String,
        /// What the command says.
        expected: u64,
    },
    /// A change of an existing record came without `If-Match`.
    #[error("send If-Match with the revision that you read, for example If-Match: \"{expected}\"")]
    PreconditionRequired {
        /// The revision that the command names.
        expected: u64,
    },
    /// The catalog did not answer as needed.
    #[error(transparent)]
    Catalog(#[from] catalog::Error),
    /// A new node is not enrolled.
    #[error(transparent)]
    Enrol(#[from] EnrolError),
    /// The list of jobs did not answer as needed.
    #[error(transparent)]
    Jobs(#[from] jobs::Error),
    /// The gate did not work.
    #[error(transparent)]
    Enforcement(#[from] enforcement::Error),
    /// A key could not be used.
    #[error(transparent)]
    Crypto(#[from] crypto::Error),
    /// The server could not be set up.
    #[error("serve REST: {why}")]
    Serve {
        /// What happened.
        why: String,
    },
}

impl Error {
    /// The stable code of the answer.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Invalid { .. } => ErrorCode::Invalid,
            Self::TooLarge { .. } => ErrorCode::LimitExceeded,
            Self::Unauthenticated => ErrorCode::Unauthenticated,
            Self::SignIn(error) => match error {
                SignInError::LockedOut { .. } => ErrorCode::LockedOut,
                SignInError::Busy => ErrorCode::Unavailable,
                SignInError::Failed(_) => ErrorCode::Internal,
                _ => ErrorCode::Unauthenticated,
            },
            Self::Refused(_) => ErrorCode::Refused,
            Self::NotFound { .. } => ErrorCode::NotFound,
            Self::CommandRefused { code, .. } => match code {
                RefusalCode::NotFound => ErrorCode::NotFound,
                RefusalCode::Conflict | RefusalCode::WrongState => ErrorCode::Conflict,
                RefusalCode::NotAllowed => ErrorCode::Refused,
                RefusalCode::Invalid | RefusalCode::SignatureRejected | RefusalCode::ClockSkew => {
                    ErrorCode::Invalid
                }
            },
            Self::PreconditionFailed { .. } => ErrorCode::PreconditionFailed,
            Self::PreconditionRequired { .. } => ErrorCode::PreconditionRequired,
            Self::Catalog(error) => match error {
                catalog::Error::NoLeader { .. }
                | catalog::Error::Pushback { .. }
                | catalog::Error::TimedOut { .. }
                | catalog::Error::Peer { .. }
                | catalog::Error::Stopped { .. } => ErrorCode::Unavailable,
                catalog::Error::TooLarge { .. } => ErrorCode::LimitExceeded,
                catalog::Error::NotRegistered { .. } => ErrorCode::NotFound,
                catalog::Error::Membership { .. } => ErrorCode::Conflict,
                catalog::Error::NotFounded => ErrorCode::Conflict,
                catalog::Error::Record(_) => ErrorCode::Invalid,
                _ => ErrorCode::Internal,
            },
            Self::Enrol(error) => match error {
                EnrolError::NotInvited | EnrolError::Expired { .. } => ErrorCode::Unauthenticated,
                EnrolError::Used => ErrorCode::Conflict,
                EnrolError::Unfit { .. } => ErrorCode::Invalid,
                EnrolError::Failed { .. } => ErrorCode::Internal,
            },
            Self::Jobs(error) => match error {
                jobs::Error::KeyReused { .. } => ErrorCode::KeyReused,
                jobs::Error::IdReused { .. } | jobs::Error::WrongState { .. } => {
                    ErrorCode::Conflict
                }
                jobs::Error::FieldLength { .. } => ErrorCode::Invalid,
                jobs::Error::NotFound { .. } => ErrorCode::NotFound,
                // A full queue empties by itself.
                jobs::Error::TooManyQueued { .. } => ErrorCode::Unavailable,
                _ => ErrorCode::Internal,
            },
            Self::Enforcement(_) | Self::Crypto(_) | Self::Serve { .. } => ErrorCode::Internal,
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}
