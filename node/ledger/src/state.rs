//! What the writer and all readers of one open ledger share.
//!
//! It does not write to segments.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crypto::merkle::leaf_digest;
use schemas::Signed;
use schemas::ledger_entry::{Checkpoint, LedgerIdentity, LedgerIndex};

use crate::index::Index;
use crate::scan::scan;
use crate::segment::{SegmentHeader, Stream};
use crate::store::Place;
use crate::tree::Tree;
use crate::{Error, store};

pub(crate) struct State {
    pub(crate) dir: PathBuf,
    pub(crate) identity: LedgerIdentity,
    pub(crate) index: Index,
    /// Entries that the index knows; behind the tree after the index failed.
    pub(crate) indexed: AtomicU64,
    /// Entries and bytes that wait for the writer.
    pub(crate) waiting: AtomicUsize,
    pub(crate) waiting_bytes: AtomicUsize,
    tree: RwLock<Tree>,
    latest: RwLock<Option<Signed<Checkpoint>>>,
    /// First index of each segment.
    segments: RwLock<BTreeSet<u64>>,
    /// Where each entry begins in its segment, in bytes: four bytes an entry, since no segment has
    /// more than 512 MiB.
    offsets: RwLock<Vec<u32>>,
}

impl State {
    pub(crate) fn new(
        dir: PathBuf,
        identity: LedgerIdentity,
        index: Index,
        tree: Tree,
        (segments, offsets): (BTreeSet<u64>, Vec<u32>),
    ) -> Self {
        Self {
            dir,
            identity,
            indexed: AtomicU64::new(index.indexed()),
            index,
            waiting: AtomicUsize::new(0),
            waiting_bytes: AtomicUsize::new(0),
            tree: RwLock::new(tree),
            latest: RwLock::new(None),
            segments: RwLock::new(segments),
            offsets: RwLock::new(offsets),
        }
    }

    /// The tree of all durable entries. No holder panics or waits, so a poisoned lock still
    /// guards a whole tree.
    pub(crate) fn tree(&self) -> RwLockReadGuard<'_, Tree> {
        self.tree.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn tree_mut(&self) -> RwLockWriteGuard<'_, Tree> {
        self.tree.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn latest(&self) -> Option<Signed<Checkpoint>> {
        self.latest
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn set_latest(&self, checkpoint: Signed<Checkpoint>) {
        *self.latest.write().unwrap_or_else(PoisonError::into_inner) = Some(checkpoint);
    }

    pub(crate) fn add_segment(&self, first: u64) {
        self.segments
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(first);
    }

    /// Remembers where the newest entries begin.
    pub(crate) fn add_offsets(&self, places: &[Place]) {
        let mut offsets = self.offsets.write().unwrap_or_else(PoisonError::into_inner);
        offsets.extend(places.iter().map(|place| offset(place.offset)));
    }

    fn place_of(&self, index: LedgerIndex) -> Option<Place> {
        let offsets = self.offsets.read().unwrap_or_else(PoisonError::into_inner);
        let offset = offsets.get(usize::try_from(index.0).ok()?)?;
        Some(Place {
            segment: self.segment_of(index),
            offset: u64::from(*offset),
        })
    }

    fn segment_of(&self, index: LedgerIndex) -> u64 {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        segments
            .range(..=index.0)
            .next_back()
            .copied()
            .unwrap_or_default()
    }

    /// An entry's bytes, which hash to its leaf in the tree. Where they do not, the segment is
    /// searched, so that the error says what is there.
    pub(crate) fn entry_bytes(&self, index: LedgerIndex) -> Result<Vec<u8>, Error> {
        let leaf = self.tree().leaf(index)?;
        if let Some(place) = self.place_of(index)
            && let Ok(Some(bytes)) = store::read_payload(&self.dir, place)
            && leaf_digest(&bytes) == leaf
        {
            return Ok(bytes);
        }
        let first = self.segment_of(index);
        let tampered = |offset, why: &str| Error::Tampered {
            segment: store::name_of(Stream::Entries, first),
            offset,
            index: index.0,
            why: why.to_owned(),
        };
        let file = store::read_file(&self.dir, Stream::Entries, first)?;
        let Ok((_, digest)) = SegmentHeader::decode(&file, Stream::Entries) else {
            return Err(tampered(
                0,
                "the header was changed since the ledger was opened",
            ));
        };
        let scanned = scan(&file, first, &digest);
        let Some(found) = scanned.found.iter().find(|found| found.index == index.0) else {
            return Err(tampered(
                scanned.tail,
                "an entry was changed since it was recorded",
            ));
        };
        let bytes = found.payload(&file);
        if leaf_digest(bytes) != leaf {
            return Err(tampered(
                found.offset,
                "an entry is not the one that was recorded",
            ));
        }
        Ok(bytes.to_vec())
    }
}

/// An offset as it is remembered; one that does not fit is never that of an entry, and the segment
/// is searched instead.
pub(crate) fn offset(offset: u64) -> u32 {
    u32::try_from(offset).unwrap_or(u32::MAX)
}
