//! An entry's bytes, its leaf in the tree, and under which keys it is found again.
//!
//! It does not store anything.

use std::collections::BTreeSet;

use crypto::{Digest, merkle};
use schemas::ledger_entry::{LedgerEntry, LedgerEvent};
use schemas::{DatasetId, ParticipantId, Timestamp, canonical};

use crate::Error;

/// Largest entry in canonical bytes: what a canonical record may be at most. A decision over a
/// thousand columns with full row filters stays below it.
pub const ENTRY_BYTES_MAX: usize = canonical::CANONICAL_BYTES_MAX;

/// An entry, ready to be appended: computed by the caller, so that many callers share the work.
pub(crate) struct Encoded {
    pub(crate) bytes: Vec<u8>,
    pub(crate) leaf: Digest,
    pub(crate) keys: Keys,
}

/// Under which keys an entry is found again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Keys {
    pub(crate) at: Timestamp,
    pub(crate) dataset: Option<DatasetId>,
    pub(crate) participants: BTreeSet<ParticipantId>,
}

/// The canonical bytes of an entry, its leaf digest and its keys.
pub(crate) fn encode(entry: &LedgerEntry) -> Result<Encoded, Error> {
    let bytes = canonical::to_bytes(entry)?;
    if bytes.len() > ENTRY_BYTES_MAX {
        return Err(Error::EntryTooLarge {
            bytes: bytes.len(),
            limit: ENTRY_BYTES_MAX,
        });
    }
    let leaf = merkle::leaf_digest(&bytes);
    Ok(Encoded {
        bytes,
        leaf,
        keys: keys(entry),
    })
}

/// Parses an entry from its canonical bytes and no other spelling.
///
/// # Errors
/// [`Error::Record`] when the bytes are not an entry in canonical form.
pub fn decode(bytes: &[u8]) -> Result<LedgerEntry, Error> {
    Ok(canonical::from_bytes(bytes)?)
}

pub(crate) fn keys(entry: &LedgerEntry) -> Keys {
    let mut dataset = None;
    let mut participants = BTreeSet::new();
    match &entry.event {
        LedgerEvent::Decided { request, facts, .. } => {
            dataset.clone_from(&request.dataset);
            participants.insert(request.principal.participant.clone());
            if let Some(grant) = &facts.grant {
                participants.insert(grant.consumer.clone());
                participants.insert(grant.provider.clone());
            }
        }
        LedgerEvent::Released {
            dataset: released, ..
        } => dataset = Some(released.clone()),
        LedgerEvent::Published {
            dataset: published, ..
        } => dataset = Some(published.clone()),
        LedgerEvent::Receipt { receipt } => {
            dataset = Some(receipt.body.dataset.clone());
            participants.insert(receipt.body.participant.clone());
        }
        LedgerEvent::Enrolled { participant, .. } => {
            participants.insert(participant.clone());
        }
        LedgerEvent::ReleaseEnded { .. }
        | LedgerEvent::SignedIn { .. }
        | LedgerEvent::PolicyInForce { .. }
        | LedgerEvent::Started { .. }
        | LedgerEvent::Gap { .. } => {}
    }
    Keys {
        at: entry.at,
        dataset,
        participants,
    }
}
