//! What a member proposes to the catalog. Commands are imperative; persons sign what binds, nodes
//! sign the rest, one signature a batch.
//!
//! It does not apply anything: `catalog::state` does, alike on every replica.

use crypto::{KeyId, Label, Signature};
use serde::{Deserialize, Serialize};

use crate::code::codes;
use crate::correction::{Correction, CorrectionState};
use crate::dataset::{Dataset, DatasetState, DatasetVersion};
use crate::delegation::Delegation;
use crate::dispute::DisputeMove;
use crate::export::{Instrument, InstrumentState};
use crate::ledger_entry::{CheckpointUpdate, Cosignature};
use crate::participant::{Node, Participant, Person};
use crate::policy_set::PolicySet;
use crate::request::{AccessRequest, RequestDecision};
use crate::rule_pack::RulePack;
use crate::standard::DataStandard;
use crate::transfer::{Receipt, Transfer};
use crate::{
    CommandId, CorrectionId, DatasetId, Error, GrantId, InstrumentId, NodeId, ParticipantId,
    PersonId, RequestId, RulePackId, Signed, Timestamp, TransferId, canonical,
};

/// Everything that can be asked of the catalog.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// Found the federation: its authority, first node and first persons. Only on an empty catalog.
    Found {
        /// The supervising authority.
        authority: Box<Participant>,
        /// Its first node.
        node: Box<Node>,
        /// Its first persons, among them one system administrator and one security officer.
        persons: Vec<Person>,
    },
    /// Register or change a participant. By the authority's system administrator.
    RegisterParticipant {
        /// The record; `revision` is the one that it replaces.
        participant: Box<Participant>,
    },
    /// Register or change a node. By the operator's system administrator or the authority's.
    RegisterNode {
        /// The record.
        node: Box<Node>,
    },
    /// Bind roles and a key to a person. By a system administrator of the participant or the
    /// authority.
    BindPerson {
        /// The record.
        person: Box<Person>,
    },
    /// Adopt an edition of a data standard. By a data steward.
    AdoptStandard {
        /// The standard.
        standard: Box<DataStandard>,
    },
    /// Create or revise a dataset card. By a data steward of the provider.
    DescribeDataset {
        /// The record; `revision` is the one that it replaces, 0 for a new one.
        dataset: Box<Dataset>,
    },
    /// Move a dataset through its life. By a data steward of the provider.
    MoveDataset {
        /// Which.
        dataset: DatasetId,
        /// The revision that the caller saw.
        revision: u64,
        /// Where to.
        to: DatasetState,
    },
    /// Record a version that passed the gate. By the owner node, with the steward's signed intent.
    PublishVersion {
        /// The version, signed by the provider's key.
        version: Box<Signed<DatasetVersion>>,
    },
    /// Ask for shared data. By a data consumer.
    SubmitRequest {
        /// The request.
        request: Box<AccessRequest>,
    },
    /// Answer a request. By a data steward of the provider; where two persons must agree, the
    /// second one sends the same answer, and may be a security officer.
    DecideRequest {
        /// Which.
        request: RequestId,
        /// The revision that the caller saw.
        revision: u64,
        /// The answer.
        decision: RequestDecision,
    },
    /// Take a request back. By the consumer.
    WithdrawRequest {
        /// Which.
        request: RequestId,
        /// The revision that the caller saw.
        revision: u64,
    },
    /// Take a step in the dispute of a refusal. By a data consumer of the consumer, a data steward
    /// of the provider or of the authority, as the step has it.
    DisputeRequest {
        /// Which request.
        request: RequestId,
        /// The revision that the caller saw.
        revision: u64,
        /// Which step.
        step: DisputeMove,
        /// Why.
        because: String,
    },
    /// Review what was granted in an emergency. By a second data steward or security officer of the
    /// provider.
    ReviewEmergency {
        /// Which request.
        request: RequestId,
        /// Whether the grant was right; one that was not is revoked.
        upheld: bool,
        /// Why.
        because: String,
    },
    /// Doubt a row. By a data consumer of a participant that has or had a grant.
    OpenCorrection {
        /// The ticket, state `OPEN`.
        correction: Box<Correction>,
    },
    /// Move a correction ticket. By a data steward of the provider; whoever asked closes it.
    MoveCorrection {
        /// Which.
        correction: CorrectionId,
        /// The revision that the caller saw.
        revision: u64,
        /// Where to.
        to: CorrectionState,
        /// What is said with it.
        text: String,
        /// The version that has it right, with `CORRECTED`.
        corrected_in: Option<u64>,
    },
    /// Let somebody decide in one's place. By the person who will be away.
    SetDelegation {
        /// The record; `revision` is the one that it replaces, 0 for a first one.
        delegation: Box<Delegation>,
    },
    /// End a delegation before its time. By who was away or a security officer of her participant.
    EndDelegation {
        /// Whose.
        from: PersonId,
        /// The revision that the caller saw.
        revision: u64,
        /// Why.
        because: String,
    },
    /// End a grant. By a data steward or security officer of the provider.
    RevokeGrant {
        /// Which.
        grant: GrantId,
        /// Why.
        because: String,
    },
    /// Open a transfer. By the consumer's node.
    OpenTransfer {
        /// The record, state `REQUESTED`.
        transfer: Box<Transfer>,
    },
    /// Finish a transfer with both receipts. By the consumer's node.
    CompleteTransfer {
        /// Which.
        transfer: TransferId,
        /// Sent and received.
        receipts: Vec<Signed<Receipt>>,
    },
    /// End a transfer without success. By either side's node.
    TerminateTransfer {
        /// Which.
        transfer: TransferId,
        /// Why.
        because: String,
    },
    /// Put a policy set in force. By the authority's security officer.
    AdoptPolicySet {
        /// The set.
        policy_set: Box<PolicySet>,
    },
    /// Put a rule pack in force. By the authority's security officer.
    AdoptRulePack {
        /// The pack.
        rule_pack: Box<RulePack>,
    },
    /// Take a rule pack back, so that the number before it is in force again. By the authority's
    /// security officer.
    WithdrawRulePack {
        /// Its series.
        series: RulePackId,
        /// Its number.
        number: u64,
        /// Why.
        because: String,
    },
    /// Register or correct an export instrument. By a security officer of the processor.
    RegisterInstrument {
        /// The record; `revision` is the one that it replaces, 0 for a new one.
        instrument: Box<Instrument>,
    },
    /// Suspend, end or revive an export instrument. By a security officer of the processor or of
    /// the authority; only the authority's revives.
    MoveInstrument {
        /// Which.
        instrument: InstrumentId,
        /// The revision that the caller saw.
        revision: u64,
        /// Where to.
        to: InstrumentState,
        /// Why.
        because: String,
    },
    /// Make a ledger checkpoint known. By a node of the participant.
    PublishCheckpoint {
        /// With the proof that it extends the last one.
        update: Box<CheckpointUpdate>,
    },
    /// Cosign a checkpoint. By a node of another participant.
    WitnessCheckpoint {
        /// Whose checkpoint.
        participant: ParticipantId,
        /// At which size.
        size: u64,
        /// The cosignature.
        cosignature: Cosignature,
    },
    /// Move the leader's time and fire clocks. By the leader.
    Tick {
        /// Leader time.
        now: Timestamp,
    },
}

