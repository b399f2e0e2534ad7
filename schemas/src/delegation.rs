//! Who decides in whose place while she is away.
//!
//! It does not give a role: the one who stands in has a deciding role of her own, and her approval
//! says in whose place it was given.

use serde::{Deserialize, Serialize};

use crate::{ParticipantId, Period, PersonId};

/// A delegation; a person has one at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Delegation {
    /// Who is away.
    pub from: PersonId,
    /// Who decides in her place.
    pub to: PersonId,
    /// For whom both act.
    pub participant: ParticipantId,
    /// From when to when: at most [`Delegation::DAYS_MAX`] days.
    pub period: Period,
    /// Why.
    pub because: String,
    /// Why it was ended before its time.
    pub ended_because: Option<String>,
    /// Grows with each change.
    pub revision: u64,
}

impl Delegation {
    /// Longest delegation in days; a longer absence is a new binding of roles.
    pub const DAYS_MAX: i64 = 92;
}
