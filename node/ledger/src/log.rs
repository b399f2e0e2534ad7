//! The one writer of a ledger: drains a bounded queue, writes a batch, syncs once, then answers.
//!
//! It does not wait for more work when there is some: while one batch is synced, the next one
//! collects in the queue, so batches grow with the load and a lone append waits for nobody.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, TryRecvError};

use crypto::merkle::leaf_digest;
use schemas::Signed;
use schemas::ledger_entry::{Checkpoint, LedgerIndex};
use tokio::sync::oneshot;

use crate::append::Appender;
use crate::entry::Encoded;
use crate::options::BATCH_BYTES_MAX;
use crate::state::State;
use crate::store::Place;
use crate::{Error, Options};

/// What the writer is asked to do.
pub(crate) enum Message {
    Append(Append),
    Checkpoint(Box<StoreCheckpoint>),
}

pub(crate) struct Append {
    pub(crate) encoded: Encoded,
    pub(crate) reply: oneshot::Sender<Result<LedgerIndex, Error>>,
}

pub(crate) struct StoreCheckpoint {
    pub(crate) checkpoint: Signed<Checkpoint>,
    /// Its canonical bytes.
    pub(crate) bytes: Vec<u8>,
    pub(crate) reply: oneshot::Sender<Result<(), Error>>,
}

/// The thread's own things.
pub(crate) struct Writer {
    pub(crate) state: Arc<State>,
    pub(crate) entries: Appender,
    pub(crate) checkpoints: Appender,
    pub(crate) options: Options,
    /// Held as long as the ledger is open.
    pub(crate) lock: File,
}

impl Writer {
    /// Runs until every sender is gone and the queue is empty.
    pub(crate) fn run(mut self, queue: &Receiver<Message>) {
        let mut held = None;
        while let Some(message) = held.take().or_else(|| queue.recv().ok()) {
            match message {
                Message::Checkpoint(stored) => self.checkpoint(*stored),
                Message::Append(first) => {
                    let (batch, next) = self.collect(first, queue);
                    held = next;
                    self.append(batch);
                }
            }
        }
        self.finish();
    }

    /// The first entry and what waits behind it, up to the limits of a batch, and the message
    /// that ended the batch because it is no entry.
    fn collect(&self, first: Append, queue: &Receiver<Message>) -> (Vec<Append>, Option<Message>) {
        let mut bytes = first.encoded.bytes.len();
        let mut batch = vec![first];
        while batch.len() < self.options.batch_entries_max && bytes < BATCH_BYTES_MAX {
            match queue.try_recv() {
                Ok(Message::Append(append)) => {
                    bytes += append.encoded.bytes.len();
                    batch.push(append);
                }
                Ok(other) => return (batch, Some(other)),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
        (batch, None)
    }

    fn append(&mut self, batch: Vec<Append>) {
        let bytes: usize = batch.iter().map(|append| append.encoded.bytes.len()).sum();
        let payloads: Vec<_> = batch
            .iter()
            .map(|append| (append.encoded.bytes.as_slice(), append.encoded.leaf))
            .collect();
        let root = self.state.tree().root();
        let written = self.entries.append(&payloads, root);
        self.state.waiting.fetch_sub(batch.len(), Ordering::Relaxed);
        self.state.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
        match written {
            Ok(places) => self.acknowledge(batch, &places),
            Err(refused) => {
                for append in batch {
                    // Whoever stopped waiting does not need the answer.
                    let _ = append.reply.send(Err(refused.clone()));
                }
            }
        }
    }

    fn acknowledge(&self, batch: Vec<Append>, places: &[Place]) {
        if let Some(place) = places.first() {
            self.state.add_segment(place.segment);
        }
        self.state.add_offsets(places);
        let mut replies = Vec::with_capacity(batch.len());
        let mut found = Vec::with_capacity(batch.len());
        let from = {
            let mut tree = self.state.tree_mut();
            let from = tree.size();
            for append in batch {
                tree.push(append.encoded.leaf);
                found.push(append.encoded.keys);
                replies.push(append.reply);
            }
            from
        };
        // The entries are durable whatever the index says: reading does not need it, and the next
        // opening completes it.
        let count = u64::try_from(found.len()).unwrap_or(u64::MAX);
        if self.state.indexed.load(Ordering::Acquire) == from
            && self.state.index.add(found, &self.state.tree()).is_ok()
        {
            self.state
                .indexed
                .store(from.saturating_add(count), Ordering::Release);
        }
        for (index, reply) in (from..).zip(replies) {
            let _ = reply.send(Ok(LedgerIndex(index)));
        }
    }

    fn checkpoint(&mut self, stored: StoreCheckpoint) {
        let payload = (stored.bytes.as_slice(), leaf_digest(&stored.bytes));
        let written = self
            .checkpoints
            .append(&[payload], crypto::Digest::ZERO)
            .map(|_| ());
        if written.is_ok() {
            // If the index cannot take the number, one proof against truncation is missing; the
            // checkpoint itself stands.
            let _ = self.state.index.set_checkpoints(self.checkpoints.next());
            self.state.set_latest(stored.checkpoint);
        }
        let _ = stored.reply.send(written);
    }

    /// Makes marks and index durable, so that the next opening can tell damage to the last batch
    /// from a crash; entries and checkpoints are durable already.
    fn finish(self) {
        let _ = self.entries.sync();
        let _ = self.checkpoints.sync();
        let _ = self.state.index.sync();
        let _ = self.lock.unlock();
    }
}
