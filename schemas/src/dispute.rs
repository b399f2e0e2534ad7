//! The dispute of a refusal, in three tiers: the parties negotiate, the authority of the same level
//! coordinates, the common superior decides (Decree 809; the wording of the tiers is \[G\]).
//!
//! It does not move a request: the catalog does, and the request's state says on which tier it is.

use serde::{Deserialize, Serialize};

use crate::code::codes;
use crate::{ParticipantId, PersonId, RequestId, Timestamp};

codes! {
    /// A step of a dispute.
    pub enum DisputeMove {
        /// The consumer disputes the refusal: the parties negotiate.
        Open = "OPEN",
        /// A party asks the authority to coordinate.
        Coordinate = "COORDINATE",
        /// A party or the authority takes it to the common superior.
        Escalate = "ESCALATE",
        /// The refusal stands: the consumer gives in, or the authority decides so.
        Uphold = "UPHOLD",
        /// The data is to be shared: the provider gives in, or the authority decides so. The
        /// request is answered anew, and not with a refusal.
        Share = "SHARE",
    }
}

/// One step that was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DisputeStep {
    /// Which.
    pub step: DisputeMove,
    /// Who took it.
    pub by: PersonId,
    /// For whom.
    pub participant: ParticipantId,
    /// When, by leader time.
    pub at: Timestamp,
    /// Why; of a superior's decision, its document.
    pub because: String,
}

/// The dispute of one request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Dispute {
    /// The request.
    pub request: RequestId,
    /// What happened, oldest first: at most [`Dispute::STEPS_MAX`].
    pub steps: Vec<DisputeStep>,
}

impl Dispute {
    /// Open, two tiers and a decision.
    pub const STEPS_MAX: usize = 4;

    /// Whether it was decided that the data is to be shared.
    #[must_use]
    pub fn orders_sharing(&self) -> bool {
        self.steps
            .last()
            .is_some_and(|it| it.step == DisputeMove::Share)
    }
}
