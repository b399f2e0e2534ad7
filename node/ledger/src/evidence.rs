//! One entry with everything that proves it, verified without the node and without its files.
//!
//! It does not prove that the key was the participant's at that time: whoever verifies brings the
//! key from the participant's certificate or from the catalog.

use crypto::merkle::{InclusionProof, leaf_digest};
use crypto::{KeyId, PublicKey};
use schemas::Signed;
use schemas::ledger_entry::{Checkpoint, LedgerEntry, LedgerIndex};
use serde::{Deserialize, Serialize};

use crate::entry::ENTRY_BYTES_MAX;
use crate::{Error, checkpoint, entry, proof};

/// One entry's canonical text, its place, the proof and the signed checkpoint. Self-contained: a
/// file of it can be handed to an auditor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// The entry's canonical JSON, exactly as recorded. At most [`ENTRY_BYTES_MAX`] bytes.
    pub entry: String,
    /// Its index.
    pub index: LedgerIndex,
    /// That it is in the tree of the checkpoint's size.
    pub inclusion: InclusionProof,
    /// The signed size and root.
    pub checkpoint: Signed<Checkpoint>,
    /// The participant's signing key, as the one who made this says. Whoever verifies compares it
    /// with the certificate.
    pub key: PublicKey,
}

/// What evidence proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// The entry.
    pub entry: LedgerEntry,
    /// Its index.
    pub index: LedgerIndex,
    /// The checkpoint it was proven under.
    pub checkpoint: Checkpoint,
    /// The key that signed the checkpoint.
    pub key: KeyId,
}

/// Verifies evidence against the participant's signing key, which the caller took from somewhere
/// he trusts.
///
/// # Errors
/// [`Error::NotProven`] naming the part that does not fit: key, checkpoint, inclusion proof or
/// entry.
pub fn verify(evidence: &Evidence, trusted: &PublicKey) -> Result<Proven, Error> {
    let refuse = |part, why: String| Err(Error::NotProven { part, why });
    if evidence.key.key_id() != trusted.key_id() {
        return refuse(
            "key",
            "it is not the participant's key that was given".to_owned(),
        );
    }
    let body = &evidence.checkpoint.body;
    checkpoint::verify(&evidence.checkpoint, &body.ledger, trusted)?;
    let bytes = evidence.entry.as_bytes();
    if bytes.len() > ENTRY_BYTES_MAX {
        return refuse("entry", format!("it has more than {ENTRY_BYTES_MAX} bytes"));
    }
    proof::verify_inclusion(
        body,
        evidence.index,
        &leaf_digest(bytes),
        &evidence.inclusion,
    )?;
    let recorded = match entry::decode(bytes) {
        Ok(recorded) => recorded,
        Err(source) => return refuse("entry", format!("it cannot be read: {source}")),
    };
    Ok(Proven {
        entry: recorded,
        index: evidence.index,
        checkpoint: body.clone(),
        key: evidence.checkpoint.key,
    })
}
