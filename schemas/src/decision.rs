//! What is asked of the decision point, what it knew, and what it said: the words of a decision,
//! kept with the ledger so that an auditor can replay it without the node.
//!
//! It does not decide.

use std::collections::{BTreeMap, BTreeSet};

use crypto::Digest;
use serde::{Deserialize, Serialize};

use crate::code::{Action, ReasonCode, codes};
use crate::dataset::{Grade, Sensitivity, ShareAttribute};
use crate::export::{ExportFacts, ExportTerms, MeasureDuty};
use crate::participant::{Jurisdiction, ParticipantKind, Role};
use crate::request::{Grant, Purpose};
use crate::{DatasetId, NodeId, ParticipantId, PersonId, Timestamp};

/// An authenticated party.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Principal {
    /// For whom it acts.
    pub participant: ParticipantId,
    /// What that participant is in law.
    pub kind: ParticipantKind,
    /// Where that participant is seated.
    pub jurisdiction: Jurisdiction,
    /// The person, when one is signed in.
    pub person: Option<PersonId>,
    /// The node, when a node speaks for the participant.
    pub node: Option<NodeId>,
    /// Roles of the person; a node has those of the work it does for its participant.
    pub roles: BTreeSet<Role>,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DecisionRequest {
    /// Who.
    pub principal: Principal,
    /// What.
    pub action: Action,
    /// On which dataset.
    pub dataset: Option<DatasetId>,
    /// On which other record (request, grant, job ...), as its identifier's text.
    pub record: Option<String>,
    /// What for.
    pub purpose: Option<Purpose>,
    /// Where the answer goes.
    pub destination: Jurisdiction,
    /// Which columns; none means all that are allowed.
    pub columns: Option<BTreeSet<String>>,
    /// When, by the node's clock.
    pub at: Timestamp,
}

codes! {
    /// How the principal's participant stands to the record.
    pub enum Party {
        /// It provides the dataset.
        Provider = "PROVIDER",
        /// It is the consumer of the request, contract or grant.
        Consumer = "CONSUMER",
        /// It supervises the federation.
        Authority = "AUTHORITY",
        /// None of these.
        Other = "OTHER",
    }
}

/// What is known of a dataset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DatasetFacts {
    /// Who provides.
    pub provider: ParticipantId,
    /// What the provider is in law.
    pub provider_kind: ParticipantKind,
    /// Whether the provider operates critical infrastructure.
    pub provider_ciio: bool,
    /// Grade.
    pub grade: Grade,
    /// Share attribute.
    pub share: ShareAttribute,
    /// Whether versions are served.
    pub served: bool,
    /// Whether the principal's participant may see the card.
    pub visible: bool,
    /// Columns in the dataset's order, with what they hold of persons.
    pub columns: Vec<(String, Sensitivity)>,
}

/// Which policy set was used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyVersion {
    /// Number in the catalog; 0 is the set that ships.
    pub number: u64,
    /// SM3 of its canonical form.
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
    pub digest: Digest,
}

/// What was known when it was decided. Everything the decision depends on is here or in the
/// request, so that a replay needs neither log nor clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// Log index of the catalog view.
    pub view_index: u64,
    /// Age of the view in milliseconds.
    pub view_age_ms: u64,
    /// Whether the view came from a linearizable read.
    pub linearizable: bool,
    /// Whether the node's clock is within its limits.
    pub clock_trusted: bool,
    /// Whether person, key and role bindings of the principal are valid now.
    pub principal_valid: bool,
    /// The policy set in force.
    pub policy: PolicyVersion,
    /// How the principal's participant stands to the record.
    pub party: Party,
    /// The dataset, when there is one.
    pub dataset: Option<DatasetFacts>,
    /// The grant, when one is used.
    pub grant: Option<Grant>,
    /// What an export needs to be known of; none when nothing leaves the mainland, or when the
    /// node does not gather it, and then every export is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub export: Option<Box<ExportFacts>>,
}

/// One comparison of a row filter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Predicate {
    /// Column.
    pub column: String,
    /// How.
    pub operator: Operator,
    /// With what; one value, or for `IN` any number. Text that is cast to the column's type.
    pub values: Vec<String>,
}

codes! {
    /// Comparisons of a row filter. A null never passes one.
    pub enum Operator {
        /// Equal.
        Eq = "EQ",
        /// Not equal.
        Ne = "NE",
        /// Less.
        Lt = "LT",
        /// Less or equal.
        Le = "LE",
        /// Greater.
        Gt = "GT",
        /// Greater or equal.
        Ge = "GE",
        /// One of.
        In = "IN",
    }
}

/// Rows that may leave: all predicates hold. Empty means every row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RowFilter {
    /// All of these.
    pub all: Vec<Predicate>,
}

impl RowFilter {
    /// Most predicates in one filter.
    pub const PREDICATES_MAX: usize = 32;
    /// Most values in one `IN`.
    pub const VALUES_MAX: usize = 1_000;
}

/// What is done to a column's values before they leave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Mask {
    /// HMAC-SM3 under a key of the grant, in hex: equal values stay equal within one grant.
    KeyedHash,
    /// The first characters, then `*`.
    Truncate {
        /// Characters kept.
        keep_chars: u32,
    },
    /// A number or date made coarser.
    Generalise {
        /// Numbers: rounded down to a multiple. Dates: ignored, the month is kept.
        step: u64,
    },
    /// Nothing.
    Null,
}

/// What must be done for a permit to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Obligations {
    /// Columns that may leave, in the dataset's order; empty when no rows are read.
    pub columns: Vec<String>,
    /// Rows that may leave.
    pub rows: RowFilter,
    /// Masks by column.
    pub masks: BTreeMap<String, Mask>,
    /// Most rows.
    pub rows_max: Option<u64>,
    /// Whether bytes are sealed to the recipient's key.
    pub seal: bool,
    /// Under what they leave the mainland; none when they do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub export: Option<Box<ExportTerms>>,
}

/// One reason for a refusal.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// Stable code; an export rule's number where one refused.
    pub code: ReasonCode,
    /// What the rule rests on: statute and article, or the policy line.
    pub cites: String,
    /// Columns that could leave instead; none when leaving columns out does not help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposal: Option<Vec<String>>,
}

impl Reason {
    /// A reason for which nothing is proposed.
    #[must_use]
    pub fn new(code: ReasonCode, cites: impl Into<String>) -> Self {
        Self {
            code,
            cites: cites.into(),
            proposal: None,
        }
    }
}

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Decision {
    /// Yes, with these duties.
    Permit(Obligations),
    /// No, for all of these reasons, in a fixed order.
    Deny(Vec<Reason>),
    /// Not yet: persons are counted first. Nothing leaves; the same is asked again with what was
    /// measured.
    Measure {
        /// What to count.
        duty: Box<MeasureDuty>,
        /// What will have to be done if the second answer is yes: what is counted is counted after
        /// filters and before masks.
        obligations: Obligations,
    },
}
