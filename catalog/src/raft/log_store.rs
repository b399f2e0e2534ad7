//! The Raft log and vote, with a true sync before anything is acknowledged. Only a leader's own
//! entries may be with its followers before they are on its disk: see `ahead.rs`.
//!
//! It does not know what entries mean, nor how bytes reach the disk; see `log_medium.rs`. A lost
//! tail or a forgotten vote is a broken promise in Raft, so nothing here is lazy except the note up
//! to where entries are committed, which only saves work after a restart.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::{Bound, RangeBounds};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use openraft::metrics::RaftServerMetrics;
use openraft::storage::{LogFlushed, RaftLogStorage};
use openraft::{
    AnyError, BasicNode, EntryPayload, ErrorSubject, ErrorVerb, LogState, OptionalSend,
    RaftLogReader, StorageIOError,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use crate::Error;
use crate::raft::ahead::Ahead;
use crate::raft::blocking::blocking;
use crate::raft::codec::{APPEND_BYTES_AIM, decode_entry, encode_entry};
use crate::raft::log_medium::{Durability, Fjall, LogMedium, Write};
use crate::raft::types::{Entry, LogId, StorageError, StoredMembership, TypeConfig, Vote};

/// A cheap handle to the log.
#[derive(Clone)]
pub(crate) struct LogStore {
    medium: Arc<dyn LogMedium>,
    recent: Arc<Mutex<Recent>>,
    ahead: Arc<Ahead>,
    /// While a test holds it, what is written behind does not reach the disk.
    #[cfg(test)]
    pub(crate) slow_disk: Arc<Mutex<()>>,
}

/// The end of the log in memory: appending, replicating and applying read the same entries
/// within milliseconds, and verdicts travel with them.
#[derive(Default)]
struct Recent {
    entries: BTreeMap<u64, (Entry, usize)>,
    bytes: usize,
}

impl Recent {
    /// Takes an entry in and lets old ones go that are on disk, which those before `unsynced` are.
    fn insert(&mut self, entry: Entry, bytes: usize, unsynced: u64) {
        self.bytes += bytes;
        if let Some((_, replaced)) = self.entries.insert(entry.log_id.index, (entry, bytes)) {
            self.bytes -= replaced;
        }
        while self.bytes > RECENT_BYTES_MAX
            && let Some(oldest) = self.entries.first_entry()
            && *oldest.key() < unsynced
        {
            self.bytes -= oldest.remove().1;
        }
    }

    fn remove(&mut self, first: u64, last: u64) {
        let inside: Vec<u64> = self
            .entries
            .range(first..=last)
            .map(|(index, _)| *index)
            .collect();
        for index in inside {
            if let Some((_, freed)) = self.entries.remove(&index) {
                self.bytes -= freed;
            }
        }
    }
}

/// Entries that are read until they are enough.
struct Lot {
    entries: Vec<Entry>,
    bytes: usize,
    bytes_max: usize,
}

impl Lot {
    const fn new(bytes_max: usize) -> Self {
        Self {
            entries: Vec::new(),
            bytes: 0,
            bytes_max,
        }
    }

    /// Takes one more, unless it is too much; the first never is.
    fn push(
        &mut self,
        bytes: usize,
        entry: impl FnOnce() -> Result<Entry, Error>,
    ) -> Result<bool, Error> {
        self.bytes = self.bytes.saturating_add(bytes);
        if !self.entries.is_empty() && self.bytes > self.bytes_max {
            return Ok(false);
        }
        self.entries.push(entry()?);
        Ok(true)
    }
}

/// About forty full entries; replication that lags further reads from disk.
const RECENT_BYTES_MAX: usize = 32 << 20;

const VOTE: &str = "vote";
const COMMITTED: &str = "committed";
const PURGED: &str = "purged";
const MEMBER: &str = "member";
const ADMITTED: &str = "admitted";
const STORED: &str = "stored";

impl LogStore {
    /// Opens or makes the log in `dir`.
    ///
    /// # Errors
    /// [`Error::Store`] when fjall cannot open it.
    pub(crate) fn open(dir: &Path) -> Result<Self, Error> {
        Self::over(Arc::new(Fjall::open(dir)?))
    }

    /// The log on this medium.
    ///
    /// # Errors
    /// [`Error::Store`] when its end cannot be read.
    pub(crate) fn over(medium: Arc<dyn LogMedium>) -> Result<Self, Error> {
        let mut log = Self {
            medium,
            recent: Arc::default(),
            ahead: Arc::new(Ahead::new(0)),
            #[cfg(test)]
            slow_disk: Arc::default(),
        };
        let last = log.last_id()?.or(log.purged()?);
        let last = last.map_or(0, |last| last.index);
        log.ahead = Arc::new(Ahead::new(last));
        Ok(log)
    }

    /// Whether there is neither an entry nor a vote: the member has promised nothing yet.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) fn is_fresh(&self) -> Result<bool, Error> {
        let vote: Option<Vote> = self.note(VOTE)?;
        let purged: Option<LogId> = self.note(PURGED)?;
        Ok(vote.is_none() && purged.is_none() && self.medium.last()?.is_none())
    }

    /// Up to where entries were removed.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) fn purged(&self) -> Result<Option<LogId>, Error> {
        self.note(PURGED)
    }

    /// Whose log this is, written down at its first opening.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) fn member(&self) -> Result<Option<u64>, Error> {
        self.note(MEMBER)
    }

    /// Writes down whose log this is.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) fn set_member(&self, raft_number: u64) -> Result<(), Error> {
        self.set_note(MEMBER, &raft_number)
    }

    /// Whether this member may take part: it founded the catalog, or a leader admitted it.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) fn is_admitted(&self) -> Result<bool, Error> {
        Ok(self.note(ADMITTED)?.unwrap_or(false))
    }

    /// Writes down that this member may take part.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) fn set_admitted(&self) -> Result<(), Error> {
        self.set_note(ADMITTED, &true)
    }

    /// Up to where the state store held everything the last time it was written; none when it was
    /// not. Older than the truth after a crash, never newer.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) fn stored(&self) -> Result<Option<LogId>, Error> {
        Ok(self.note(STORED)?.flatten())
    }

    /// Writes down up to where the state store holds everything. Not synced.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) fn set_stored(&self, last: Option<LogId>) -> Result<(), Error> {
        let note = Write::Note(STORED, encode_note(&last)?);
        self.medium.commit(vec![note], Durability::Lazy)
    }

    /// From now on it is known who votes, so that a leader's entries may be sent while they are
    /// synced.
    pub(crate) fn follow(&self, metrics: watch::Receiver<RaftServerMetrics<u64, BasicNode>>) {
        self.ahead.follow(metrics);
    }

    /// Says who voted when the state was applied, before Raft starts: whether this member was all
    /// of them, and no entry behind that changes it.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) fn stood(
        &self,
        me: u64,
        membership: &StoredMembership,
        applied: Option<LogId>,
    ) -> Result<(), Error> {
        let configs = membership.membership().get_joint_config();
        let alone = !configs.is_empty() && configs.iter().all(|it| it.iter().eq([&me]));
        let mut next = applied.map_or(0, |id| id.index.saturating_add(1));
        let mut changed = false;
        while alone && !changed {
            let read = self.read(next, u64::MAX, APPEND_BYTES_AIM)?;
            let Some(last) = read.last() else { break };
            next = last.log_id.index.saturating_add(1);
            changed = read
                .iter()
                .any(|entry| matches!(entry.payload, EntryPayload::Membership(_)));
        }
        self.ahead.stood_alone(alone && !changed);
        Ok(())
    }

    /// Waits until this member's disk has the log up to `index`.
    ///
    /// # Errors
    /// [`Error::Store`] when it never will.
    pub(crate) async fn synced(&self, index: u64) -> Result<(), Error> {
        self.ahead.until(index).await
    }

    fn note<T: DeserializeOwned>(&self, name: &'static str) -> Result<Option<T>, Error> {
        self.medium
            .note(name)?
            .map(|bytes| {
                serde_json::from_slice(&bytes)
                    .map_err(|source| Error::malformed("note of the Raft log", source))
            })
            .transpose()
    }

    fn set_note<T: Serialize>(&self, name: &'static str, value: &T) -> Result<(), Error> {
        let note = Write::Note(name, encode_note(value)?);
        self.medium.commit(vec![note], Durability::Synced)
    }

    fn insert(&self, entries: Vec<(u64, Bytes)>) -> Result<(), Error> {
        let writes = entries
            .into_iter()
            .map(|(index, bytes)| Write::Entry(index, bytes));
        self.medium.commit(writes.collect(), Durability::Synced)
    }

    /// Removes the entries from `first` to `last`, and writes a note in the same step.
    fn remove(
        &self,
        first: u64,
        last: u64,
        note: Option<(&'static str, Vec<u8>)>,
    ) -> Result<(), Error> {
        let note = note.map(|(name, value)| Write::Note(name, value));
        let writes = std::iter::once(Write::Remove(first, last)).chain(note);
        self.medium.commit(writes.collect(), Durability::Synced)
    }

    /// Reads entries from `first` to `last` until they have `bytes_max` bytes, at least one.
    ///
    /// The end of the log is what is asked for most often, and it is in memory whole; its very end
    /// may be nowhere else yet.
    fn read(&self, first: u64, last: u64, bytes_max: usize) -> Result<Vec<Entry>, Error> {
        let mut read = Lot::new(bytes_max);
        let mut next = first;
        while next <= last {
            let from_disk_until = {
                let recent = self.recent();
                match recent.entries.first_key_value() {
                    Some((oldest, _)) if *oldest <= next => {
                        for (_, (entry, len)) in recent.entries.range(next..=last) {
                            if !read.push(*len, || Ok(entry.clone()))? {
                                break;
                            }
                        }
                        break;
                    }
                    Some((oldest, _)) => last.min(oldest - 1),
                    None => last,
                }
            };
            let mut is_full = false;
            self.medium.entries(next, from_disk_until, &mut |value| {
                let goes_on = read.push(value.len(), || decode_entry(value))?;
                is_full = !goes_on;
                Ok(goes_on)
            })?;
            if is_full {
                break;
            }
            // Whatever left memory meanwhile comes after that and is on disk: look again.
            let Some(after) = from_disk_until.checked_add(1) else {
                break;
            };
            next = after;
        }
        Ok(read.entries)
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn last_id(&self) -> Result<Option<LogId>, Error> {
        if let Some((_, (last, _))) = self.recent().entries.last_key_value() {
            return Ok(Some(last.log_id));
        }
        let last = self.medium.last()?.map(decode_entry).transpose()?;
        Ok(last.map(|entry| entry.log_id))
    }

    /// Takes a leader's own entries in and syncs them beside; many appends in one sync when they
    /// come faster than the disk.
    fn write_behind(&self, entries: Vec<(u64, Bytes)>) {
        if !self.ahead.put(entries) {
            return;
        }
        let store = self.clone();
        tokio::spawn(async move {
            while let Some(entries) = store.ahead.take() {
                let last = entries.last().map_or(0, |(index, _)| *index);
                let written = store.blocking(move |store| {
                    #[cfg(test)]
                    let _slow_disk = store.slow_disk.lock();
                    store.insert(entries)
                });
                match written.await {
                    Ok(()) => store.ahead.reached(last),
                    Err(error) => {
                        // Nothing is written behind what is missing. As nobody else takes over the
                        // writing, all that waits is lost with this member's leadership.
                        tracing::error!(%error, "the Raft log failed; this member stops");
                        store.ahead.failed(&error);
                        return;
                    }
                }
            }
        });
    }

    /// Waits until all that was appended is on disk.
    async fn settle(&self) -> Result<(), Error> {
        let last = self.recent().entries.keys().next_back().copied();
        self.ahead.check()?;
        match last {
            Some(last) => self.ahead.until(last).await,
            None => Ok(()),
        }
    }

    fn remember(&self, entries: Vec<Entry>, lengths: Vec<usize>) {
        let unsynced = self.ahead.unsynced_from();
        let mut recent = self.recent();
        for (entry, len) in entries.into_iter().zip(lengths) {
            recent.insert(entry, len, unsynced);
        }
    }

    /// Runs blocking work off the runtime's threads, in the order in which it is awaited.
    async fn blocking(
        &self,
        work: impl FnOnce(&Self) -> Result<(), Error> + Send + 'static,
    ) -> Result<(), Error> {
        let store = self.clone();
        blocking("write the Raft log", move || work(&store)).await?
    }
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, StorageError> {
        let Some((first, last)) = inclusive(&range) else {
            return Ok(Vec::new());
        };
        self.read(first, last, usize::MAX)
            .map_err(|error| failed(ErrorVerb::Read, &error))
    }

    async fn limited_get_log_entries(
        &mut self,
        start: u64,
        end: u64,
    ) -> Result<Vec<Entry>, StorageError> {
        let Some((first, last)) = inclusive(&(start..end)) else {
            return Ok(Vec::new());
        };
        self.read(first, last, APPEND_BYTES_AIM)
            .map_err(|error| failed(ErrorVerb::Read, &error))
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, StorageError> {
        let read = || {
            let last_purged_log_id = self.purged()?;
            let last_log_id = self.last_id()?.or(last_purged_log_id);
            Ok(LogState {
                last_purged_log_id,
                last_log_id,
            })
        };
        read().map_err(|error: Error| failed(ErrorVerb::Read, &error))
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), StorageError> {
        let vote = *vote;
        self.ahead.voted(vote);
        self.blocking(move |store| store.set_note(VOTE, &vote))
            .await
            .map_err(|error| broken(ErrorSubject::Vote, ErrorVerb::Write, &error))
    }

    /// A member that led others when it stopped is not leader at once when it comes back, but has
    /// to be elected: followers may have entries of its term that it lost, and as leader of the
    /// same term it would give their places to others.
    async fn read_vote(&mut self) -> Result<Option<Vote>, StorageError> {
        let read = || {
            let vote: Option<Vote> = self.note(VOTE)?;
            // A log that does not say whose it is may be anybody's.
            let me = self.member()?;
            let own = |vote: &Vote| me.is_none() || vote.leader_id().voted_for() == me;
            Ok(vote.map(|vote| {
                if own(&vote) && !self.ahead.was_alone() {
                    Vote::new(vote.leader_id().term, vote.leader_id().node_id)
                } else {
                    vote
                }
            }))
        };
        read().map_err(|error: Error| broken(ErrorSubject::Vote, ErrorVerb::Read, &error))
    }

    /// Not synced: a lost note only means that fewer entries are applied before the leader speaks.
    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), StorageError> {
        let write = || {
            let note = Write::Note(COMMITTED, encode_note(&committed)?);
            self.medium.commit(vec![note], Durability::Lazy)
        };
        write().map_err(|error| failed(ErrorVerb::Write, &error))
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, StorageError> {
        let read = || {
            let committed: Option<LogId> = self.note(COMMITTED)?.flatten();
            // The note is not synced with the entries: believe it only as far as there are some.
            Ok(committed.min(self.last_id()?.or(self.purged()?)))
        };
        read().map_err(|error: Error| failed(ErrorVerb::Read, &error))
    }

    async fn append<I>(
        &mut self,
        entries: I,
        callback: LogFlushed<TypeConfig>,
    ) -> Result<(), StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        let encoded: Result<Vec<_>, Error> = entries
            .iter()
            .map(|entry| Ok((entry.log_id.index, encode_entry(entry)?)))
            .collect();
        let encoded = encoded.map_err(|error| failed(ErrorVerb::Write, &error))?;
        let lengths: Vec<usize> = encoded.iter().map(|(_, bytes)| bytes.len()).collect();
        if self.ahead.may_wait(&entries) {
            self.ahead
                .check()
                .map_err(|error| failed(ErrorVerb::Write, &error))?;
            self.remember(entries, lengths);
            self.write_behind(encoded);
            callback.log_io_completed(Ok(()));
            return Ok(());
        }
        let last = entries.last().map_or(0, |entry| entry.log_id.index);
        let written = match self.settle().await {
            Ok(()) => self.blocking(move |store| store.insert(encoded)).await,
            Err(error) => Err(error),
        };
        match written {
            Ok(()) => {
                self.ahead.reached(last);
                self.remember(entries, lengths);
                callback.log_io_completed(Ok(()));
                Ok(())
            }
            Err(error) => {
                let failure = failed(ErrorVerb::Write, &error);
                callback.log_io_completed(Err(std::io::Error::other(error.to_string())));
                Err(failure)
            }
        }
    }

    async fn truncate(&mut self, since: LogId) -> Result<(), StorageError> {
        self.settle()
            .await
            .map_err(|error| failed(ErrorVerb::Delete, &error))?;
        self.recent().remove(since.index, u64::MAX);
        self.ahead.truncated(since.index);
        self.blocking(move |store| store.remove(since.index, u64::MAX, None))
            .await
            .map_err(|error| failed(ErrorVerb::Delete, &error))
    }

    async fn purge(&mut self, upto: LogId) -> Result<(), StorageError> {
        // What waits for the disk must not get there after it was removed.
        self.settle()
            .await
            .map_err(|error| failed(ErrorVerb::Delete, &error))?;
        self.recent().remove(0, upto.index);
        self.ahead.purged(upto.index);
        self.blocking(move |store| store.remove(0, upto.index, Some((PURGED, encode_note(&upto)?))))
            .await
            .map_err(|error| failed(ErrorVerb::Delete, &error))
    }
}

fn encode_note<T: Serialize>(value: &T) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value).map_err(|source| Error::malformed("note of the Raft log", source))
}

/// The same range with both ends in it; none for an empty one.
fn inclusive(range: &impl RangeBounds<u64>) -> Option<(u64, u64)> {
    let first = match range.start_bound() {
        Bound::Included(first) => *first,
        Bound::Excluded(before) => before.checked_add(1)?,
        Bound::Unbounded => 0,
    };
    let last = match range.end_bound() {
        Bound::Included(last) => *last,
        Bound::Excluded(behind) => behind.checked_sub(1)?,
        Bound::Unbounded => u64::MAX,
    };
    (first <= last).then_some((first, last))
}

fn failed(verb: ErrorVerb, error: &Error) -> StorageError {
    broken(ErrorSubject::Logs, verb, error)
}

/// openraft stops the node on a storage error, which is right: it must not go on without its log.
pub(crate) fn broken(subject: ErrorSubject<u64>, verb: ErrorVerb, error: &Error) -> StorageError {
    StorageIOError::new(subject, verb, AnyError::new(error)).into()
}
