//! Why a command is not applied, before it becomes an outcome.
//!
//! It does not hold anything that differs between replicas: codes, identifiers and numbers only.

use schemas::command::{Outcome, RefusalCode};

/// A refusal: a normal answer, the same on every replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: RefusalCode,
    pub(crate) detail: String,
}

impl Refusal {
    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self {
            code: RefusalCode::NotFound,
            detail: detail.into(),
        }
    }

    pub(crate) fn conflict(detail: impl Into<String>) -> Self {
        Self {
            code: RefusalCode::Conflict,
            detail: detail.into(),
        }
    }

    pub(crate) fn not_allowed(detail: impl Into<String>) -> Self {
        Self {
            code: RefusalCode::NotAllowed,
            detail: detail.into(),
        }
    }

    pub(crate) fn invalid(detail: impl Into<String>) -> Self {
        Self {
            code: RefusalCode::Invalid,
            detail: detail.into(),
        }
    }

    pub(crate) fn signature(detail: impl Into<String>) -> Self {
        Self {
            code: RefusalCode::SignatureRejected,
            detail: detail.into(),
        }
    }

    pub(crate) fn clock_skew(detail: impl Into<String>) -> Self {
        Self {
            code: RefusalCode::ClockSkew,
            detail: detail.into(),
        }
    }

    pub(crate) fn wrong_state(detail: impl Into<String>) -> Self {
        Self {
            code: RefusalCode::WrongState,
            detail: detail.into(),
        }
    }
}

impl From<Refusal> for Outcome {
    fn from(refusal: Refusal) -> Self {
        Self::Refused {
            code: refusal.code,
            detail: refusal.detail,
        }
    }
}

/// Compares the revision that the caller saw with the one on record.
pub(crate) fn check_revision(what: &str, current: u64, seen: u64) -> Result<(), Refusal> {
    if current == seen {
        return Ok(());
    }
    Err(Refusal::conflict(format!(
        "{what} is at revision {current}, not {seen}; read it again and repeat the change"
    )))
}
