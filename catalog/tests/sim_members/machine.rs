//! The real state machine, watched: what it applies and answers is told to the oracle.
//!
//! It does not change anything, but that it may hand on entries one by one, so that members can be
//! compared at each index, and that it writes the state store when the seed says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use openraft::storage::RaftStateMachine;
use openraft::{OptionalSend, Snapshot};

use super::disk::Handle;
use super::oracle::Oracle;
use super::seeded::Random;
use crate::raft::flusher::Position;
use crate::raft::published::Published;
use crate::raft::state_machine::{Builder, StateMachine};
use crate::raft::types::{
    Entry, LogId, Reply, SnapshotMeta, StorageError, StoredMembership, TypeConfig,
};

/// A state machine under observation.
pub(super) struct Watched {
    pub(super) number: u64,
    pub(super) inner: StateMachine,
    pub(super) published: Arc<Published>,
    pub(super) oracle: Arc<Oracle>,
    pub(super) power: Arc<AtomicBool>,
    pub(super) disk: Handle,
    pub(super) random: Random,
    pub(super) one_by_one: bool,
}

impl Watched {
    async fn step(&mut self, entries: Vec<Entry>) -> Result<Vec<Reply>, StorageError> {
        let known = entries.clone();
        let replies = self.inner.apply(entries).await?;
        if self.power.load(Ordering::Relaxed) {
            for (entry, reply) in known.iter().zip(&replies) {
                self.oracle.applied(self.number, entry, reply);
            }
            self.oracle.reached(self.number, &self.published.view());
            if self.random.percent(STORED_PERCENT) {
                self.store().await?;
            }
        }
        Ok(replies)
    }

    /// What the flusher does in a program, some time after applying.
    async fn store(&mut self) -> Result<(), StorageError> {
        let (last, membership) = self.inner.applied_state().await?;
        let state = self.published.view().state().clone();
        self.disk.store(Position {
            state,
            last,
            membership,
        });
        Ok(())
    }
}

impl RaftStateMachine<TypeConfig> for Watched {
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), StorageError> {
        self.inner.applied_state().await
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Reply>, StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        if !self.one_by_one {
            return self.step(entries).await;
        }
        let mut replies = Vec::with_capacity(entries.len());
        for entry in entries {
            replies.extend(self.step(vec![entry]).await?);
        }
        Ok(replies)
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        self.inner.get_snapshot_builder().await
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<tokio::fs::File>, StorageError> {
        self.inner.begin_receiving_snapshot().await
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: Box<tokio::fs::File>,
    ) -> Result<(), StorageError> {
        self.inner.install_snapshot(meta, snapshot).await?;
        if self.power.load(Ordering::Relaxed) {
            self.oracle.installed(self.number, &self.published.view());
        }
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<TypeConfig>>, StorageError> {
        self.inner.get_current_snapshot().await
    }
}

/// How often the state store is written after an apply.
const STORED_PERCENT: u64 = 15;
