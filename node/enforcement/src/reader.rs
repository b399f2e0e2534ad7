//! The ledger, as whoever holds a permit of `ledger.read` sees it.
//!
//! It does not append and does not close: reading is all that a permit to read allows.

use crypto::merkle::{ConsistencyProof, InclusionProof};
use crypto::{Digest, PublicKey};
use ledger::{Evidence, Ledger};
use schemas::Signed;
use schemas::ledger_entry::{Checkpoint, LedgerEntry, LedgerIdentity, LedgerIndex};

use crate::Error;

/// Reads one participant's ledger. Comes from [`crate::EnforcementPoint::reader`].
pub struct LedgerReader {
    ledger: Ledger,
    /// The participant's signing key.
    key: PublicKey,
}

impl LedgerReader {
    pub(crate) fn opened(ledger: Ledger, key: PublicKey) -> Self {
        Self { ledger, key }
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Whose ledger, and which life of it.
    #[must_use]
    pub fn identity(&self) -> LedgerIdentity {
        self.ledger.identity().clone()
    }

    /// How many entries there are.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.ledger.size()
    }

    /// SM3 Merkle root over them.
    #[must_use]
    pub fn root(&self) -> Digest {
        self.ledger.root()
    }

    /// One entry.
    ///
    /// # Errors
    /// [`Error::Ledger`] when there is none at `index` or its bytes were damaged.
    pub fn read(&self, index: LedgerIndex) -> Result<LedgerEntry, Error> {
        Ok(self.ledger.read(index)?)
    }

    /// At most `limit` entries from `from` on.
    ///
    /// # Errors
    /// [`Error::Ledger`] when one of them was damaged.
    pub fn scan(
        &self,
        from: LedgerIndex,
        limit: usize,
    ) -> Result<Vec<(LedgerIndex, LedgerEntry)>, Error> {
        Ok(self.ledger.scan(from, limit)?)
    }

    /// Proof that the entry at `index` is in the tree of `size` entries.
    ///
    /// # Errors
    /// [`Error::Ledger`] when the tree never had that size or that entry.
    pub fn inclusion(&self, index: LedgerIndex, size: u64) -> Result<InclusionProof, Error> {
        Ok(self.ledger.inclusion(index, size)?)
    }

    /// Proof that the tree of `old` entries is a prefix of the one of `new`.
    ///
    /// # Errors
    /// [`Error::Ledger`] when the tree never had those sizes.
    pub fn consistency(&self, old: u64, new: u64) -> Result<ConsistencyProof, Error> {
        Ok(self.ledger.consistency(old, new)?)
    }

    /// The last checkpoint that was signed here.
    #[must_use]
    pub fn latest_checkpoint(&self) -> Option<Signed<Checkpoint>> {
        self.ledger.latest_checkpoint()
    }

    /// One entry with everything that proves it under the newest checkpoint, for an auditor who
    /// verifies it offline.
    ///
    /// # Errors
    /// [`Error::Ledger`] when no checkpoint covers the entry yet, or its bytes were damaged.
    pub fn evidence(&self, index: LedgerIndex) -> Result<Evidence, Error> {
        Ok(self.ledger.evidence(index, &self.key)?)
    }
}
