//! Writes applied records to the state store, some time after they were applied.
//!
//! It does not make anything durable that is not so already: the log is. Putting many applied
//! entries into one write is what keeps sled's cost off the path of a proposal.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::Error;
use crate::raft::log_store::LogStore;
use crate::raft::state_store::{Applied, Records, StateStore};
use crate::raft::types::{LogId, StoredMembership};
use crate::state::State;

/// Where applied records wait for the store.
pub(crate) struct Flusher {
    pending: Mutex<Pending>,
    /// Something waits.
    wake: Notify,
    /// Something was written, or never will be.
    done: watch::Sender<u64>,
}

#[derive(Default)]
struct Pending {
    position: Option<Position>,
    records: Records,
    /// The whole state is to be written instead of `records`: a snapshot was installed.
    whole: bool,
    /// The store failed; nothing is written any more.
    failed: Option<String>,
}

/// Up to where the records that wait go.
#[derive(Clone)]
pub(crate) struct Position {
    pub(crate) state: State,
    pub(crate) last: Option<LogId>,
    pub(crate) membership: StoredMembership,
}

impl Position {
    fn applied(&self) -> Applied {
        Applied {
            last: self.last,
            membership: self.membership.clone(),
            header: self.state.snapshot_header(),
        }
    }
}

impl Flusher {
    pub(crate) fn new() -> Self {
        let (done, _) = watch::channel(0);
        Self {
            pending: Mutex::default(),
            wake: Notify::new(),
            done,
        }
    }

    /// Takes applied records in; waits while too many do, unless the store has failed.
    pub(crate) async fn put(&self, records: Records, position: Position) {
        let mut done = self.done.subscribe();
        loop {
            let waiting = {
                let pending = self.pending();
                if pending.failed.is_some() {
                    0
                } else {
                    pending.records.len()
                }
            };
            if waiting < PENDING_RECORDS_MAX {
                break;
            }
            self.wake.notify_one();
            if done.changed().await.is_err() {
                break;
            }
        }
        let mut pending = self.pending();
        if pending.failed.is_none() {
            pending.records.extend(records);
            pending.position = Some(position);
        }
    }

    /// The store is to hold exactly this state.
    pub(crate) fn replace(&self, position: Position) {
        let mut pending = self.pending();
        pending.records.clear();
        pending.whole = true;
        pending.position = Some(position);
        drop(pending);
        self.wake.notify_one();
    }

    /// Why nothing is written any more, if so.
    pub(crate) fn failure(&self) -> Option<String> {
        self.pending().failed.clone()
    }

    /// Writes what waits.
    fn write(&self, store: &StateStore, log: &LogStore) {
        let (position, records, whole) = {
            let mut pending = self.pending();
            let Some(position) = pending.position.take() else {
                return;
            };
            (
                position,
                std::mem::take(&mut pending.records),
                std::mem::take(&mut pending.whole),
            )
        };
        let written = if whole {
            // The position is the newest, so the whole state has the single records in it.
            write_whole(store, &position)
        } else {
            store.write(&records, &position.applied())
        };
        // The note is what shows, at the next opening, that the store lost its newest writes.
        let written = written.and_then(|()| log.set_stored(position.last));
        if let Err(error) = written {
            tracing::error!(%error, "the state store failed; the log still holds everything");
            self.pending().failed = Some(error.to_string());
        }
        self.done.send_modify(|count| *count += 1);
    }

    /// Starts the task that writes every `every` and whenever it is woken, until `stop`, and then
    /// once more.
    pub(crate) fn run(
        self: &Arc<Self>,
        store: StateStore,
        log: LogStore,
        every: Duration,
        mut stop: watch::Receiver<bool>,
    ) -> JoinHandle<()> {
        let flusher = Arc::clone(self);
        tokio::spawn(async move {
            let stores = Arc::new((store, log));
            loop {
                let stopping = tokio::select! {
                    () = tokio::time::sleep(every) => false,
                    () = flusher.wake.notified() => false,
                    _ = stop.wait_for(|stop| *stop) => true,
                };
                let (flusher, stores) = (Arc::clone(&flusher), Arc::clone(&stores));
                let written =
                    tokio::task::spawn_blocking(move || flusher.write(&stores.0, &stores.1)).await;
                if stopping || written.is_err() {
                    return;
                }
            }
        })
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes every record of a state in the place of whatever the store holds.
///
/// # Errors
/// [`Error::Store`].
pub(crate) fn write_whole(store: &StateStore, position: &Position) -> Result<(), Error> {
    let records = position.state.records().map(|record| match record {
        Ok((key, bytes)) => Ok((key, bytes.into())),
        Err(source) => Err(Error::store("write the state store", source)),
    });
    store.replace(records, &position.applied())
}

/// About a hundred thousand records are some hundred megabytes; a store that is so far behind
/// slows the appliers down instead of filling memory.
const PENDING_RECORDS_MAX: usize = 100_000;
