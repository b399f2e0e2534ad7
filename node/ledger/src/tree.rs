//! The SM3 tree over all durable entries, in memory: about 64 bytes an entry.
//!
//! It does not know entries, only their leaf digests, and it never forgets one. A million entries
//! take 64 MB; tiles on disk would lift that and are not needed at the sizes we know.

use crypto::Digest;
use crypto::merkle::{ConsistencyProof, InclusionProof};
use schemas::ledger_entry::{Checkpoint, LedgerIndex};

use crate::Error;

/// The tree of one ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree(crypto::merkle::Tree);

impl Tree {
    /// A tree without leaves.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a leaf digest.
    pub fn push(&mut self, leaf: Digest) {
        self.0.push(leaf);
    }

    /// Number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.0.len()
    }

    /// The root over all leaves.
    #[must_use]
    pub fn root(&self) -> Digest {
        self.0.root()
    }

    /// One leaf digest.
    ///
    /// # Errors
    /// [`Error::NoSuchEntry`] beyond the last.
    pub fn leaf(&self, index: LedgerIndex) -> Result<Digest, Error> {
        let missing = || Error::NoSuchEntry {
            index,
            size: self.size(),
        };
        self.0.leaf(index.0).ok_or_else(missing)
    }

    /// The root that the first `size` leaves had.
    ///
    /// # Errors
    /// [`Error::ProofRange`] when there were never so many.
    pub fn root_at(&self, size: u64) -> Result<Digest, Error> {
        self.0.root_at(size).map_err(|_| self.range(size, size))
    }

    /// Proves that entry `index` is in the tree of `size` entries.
    ///
    /// # Errors
    /// [`Error::ProofRange`] unless `index < size` and `size` is at most what there is.
    pub fn inclusion(&self, index: LedgerIndex, size: u64) -> Result<InclusionProof, Error> {
        self.0
            .inclusion(index.0, size)
            .map_err(|_| self.range(index.0, size))
    }

    /// Proves that the tree of `old` entries is a prefix of the tree of `new`.
    ///
    /// # Errors
    /// [`Error::ProofRange`] unless `old <= new` and `new` is at most what there is.
    pub fn consistency(&self, old: u64, new: u64) -> Result<ConsistencyProof, Error> {
        self.0
            .consistency(old, new)
            .map_err(|_| self.range(old, new))
    }

    /// Whether a checkpoint is a prefix of this tree; otherwise, why not.
    ///
    /// # Errors
    /// A sentence: too few entries, or other ones.
    pub fn holds(&self, checkpoint: &Checkpoint) -> Result<(), String> {
        let size = checkpoint.size;
        let Ok(root) = self.root_at(size) else {
            return Err(format!(
                "a checkpoint over {size} entries was signed, and only {} are here",
                self.size()
            ));
        };
        if root != checkpoint.root {
            return Err(format!(
                "the first {size} entries hash to {root}, the checkpoint over them says {}",
                checkpoint.root
            ));
        }
        Ok(())
    }

    fn range(&self, from: u64, to: u64) -> Error {
        Error::ProofRange {
            from,
            to,
            size: self.size(),
        }
    }
}
