//! One replica of a history: applies the log in pieces of its own, and loses and regains its state.
//!
//! It does not decide anything; it compares with what the writer of the log found.

use std::collections::BTreeMap;
use std::sync::Arc;

use catalog::state::{RecordKey, SnapshotHeader, State};

use crate::Entry;
use crate::seeded::Random;

/// What happens to a replica between entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    /// It applies some of what it has not yet.
    CatchUp,
    /// It writes what changed to its store.
    Flush,
    /// It stops, loads its store and applies the log behind it again.
    RestartFromStore,
    /// It writes a snapshot.
    Snapshot,
    /// It stops, loads its newest snapshot and applies the log behind it again.
    RestartFromSnapshot,
    /// It is sent the snapshot of another one that is further.
    Install,
}

impl Event {
    pub(crate) const ALL: [Self; 6] = [
        Self::CatchUp,
        Self::Flush,
        Self::RestartFromStore,
        Self::Snapshot,
        Self::RestartFromSnapshot,
        Self::Install,
    ];
}

/// A replica with what would be on its disk.
pub(crate) struct Replica {
    number: u64,
    random: Random,
    state: State,
    /// Changed since the store was written.
    changed: BTreeMap<RecordKey, Option<Vec<u8>>>,
    stored: BTreeMap<RecordKey, Vec<u8>>,
    stored_header: SnapshotHeader,
    snapshot: Option<Arc<[u8]>>,
}

impl Replica {
    pub(crate) fn new(number: u64, seed: u64, from: &State) -> Self {
        let mut replica = Self {
            number,
            random: Random::new(seed.wrapping_mul(31).wrapping_add(number)),
            state: from.clone(),
            changed: BTreeMap::new(),
            stored: BTreeMap::new(),
            stored_header: from.snapshot_header(),
            snapshot: None,
        };
        replica.store_whole();
        replica
    }

    pub(crate) const fn number(&self) -> u64 {
        self.number
    }

    pub(crate) const fn newest_snapshot(&self) -> Option<&Arc<[u8]>> {
        self.snapshot.as_ref()
    }

    /// Lets one thing happen.
    pub(crate) fn step(
        &mut self,
        log: &[Entry],
        snapshots: &[Arc<[u8]>],
        reached: &mut BTreeMap<Event, u64>,
    ) {
        let event = match self.random.below(100) {
            0..=69 => Event::CatchUp,
            70..=87 => Event::Flush,
            88..=91 => Event::RestartFromStore,
            92..=94 => Event::Snapshot,
            95..=96 => Event::RestartFromSnapshot,
            _ => Event::Install,
        };
        let happened = match event {
            Event::CatchUp => {
                let most = usize::try_from(1 + self.random.below(3)).unwrap();
                self.catch_up(log, most);
                true
            }
            Event::Flush => {
                self.flush();
                true
            }
            Event::RestartFromStore => {
                self.restart_from_store();
                true
            }
            Event::Snapshot => {
                self.snapshot = Some(self.snapshot().into());
                true
            }
            Event::RestartFromSnapshot => self.restart_from_snapshot(),
            Event::Install => self.install(snapshots),
        };
        if happened {
            *reached.entry(event).or_default() += 1;
        }
    }

    /// Applies all of the log and goes through the store once more.
    pub(crate) fn finish(&mut self, log: &[Entry]) {
        self.catch_up(log, log.len());
        self.flush();
        self.restart_from_store();
    }

    pub(crate) fn snapshot(&self) -> Vec<u8> {
        self.state.to_snapshot().unwrap()
    }

    fn catch_up(&mut self, log: &[Entry], most: usize) {
        let applied = self.state.applied();
        let missing = log.iter().filter(|entry| entry.index > applied);
        for entry in missing.take(most) {
            self.apply(entry);
        }
    }

    /// Applies one entry, cut into batches of this replica's own choice.
    fn apply(&mut self, entry: &Entry) {
        let mut outcomes = Vec::new();
        let mut rest = entry.proposals.as_slice();
        loop {
            let most = u64::try_from(rest.len()).unwrap();
            let size = usize::try_from(self.random.below(most + 1)).unwrap();
            let (batch, behind) = rest.split_at(size);
            let report = self.state.apply_recorded(entry.index, batch);
            outcomes.extend(report.outcomes);
            for (key, bytes) in report.written {
                self.changed.insert(key, bytes.map(|bytes| bytes.to_vec()));
            }
            rest = behind;
            if rest.is_empty() {
                break;
            }
        }
        assert_eq!(
            outcomes, entry.outcomes,
            "replica {} answers differently at {}",
            self.number, entry.index
        );
        assert_eq!(
            self.state.digest(),
            entry.digest,
            "replica {} has another digest at {}",
            self.number,
            entry.index
        );
    }

    fn flush(&mut self) {
        for (key, bytes) in std::mem::take(&mut self.changed) {
            match bytes {
                Some(bytes) => self.stored.insert(key, bytes),
                None => self.stored.remove(&key),
            };
        }
        self.stored_header = self.state.snapshot_header();
    }

    fn store_whole(&mut self) {
        self.changed.clear();
        self.stored = self.state.records().map(Result::unwrap).collect();
        self.stored_header = self.state.snapshot_header();
    }

    fn restart_from_store(&mut self) {
        self.changed.clear();
        let records = self.stored.iter().map(|(key, bytes)| (key.clone(), bytes));
        self.state = State::from_records(&self.stored_header, records).unwrap();
    }

    fn restart_from_snapshot(&mut self) -> bool {
        let Some(bytes) = &self.snapshot else {
            return false;
        };
        self.state = State::from_snapshot(&**bytes).unwrap();
        self.store_whole();
        true
    }

    /// Raft sends a snapshot only to whoever is behind it.
    fn install(&mut self, snapshots: &[Arc<[u8]>]) -> bool {
        let Some(bytes) = self.random.one(snapshots) else {
            return false;
        };
        let state = State::from_snapshot(&*bytes).unwrap();
        if state.applied() <= self.state.applied() {
            return false;
        }
        self.state = state;
        self.store_whole();
        self.snapshot = Some(bytes);
        true
    }
}
