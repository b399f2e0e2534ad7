//! Where each entry is, and which entries speak of a dataset, a participant or a time.
//!
//! It does not hold anything that the segments do not: it can be deleted at any time and is
//! rebuilt when the ledger opens. It is written after a batch is durable and never before, so if
//! it knows an entry that the segments do not have, the segments lost it.
//!
//! ```text
//! 'l' index                  -> segment, offset      'm' "entries"      -> entries indexed
//! 'd' dataset 0 index        ->                      'm' "checkpoints"  -> checkpoints stored
//! 'p' participant 0 index    ->                      'm' "identity"     -> whose
//! 't' milliseconds index     ->
//! ```

use std::fs;
use std::path::Path;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use schemas::ledger_entry::{LedgerIdentity, LedgerIndex};
use schemas::{DatasetId, ParticipantId, Timestamp, canonical};

use crate::Error;
use crate::entry::Keys;
use crate::store::Place;

pub(crate) struct Index {
    database: Database,
    keyspace: Keyspace,
}

impl Index {
    /// Opens the index; one that cannot be opened, or is another ledger's, is begun anew.
    pub(crate) fn open(dir: &Path, ledger: &LedgerIdentity) -> Result<Self, Error> {
        let path = dir.join("index");
        let identity = canonical::to_bytes(ledger)?;
        if let Ok(index) = Self::open_at(&path)
            && index.is_of(&identity)
        {
            return Ok(index);
        }
        match fs::remove_dir_all(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::file("remove the damaged index", &path, source));
            }
            _ => {}
        }
        let index = Self::open_at(&path)?;
        let written = index.keyspace.insert(meta(IDENTITY), identity);
        written.map_err(|source| Error::index("begin", source))?;
        Ok(index)
    }

    fn open_at(path: &Path) -> Result<Self, Error> {
        let open = || {
            let database = Database::builder(path)
                .worker_threads(1)
                .cache_size(CACHE_BYTES)
                .open()?;
            let keyspace = database.keyspace("ledger", KeyspaceCreateOptions::default)?;
            Ok(Self { database, keyspace })
        };
        open().map_err(|source| Error::index("open", source))
    }

    fn is_of(&self, identity: &[u8]) -> bool {
        // An index without identity was interrupted while it was begun, and holds nothing.
        matches!(self.keyspace.get(meta(IDENTITY)), Ok(Some(found)) if *found == *identity)
    }

    /// Entries that are indexed: all below this number.
    pub(crate) fn entries(&self) -> Result<u64, Error> {
        self.number(ENTRIES)
    }

    /// Checkpoints that were stored when this was last written.
    pub(crate) fn checkpoints(&self) -> Result<u64, Error> {
        self.number(CHECKPOINTS)
    }

    fn number(&self, name: &[u8]) -> Result<u64, Error> {
        let found = self
            .keyspace
            .get(meta(name))
            .map_err(|e| Error::index("read", e))?;
        let bytes = found
            .as_deref()
            .and_then(|bytes| bytes.first_chunk().copied());
        Ok(bytes.map_or(0, u64::from_be_bytes))
    }

    /// Adds entries from index `from` on, at once.
    pub(crate) fn add(&self, from: u64, entries: &[(Place, Keys)]) -> Result<(), Error> {
        let mut batch = self.database.batch().durability(Some(PersistMode::Buffer));
        let mut index = from;
        for (place, keys) in entries {
            let mut value = place.segment.to_be_bytes().to_vec();
            value.extend_from_slice(&place.offset.to_be_bytes());
            batch.insert(&self.keyspace, key(b'l', &[], index), value);
            let millis = keys.at.millis().to_be_bytes();
            batch.insert(&self.keyspace, key(b't', &millis, index), []);
            if let Some(dataset) = &keys.dataset {
                let prefix = terminated(dataset.as_str());
                batch.insert(&self.keyspace, key(b'd', &prefix, index), []);
            }
            for participant in &keys.participants {
                let prefix = terminated(participant.as_str());
                batch.insert(&self.keyspace, key(b'p', &prefix, index), []);
            }
            index += 1;
        }
        batch.insert(&self.keyspace, meta(ENTRIES), index.to_be_bytes());
        batch
            .commit()
            .map_err(|source| Error::index("extend", source))
    }

    /// Remembers how many checkpoints are stored.
    pub(crate) fn set_checkpoints(&self, count: u64) -> Result<(), Error> {
        let mut batch = self.database.batch().durability(Some(PersistMode::Buffer));
        batch.insert(&self.keyspace, meta(CHECKPOINTS), count.to_be_bytes());
        batch
            .commit()
            .map_err(|source| Error::index("extend", source))
    }

    /// Makes everything written so far durable.
    pub(crate) fn sync(&self) -> Result<(), Error> {
        self.database
            .persist(PersistMode::SyncData)
            .map_err(|e| Error::index("sync", e))
    }

    pub(crate) fn place(&self, index: LedgerIndex) -> Result<Option<Place>, Error> {
        let found = self
            .keyspace
            .get(key(b'l', &[], index.0))
            .map_err(|e| Error::index("read", e))?;
        Ok(found.and_then(|value| {
            let (segment, offset) = value.split_first_chunk()?;
            Some(Place {
                segment: u64::from_be_bytes(*segment),
                offset: u64::from_be_bytes(*offset.first_chunk()?),
            })
        }))
    }

    pub(crate) fn of_dataset(
        &self,
        dataset: &DatasetId,
        from: LedgerIndex,
        limit: usize,
    ) -> Result<Vec<LedgerIndex>, Error> {
        let prefix = terminated(dataset.as_str());
        self.indices(
            &key(b'd', &prefix, from.0),
            &key(b'd', &prefix, u64::MAX),
            limit,
        )
    }

    pub(crate) fn of_participant(
        &self,
        participant: &ParticipantId,
        from: LedgerIndex,
        limit: usize,
    ) -> Result<Vec<LedgerIndex>, Error> {
        let prefix = terminated(participant.as_str());
        self.indices(
            &key(b'p', &prefix, from.0),
            &key(b'p', &prefix, u64::MAX),
            limit,
        )
    }

    pub(crate) fn since(&self, from: Timestamp, limit: usize) -> Result<Vec<LedgerIndex>, Error> {
        let first = key(b't', &from.millis().to_be_bytes(), 0);
        let last = key(b't', &Timestamp::MAX.millis().to_be_bytes(), u64::MAX);
        self.indices(&first, &last, limit)
    }

    /// The indices at the end of the keys in a range.
    fn indices(&self, first: &[u8], last: &[u8], limit: usize) -> Result<Vec<LedgerIndex>, Error> {
        let mut indices = Vec::new();
        for item in self.keyspace.range(first..=last).take(limit) {
            let key = item
                .key()
                .map_err(|source| Error::index("search", source))?;
            if let Some(index) = key.last_chunk() {
                indices.push(LedgerIndex(u64::from_be_bytes(*index)));
            }
        }
        Ok(indices)
    }
}

fn key(kind: u8, prefix: &[u8], index: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + prefix.len() + 8);
    key.push(kind);
    key.extend_from_slice(prefix);
    key.extend_from_slice(&index.to_be_bytes());
    key
}

/// An identifier and a zero, which no identifier contains, so that none is a prefix of another.
fn terminated(identifier: &str) -> Vec<u8> {
    let mut bytes = identifier.as_bytes().to_vec();
    bytes.push(0);
    bytes
}

fn meta(name: &[u8]) -> Vec<u8> {
    let mut key = vec![b'm'];
    key.extend_from_slice(name);
    key
}

const ENTRIES: &[u8] = b"entries";
const CHECKPOINTS: &[u8] = b"checkpoints";
const IDENTITY: &[u8] = b"identity";

/// One node may host many ledgers, so each gets little.
const CACHE_BYTES: u64 = 4 << 20;
