//! Changes: a proposal that the person signed herself, or that the node signs with the key it
//! keeps for her while she is signed in with her password.
//!
//! It does not apply anything: the catalog does, and its answer is passed on.

use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse, Response};
use enforcement::Permit;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use schemas::command::{Author, Command, Outcome, PersonSignature, Proposal, SignedProposal};
use serde::{Deserialize, Serialize};

use crate::authn::Caller;
use crate::problem::Failure;
use crate::{Error, Parts};

/// The body of every call that changes the catalog.
#[derive(Clone, Debug, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Change {
    /// Signed by the person's own key.
    Signed(SignedProposal),
    /// To be signed with the key that the node keeps for her.
    Unsigned(Proposal),
}

impl Change {
    pub(crate) fn proposal(&self) -> &Proposal {
        match self {
            Self::Signed(signed) => &signed.proposal,
            Self::Unsigned(proposal) => proposal,
        }
    }

    pub(crate) fn command(&self) -> &Command {
        &self.proposal().command
    }
}

/// What became of a change.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub(crate) struct Changed {
    /// Catalog index at which it was applied; reads that state at least this index see it.
    pub(crate) catalog_index: u64,
    /// The record's new revision.
    pub(crate) revision: u64,
    /// Where the decision stands in the ledger.
    pub(crate) ledger_index: schemas::ledger_entry::LedgerIndex,
}

/// Refuses a body whose command does not belong to the route.
pub(crate) fn wrong_route(expected: &str) -> Error {
    Error::Invalid {
        why: format!("this call takes the command {expected}"),
    }
}

/// The revision that a change was made for must be what `If-Match` says.
pub(crate) fn if_match(headers: &HeaderMap, expected: u64) -> Result<(), Error> {
    let given = headers
        .get(header::IF_MATCH)
        .and_then(|it| it.to_str().ok());
    match given {
        None if expected == 0 => Ok(()),
        None => Err(Error::PreconditionRequired { expected }),
        Some(text) if text.trim_matches('"') == expected.to_string() => Ok(()),
        Some(text) => Err(Error::PreconditionFailed {
            given: text.chars().take(40).collect(),
            expected,
        }),
    }
}

/// Checks that the change is the caller's own and the idempotency key names it.
fn check_author(caller: &Caller, headers: &HeaderMap, proposal: &Proposal) -> Result<(), Error> {
    let own = Author::Person {
        participant: caller.principal.participant.clone(),
        person: caller
            .principal
            .person
            .clone()
            .ok_or(Error::Unauthenticated)?,
    };
    if proposal.author != own {
        return Err(Error::Invalid {
            why: "the proposal's author is not the person who is signed in".to_owned(),
        });
    }
    let key = headers
        .get("idempotency-key")
        .and_then(|it| it.to_str().ok());
    if key.is_some_and(|key| key.trim_matches('"') != proposal.id.as_str()) {
        return Err(Error::Invalid {
            why: "Idempotency-Key must be the proposal's id; it is what makes a retry the same \
                  change"
                .to_owned(),
        });
    }
    Ok(())
}

/// Proposes a change that the gate permitted, and answers with what became of it.
pub(crate) async fn propose(
    parts: &Parts,
    caller: &Caller,
    permit: &Permit,
    headers: &HeaderMap,
    change: Change,
) -> Result<Response, Failure> {
    check_author(caller, headers, change.proposal()).map_err(|error| caller.fail(error))?;
    let signed = match change {
        Change::Signed(signed) => signed,
        Change::Unsigned(proposal) => sign_for(parts, caller, proposal)
            .await
            .map_err(|error| caller.fail(error))?,
    };
    let applied = parts
        .catalog
        .propose(signed)
        .await
        .map_err(|error| caller.fail(error))?;
    match applied.outcome {
        Outcome::Applied { revision } => {
            catch_up(parts, applied.index).await;
            let body = Changed {
                catalog_index: applied.index,
                revision,
                ledger_index: permit.recorded_at(),
            };
            let mut response = (StatusCode::OK, Json(body)).into_response();
            let headers = response.headers_mut();
            headers.insert("x-catalog-index", HeaderValue::from(applied.index));
            headers.insert(header::ETAG, etag(revision));
            Ok(response)
        }
        Outcome::Refused { code, detail } => {
            Err(caller.fail(Error::CommandRefused { code, detail }))
        }
    }
}

/// Longest wait for this node's own replica after a change. Behind it, the caller reads what was
/// before her change, and is told the index at which it was made.
const CATCH_UP_MAX: Duration = Duration::from_secs(2);

/// Waits until this node's replica has the change too: another member may have applied it first,
/// and whoever was told "done" reads it here next.
async fn catch_up(parts: &Parts, index: u64) {
    let mut changed = parts.catalog.changed();
    let reached = changed.wait_for(|applied| *applied >= index);
    // A replica that is further behind says so by the age and index of what it answers.
    let _ = tokio::time::timeout(CATCH_UP_MAX, reached).await;
}

/// Signs with the key that the node keeps for a person who signed in with her password.
async fn sign_for(
    parts: &Parts,
    caller: &Caller,
    proposal: Proposal,
) -> Result<SignedProposal, Error> {
    let signer = parts.sessions.signer(&caller.token, parts.clock.now())?;
    let signer = signer.ok_or_else(|| Error::Invalid {
        why: "this session holds no key; sign the proposal with your own key and send it as \
              {\"signed\": ...}"
            .to_owned(),
    })?;
    let bytes = SignedProposal::signed_bytes(&proposal).map_err(catalog::Error::from)?;
    let signature = signer.sign(SignedProposal::LABEL, &bytes).await?;
    let key = signer.key_id();
    Ok(SignedProposal {
        proposal,
        signature: Some(PersonSignature { key, signature }),
    })
}

/// A strong entity tag: the revision in quotes.
pub(crate) fn etag(revision: u64) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{revision}\""))
        .unwrap_or_else(|_| HeaderValue::from_static("\"0\""))
}