/// Who proposes.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Author {
    /// A person, who signs the proposal herself.
    Person {
        /// For whom.
        participant: ParticipantId,
        /// Who.
        person: PersonId,
    },
    /// A node, whose batch signature covers it.
    Node(NodeId),
}

/// A command with what makes it unique, whose it is and when it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Proposal {
    /// A retried proposal has the same identifier and is applied once.
    pub id: CommandId,
    /// Who.
    pub author: Author,
    /// When, by the author's clock; more than 5 minutes off leader time is refused.
    pub at: Timestamp,
    /// What.
    pub command: Command,
}

/// A proposal with the signature of the person whose it is; a node's needs none of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignedProposal {
    /// What is proposed.
    pub proposal: Proposal,
    /// A person's signature under [`Label::Command`].
    pub signature: Option<PersonSignature>,
}

/// A person's signature over a proposal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PersonSignature {
    /// Her key.
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
    pub key: KeyId,
    /// Over the canonical bytes of the proposal.
    #[schema(value_type = String, pattern = "^30(?:[0-9a-f]{2})+$")]
    pub signature: Signature,
}

impl SignedProposal {
    /// A node's proposal, to be covered by its batch signature.
    #[must_use]
    pub fn by_node(proposal: Proposal) -> Self {
        Self {
            proposal,
            signature: None,
        }
    }

    /// The label under which persons sign proposals.
    pub const LABEL: Label = Label::Command;

    /// What a person signs: the canonical bytes of the proposal.
    ///
    /// # Errors
    /// [`Error::Canonical`] when the proposal is larger than a record may be.
    pub fn signed_bytes(proposal: &Proposal) -> Result<Vec<u8>, Error> {
        canonical::to_bytes(proposal)
    }
}

codes! {
    /// Why a command was not applied. Every replica says the same.
    pub enum RefusalCode {
        /// No such record.
        NotFound = "NOT_FOUND",
        /// A record of that identifier exists, or the revision moved.
        Conflict = "CONFLICT",
        /// The author may not do this.
        NotAllowed = "NOT_ALLOWED",
        /// The record breaks a rule of its own.
        Invalid = "INVALID",
        /// The signature does not fit, or the key was not the author's at this index.
        SignatureRejected = "SIGNATURE_REJECTED",
        /// The author's time is more than 5 minutes off leader time.
        ClockSkew = "CLOCK_SKEW",
        /// The record cannot go from its state to that one.
        WrongState = "WRONG_STATE",
    }
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Outcome {
    /// Applied; the record's new revision, where it has one.
    Applied {
        /// The revision.
        revision: u64,
    },
    /// Refused, alike on every replica.
    Refused {
        /// Why, for programs.
        code: RefusalCode,
        /// Why, for people, with what to do.
        detail: String,
    },
}
