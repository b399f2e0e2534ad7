//! Entries of the access ledger, checkpoints and cosignatures.
//!
//! It does not store or prove anything: that is the ledger's.

use crypto::{Digest, KeyId, Signature, merkle::ConsistencyProof};
use serde::{Deserialize, Serialize};

use crate::decision::{Decision, DecisionRequest, Facts, Obligations, PolicyVersion};
use crate::transfer::Receipt;
use crate::{DatasetId, NodeId, ParticipantId, PersonId, ReleaseId, Signed, Timestamp, TransferId};

/// Position of an entry in one participant's ledger, counted from 0.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(transparent)]
pub struct LedgerIndex(pub u64);

impl std::fmt::Display for LedgerIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Which ledger: the participant and which life of it. Restoring an old copy opens the next
/// incarnation with a gap record instead of a fork.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(deny_unknown_fields)]
pub struct LedgerIdentity {
    /// Whose.
    pub participant: ParticipantId,
    /// Counted from 1.
    pub incarnation: u32,
}

/// One recorded fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LedgerEntry {
    /// When, by the node's clock.
    pub at: Timestamp,
    /// Which node wrote it.
    pub node: NodeId,
    /// Whether the node's clock was within its limits: the evidence grade.
    pub clock_trusted: bool,
    /// Ties the entries, log lines and answers of one request together.
    pub trace: String,
    /// What happened.
    pub event: LedgerEvent,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum LedgerEvent {
    /// A decision, yes or no, with everything it rested on.
    Decided {
        /// What was asked.
        request: Box<DecisionRequest>,
        /// What was known.
        facts: Box<Facts>,
        /// What was said.
        decision: Decision,
    },
    /// A permit was spent on one pinned artefact.
    Released {
        /// The release.
        release: ReleaseId,
        /// The decision's entry.
        decided_at: LedgerIndex,
        /// For which transfer, when there is one.
        transfer: Option<TransferId>,
        /// The dataset.
        dataset: DatasetId,
        /// SM3 Merkle root of the artefact.
        #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
        artefact: Digest,
        /// Its rows.
        rows: u64,
        /// Its bytes.
        bytes: u64,
        /// Until when ranges may be served.
        deadline: Timestamp,
        /// The grant's revision that it hangs on.
        revocation_epoch: u64,
        /// What was done to the rows.
        obligations: Obligations,
    },
    /// A release came to its end.
    ReleaseEnded {
        /// The release.
        release: ReleaseId,
        /// Bytes that left.
        bytes: u64,
        /// How it ended.
        outcome: ReleaseOutcome,
    },
    /// A receipt of either side.
    Receipt {
        /// The signed receipt.
        receipt: Box<Signed<Receipt>>,
    },
    /// An upload became a version, or the gate refused it.
    Published {
        /// The dataset.
        dataset: DatasetId,
        /// The version's number, when the gate let it pass.
        version: Option<u64>,
        /// Rows published.
        rows: u64,
        /// Rows kept out.
        quarantined_rows: u64,
        /// SM3 Merkle root of the version, or of nothing.
        #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
        content_digest: Digest,
    },
    /// Someone signed in, or tried to.
    SignedIn {
        /// Who.
        person: PersonId,
        /// Whether it worked.
        accepted: bool,
        /// By which means.
        method: String,
    },
    /// A node that was invited got a transport certificate; it is no member yet.
    Enrolled {
        /// The invitation.
        invitation: String,
        /// For whom the node is to act.
        participant: ParticipantId,
        /// The node.
        node: NodeId,
        /// What both sides compare before it is registered.
        check: String,
    },
    /// A policy set came into force here.
    PolicyInForce {
        /// Which.
        policy: PolicyVersion,
    },
    /// The node started; the entry before it may be long ago.
    Started {
        /// Version of the program.
        version: String,
    },
    /// Entries before this one were lost and will not come back.
    Gap {
        /// The last checkpoint known of the earlier life.
        last: Option<Box<Checkpoint>>,
        /// What happened.
        why: String,
    },
}

/// How a release ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReleaseOutcome {
    /// All bytes left, and the recipient acknowledged.
    Completed,
    /// The connection ended before.
    Aborted,
    /// The grant was revoked.
    Revoked,
    /// The deadline passed.
    Expired,
}

/// The tree's size and root at one instant. Origin, size and root as C2SP tlog-checkpoint has
/// them; SM3 and SM2 instead of SHA-256 and Ed25519.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// Whose ledger.
    pub ledger: LedgerIdentity,
    /// Number of entries.
    pub size: u64,
    /// SM3 Merkle root over them.
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
    pub root: Digest,
    /// When it was made.
    pub at: Timestamp,
}

/// A checkpoint on its way into the catalog: with the proof that it extends the last witnessed one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckpointUpdate {
    /// The checkpoint, signed by the participant.
    pub checkpoint: Signed<Checkpoint>,
    /// Proof from the last one in the catalog; none for the first of an incarnation.
    #[schema(value_type = Object)]
    pub consistency: Option<ConsistencyProof>,
}

/// A witness's signature over a checkpoint that it saw extend the one before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Cosignature {
    /// The witness.
    pub witness: ParticipantId,
    /// Its node.
    pub node: NodeId,
    /// The node's key.
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
    pub key: KeyId,
    /// Over the checkpoint's canonical bytes.
    #[schema(value_type = String, pattern = "^30(?:[0-9a-f]{2})+$")]
    pub signature: Signature,
}
