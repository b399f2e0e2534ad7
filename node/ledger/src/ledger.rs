//! The handle that everyone holds.
//!
//! It does not write; it queues for the writer and reads what is durable.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use crypto::merkle::{ConsistencyProof, InclusionProof};
use crypto::{Digest, Label, PublicKey, Signer};
use schemas::ledger_entry::{Checkpoint, LedgerEntry, LedgerIdentity, LedgerIndex};
use schemas::{Signed, Timestamp, canonical};
use tokio::sync::oneshot;

use crate::entry;
use crate::evidence::Evidence;
use crate::findings::{Finding, Look, Thresholds, Watch, What};
use crate::log::{Append, Message, StoreCheckpoint};
use crate::search::{Filter, Page, Term};
use crate::state::State;
use crate::{Error, Options, open};

/// Most entries that one [`Ledger::scan`] or search returns: a page, not the ledger.
pub const SCAN_ENTRIES_MAX: usize = 1_000;

/// Most entries that one [`Ledger::look`] reads: some seconds.
pub const LOOK_ENTRIES_MAX: u64 = 200_000;

/// Most bytes that one [`Ledger::scan`] returns, not counting the entry that exceeds it.
pub const SCAN_BYTES_MAX: usize = 16 << 20;

/// An open ledger. Clones share it; it closes when the last one is gone.
#[derive(Clone)]
pub struct Ledger {
    shared: Arc<Shared>,
}

struct Shared {
    state: Arc<State>,
    queue: Mutex<Option<SyncSender<Message>>>,
    queue_bytes_max: usize,
    thresholds: Thresholds,
    writer: Mutex<Option<JoinHandle<()>>>,
    /// One checkpoint is made after the other.
    checkpointing: tokio::sync::Mutex<()>,
}

