//! Verdicts over the signatures of batches: before a batch is proposed and before it is applied.
//!
//! It does not decide by itself: `state::verify_batch` does, as a function of the batch and of the
//! state just before it. What was found before proposing is used again when applying only if no
//! key in the state changed in between, because then the function gives the same.

use bytes::Bytes;
use schemas::command::{Outcome, RefusalCode};

use crate::Error;
use crate::raft::codec::decode_batch;
use crate::state::{ApplyReport, Batch, RecordKind, Signer, State, VerifiedProposal, verify_batch};

/// A batch whose signatures were checked against the keys of one moment.
#[derive(Debug)]
pub(crate) struct VerifiedBatch {
    /// Which keys the state had: see [`changes_keys`].
    keys_epoch: u64,
    proposals: Vec<VerifiedProposal>,
}

impl VerifiedBatch {
    /// Checks every signature of a batch. Takes a third of a millisecond a signature, so it
    /// belongs on a thread that may block.
    pub(crate) fn check(state: &State, keys_epoch: u64, batch: &Batch) -> Self {
        Self {
            keys_epoch,
            proposals: verify_batch(state, batch),
        }
    }

    /// The outcomes, where no signature at all holds: then there is nothing to propose.
    pub(crate) fn all_rejected(&self) -> Option<Vec<Outcome>> {
        self.proposals
            .iter()
            .map(|proposal| match proposal.signer() {
                Signer::Rejected { why } => Some(Outcome::Refused {
                    code: RefusalCode::SignatureRejected,
                    detail: why.clone(),
                }),
                Signer::Person(_) | Signer::Node { .. } => None,
            })
            .collect()
    }
}

/// Applies one committed batch, with the verdicts that travelled along where they still hold.
///
/// # Errors
/// [`Error::Malformed`] for bytes that are not a batch; they change nothing, alike on every
/// replica, since reading them depends on nothing else.
pub(crate) fn apply(
    state: &mut State,
    keys_epoch: u64,
    index: u64,
    bytes: &Bytes,
    verified: Option<&VerifiedBatch>,
) -> Result<ApplyReport, Error> {
    if let Some(verified) = verified.filter(|verified| verified.keys_epoch == keys_epoch) {
        return Ok(state.apply_recorded(index, &verified.proposals));
    }
    let batch = decode_batch(bytes)?;
    Ok(state.apply_batch(index, &batch))
}

/// Whether a change of these records can change what a signature is checked against. Each such
/// change begins a new epoch of keys.
pub(crate) fn changes_keys(report: &ApplyReport) -> bool {
    report.written.iter().any(|(key, _)| match key.kind() {
        RecordKind::Federation
        | RecordKind::Participant
        | RecordKind::Node
        | RecordKind::Person => true,
        RecordKind::Clock
        | RecordKind::Standard
        | RecordKind::Dataset
        | RecordKind::Submission
        | RecordKind::Version
        | RecordKind::Request
        | RecordKind::Contract
        | RecordKind::Grant
        | RecordKind::Transfer
        | RecordKind::PolicySet
        | RecordKind::RulePack
        | RecordKind::Instrument
        | RecordKind::Approval
        | RecordKind::Supervision
        | RecordKind::Dispute
        | RecordKind::Correction
        | RecordKind::Delegation
        | RecordKind::EmergencyReview
        | RecordKind::Checkpoint
        | RecordKind::Command => false,
    })
}
