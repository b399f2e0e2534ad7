//! The applied state under openraft: applies committed entries in order, shows the result to
//! readers, and writes and reads snapshots.
//!
//! It does not decide what a command does, nor does it wait for the state store: the state in
//! memory is what counts, and log and snapshots bring it back.

use std::sync::Arc;

use openraft::storage::RaftStateMachine;
use openraft::{
    EntryPayload, ErrorSubject, ErrorVerb, OptionalSend, RaftSnapshotBuilder, Snapshot,
};

use crate::Error;
use crate::raft::blocking::blocking;
use crate::raft::flusher::{Flusher, Position};
use crate::raft::log_store::broken;
use crate::raft::published::Published;
use crate::raft::snapshot::Snapshots;
use crate::raft::state_store::Records;
use crate::raft::types::{
    Entry, LogId, Reply, SnapshotMeta, StorageError, StoredMembership, TypeConfig,
};
use crate::raft::verify;
use crate::state::{ApplyReport, State};

/// The state machine that openraft drives.
pub(crate) struct StateMachine {
    position: Position,
    keys_epoch: u64,
    published: Arc<Published>,
    flusher: Arc<Flusher>,
    snapshots: Snapshots,
}

impl StateMachine {
    /// Goes on from what was opened.
    pub(crate) fn new(
        position: Position,
        published: Arc<Published>,
        flusher: Arc<Flusher>,
        snapshots: Snapshots,
    ) -> Self {
        published.set_members(&position.membership);
        Self {
            position,
            keys_epoch: 0,
            published,
            flusher,
            snapshots,
        }
    }
}

/// What applying some entries gave.
struct Step {
    position: Position,
    keys_epoch: u64,
    records: Records,
    replies: Vec<Reply>,
}

impl Step {
    fn apply(&mut self, entry: Entry) {
        let index = entry.log_id.index;
        let mut reply = Reply::default();
        match entry.payload {
            EntryPayload::Blank => self.take(&ApplyReport::default()),
            EntryPayload::Membership(membership) => {
                self.position.membership = StoredMembership::new(Some(entry.log_id), membership);
            }
            EntryPayload::Normal(payload) => {
                for batch in payload.batches {
                    let applied = verify::apply(
                        &mut self.position.state,
                        self.keys_epoch,
                        index,
                        &batch.bytes,
                        batch.verified.as_deref(),
                    );
                    let report = applied.unwrap_or_else(|error| {
                        tracing::warn!(%error, index, "a committed batch cannot be read");
                        ApplyReport::default()
                    });
                    self.take(&report);
                    reply.batches.push(report.outcomes);
                }
            }
        }
        // Entries without commands move the index too.
        self.position.state.apply_recorded(index, &[]);
        self.position.last = Some(entry.log_id);
        self.replies.push(reply);
    }

    fn take(&mut self, report: &ApplyReport) {
        if verify::changes_keys(report) {
            self.keys_epoch += 1;
        }
        for (key, value) in &report.written {
            self.records.insert(key.clone(), value.clone());
        }
    }
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), StorageError> {
        Ok((self.position.last, self.position.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Reply>, StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        let mut step = Step {
            position: self.position.clone(),
            keys_epoch: self.keys_epoch,
            records: Records::new(),
            replies: Vec::with_capacity(entries.len()),
        };
        // Signatures and digests take milliseconds of a core: not on a thread that serves others.
        let step = blocking("apply committed entries", move || {
            for entry in entries {
                step.apply(entry);
            }
            step
        })
        .await
        .map_err(|error| failed(ErrorVerb::Write, &error))?;
        self.position = step.position.clone();
        self.keys_epoch = step.keys_epoch;
        self.published.set_members(&step.position.membership);
        self.published
            .show(step.position.state.clone(), step.keys_epoch);
        self.flusher.put(step.records, step.position).await;
        Ok(step.replies)
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        Builder {
            snapshots: self.snapshots.clone(),
            position: self.position.clone(),
        }
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<tokio::fs::File>, StorageError> {
        let file = self
            .snapshots
            .receive()
            .map_err(|error| failed(ErrorVerb::Write, &error))?;
        Ok(Box::new(tokio::fs::File::from_std(file)))
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: Box<tokio::fs::File>,
    ) -> Result<(), StorageError> {
        let mut file = snapshot.into_std().await;
        let (snapshots, of) = (self.snapshots.clone(), meta.clone());
        let state = on_snapshots(move || snapshots.take(&of, &mut file))
            .await
            .map_err(|error| failed(ErrorVerb::Write, &error))?;
        self.position = Position {
            state: at_index(state, meta.last_log_id),
            last: meta.last_log_id,
            membership: meta.last_membership.clone(),
        };
        self.keys_epoch += 1;
        self.published.set_members(&self.position.membership);
        self.published
            .show(self.position.state.clone(), self.keys_epoch);
        self.flusher.replace(self.position.clone());
        tracing::info!(snapshot = %meta.snapshot_id, "installed a snapshot from the leader");
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<TypeConfig>>, StorageError> {
        let newest = self
            .snapshots
            .newest()
            .map_err(|error| failed(ErrorVerb::Read, &error))?;
        Ok(newest.map(|(meta, file)| Snapshot {
            meta,
            snapshot: Box::new(tokio::fs::File::from_std(file)),
        }))
    }
}

/// A position from which a snapshot is written while the state machine goes on.
pub(crate) struct Builder {
    snapshots: Snapshots,
    position: Position,
}

impl RaftSnapshotBuilder<TypeConfig> for Builder {
    async fn build_snapshot(&mut self) -> Result<Snapshot<TypeConfig>, StorageError> {
        let (snapshots, position) = (self.snapshots.clone(), self.position.clone());
        let (meta, file) = on_snapshots(move || {
            snapshots.write(&position.state, position.last, position.membership)
        })
        .await
        .map_err(|error| failed(ErrorVerb::Write, &error))?;
        Ok(Snapshot {
            meta,
            snapshot: Box::new(tokio::fs::File::from_std(file)),
        })
    }
}

/// The state's own index is that of its last entry, whatever kind that was.
pub(crate) fn at_index(mut state: State, last: Option<LogId>) -> State {
    if let Some(last) = last.filter(|last| last.index > state.applied()) {
        state.apply_recorded(last.index, &[]);
    }
    state
}

async fn on_snapshots<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    blocking("work on a snapshot", work).await?
}

fn failed(verb: ErrorVerb, error: &Error) -> StorageError {
    broken(ErrorSubject::StateMachine, verb, error)
}
