//! What the Raft log is written to: ordered bytes with true syncs, fjall in every program.
//!
//! It does not know Raft. It is a trait so that a simulation can lose what was not synced, at any
//! moment, which no real disk does when it is asked.

use std::path::Path;

use bytes::Bytes;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use crate::Error;

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Write {
    /// The entry at an index.
    Entry(u64, Bytes),
    /// A note by name.
    Note(&'static str, Vec<u8>),
    /// No entries from the first index to the last.
    Remove(u64, u64),
}

/// Whether a write must be there after the power is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// Some time.
    Lazy,
    /// When the call returns, with everything that was written before.
    Synced,
}

/// Entries by index, and notes by name.
pub(crate) trait LogMedium: Send + Sync + 'static {
    /// A note.
    fn note(&self, name: &'static str) -> Result<Option<Bytes>, Error>;

    /// The entry with the highest index.
    fn last(&self) -> Result<Option<Bytes>, Error>;

    /// Hands the entries from `first` to `last` to `each`, in order, until it says false.
    fn entries(
        &self,
        first: u64,
        last: u64,
        each: &mut dyn FnMut(Bytes) -> Result<bool, Error>,
    ) -> Result<(), Error>;

    /// Makes changes, all of them or none.
    fn commit(&self, writes: Vec<Write>, durability: Durability) -> Result<(), Error>;
}

/// The log in fjall, whose journal has checksums.
pub(crate) struct Fjall {
    db: Database,
    entries: Keyspace,
    notes: Keyspace,
}

impl Fjall {
    /// Opens or makes the log in `dir`.
    ///
    /// # Errors
    /// [`Error::Store`] when fjall cannot open it.
    pub(crate) fn open(dir: &Path) -> Result<Self, Error> {
        let failed = |source: fjall::Error| Error::store("open the Raft log", source);
        let db = Database::builder(dir).open().map_err(failed)?;
        let entries = db
            .keyspace("entries", KeyspaceCreateOptions::default)
            .map_err(failed)?;
        let notes = db
            .keyspace("notes", KeyspaceCreateOptions::default)
            .map_err(failed)?;
        Ok(Self { db, entries, notes })
    }
}

impl LogMedium for Fjall {
    fn note(&self, name: &'static str) -> Result<Option<Bytes>, Error> {
        let found = self.notes.get(name).map_err(unread)?;
        Ok(found.map(|bytes| Bytes::copy_from_slice(&bytes)))
    }

    fn last(&self) -> Result<Option<Bytes>, Error> {
        let Some(last) = self.entries.last_key_value() else {
            return Ok(None);
        };
        let value = last.value().map_err(unread)?;
        Ok(Some(Bytes::copy_from_slice(&value)))
    }

    fn entries(
        &self,
        first: u64,
        last: u64,
        each: &mut dyn FnMut(Bytes) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        for found in self.entries.range(first.to_be_bytes()..=last.to_be_bytes()) {
            let value = found.value().map_err(unread)?;
            if !each(Bytes::copy_from_slice(&value))? {
                return Ok(());
            }
        }
        Ok(())
    }

    fn commit(&self, writes: Vec<Write>, durability: Durability) -> Result<(), Error> {
        let failed = |source: fjall::Error| Error::store("write the Raft log", source);
        let mode = match durability {
            Durability::Lazy => None,
            Durability::Synced => Some(PersistMode::SyncData),
        };
        let mut batch = self.db.batch().durability(mode);
        for write in writes {
            match write {
                Write::Entry(index, bytes) => {
                    batch.insert(&self.entries, index.to_be_bytes(), &bytes[..]);
                }
                Write::Note(name, bytes) => batch.insert(&self.notes, name, bytes),
                Write::Remove(first, last) => {
                    let range = first.to_be_bytes()..=last.to_be_bytes();
                    for found in self.entries.range(range) {
                        batch.remove(&self.entries, found.key().map_err(failed)?);
                    }
                }
            }
        }
        batch.commit().map_err(failed)
    }
}

fn unread(source: fjall::Error) -> Error {
    Error::store("read the Raft log", source)
}
