//! Checking proofs between checkpoints: what a witness or an auditor runs.
//!
//! It does not make proofs (that is [`crate::tree`]) and does not check signatures (that is
//! [`crate::checkpoint`]).

use crypto::Digest;
use crypto::merkle::{ConsistencyProof, InclusionProof};
use schemas::ledger_entry::{Checkpoint, LedgerIndex};

use crate::Error;

/// Checks that the entry with digest `leaf` stands at `index` under the checkpoint.
///
/// # Errors
/// [`Error::NotProven`] when the proof is for another index or size, or leads to another root.
pub fn verify_inclusion(
    checkpoint: &Checkpoint,
    index: LedgerIndex,
    leaf: &Digest,
    proof: &InclusionProof,
) -> Result<(), Error> {
    let refuse = |why: String| {
        Err(Error::NotProven {
            part: "inclusion proof",
            why,
        })
    };
    if proof.index != index.0 || proof.size != checkpoint.size {
        return refuse(format!(
            "it is for entry {} of {}, not for entry {index} of {}",
            proof.index, proof.size, checkpoint.size
        ));
    }
    if proof.verify(leaf, &checkpoint.root).is_err() {
        return refuse("it does not lead from the entry to the checkpoint's root".to_owned());
    }
    Ok(())
}

/// Checks that `new` extends `old`: the same ledger, and nothing before `old.size` has changed.
///
/// # Errors
/// [`Error::NotProven`] when the ledgers, the sizes or the roots do not fit.
pub fn verify_consistency(
    old: &Checkpoint,
    new: &Checkpoint,
    proof: &ConsistencyProof,
) -> Result<(), Error> {
    let refuse = |why: String| {
        Err(Error::NotProven {
            part: "consistency proof",
            why,
        })
    };
    if old.ledger != new.ledger {
        return refuse("the checkpoints are of two ledgers".to_owned());
    }
    if proof.old_size != old.size || proof.new_size != new.size {
        return refuse(format!(
            "it is from {} to {} entries, the checkpoints are over {} and {}",
            proof.old_size, proof.new_size, old.size, new.size
        ));
    }
    if proof.verify(&old.root, &new.root).is_err() {
        return refuse("the older checkpoint is not a prefix of the newer one".to_owned());
    }
    Ok(())
}
