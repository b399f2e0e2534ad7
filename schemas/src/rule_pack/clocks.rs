//! Statutory clocks of requests, in working days, by jurisdiction.
//!
//! It does not count days: `calendar` does.

use serde::{Deserialize, Serialize};

use super::{check_count, check_text, check_unique, refuse};
use crate::Error;
use crate::code::codes;

/// Longest clock in working days: a year has about 250.
const WORKING_DAYS_MAX: u16 = 250;

codes! {
    /// What a clock measures.
    pub enum ClockKind {
        /// Request received to reply, data shared without conditions.
        ReplyUnconditional = "REPLY_UNCONDITIONAL",
        /// Request received to reply, data shared under conditions.
        ReplyConditional = "REPLY_CONDITIONAL",
        /// Agreement to data shared.
        Delivery = "DELIVERY",
        /// Request for verification to corrected or answered (校核纠错).
        Correction = "CORRECTION",
        /// Request received to the authority's check of its form.
        ConformityReview = "CONFORMITY_REVIEW",
        /// Catalog entry submitted to the authority's decision.
        CatalogReview = "CATALOG_REVIEW",
        /// Change of law or duty to the catalog entry updated.
        CatalogUpdate = "CATALOG_UPDATE",
        /// Dispute of a refusal to coordination or an end.
        Negotiation = "NEGOTIATION",
        /// Coordination by the authority to a decision or the common superior.
        Coordination = "COORDINATION",
        /// The common superior's decision.
        Escalation = "ESCALATION",
        /// Longest life of an emergency grant.
        EmergencyGrant = "EMERGENCY_GRANT",
        /// Emergency grant to the second person's review.
        EmergencyReview = "EMERGENCY_REVIEW",
    }
}

/// One clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Clock {
    /// What it measures.
    pub kind: ClockKind,
    /// How long, in working days; the first day is not counted.
    pub working_days: u16,
    /// The article.
    pub cites: String,
}

/// The clocks of one jurisdiction. One that is not here is the next higher jurisdiction's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Clocks {
    /// Each kind once.
    pub clocks: Vec<Clock>,
}

impl Clocks {
    /// The clock of that kind.
    #[must_use]
    pub fn clock(&self, kind: ClockKind) -> Option<&Clock> {
        self.clocks.iter().find(|it| it.kind == kind)
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        check_count("clocks", self.clocks.len(), ClockKind::ALL.len())?;
        check_unique("clocks", self.clocks.iter().map(|it| it.kind))?;
        for clock in &self.clocks {
            check_text("clocks.cites", &clock.cites)?;
            if !(1..=WORKING_DAYS_MAX).contains(&clock.working_days) {
                return Err(refuse(
                    "clocks.working_days",
                    format!("write 1 to {WORKING_DAYS_MAX} working days"),
                ));
            }
        }
        Ok(())
    }
}
