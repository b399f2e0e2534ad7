//! One movement of a version to one consumer, and the receipts that both sides sign.
//!
//! It does not carry rows; the data plane does.

use crypto::Digest;
use serde::{Deserialize, Serialize};

use crate::code::codes;
use crate::{DatasetId, GrantId, ParticipantId, ReleaseId, Signed, Timestamp, TransferId};

codes! {
    /// Transfer process states, the Dataspace Protocol's words.
    pub enum TransferState {
        /// Asked for.
        Requested = "REQUESTED",
        /// Bytes flow.
        Started = "STARTED",
        /// Halted; can go on.
        Suspended = "SUSPENDED",
        /// Done, with receipts.
        Completed = "COMPLETED",
        /// Ended without success.
        Terminated = "TERMINATED",
    }
}

/// A transfer as the catalog knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Transfer {
    /// Its identifier.
    pub id: TransferId,
    /// The grant that it uses.
    pub grant: GrantId,
    /// The dataset.
    pub dataset: DatasetId,
    /// The version's number.
    pub version: u64,
    /// Who sends.
    pub provider: ParticipantId,
    /// Who receives.
    pub consumer: ParticipantId,
    /// Where it stands.
    pub state: TransferState,
    /// Both receipts, once it is completed.
    pub receipts: Vec<Signed<Receipt>>,
    /// Why it ended without success.
    pub ended_because: Option<String>,
    /// Grows with each change.
    pub revision: u64,
}

codes! {
    /// Which side signs.
    pub enum ReceiptSide {
        /// "I sent this."
        Sent = "SENT",
        /// "I received and verified this."
        Received = "RECEIVED",
    }
}

/// What one side says of a finished transfer. Both sides' receipts name the same digests, and both
/// stand in both ledgers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// The transfer.
    pub transfer: TransferId,
    /// The release under which it was sent.
    pub release: ReleaseId,
    /// Which side speaks.
    pub side: ReceiptSide,
    /// The participant that speaks.
    pub participant: ParticipantId,
    /// The dataset.
    pub dataset: DatasetId,
    /// The version's number.
    pub version: u64,
    /// The grant.
    pub grant: GrantId,
    /// Rows.
    pub rows: u64,
    /// Bytes of the artefact in clear.
    pub bytes: u64,
    /// SM3 Merkle root of the artefact in clear, by file.
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
    pub artefact: Digest,
    /// SM3 Merkle root over sealed chunks, when it was sealed.
    #[schema(value_type = Option<String>, pattern = "^[0-9a-f]{64}$")]
    pub sealed_root: Option<Digest>,
    /// When.
    pub at: Timestamp,
}
