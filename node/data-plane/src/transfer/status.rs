//! The table between failures and gRPC answers, in both directions.
//!
//! It does not tell a peer what went wrong inside: of a defect only the code is sent.

use enforcement::Refusal;
use schemas::decision::Reason;
use schemas::ledger_entry::LedgerIndex;
use serde::{Deserialize, Serialize};
use tonic::{Code, Status};

use super::Failure;
use crate::Error;

/// Most bytes of details that are read from a peer.
const DETAILS_BYTES_MAX: usize = 64 << 10;

/// Most characters of a peer's message that are kept.
const MESSAGE_CHARS_MAX: usize = 300;

/// What a refusal carries besides its code.
#[derive(Debug, Serialize, Deserialize)]
struct Details {
    reasons: Vec<Reason>,
    ledger_index: Option<LedgerIndex>,
    trace: String,
}

/// A refusal of the gate, as the peer gets it.
pub(crate) fn refused(refusal: &Refusal) -> Status {
    let details = Details {
        reasons: refusal.reasons.clone(),
        ledger_index: refusal.recorded_at,
        trace: refusal.trace.clone(),
    };
    let details = serde_json::to_vec(&details).unwrap_or_default();
    Status::with_details(Code::PermissionDenied, refusal.to_string(), details.into())
}

/// A failure on the provider's side, as the peer gets it.
pub(crate) fn failed(failure: &Failure) -> Status {
    match failure {
        Failure::ReleaseGone => Status::not_found("no such release"),
        Failure::Missing { what, .. } => Status::not_found(format!("no such {what}")),
        Failure::Rejected(what) => Status::invalid_argument(format!("{what} does not verify")),
        Failure::Local(Error::Missing { what, .. }) => {
            Status::not_found(format!("no such {what} on this node"))
        }
        Failure::Catalog { .. } | Failure::NotRecorded { .. } | Failure::Unreachable { .. } => {
            Status::unavailable("try again")
        }
        Failure::Refused { .. }
        | Failure::NotOpened { .. }
        | Failure::Provider { .. }
        | Failure::Cancelled
        | Failure::Record(_)
        | Failure::Key(_)
        | Failure::Local(_) => {
            tracing::error!(error = %failure, "serve a transfer");
            Status::internal("the provider's node has to be looked at")
        }
    }
}

/// A gRPC answer, as the consumer understands it.
pub(crate) fn understood(status: &Status) -> Failure {
    let message: String = status
        .message()
        .chars()
        .filter(|it| !it.is_control())
        .take(MESSAGE_CHARS_MAX)
        .collect();
    match status.code() {
        Code::PermissionDenied => {
            let details = status.details();
            let read = (details.len() <= DETAILS_BYTES_MAX)
                .then(|| serde_json::from_slice::<Details>(details).ok())
                .flatten();
            match read {
                Some(read) => Failure::Refused {
                    reasons: read.reasons,
                    recorded_at: read.ledger_index,
                },
                None => Failure::Provider { why: message },
            }
        }
        Code::NotFound => Failure::ReleaseGone,
        Code::Unavailable | Code::ResourceExhausted | Code::Cancelled | Code::DeadlineExceeded => {
            Failure::Unreachable { why: message }
        }
        // A connection that breaks in the middle of a stream arrives as one of these two.
        Code::Unknown | Code::Internal if status.details().is_empty() && is_broken(status) => {
            Failure::Unreachable { why: message }
        }
        _ => Failure::Provider { why: message },
    }
}

/// Whether the status was made here, by a transport that broke, and not by the peer.
fn is_broken(status: &Status) -> bool {
    std::error::Error::source(status).is_some()
}
