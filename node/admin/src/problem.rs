//! The one table that turns errors into REST answers: RFC 9457 problem documents with stable codes.
//!
//! It does not show internal text: what an operator needs is logged, what a caller needs is sent.

use axum::Json;
use axum::response::{IntoResponse, Response};
use enforcement::SignInError;
use http::{HeaderValue, StatusCode, header};
use schemas::code::ErrorCode;
use schemas::decision::Reason;
use schemas::ledger_entry::LedgerIndex;
use serde::{Deserialize, Serialize};

use crate::Error;

/// Seconds after which a caller tries again when a queue was full or no leader was known.
const RETRY_AFTER_SECONDS: u64 = 1;

/// A problem document (RFC 9457, section 3.1) with our members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Problem {
    /// What kind of problem, as a stable name.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in words.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// This case, with what to do.
    pub detail: String,
    /// Stable code for programs.
    pub code: ErrorCode,
    /// Ties this answer to log lines and ledger entries.
    pub trace: String,
    /// Whether the same call may work later.
    pub retryable: bool,
    /// Seconds to wait before that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u64>,
    /// Why a decision was no.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
    /// Where that decision stands in the ledger.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ledger_index: Option<LedgerIndex>,
}

/// HTTP status of each code.
#[must_use]
pub fn status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::Invalid => StatusCode::BAD_REQUEST,
        ErrorCode::SchemaViolation | ErrorCode::QualityGateFailed | ErrorCode::KeyReused => {
            StatusCode::UNPROCESSABLE_ENTITY
        }
        ErrorCode::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorCode::Refused => StatusCode::FORBIDDEN,
        ErrorCode::NotFound => StatusCode::NOT_FOUND,
        ErrorCode::Conflict => StatusCode::CONFLICT,
        ErrorCode::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
        ErrorCode::PreconditionRequired => StatusCode::PRECONDITION_REQUIRED,
        ErrorCode::LimitExceeded => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::LockedOut => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorCode::StorageFull => StatusCode::INSUFFICIENT_STORAGE,
        ErrorCode::Tampered | ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The kind of problem in words.
pub(crate) fn title(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::Invalid => "The request cannot be used as it is",
        ErrorCode::SchemaViolation => "Rows do not follow the data standard",
        ErrorCode::QualityGateFailed => "The quality gate refused the version",
        ErrorCode::Unauthenticated => "Not signed in",
        ErrorCode::Refused => "Refused",
        ErrorCode::NotFound => "Not found",
        ErrorCode::Conflict => "The record has moved",
        ErrorCode::PreconditionFailed => "Another revision",
        ErrorCode::PreconditionRequired => "If-Match is missing",
        ErrorCode::KeyReused => "Idempotency key used twice",
        ErrorCode::LimitExceeded => "Too large or too many",
        ErrorCode::LockedOut => "Locked out",
        ErrorCode::Unavailable => "Not available now",
        ErrorCode::StorageFull => "Storage is full",
        ErrorCode::Tampered => "Evidence does not verify",
        ErrorCode::Internal => "A defect of the node",
    }
}

impl Problem {
    /// The document for `error`.
    #[must_use]
    pub fn of(error: &Error, trace: &str) -> Self {
        let code = error.code();
        let retryable = matches!(code, ErrorCode::Unavailable | ErrorCode::LockedOut);
        let (detail, reasons, ledger_index) = match error {
            Error::Refused(refusal) => (
                sentence(&refusal.reasons),
                refusal.reasons.clone(),
                refusal.recorded_at,
            ),
            _ if matches!(code, ErrorCode::Internal | ErrorCode::Tampered) => (
                "the operation did not take effect; give the operator this trace number".to_owned(),
                Vec::new(),
                None,
            ),
            other => (other.to_string(), Vec::new(), None),
        };
        Self {
            kind: format!("urn:kouan:problem:{}", code.as_str().to_ascii_lowercase()),
            title: title(code).to_owned(),
            status: status(code).as_u16(),
            detail,
            code,
            trace: trace.to_owned(),
            retryable,
            retry_after_s: retry_after(error, code),
            reasons,
            ledger_index,
        }
    }
}

