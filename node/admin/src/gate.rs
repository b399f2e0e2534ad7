//! Every call passes the gate of the participant that the caller acts for.
//!
//! It does not decide: it builds the question and hands the answer on.

use std::sync::Arc;

use enforcement::{Ask, EnforcementPoint, Permit};
use schemas::code::Action;
use schemas::decision::DecisionRequest;
use schemas::ledger_entry::LedgerIndex;
use schemas::{DatasetId, GrantId};

use crate::authn::Caller;
use crate::problem::Failure;
use crate::{Error, Parts};

/// On what a call acts.
#[derive(Default)]
pub(crate) struct Target<'a> {
    pub(crate) dataset: Option<&'a DatasetId>,
    pub(crate) record: Option<String>,
    pub(crate) grant: Option<&'a GrantId>,
}

impl<'a> Target<'a> {
    pub(crate) fn dataset(dataset: &'a DatasetId) -> Self {
        Self {
            dataset: Some(dataset),
            ..Self::default()
        }
    }

    pub(crate) fn record(record: impl ToString) -> Self {
        Self {
            record: Some(record.to_string()),
            ..Self::default()
        }
    }
}

/// The gate of the caller's participant.
pub(crate) fn point<'a>(
    parts: &'a Parts,
    caller: &Caller,
) -> Result<&'a Arc<EnforcementPoint>, Failure> {
    parts.point(&caller.principal.participant).ok_or_else(|| {
        caller.fail(Error::Invalid {
            why: format!(
                "this node does not act for {}; call a node that does (GET /api/v1/nodes)",
                caller.principal.participant
            ),
        })
    })
}

/// What the caller asks of the gate.
pub(crate) fn question(caller: &Caller, action: Action, target: &Target<'_>) -> DecisionRequest {
    DecisionRequest {
        principal: caller.principal.clone(),
        action,
        dataset: target.dataset.cloned(),
        record: target.record.clone(),
        purpose: None,
        destination: caller.principal.jurisdiction,
        columns: None,
        // The gate sets the time of the decision itself.
        at: schemas::Timestamp::default(),
    }
}

/// Asks the gate; the answer is on the ledger either way.
pub(crate) async fn pass(
    parts: &Parts,
    caller: &Caller,
    action: Action,
    target: Target<'_>,
) -> Result<Permit, Failure> {
    let ask = Ask {
        trace: caller.trace.0.clone(),
        grant: target.grant.cloned(),
    };
    point(parts, caller)?
        .authorize(question(caller, action, &target), ask)
        .await
        .map_err(|refusal| caller.fail(refusal))
}

/// As [`pass`], for answers that are records and not rows: the decision is made and on the
/// ledger, and nothing is left to spend.
pub(crate) async fn admit(
    parts: &Parts,
    caller: &Caller,
    action: Action,
    target: Target<'_>,
) -> Result<LedgerIndex, Failure> {
    Ok(pass(parts, caller, action, target).await?.recorded_at())
}
