//! What the node answers when it does not do what was asked: RFC 9457 problem documents.
//!
//! It does not put them into words; [`crate::output`] does.

use schemas::code::ErrorCode;
use schemas::decision::Reason;
use serde::Deserialize;

/// A problem document, as both listeners of the node write it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Problem {
    /// Stable code.
    pub(crate) code: ErrorCode,
    /// This case, with what to do.
    #[serde(default)]
    pub(crate) detail: String,
    /// Ties the answer to log lines and ledger entries.
    #[serde(default)]
    pub(crate) trace: String,
    /// Seconds after which the same call may work.
    #[serde(default)]
    pub(crate) retry_after_s: Option<u64>,
    /// Why a decision was no.
    #[serde(default)]
    pub(crate) reasons: Vec<Reason>,
    /// Where that decision stands in the ledger.
    #[serde(default)]
    pub(crate) ledger_index: Option<u64>,
}

impl Problem {
    /// The problem in `body`, or what the status alone says: a proxy answers without one.
    pub(crate) fn read(status: u16, body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_else(|_| Self {
            code: of_status(status),
            detail: format!("HTTP {status}"),
            trace: String::new(),
            retry_after_s: None,
            reasons: Vec::new(),
            ledger_index: None,
        })
    }
}

fn of_status(status: u16) -> ErrorCode {
    match status {
        401 => ErrorCode::Unauthenticated,
        403 => ErrorCode::Refused,
        404 | 410 => ErrorCode::NotFound,
        409 => ErrorCode::Conflict,
        412 => ErrorCode::PreconditionFailed,
        413 => ErrorCode::LimitExceeded,
        428 => ErrorCode::PreconditionRequired,
        429 => ErrorCode::LockedOut,
        502..=504 => ErrorCode::Unavailable,
        507 => ErrorCode::StorageFull,
        500..=599 => ErrorCode::Internal,
        _ => ErrorCode::Invalid,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_read_from_its_document_or_from_the_status() {
        let body = br#"{"type":"urn:kouan:problem:refused","title":"Refused","status":403,
            "detail":"d","code":"REFUSED","trace":"t","retryable":false,"ledger_index":7,
            "reasons":[{"code":"X5","cites":"PIPL 36"}]}"#;
        let read = Problem::read(403, body);
        assert_eq!(
            (read.code, read.ledger_index),
            (ErrorCode::Refused, Some(7))
        );
        assert_eq!(read.reasons[0].cites, "PIPL 36");
        assert_eq!(Problem::read(503, b"<html>").code, ErrorCode::Unavailable);
        assert_eq!(Problem::read(500, b"").code, ErrorCode::Internal);
        assert_eq!(Problem::read(418, b"").code, ErrorCode::Invalid);
    }
}
