//! What this catalog fills into openraft's type parameters.
//!
//! It does not interpret batches: an entry carries them as the bytes that their node signed, so
//! that every replica verifies and applies the very same ones.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use openraft::{BasicNode, TokioRuntime};
use schemas::command::Outcome;
use serde::{Deserialize, Serialize};

use crate::raft::verify::VerifiedBatch;

openraft::declare_raft_types!(
    /// The catalog's Raft.
    pub(crate) TypeConfig:
        D = Payload,
        R = Reply,
        NodeId = u64,
        Node = BasicNode,
        Entry = openraft::Entry<TypeConfig>,
        SnapshotData = tokio::fs::File,
        AsyncRuntime = TokioRuntime,
);

pub(crate) type Raft = openraft::Raft<TypeConfig>;
pub(crate) type Entry = openraft::Entry<TypeConfig>;
pub(crate) type LogId = openraft::LogId<u64>;
pub(crate) type Vote = openraft::Vote<u64>;
pub(crate) type StoredMembership = openraft::StoredMembership<u64, BasicNode>;
pub(crate) type SnapshotMeta = openraft::SnapshotMeta<u64, BasicNode>;
pub(crate) type StorageError = openraft::StorageError<u64>;

/// What one entry of the log carries: batches, each as its node encoded and signed it.
///
/// One entry costs one sync on a majority, so the leader puts what arrived meanwhile together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Vec<u8>>", into = "Vec<Vec<u8>>")]
pub(crate) struct Payload {
    pub(crate) batches: Vec<CarriedBatch>,
}

/// A batch in an entry. On the node that verified it before proposing, the verdicts travel along
/// in memory, so that the very same bytes are not verified twice; they never leave the node.
#[derive(Clone)]
pub(crate) struct CarriedBatch {
    pub(crate) bytes: Bytes,
    pub(crate) verified: Option<Arc<VerifiedBatch>>,
}

impl Payload {
    /// The bytes of all batches.
    pub(crate) fn len_bytes(&self) -> usize {
        self.batches.iter().map(|batch| batch.bytes.len()).sum()
    }
}

impl From<Bytes> for CarriedBatch {
    fn from(bytes: Bytes) -> Self {
        Self {
            bytes,
            verified: None,
        }
    }
}

impl fmt::Debug for CarriedBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "batch of {} bytes", self.bytes.len())
    }
}

impl PartialEq for CarriedBatch {
    /// By bytes: verdicts follow from them.
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for CarriedBatch {}

impl From<Vec<Vec<u8>>> for Payload {
    fn from(batches: Vec<Vec<u8>>) -> Self {
        Self {
            batches: batches
                .into_iter()
                .map(|batch| Bytes::from(batch).into())
                .collect(),
        }
    }
}

impl From<Payload> for Vec<Vec<u8>> {
    fn from(payload: Payload) -> Self {
        payload
            .batches
            .iter()
            .map(|batch| batch.bytes.to_vec())
            .collect()
    }
}

/// What applying one entry gave: the outcomes of each batch, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reply {
    pub(crate) batches: Vec<Vec<Outcome>>,
}
