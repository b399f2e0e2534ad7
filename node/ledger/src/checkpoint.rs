//! A checkpoint's bytes and its signature.
//!
//! It does not keep checkpoints and does not know whose key is whose: the caller brings the key
//! that the catalog names.

use crypto::{Label, PublicKey};
use schemas::ledger_entry::{Checkpoint, LedgerIdentity};
use schemas::{Signed, canonical};

use crate::Error;

/// Parses a stored checkpoint from its canonical bytes and no other spelling.
///
/// # Errors
/// [`Error::Record`] when the bytes are not a signed checkpoint in canonical form.
pub fn decode(bytes: &[u8]) -> Result<Signed<Checkpoint>, Error> {
    Ok(canonical::from_bytes(bytes)?)
}

/// Checks whose ledger a checkpoint is about, and the signature over it.
///
/// # Errors
/// [`Error::NotProven`] naming the ledger or the signature.
pub fn verify(
    checkpoint: &Signed<Checkpoint>,
    ledger: &LedgerIdentity,
    key: &PublicKey,
) -> Result<(), Error> {
    if checkpoint.body.ledger != *ledger {
        return Err(Error::NotProven {
            part: "checkpoint",
            why: format!(
                "it is about {} (incarnation {})",
                checkpoint.body.ledger.participant, checkpoint.body.ledger.incarnation
            ),
        });
    }
    checkpoint
        .verify(Label::Checkpoint, key)
        .map_err(|source| Error::NotProven {
            part: "checkpoint",
            why: source.to_string(),
        })
}
