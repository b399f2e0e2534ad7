//! Persons of one batch, hashed as they come.
//!
//! It does not reserve and it does not know who a person is: whoever reads the rows says by which
//! bytes two persons are told apart.

use crypto::Zeroizing;
use crypto::digest::hmac_sm3_each;

use super::set::{Entry, Flags, settle};
use super::{BATCH_ENTRIES_MAX, Fault};

/// Persons that are hashed at one time: enough for all lanes, and it stays in the cache.
const HASHED_AT_ONCE: usize = 1_024;

/// Persons that come before those who came twice are looked for.
const UNSORTED_MIN: usize = 1 << 18;

/// A key of one set.
pub(crate) type SetKey = Zeroizing<[u8; 32]>;

/// One natural person in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Person<'a> {
    /// What tells her apart, in one spelling.
    pub id: &'a [u8],
    /// What the row holds of her; nothing of her that leaves, and she is not counted.
    pub kinds: Flags,
}

/// The persons of one batch. Memory grows with distinct persons, not with rows.
pub struct Count {
    /// One place a set.
    pub(super) sets: Vec<Counted>,
}

/// The persons of one batch under the key of one set.
pub(super) struct Counted {
    pub(super) set: usize,
    key: SetKey,
    entries: Vec<Entry>,
    /// When to look for those who came twice.
    full: usize,
}

impl Count {
    pub(super) fn new(keys: impl IntoIterator<Item = (usize, SetKey)>) -> Self {
        let sets = keys.into_iter().map(|(set, key)| Counted {
            set,
            key,
            entries: Vec::new(),
            full: UNSORTED_MIN,
        });
        Self {
            sets: sets.collect(),
        }
    }

    /// Takes persons in. It computes, and does not wait.
    ///
    /// # Errors
    /// [`Fault::TooMany`] for more distinct persons than a batch may have.
    pub fn take(&mut self, persons: &[Person<'_>]) -> Result<(), Fault> {
        for some in persons.chunks(HASHED_AT_ONCE) {
            let counted = some.iter().filter(|it| !it.kinds.is_empty());
            let (ids, kinds): (Vec<&[u8]>, Vec<Flags>) =
                counted.map(|it| (it.id, it.kinds)).unzip();
            for set in &mut self.sets {
                let hashes = hmac_sm3_each(&*set.key, &ids);
                let entries = hashes.iter().zip(&kinds).map(|(hash, kinds)| {
                    let cut = hash.as_bytes().first_chunk().copied();
                    Entry::new(cut.unwrap_or_default(), *kinds)
                });
                set.entries.extend(entries);
                if set.entries.len() >= set.full {
                    set.settle();
                }
            }
        }
        let held: usize = self.sets.iter().map(|it| it.entries.len()).sum();
        if held > BATCH_ENTRIES_MAX {
            self.sets.iter_mut().for_each(Counted::settle);
        }
        let held: usize = self.sets.iter().map(|it| it.entries.len()).sum();
        if held > BATCH_ENTRIES_MAX {
            return Err(Fault::TooMany {
                what: "persons",
                limit: BATCH_ENTRIES_MAX,
            });
        }
        Ok(())
    }
}

impl Counted {
    fn settle(&mut self) {
        settle(&mut self.entries);
        self.full = (self.entries.len() * 2).max(UNSORTED_MIN);
    }

    /// The persons, each once, in order.
    pub(super) fn finish(mut self) -> Vec<Entry> {
        settle(&mut self.entries);
        self.entries.shrink_to_fit();
        self.entries
    }
}

impl std::fmt::Debug for Count {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Count")
            .field("sets", &self.sets.len())
            .finish_non_exhaustive()
    }
}
