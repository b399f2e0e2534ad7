//! Break-glass: one person grants in an emergency, for a short time, and a second one reviews it
//! afterwards.
//!
//! It does not open data to another place: what leaves the mainland always needs two persons first.

use serde::{Deserialize, Serialize};

use crate::{GrantId, PersonId, RequestId, Timestamp};

/// What the second person said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Review {
    /// Who.
    pub by: PersonId,
    /// When, by leader time.
    pub at: Timestamp,
    /// Whether the grant was right; one that was not is revoked.
    pub upheld: bool,
    /// Why.
    pub because: String,
}

/// A grant in an emergency, and its review.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EmergencyReview {
    /// The request that was agreed to.
    pub request: RequestId,
    /// The grant.
    pub grant: GrantId,
    /// The one person who agreed.
    pub by: PersonId,
    /// In whose place, if she stood in.
    pub in_place_of: Option<PersonId>,
    /// What the emergency was.
    pub because: String,
    /// When, by leader time.
    pub granted_at: Timestamp,
    /// Until when it is reviewed: 24:00 of the last working day, by the provider's rule pack.
    pub due_at: Timestamp,
    /// The review.
    pub review: Option<Review>,
    /// The tick that ended the grant because nobody had reviewed it.
    pub lapsed_at: Option<Timestamp>,
}
