//! The index for searches without a ledger around it, so that more entries can be searched than
//! there is room for. For examples that measure; not for use.
//!
//! It does not hold entries, and its tree is over their numbers.

use std::path::Path;

use crypto::Digest;
use schemas::ledger_entry::{LedgerEntry, LedgerIdentity, LedgerIndex};

use crate::Error;
use crate::index::Index;
use crate::search::{Filter, Page, keys};
use crate::tree::Tree;

/// An index that is filled and asked.
pub struct Searchable {
    index: Index,
    tree: Tree,
}

impl Searchable {
    /// Begins one, or opens the one that is there: then all it is asked for is what it holds.
    ///
    /// # Errors
    /// As [`crate::Ledger::open`].
    pub fn open(dir: &Path, identity: &LedgerIdentity) -> Result<Self, Error> {
        Ok(Self {
            index: Index::open(dir, identity)?,
            tree: Tree::new(),
        })
    }

    /// Adds entries; of their bytes nothing is kept.
    ///
    /// # Errors
    /// [`Error::Index`].
    pub fn add(&mut self, entries: &[LedgerEntry]) -> Result<(), Error> {
        for _ in entries {
            let number = self.tree.size().to_be_bytes();
            let mut leaf = [0; Digest::BYTES];
            leaf[..8].copy_from_slice(&number);
            self.tree.push(Digest::from_bytes(leaf));
        }
        self.index
            .add(entries.iter().map(keys).collect(), &self.tree)
    }

    /// As [`crate::Ledger::search`].
    ///
    /// # Errors
    /// As [`crate::Ledger::search`].
    pub fn search(&self, filter: &Filter, from: LedgerIndex, limit: usize) -> Result<Page, Error> {
        let terms = filter.terms();
        self.index.search(&terms, filter, from, u64::MAX, limit)
    }

    /// Entries that are indexed.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.index.indexed()
    }

    /// Bytes of its files, once everything is written.
    ///
    /// # Errors
    /// [`Error::Index`].
    pub fn bytes(&self) -> Result<u64, Error> {
        self.index.sync()?;
        Ok(self.index.bytes())
    }
}
