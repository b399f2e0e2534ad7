//! A disk under the Raft log that loses what was not synced when the power is cut.
//!
//! It does not know what is written to it. What one life of a member left behind cannot be changed
//! by that life any more once the next has begun: its handle is dead.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;

use super::plan::Bug;
use super::seeded::Random;
use crate::Error;
use crate::raft::flusher::Position;
use crate::raft::log_medium::{Durability, LogMedium, Write};

/// One member's disk.
pub(super) struct Disk {
    inner: Mutex<Inner>,
}

#[derive(Clone, Default)]
struct Content {
    entries: BTreeMap<u64, Bytes>,
    notes: BTreeMap<&'static str, Bytes>,
}

impl Content {
    fn take(&mut self, write: &Write) {
        match write {
            Write::Entry(index, bytes) => {
                self.entries.insert(*index, bytes.clone());
            }
            Write::Note(name, bytes) => {
                self.notes.insert(name, Bytes::from(bytes.clone()));
            }
            Write::Remove(first, last) => {
                self.entries
                    .retain(|index, _| index < first || index > last);
            }
        }
    }
}

struct Inner {
    /// What is there after the power was cut.
    durable: Content,
    /// What readers see: the durable content and the journal behind it.
    seen: Content,
    /// Steps that are not synced, oldest first; each is there whole or not at all, because a torn
    /// one does not have its checksum.
    journal: Vec<Vec<Write>>,
    /// What the state store held the last time it was written; it is always behind.
    stored: Option<Position>,
    life: u64,
    bug: Option<Bug>,
}

impl Disk {
    pub(super) fn new(bug: Option<Bug>) -> Arc<Self> {
        Arc::new(Self {
            inner: Mutex::new(Inner {
                durable: Content::default(),
                seen: Content::default(),
                journal: Vec::new(),
                stored: None,
                life: 0,
                bug,
            }),
        })
    }

    /// A handle for the life that begins now.
    pub(super) fn open(self: &Arc<Self>) -> Handle {
        let life = self.inner().life;
        Handle {
            disk: Arc::clone(self),
            life,
        }
    }

    /// Cuts the power: of the steps that were not synced, the first few are there.
    pub(super) fn cut_power(&self, random: &mut Random) -> usize {
        let mut inner = self.inner();
        let steps = std::mem::take(&mut inner.journal);
        let most = u64::try_from(steps.len()).unwrap_or(0);
        let kept = usize::try_from(random.below(most + 1)).unwrap_or(0);
        let forgets_votes = inner.bug == Some(Bug::VoteNotPersisted);
        for write in steps.iter().take(kept).flatten() {
            if !(forgets_votes && is_vote(write)) {
                inner.durable.take(write);
            }
        }
        inner.seen = inner.durable.clone();
        inner.life += 1;
        steps.len() - kept
    }

    /// The disk is replaced by an empty one.
    pub(super) fn wipe(&self) {
        let mut inner = self.inner();
        inner.durable = Content::default();
        inner.seen = Content::default();
        inner.journal.clear();
        inner.stored = None;
        inner.life += 1;
    }

    /// What the state store holds.
    pub(super) fn stored(&self) -> Option<Position> {
        self.inner().stored.clone()
    }

    /// The state store is damaged, and set aside.
    pub(super) fn lose_stored(&self) {
        self.inner().stored = None;
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }
}

fn is_vote(write: &Write) -> bool {
    matches!(write, Write::Note("vote", _))
}

/// The disk as one life of its member sees it.
pub(super) struct Handle {
    disk: Arc<Disk>,
    life: u64,
}

impl Handle {
    fn inner(&self) -> Result<MutexGuard<'_, Inner>, Error> {
        let inner = self.disk.inner();
        if inner.life == self.life {
            Ok(inner)
        } else {
            Err(Error::store("use the disk", "the power was cut"))
        }
    }

    /// The state store is written.
    pub(super) fn store(&self, position: Position) {
        if let Ok(mut inner) = self.inner() {
            inner.stored = Some(position);
        }
    }
}

impl LogMedium for Handle {
    fn note(&self, name: &'static str) -> Result<Option<Bytes>, Error> {
        Ok(self.inner()?.seen.notes.get(name).cloned())
    }

    fn last(&self) -> Result<Option<Bytes>, Error> {
        let inner = self.inner()?;
        Ok(inner.seen.entries.values().next_back().cloned())
    }

    fn entries(
        &self,
        first: u64,
        last: u64,
        each: &mut dyn FnMut(Bytes) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        let inner = self.inner()?;
        for bytes in inner.seen.entries.range(first..=last).map(|(_, it)| it) {
            if !each(bytes.clone())? {
                return Ok(());
            }
        }
        Ok(())
    }

    fn commit(&self, writes: Vec<Write>, durability: Durability) -> Result<(), Error> {
        let mut inner = self.inner()?;
        for write in &writes {
            inner.seen.take(write);
        }
        let appends = writes.iter().any(|it| matches!(it, Write::Entry(..)));
        inner.journal.push(writes);
        let early = inner.bug == Some(Bug::AcknowledgedBeforeSync) && appends;
        if durability == Durability::Synced && !early {
            let forgets_votes = inner.bug == Some(Bug::VoteNotPersisted);
            for write in std::mem::take(&mut inner.journal).iter().flatten() {
                if !(forgets_votes && is_vote(write)) {
                    inner.durable.take(write);
                }
            }
        }
        Ok(())
    }
}
