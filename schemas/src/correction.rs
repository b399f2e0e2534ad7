//! Correction tickets (校核纠错): a consumer doubts a row, its provider checks, and every active
//! consumer hears of a correction.
//!
//! It does not hold rows and no personal information: a row is named by something that says nothing
//! of a person, such as the number of a declaration.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::code::codes;
use crate::{CorrectionId, DatasetId, ParticipantId, PersonId, Timestamp};

codes! {
    /// State of a ticket.
    pub enum CorrectionState {
        /// With the provider; the clock runs.
        Open = "OPEN",
        /// The provider checks; the clock runs.
        Accepted = "ACCEPTED",
        /// Corrected in a version; whoever asked has not been told yet.
        Corrected = "CORRECTED",
        /// Not corrected, with reasons; whoever asked has not been told yet.
        Rejected = "REJECTED",
        /// Whoever asked was told; the clock has stopped.
        Feedback = "FEEDBACK",
        /// Ended by whoever asked.
        Closed = "CLOSED",
    }
}

/// A ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Correction {
    /// Its identifier.
    pub id: CorrectionId,
    /// Whose rows are doubted.
    pub dataset: DatasetId,
    /// In which version.
    pub version: u64,
    /// Which row, by its key.
    pub row: String,
    /// Which column; none means the whole row.
    pub column: Option<String>,
    /// What is wrong and what shows it.
    pub evidence: String,
    /// Who asks.
    pub consumer: ParticipantId,
    /// The person who asks.
    pub opened_by: PersonId,
    /// When, by leader time. The catalog sets it, as all that follows.
    pub opened_at: Timestamp,
    /// Where it stands. A new one is `OPEN`.
    pub state: CorrectionState,
    /// Until when the provider answers: 24:00 of the last working day. None when no clock runs.
    pub due_at: Option<Timestamp>,
    /// The tick that noticed that it was late.
    pub overdue_at: Option<Timestamp>,
    /// What the provider said last.
    pub answer: Option<String>,
    /// The version that has it right.
    pub corrected_in: Option<u64>,
    /// Who was told of the correction: every consumer whose grant was in force then.
    pub notified: BTreeSet<ParticipantId>,
    /// Grows with each change.
    pub revision: u64,
}

impl Correction {
    /// Most consumers that one ticket names; whoever has a grant may read the ticket anyway.
    pub const NOTIFIED_MAX: usize = 4_096;
}
