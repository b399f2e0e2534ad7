//! The statutory request for shared data, and what it becomes: a contract and grants.
//!
//! It does not move from state to state: the catalog does, at one log index, and Dataspace Protocol
//! states are a view of it.

use std::collections::BTreeMap;

use crypto::Digest;
use serde::{Deserialize, Serialize};

use crate::code::codes;
use crate::decision::{Mask, RowFilter};
use crate::{
    ContractId, DatasetId, GrantId, Jurisdiction, ParticipantId, PartyOnly, Period, PersonId,
    RequestId, Timestamp,
};

codes! {
    /// State of a request (Decree 809; the dispute states follow a refusal).
    pub enum RequestState {
        /// Being written at the consumer.
        Draft = "DRAFT",
        /// With the provider; the clock runs.
        Submitted = "SUBMITTED",
        /// Sent back for a supplement.
        Returned = "RETURNED_FOR_SUPPLEMENT",
        /// Agreed; contract and grant exist.
        Agreed = "AGREED",
        /// Refused, with reasons.
        Refused = "REFUSED",
        /// Being provided.
        Provisioning = "PROVISIONING",
        /// In use.
        Active = "ACTIVE",
        /// Halted.
        Suspended = "SUSPENDED",
        /// Its period ended.
        Expired = "EXPIRED",
        /// Ended by the provider.
        Revoked = "REVOKED",
        /// Withdrawn by the consumer or finished.
        Closed = "CLOSED",
        /// Disputed: the parties talk.
        Negotiating = "NEGOTIATING",
        /// Disputed: the authority of the same level coordinates.
        Coordinating = "COORDINATING",
        /// Disputed: before the common superior.
        Escalated = "ESCALATED",
        /// Disputed and decided.
        Decided = "DECIDED",
    }
}

/// What shared data is for. Use beyond it is a breach (Decree 809, article 25).
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(deny_unknown_fields)]
pub struct Purpose {
    /// Short code that grants compare, for example `transit-forecast`.
    pub code: String,
    /// In words.
    pub text: String,
}

/// The words of a request; only its parties and the authority read them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestTexts {
    /// 法律依据: statute and article.
    pub legal_basis: String,
    /// 使用场景.
    pub scenario: String,
}

/// A request for shared data (Decree 809, article 21).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccessRequest {
    /// Its identifier.
    pub id: RequestId,
    /// What is asked for.
    pub dataset: DatasetId,
    /// Who asks.
    pub consumer: ParticipantId,
    /// The person who asks.
    pub requester: PersonId,
    /// What for.
    pub purpose: Purpose,
    /// The words.
    pub texts: PartyOnly<RequestTexts>,
    /// Columns wanted; none means all.
    pub columns: Option<Vec<String>>,
    /// Rows wanted.
    pub rows: RowFilter,
    /// From when to when.
    pub period: Period,
    /// Where the data will be.
    pub destination: Jurisdiction,
    /// Where the request stands. A new one is `SUBMITTED`.
    pub state: RequestState,
    /// When it was submitted: the clock's start.
    pub submitted_at: Timestamp,
    /// Until when an answer is due, and once it is agreed, until when the data is shared, by the
    /// rule packs of the provider's seat: 24:00 of the last working day. None when no clock runs.
    pub due_at: Option<Timestamp>,
    /// Why it was refused or returned.
    pub answer: Option<String>,
    /// Grows with each change.
    pub revision: u64,
}

/// Who agreed to a request that needs two persons: grade G4, important data, and every export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// The request.
    pub request: RequestId,
    /// Its revision when the first person agreed; it is void once the request moves otherwise.
    pub request_revision: u64,
    /// SM3 of the canonical form of the answer: the second person agrees to the same one.
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
    pub answer: Digest,
    /// The first person.
    pub first: PersonId,
    /// When she agreed, by leader time.
    pub first_at: Timestamp,
    /// In whose place the first person decided, who was away.
    pub first_for: Option<PersonId>,
    /// The second person, once there is one. A delegated agreement that one person may give alone
    /// is recorded without.
    pub second: Option<PersonId>,
    /// In whose place the second person decided.
    pub second_for: Option<PersonId>,
}