impl Ledger {
    /// Opens the ledger in `dir`, or begins it there, and reads all of it: about 4 seconds a
    /// gigabyte. Blocks; call it before serving.
    ///
    /// A batch that was cut by a crash, and so never acknowledged, is removed.
    ///
    /// # Errors
    /// [`Error::Tampered`] when anything acknowledged is missing or changed, or when the last
    /// checkpoint is not a prefix of what is here; [`Error::ForeignLedger`] for another identity;
    /// [`Error::InUse`] when another process has it open; [`Error::StorageFull`],
    /// [`Error::File`] and [`Error::Index`] when the disk does not do its part.
    pub fn open(dir: &Path, identity: LedgerIdentity, options: Options) -> Result<Self, Error> {
        let queue_bytes_max = options.queue_bytes_max;
        let thresholds = options.findings.clone();
        let (sender, receiver) = sync_channel(options.queue_entries_max.max(1));
        let writer = open::open(dir, &identity, options)?;
        let state = writer.state.clone();
        let thread = std::thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || writer.run(&receiver))
            .map_err(|source| Error::file("start the writer of", dir, source))?;
        Ok(Self {
            shared: Arc::new(Shared {
                state,
                queue: Mutex::new(Some(sender)),
                queue_bytes_max,
                thresholds,
                writer: Mutex::new(Some(thread)),
                checkpointing: tokio::sync::Mutex::new(()),
            }),
        })
    }

    /// Appends an entry and returns its index once it is durable. Many callers at once share one
    /// sync. A caller that stops waiting does not stop its entry.
    ///
    /// # Errors
    /// [`Error::Pushback`] when the queue is full and [`Error::StorageFull`] when the disk is:
    /// nothing was recorded, try again later. [`Error::EntryTooLarge`] and [`Error::Record`] when
    /// the entry cannot be recorded. After [`Error::File`] and [`Error::WriterStopped`] the entry
    /// may or may not be there once the ledger is opened again.
    pub async fn append(&self, entry: LedgerEntry) -> Result<LedgerIndex, Error> {
        let encoded = entry::encode(&entry)?;
        let bytes = encoded.bytes.len();
        let (reply, answer) = oneshot::channel();
        let state = &self.shared.state;
        let waiting = state.waiting.fetch_add(1, Ordering::Relaxed);
        let waiting_bytes = state.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        let queued = if waiting_bytes.saturating_add(bytes) > self.shared.queue_bytes_max {
            Err(Error::Pushback { waiting })
        } else {
            self.send(Message::Append(Append { encoded, reply }), waiting)
        };
        if queued.is_err() {
            state.waiting.fetch_sub(1, Ordering::Relaxed);
            state.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
        queued?;
        answer.await.unwrap_or(Err(Error::WriterStopped))
    }

    fn send(&self, message: Message, waiting: usize) -> Result<(), Error> {
        let queue = self
            .shared
            .queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let sender = queue.as_ref().ok_or(Error::Closed)?;
        sender.try_send(message).map_err(|refused| match refused {
            TrySendError::Full(_) => Error::Pushback { waiting },
            TrySendError::Disconnected(_) => Error::WriterStopped,
        })
    }

    /// Whose ledger this is.
    #[must_use]
    pub fn identity(&self) -> &LedgerIdentity {
        &self.shared.state.identity
    }

    /// Number of durable entries.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.shared.state.tree().size()
    }

    /// SM3 Merkle root over all durable entries.
    #[must_use]
    pub fn root(&self) -> Digest {
        self.shared.state.tree().root()
    }

    /// One entry, checked against the tree.
    ///
    /// # Errors
    /// [`Error::NoSuchEntry`] beyond the last; [`Error::Tampered`] when the stored bytes are no
    /// longer those that were recorded.
    pub fn read(&self, index: LedgerIndex) -> Result<LedgerEntry, Error> {
        entry::decode(&self.shared.state.entry_bytes(index)?)
    }

    /// Entries from `from` on, ascending: at most `limit`, at most [`SCAN_ENTRIES_MAX`], and no
    /// more after [`SCAN_BYTES_MAX`] bytes. The end is reached when nothing is returned.
    ///
    /// # Errors
    /// As [`Ledger::read`], but beyond the last entry there is an empty page.
    pub fn scan(
        &self,
        from: LedgerIndex,
        limit: usize,
    ) -> Result<Vec<(LedgerIndex, LedgerEntry)>, Error> {
        let mut page = Vec::new();
        let mut bytes = 0;
        let mut index = from;
        let size = self.size();
        while index.0 < size && page.len() < limit.min(SCAN_ENTRIES_MAX) && bytes < SCAN_BYTES_MAX {
            let stored = self.shared.state.entry_bytes(index)?;
            bytes += stored.len();
            page.push((index, entry::decode(&stored)?));
            index = LedgerIndex(index.0 + 1);
        }
        Ok(page)
    }

    /// Entries that match, ascending from `from`, at most `limit` and [`SCAN_ENTRIES_MAX`]; with
    /// `size` only those below it, which is how the pages of one answer stay the same while the
    /// ledger grows. Some milliseconds, whatever the filter, over millions of entries.
    ///
    /// # Errors
    /// [`Error::Question`] for a span of time that holds nothing; [`Error::Index`] and
    /// [`Error::IndexDamaged`] when the index cannot be read: opening the ledger again rebuilds
    /// it.
    pub fn search(
        &self,
        filter: &Filter,
        from: LedgerIndex,
        size: Option<u64>,
        limit: usize,
    ) -> Result<Page, Error> {
        filter.check()?;
        let state = &self.shared.state;
        let indexed = state.indexed.load(Ordering::Acquire);
        let size = size.map_or(indexed, |size| size.min(indexed));
        let (terms, limit) = (filter.terms(), limit.min(SCAN_ENTRIES_MAX));
        state.index.search(&terms, filter, from, size, limit)
    }

    /// Entries below `size` that have one term, by the thousand.
    pub(crate) fn search_term(
        &self,
        term: &Term,
        from: LedgerIndex,
        size: u64,
    ) -> Result<Page, Error> {
        let state = &self.shared.state;
        let size = size.min(state.indexed.load(Ordering::Acquire));
        let terms = BTreeSet::from([term.clone()]);
        let (filter, limit) = (Filter::default(), SCAN_ENTRIES_MAX);
        state.index.search(&terms, &filter, from, size, limit)
    }

    /// An entry's bytes as recorded, checked against the tree.
    pub(crate) fn entry_bytes(&self, index: LedgerIndex) -> Result<Vec<u8>, Error> {
        self.shared.state.entry_bytes(index)
    }

    /// Why the index for searches had to be begun anew when the ledger was opened; none when it
    /// was whole, or when there was none yet. Nothing is lost: it is made from the entries.
    #[must_use]
    pub fn index_rebuilt(&self) -> Option<&'static str> {
        self.shared.state.index.rebuilt()
    }

    /// Looks for what an auditor should look at, among the newest [`LOOK_ENTRIES_MAX`] entries, and
    /// whether a checkpoint that others have (`known`) is of these entries. Unusual access is
    /// raised from `learn_until` on. Reads and blocks: about 20 microseconds an entry.
    ///
    /// # Errors
    /// As [`Ledger::read`].
    pub fn look(
        &self,
        now: Timestamp,
        learn_until: Option<Timestamp>,
        known: Option<&Checkpoint>,
    ) -> Result<Look, Error> {
        let mut watch = Watch::new(self.shared.thresholds.clone(), learn_until);
        let size = self.size();
        let mut next = LedgerIndex(size.saturating_sub(LOOK_ENTRIES_MAX));
        while next.0 < size {
            let page = self.scan(next, SCAN_ENTRIES_MAX)?;
            let Some((last, _)) = page.last() else {
                break;
            };
            next = LedgerIndex(last.0 + 1);
            for (index, entry) in page {
                watch.see(index, &entry);
            }
        }
        let mut look = watch.finish(now);
        let ours = known.filter(|it| it.ledger == *self.identity());
        if let Some(known) = ours
            && self.shared.state.tree().holds(known).is_err()
        {
            look.add(vec![Finding {
                what: What::Fork {
                    one: Box::new(known.clone()),
                    other: None,
                },
                at: known.at,
                entries: Vec::new(),
            }]);
        }
        Ok(look)
    }

    /// Bytes that the index's files take.
    #[must_use]
    pub fn index_bytes(&self) -> u64 {
        self.shared.state.index.bytes()
    }

    /// Durable entries that searches do not find yet, because the index could not be written.
    /// Reading finds them, and opening the ledger again indexes them.
    #[must_use]
    pub fn unindexed(&self) -> u64 {
        self.size()
            .saturating_sub(self.shared.state.indexed.load(Ordering::Acquire))
    }

    /// Proves that entry `index` is in the tree of `size` entries.
    ///
    /// # Errors
    /// [`Error::ProofRange`] unless `index < size <= self.size()`.
    pub fn inclusion(&self, index: LedgerIndex, size: u64) -> Result<InclusionProof, Error> {
        self.shared.state.tree().inclusion(index, size)
    }

    /// Proves that the tree of `old` entries is a prefix of that of `new`.
    ///
    /// # Errors
    /// [`Error::ProofRange`] unless `old <= new <= self.size()`.
    pub fn consistency(&self, old: u64, new: u64) -> Result<ConsistencyProof, Error> {
        self.shared.state.tree().consistency(old, new)
    }

    /// Signs size and root, stores that durably and returns it. When nothing was appended since
    /// the last checkpoint of the same key, that one is returned.
    ///
    /// # Errors
    /// [`Error::Sign`] when the key cannot sign now; [`Error::Pushback`], [`Error::StorageFull`],
    /// [`Error::File`] and [`Error::WriterStopped`] as for [`Ledger::append`].
    pub async fn checkpoint(
        &self,
        signer: &dyn Signer,
        at: Timestamp,
    ) -> Result<Signed<Checkpoint>, Error> {
        let _turn = self.shared.checkpointing.lock().await;
        let state = &self.shared.state;
        let (size, root) = {
            let tree = state.tree();
            (tree.size(), tree.root())
        };
        if let Some(latest) = state.latest()
            && latest.body.size == size
            && latest.key == signer.key_id()
        {
            return Ok(latest);
        }
        let body = Checkpoint {
            ledger: state.identity.clone(),
            size,
            root,
            at,
        };
        let signature = signer
            .sign(Label::Checkpoint, &canonical::to_bytes(&body)?)
            .await?;
        let checkpoint = Signed {
            body,
            key: signer.key_id(),
            signature,
        };
        let bytes = canonical::to_bytes(&checkpoint)?;
        let (reply, answer) = oneshot::channel();
        let stored = StoreCheckpoint {
            checkpoint: checkpoint.clone(),
            bytes,
            reply,
        };
        let waiting = state.waiting.load(Ordering::Relaxed);
        self.send(Message::Checkpoint(Box::new(stored)), waiting)?;
        answer.await.unwrap_or(Err(Error::WriterStopped))?;
        Ok(checkpoint)
    }

    /// The newest stored checkpoint.
    #[must_use]
    pub fn latest_checkpoint(&self) -> Option<Signed<Checkpoint>> {
        self.shared.state.latest()
    }

    /// One entry with everything that proves it under the newest checkpoint, for offline
    /// verification. `key` is the participant's signing key.
    ///
    /// # Errors
    /// [`Error::NotCheckpointed`] when no checkpoint covers the entry yet; otherwise as
    /// [`Ledger::read`].
    pub fn evidence(&self, index: LedgerIndex, key: &PublicKey) -> Result<Evidence, Error> {
        let state = &self.shared.state;
        let bytes = state.entry_bytes(index)?;
        let covering = state.latest().filter(|latest| index.0 < latest.body.size);
        let checkpoint = covering.ok_or(Error::NotCheckpointed { index })?;
        let inclusion = self.inclusion(index, checkpoint.body.size)?;
        let entry = String::from_utf8(bytes).map_err(|_| Error::NotProven {
            part: "entry",
            why: "its bytes are not UTF-8".to_owned(),
        })?;
        Ok(Evidence {
            entry,
            index,
            inclusion,
            checkpoint,
            key: key.clone(),
        })
    }

    /// What the writer shares, so that a test can make it wait.
    #[cfg(test)]
    pub(crate) fn state_for_tests(&self) -> Arc<State> {
        self.shared.state.clone()
    }

    /// Finishes what is queued, makes everything durable and ends the writer. Clones answer
    /// [`Error::Closed`] from then on to what they append, and can still read.
    pub async fn close(self) {
        let shared = self.shared.clone();
        // The last batch takes a sync or two: short, but not for an async thread.
        let ended = tokio::task::spawn_blocking(move || shared.end()).await;
        // The task neither panics nor is it cancelled before it ran; dropping ends it as well.
        drop(ended);
    }
}

impl Shared {
    fn end(&self) {
        self.queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let writer = self
            .writer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(writer) = writer {
            // The writer has no way to panic; if it did, what it acknowledged is durable.
            let _ = writer.join();
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.end();
    }
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger")
            .field("identity", self.identity())
            .finish_non_exhaustive()
    }
}
