//! Why a decision came out as it did: every rule that spoke, in order, with the facts that it saw
//! and its article. And which accesses of the past another policy would decide otherwise.
//!
//! It is not recorded: it is a function of what is recorded, and an auditor computes it again.

use serde::{Deserialize, Serialize};

use crate::code::codes;
use crate::decision::Decision;
use crate::export::Reading;

codes! {
    /// What a rule said.
    pub enum Voice {
        /// It looked and did not hold.
        Silent = "SILENT",
        /// It lets pass.
        Allows = "ALLOWS",
        /// It lets pass with a duty.
        Obliges = "OBLIGES",
        /// It asks for persons to be counted first.
        Measures = "MEASURES",
        /// It refuses.
        Refuses = "REFUSES",
    }
}

/// One fact that a rule saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Saw {
    /// Which fact, by the path that it has in the ledger's entry.
    pub fact: String,
    /// Its value.
    pub value: String,
}

impl Saw {
    /// A fact and its value.
    #[must_use]
    pub fn new(fact: impl Into<String>, value: impl std::fmt::Display) -> Self {
        Self {
            fact: fact.into(),
            value: value.to_string(),
        }
    }
}

/// One rule that spoke.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Spoke {
    /// Which: a reason code, an export rule's number, or a place in the policy text.
    pub rule: String,
    /// What it said.
    pub voice: Voice,
    /// What it saw.
    pub saw: Vec<Saw>,
    /// Its article.
    pub cites: String,
}

/// A decision with everything that led to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Explanation {
    /// What was decided.
    pub decision: Decision,
    /// Every rule that spoke, in the order of evaluation.
    pub spoke: Vec<Spoke>,
    /// Open questions of law that mattered, and how they were read.
    pub readings: Vec<Reading>,
}

codes! {
    /// How another policy would turn a decision.
    pub enum Turn {
        /// It would refuse what was permitted, or count first.
        Tightened = "TIGHTENED",
        /// It would permit what was refused or counted first.
        Loosened = "LOOSENED",
        /// It would permit with other duties.
        OtherDuties = "OTHER_DUTIES",
        /// It would refuse for other reasons, or count otherwise.
        OtherReasons = "OTHER_REASONS",
    }
}

/// One access that would change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Changed {
    /// Its entry in the ledger.
    pub entry: u64,
    /// How.
    pub turn: Turn,
    /// What was decided.
    pub before: Decision,
    /// What would be.
    pub after: Decision,
}

/// What another policy would change of the accesses of the past.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DryRun {
    /// How many accesses were decided again.
    pub accesses: u64,
    /// How many of them would change.
    pub changes: u64,
    /// The first of those, in the order of the ledger.
    pub changed: Vec<Changed>,
}

impl DryRun {
    /// Most accesses that are listed one by one.
    pub const CHANGED_MAX: usize = 1_000;
}