/// Seconds until the same call may work: known for a lock-out, a guess for a queue or an election.
fn retry_after(error: &Error, code: ErrorCode) -> Option<u64> {
    match error {
        Error::SignIn(SignInError::LockedOut { wait_ms, .. }) => {
            let wait_ms = u64::try_from(*wait_ms).unwrap_or(0);
            Some(wait_ms.div_ceil(1_000).max(RETRY_AFTER_SECONDS))
        }
        _ => (code == ErrorCode::Unavailable).then_some(RETRY_AFTER_SECONDS),
    }
}

/// The reasons as one sentence.
fn sentence(reasons: &[Reason]) -> String {
    let parts: Vec<String> = reasons
        .iter()
        .map(|reason| format!("{} ({})", reason.code, reason.cites))
        .collect();
    if parts.is_empty() {
        "refused".to_owned()
    } else {
        parts.join("; ")
    }
}

/// An error together with the trace of the call that it ended.
#[derive(Debug)]
pub struct Failure {
    /// What happened.
    pub error: Error,
    /// The call's trace.
    pub trace: String,
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let problem = Problem::of(&self.error, &self.trace);
        match problem.code {
            ErrorCode::Internal | ErrorCode::Tampered => {
                tracing::error!(trace = %self.trace, error = ?self.error, "a call failed");
            }
            ErrorCode::Unavailable => {
                tracing::warn!(trace = %self.trace, error = %self.error, "a call must wait");
            }
            code => tracing::debug!(trace = %self.trace, %code, "a call was not served"),
        }
        let status = status(problem.code);
        let retry = problem.retry_after_s;
        let mut response = (status, Json(problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(seconds) = retry {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_status_of_an_error() {
        for code in ErrorCode::ALL {
            let status = status(*code);
            assert!(
                status.is_client_error() || status.is_server_error(),
                "{code}"
            );
            assert!(!title(*code).is_empty());
        }
    }

    fn job() -> schemas::JobId {
        schemas::JobId::parse("j-1").unwrap()
    }

    #[test]
    fn a_mistake_of_the_caller_is_no_defect_of_ours() {
        let cases: [(Error, u16, Option<u64>); 7] = [
            (jobs::Error::KeyReused { job: job() }.into(), 422, None),
            (jobs::Error::IdReused { job: job() }.into(), 409, None),
            (jobs::Error::NotFound { job: job() }.into(), 404, None),
            (
                jobs::Error::WrongState {
                    job: job(),
                    state: jobs::JobState::Failed,
                    refused: "it has ended",
                }
                .into(),
                409,
                None,
            ),
            (
                jobs::Error::FieldLength {
                    field: "key",
                    found: 0,
                    limit: 128,
                }
                .into(),
                400,
                None,
            ),
            (
                jobs::Error::TooManyQueued {
                    queued: 1_000,
                    limit: 1_000,
                }
                .into(),
                503,
                Some(1),
            ),
            (
                SignInError::LockedOut {
                    until: schemas::Timestamp::from_millis(9),
                    wait_ms: 60_001,
                }
                .into(),
                429,
                Some(61),
            ),
        ];
        for (error, status, retry_after_s) in cases {
            let problem = Problem::of(&error, "t-1");
            assert_eq!(
                (problem.status, problem.retry_after_s),
                (status, retry_after_s),
                "{error}"
            );
            assert_eq!(problem.retryable, retry_after_s.is_some(), "{error}");
            assert_eq!(problem.detail, error.to_string());
        }
    }

    #[test]
    fn an_internal_failure_says_nothing_of_the_inside() {
        let error = Error::Serve {
            why: "store at disk seven".to_owned(),
        };
        let problem = Problem::of(&error, "t-1");
        assert!(!serde_json::to_string(&problem).unwrap().contains("seven"));
    }
}
