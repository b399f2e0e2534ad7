//! Checkpoints of the members' ledgers: each extends the one before, and others cosign it.
//!
//! It does not hold ledgers. A checkpoint that contradicts the one before is refused and names
//! both roots: it is the evidence of a fork.

use std::sync::Arc;

use crypto::Label;
use schemas::ledger_entry::{Checkpoint, CheckpointUpdate, Cosignature};
use schemas::{ParticipantId, canonical};

use super::Change;
use super::author::Acting;
use super::limits::COSIGNATURES_MAX;
use super::record::{Record, WitnessedCheckpoint};
use super::refusal::Refusal;
use super::store::State;

/// Makes a checkpoint known. By a node of the participant whose ledger it is.
pub(crate) fn publish(
    state: &State,
    acting: &Acting<'_>,
    update: &CheckpointUpdate,
) -> Result<Change, Refusal> {
    let next = &update.checkpoint.body;
    let owner = &next.ledger.participant;
    acting.node_of(owner)?;
    let known = state.participants.get(owner).ok_or_else(|| {
        Refusal::not_found(format!(
            "there is no participant {owner}; register it first"
        ))
    })?;
    if known.signing.key_id() != update.checkpoint.key {
        return Err(Refusal::signature(format!(
            "the checkpoint is not signed with the key of {owner}; sign it with that key"
        )));
    }
    if let Some(last) = state.checkpoints.get(owner) {
        let last = &last.update.checkpoint.body;
        if *last == *next {
            // The same again: nothing changes, and its cosignatures stay.
            return Ok(Change::new(next.size, Vec::new()));
        }
        check_extends(last, update)?;
    } else if update.consistency.is_some() {
        return Err(Refusal::invalid(
            "the first checkpoint of a ledger has no proof; leave it out",
        ));
    }
    let record = WitnessedCheckpoint {
        update: update.clone(),
        cosignatures: Vec::new(),
    };
    Ok(Change::new(
        next.size,
        vec![Record::Checkpoint(Arc::new(record))],
    ))
}

fn check_extends(last: &Checkpoint, update: &CheckpointUpdate) -> Result<(), Refusal> {
    let next = &update.checkpoint.body;
    let life = last.ledger.incarnation;
    if next.ledger.incarnation == life.saturating_add(1) {
        return match update.consistency {
            None => Ok(()),
            Some(_) => Err(Refusal::invalid(
                "the first checkpoint of an incarnation has no proof; leave it out",
            )),
        };
    }
    if next.ledger.incarnation != life {
        return Err(Refusal::invalid(format!(
            "the ledger is in incarnation {life}; {} does not follow it",
            next.ledger.incarnation
        )));
    }
    if next.size < last.size {
        return Err(Refusal::conflict(format!(
            "the last checkpoint has {} entries, this one {}; a ledger does not shrink, open a \
             new incarnation if entries were lost",
            last.size, next.size
        )));
    }
    if next.size == last.size && next.root == last.root {
        return Err(Refusal::conflict(format!(
            "a checkpoint of {} entries is known already; publish the next after new entries",
            last.size
        )));
    }
    let Some(proof) = &update.consistency else {
        return Err(fork(last, next, "it comes without proof"));
    };
    if proof.old_size != last.size || proof.new_size != next.size {
        return Err(Refusal::invalid(format!(
            "the proof goes from {} to {} entries; make one from {} to {}",
            proof.old_size, proof.new_size, last.size, next.size
        )));
    }
    proof
        .verify(&last.root, &next.root)
        .map_err(|_| fork(last, next, "its proof does not hold"))
}

/// The alarm: two signed heads of one ledger that are not shown to be one history.
fn fork(last: &Checkpoint, next: &Checkpoint, why: &str) -> Refusal {
    Refusal::invalid(format!(
        "FORK: the ledger of {} had root {} at {} entries and now claims root {} at {}, and \
         {why}; keep both checkpoints and call the auditor",
        last.ledger.participant, last.root, last.size, next.root, next.size
    ))
}

/// Adds a witness's cosignature. By a node of another participant. A node that also acts for the
/// ledger's owner holds the owner's key, so its word adds nothing and is refused.
pub(crate) fn witness(
    state: &State,
    acting: &Acting<'_>,
    participant: &ParticipantId,
    size: u64,
    cosignature: &Cosignature,
) -> Result<Change, Refusal> {
    let node = acting.node_of(&cosignature.witness)?;
    if cosignature.witness == *participant || node.hosts.contains(participant) {
        return Err(Refusal::not_allowed(format!(
            "node {} acts for {participant}; a member that does not, witnesses its ledger",
            node.id
        )));
    }
    if cosignature.node != node.id || cosignature.key != node.signing.key_id() {
        return Err(Refusal::signature(format!(
            "the cosignature must name node {} and its current key",
            node.id
        )));
    }
    let current = state.checkpoints.get(participant).ok_or_else(|| {
        Refusal::not_found(format!("there is no checkpoint of {participant} yet"))
    })?;
    let checkpoint = &current.update.checkpoint.body;
    if checkpoint.size != size {
        return Err(Refusal::conflict(format!(
            "the newest checkpoint of {participant} has {} entries, not {size}; cosign that one",
            checkpoint.size
        )));
    }
    if current
        .cosignatures
        .iter()
        .any(|it| it.witness == cosignature.witness)
    {
        return Err(Refusal::conflict(format!(
            "{} has cosigned this checkpoint already",
            cosignature.witness
        )));
    }
    if current.cosignatures.len() >= COSIGNATURES_MAX {
        return Err(Refusal::conflict(format!(
            "the checkpoint has {COSIGNATURES_MAX} cosignatures, which is the limit"
        )));
    }
    // The bytes that were cosigned are in the state, so this signature alone is checked here.
    let bytes =
        canonical::to_bytes(checkpoint).map_err(|error| Refusal::invalid(error.to_string()))?;
    node.signing
        .verify(Label::Cosignature, &bytes, &cosignature.signature)
        .map_err(|_| {
            Refusal::signature(format!(
                "the cosignature does not fit the checkpoint of {participant} at {size} entries; \
             sign its canonical bytes"
            ))
        })?;
    let mut record = WitnessedCheckpoint::clone(current);
    record.cosignatures.push(cosignature.clone());
    Ok(Change::new(
        size,
        vec![Record::Checkpoint(Arc::new(record))],
    ))
}
