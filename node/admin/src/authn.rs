//! Who calls: the bearer token of a session, and the trace that ties a call together.
//!
//! It does not decide anything; it only says who asks.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::header::AUTHORIZATION;
use http::request::Parts as RequestParts;
use schemas::decision::Principal;

use crate::problem::Failure;
use crate::{Error, Parts};

/// Longest trace that a caller may choose, in characters; a longer or odd one is replaced.
const TRACE_CHARS_MAX: usize = 64;

/// The call's trace: the caller's `X-Request-Id` when it is harmless, else one of ours.
#[derive(Clone, Debug)]
pub(crate) struct Trace(pub(crate) String);

impl Trace {
    fn of(parts: &RequestParts) -> Self {
        let given = parts
            .headers
            .get("x-request-id")
            .and_then(|it| it.to_str().ok());
        let harmless = |text: &&str| {
            !text.is_empty()
                && text.len() <= TRACE_CHARS_MAX
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        match given.filter(harmless) {
            Some(text) => Self(text.to_owned()),
            None => Self(fresh()),
        }
    }

    /// Ends the call with an error.
    pub(crate) fn fail(&self, error: impl Into<Error>) -> Failure {
        Failure {
            error: error.into(),
            trace: self.0.clone(),
        }
    }
}

/// A new trace: 16 hexadecimal digits.
fn fresh() -> String {
    // Without random bytes the trace is worthless but the call is not: it says so.
    crypto::random_bytes::<8>()
        .map(|bytes| bytes.iter().map(|b| format!("{b:02x}")).collect())
        .unwrap_or_else(|_| "no-random-bytes".to_owned())
}

impl FromRequestParts<Arc<Parts>> for Trace {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut RequestParts,
        _: &Arc<Parts>,
    ) -> Result<Self, Self::Rejection> {
        Ok(Self::of(parts))
    }
}

/// A signed-in caller.
pub(crate) struct Caller {
    pub(crate) principal: Principal,
    pub(crate) token: String,
    pub(crate) trace: Trace,
}

impl Caller {
    /// Ends the call with an error.
    pub(crate) fn fail(&self, error: impl Into<Error>) -> Failure {
        self.trace.fail(error)
    }
}

impl FromRequestParts<Arc<Parts>> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(
        parts: &mut RequestParts,
        state: &Arc<Parts>,
    ) -> Result<Self, Failure> {
        let trace = Trace::of(parts);
        let token = parts
            .headers
            .get(AUTHORIZATION)
            .and_then(|it| it.to_str().ok())
            .and_then(|it| it.strip_prefix("Bearer "))
            .ok_or_else(|| trace.fail(Error::Unauthenticated))?;
        let principal = state
            .sessions
            .principal(token, state.clock.now())
            .map_err(|error| trace.fail(error))?;
        Ok(Self {
            principal,
            token: token.to_owned(),
            trace,
        })
    }
}
