//! An entry's bytes and its leaf in the tree.
//!
//! It does not store anything.

use crypto::{Digest, merkle};
use schemas::canonical;
use schemas::ledger_entry::LedgerEntry;

use crate::Error;
use crate::search::{Keys, keys};

/// Largest entry in canonical bytes: what a canonical record may be at most. A decision over a
/// thousand columns with full row filters stays below it.
pub const ENTRY_BYTES_MAX: usize = canonical::CANONICAL_BYTES_MAX;

/// An entry, ready to be appended: computed by the caller, so that many callers share the work.
pub(crate) struct Encoded {
    pub(crate) bytes: Vec<u8>,
    pub(crate) leaf: Digest,
    pub(crate) keys: Keys,
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