codes! {
    /// Which clock of a request is supervised.
    pub enum SupervisedClock {
        /// From the request to its answer.
        Reply = "REPLY",
        /// From the agreement to the first rows received.
        Delivery = "DELIVERY",
        /// From the dispute of a refusal to coordination or an end.
        Negotiation = "NEGOTIATION",
        /// From coordination to the common superior or a decision.
        Coordination = "COORDINATION",
        /// From the common superior to a decision.
        Escalation = "ESCALATION",
        /// From an emergency grant to its review.
        EmergencyReview = "EMERGENCY_REVIEW",
    }
}

/// A clock of a request that ran out (督办).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Supervision {
    /// The request.
    pub request: RequestId,
    /// Which clock.
    pub clock: SupervisedClock,
    /// When it ran out.
    pub due_at: Timestamp,
    /// The tick that noticed.
    pub raised_at: Timestamp,
    /// When what was late was done after all.
    pub settled_at: Option<Timestamp>,
}

/// The provider's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum RequestDecision {
    /// Agreed: the contract and the grant under it.
    Agree {
        /// The contract.
        contract: Box<Contract>,
        /// Its first grant.
        grant: Box<Grant>,
    },
    /// Agreed by one person in an emergency, for a short time; a second one reviews it.
    Emergency {
        /// The contract.
        contract: Box<Contract>,
        /// Its grant.
        grant: Box<Grant>,
        /// What the emergency is.
        because: String,
    },
    /// Refused; written reasons are a duty.
    Refuse {
        /// The reasons.
        reasons: String,
    },
    /// Sent back for a supplement.
    Return {
        /// What is missing.
        missing: String,
    },
}

/// The terms that both parties hold to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ContractTerms {
    /// Whether rows may be passed on; without the provider's consent they may not.
    pub onward_transfer: bool,
    /// Days after which the consumer deletes what it received; none means with the grant's end.
    pub retention_days: Option<u32>,
    /// Anything else, in words.
    pub text: String,
}

/// The agreed terms that bind one dataset and two participants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Contract {
    /// Its identifier.
    pub id: ContractId,
    /// The request that it answers.
    pub request: RequestId,
    /// The dataset.
    pub dataset: DatasetId,
    /// Who provides.
    pub provider: ParticipantId,
    /// Who consumes.
    pub consumer: ParticipantId,
    /// The terms.
    pub terms: PartyOnly<ContractTerms>,
    /// Its period; no grant outlives it.
    pub period: Period,
}

codes! {
    /// Whether a grant is in force, apart from its period.
    pub enum GrantState {
        /// In force.
        Active = "ACTIVE",
        /// Ended by the provider.
        Revoked = "REVOKED",
        /// Its period is over (set by a tick).
        Expired = "EXPIRED",
    }
}

/// A right under a contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// Its identifier.
    pub id: GrantId,
    /// The contract.
    pub contract: ContractId,
    /// The dataset.
    pub dataset: DatasetId,
    /// Who gave it.
    pub provider: ParticipantId,
    /// Who has it.
    pub consumer: ParticipantId,
    /// Only this person, or everyone whom the consumer lets.
    pub subject: Option<PersonId>,
    /// Columns that may leave, in the dataset's order.
    pub columns: Vec<String>,
    /// Rows that may leave.
    pub rows: RowFilter,
    /// What is done to values before they leave.
    pub masks: BTreeMap<String, Mask>,
    /// Most rows in one transfer.
    pub rows_max: Option<u64>,
    /// What for.
    pub purpose: Purpose,
    /// Where to.
    pub destination: Jurisdiction,
    /// From when to when.
    pub period: Period,
    /// Whether it is in force.
    pub state: GrantState,
    /// Why it was revoked.
    pub ended_because: Option<String>,
    /// Grows with each change; a running release ends when it moves.
    pub revision: u64,
}
