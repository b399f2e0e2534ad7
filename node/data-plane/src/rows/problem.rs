//! The one table that turns the data plane's errors into HTTP answers (RFC 9457), with the members
//! that the REST interface has.
//!
//! It does not send internal text: that goes to the log under the same trace number.

use axum::Json;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use enforcement::Refusal;
use schemas::code::ErrorCode;
use schemas::decision::Reason;
use schemas::ledger_entry::LedgerIndex;
use serde::Serialize;

use crate::Error;

/// Seconds after which a caller tries again when a limit of concurrent work was reached.
const RETRY_AFTER_SECONDS: u64 = 2;

/// Longest trace that is taken over from a caller.
const TRACE_BYTES_MAX: usize = 64;

/// Ties the entries, log lines and answers of one request together.
#[derive(Clone, Debug)]
pub(crate) struct Trace(String);

impl Trace {
    /// The caller's `X-Request-Id`, or a new one.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let given = headers
            .get("x-request-id")
            .and_then(|value| value.to_str().ok())
            .filter(|text| !text.is_empty() && text.len() <= TRACE_BYTES_MAX)
            .filter(|text| text.bytes().all(|byte| byte.is_ascii_graphic()));
        match given {
            Some(text) => Self(text.to_owned()),
            None => Self(
                crypto::random_bytes::<8>().map_or_else(|_| "untraced".to_owned(), hex::encode),
            ),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A problem document. Boxed: it is the rare answer.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct Problem(Box<Document>);

#[derive(Debug, Serialize)]
struct Document {
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    detail: String,
    code: ErrorCode,
    trace: String,
    retryable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_s: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<Reason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ledger_index: Option<LedgerIndex>,
}

impl Problem {
    pub(crate) fn new(code: ErrorCode, detail: impl Into<String>, trace: &Trace) -> Self {
        let (status, title) = answer(code);
        Self(Box::new(Document {
            kind: format!("urn:kouan:problem:{}", code.as_str().to_ascii_lowercase()),
            title,
            status: status.as_u16(),
            detail: detail.into(),
            code,
            trace: trace.0.clone(),
            retryable: code == ErrorCode::Unavailable,
            retry_after_s: (code == ErrorCode::Unavailable).then_some(RETRY_AFTER_SECONDS),
            reasons: Vec::new(),
            ledger_index: None,
        }))
    }

    pub(crate) fn refused(refusal: &Refusal) -> Self {
        let trace = Trace(refusal.trace.clone());
        let mut problem = Self::new(ErrorCode::Refused, refusal.to_string(), &trace);
        problem.0.reasons.clone_from(&refusal.reasons);
        problem.0.ledger_index = refusal.recorded_at;
        problem
    }

    pub(crate) fn of(error: &Error, trace: &Trace) -> Self {
        let code = error.code();
        let detail = match code {
            ErrorCode::Internal | ErrorCode::Tampered => {
                tracing::error!(
                    trace = trace.as_str(),
                    error = error as &dyn std::error::Error,
                    "a request failed"
                );
                "the operation did not take effect; give the operator this trace number".to_owned()
            }
            ErrorCode::StorageFull => {
                tracing::error!(trace = trace.as_str(), "the disk is full");
                "the disk of the node is full; an operator has to free space".to_owned()
            }
            _ => error.to_string(),
        };
        Self::new(code, detail, trace)
    }
}

/// Status and title of each code.
fn answer(code: ErrorCode) -> (StatusCode, &'static str) {
    match code {
        ErrorCode::Invalid => (
            StatusCode::BAD_REQUEST,
            "The request cannot be used as it is",
        ),
        ErrorCode::SchemaViolation => (
            StatusCode::UNPROCESSABLE_ENTITY,
            "Rows do not follow the data standard",
        ),
        ErrorCode::QualityGateFailed => (
            StatusCode::UNPROCESSABLE_ENTITY,
            "The quality gate refused the version",
        ),
        ErrorCode::Unauthenticated => (StatusCode::UNAUTHORIZED, "Not signed in"),
        ErrorCode::Refused => (StatusCode::FORBIDDEN, "Refused"),
        ErrorCode::NotFound => (StatusCode::NOT_FOUND, "Not found"),
        ErrorCode::Conflict => (StatusCode::CONFLICT, "The record has moved"),
        ErrorCode::PreconditionFailed => (StatusCode::PRECONDITION_FAILED, "Another revision"),
        ErrorCode::PreconditionRequired => {
            (StatusCode::PRECONDITION_REQUIRED, "If-Match is missing")
        }
        ErrorCode::KeyReused => (
            StatusCode::UNPROCESSABLE_ENTITY,
            "Idempotency key used twice",
        ),
        ErrorCode::LimitExceeded => (StatusCode::PAYLOAD_TOO_LARGE, "Too large or too many"),
        ErrorCode::LockedOut => (StatusCode::TOO_MANY_REQUESTS, "Locked out"),
        ErrorCode::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "Not available now"),
        ErrorCode::StorageFull => (StatusCode::INSUFFICIENT_STORAGE, "Storage is full"),
        ErrorCode::Tampered => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "Evidence does not verify",
        ),
        ErrorCode::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "A defect of the node"),
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry = self.0.retry_after_s;
        let mut response = (status, Json(self)).into_response();
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
    fn every_code_has_an_answer_that_is_an_error() {
        let trace = Trace("t".to_owned());
        for code in ErrorCode::ALL {
            let problem = Problem::new(*code, "why", &trace);
            assert!(problem.0.status >= 400, "{code}");
            let response = problem.into_response();
            assert_eq!(
                response.headers().get(header::CONTENT_TYPE).unwrap(),
                "application/problem+json"
            );
        }
    }
}
