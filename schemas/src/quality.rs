//! Quality rules, their verdict and the gate, with the indicator codes of GB/T 36344-2018.
//!
//! It does not run a rule: that is the data plane's, in one pass over the rows.

mod scorecard;

use serde::{Deserialize, Serialize};

use crate::code::codes;
use crate::{LocalText, RuleId};

pub use scorecard::{Assessed, Basis, INDICATORS, Indicator, OF_THE_SERVICE, scorecard};

/// A share in millionths: exact, ordered, and the same on every replica.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(transparent)]
pub struct Ppm(pub u32);

impl Ppm {
    /// All of it.
    pub const ONE: Self = Self(1_000_000);

    /// `part` of `whole`, rounded down; the whole of nothing is all of it.
    #[must_use]
    pub fn of(part: u64, whole: u64) -> Self {
        if whole == 0 {
            return Self::ONE;
        }
        let ppm = u128::from(part.min(whole)) * 1_000_000 / u128::from(whole);
        Self(u32::try_from(ppm).unwrap_or(1_000_000))
    }
}

impl std::fmt::Display for Ppm {
    /// In percent, exact: `99.95 %`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let fraction = format!("{:04}", self.0 % 10_000);
        match fraction.trim_end_matches('0') {
            "" => write!(f, "{} %", self.0 / 10_000),
            digits => write!(f, "{}.{digits} %", self.0 / 10_000),
        }
    }
}

codes! {
    /// What happens when a rule's pass line is missed.
    pub enum Severity {
        /// The version is not published.
        Block = "BLOCK",
        /// The verdict says so; the version is published.
        Warn = "WARN",
    }
}

/// What a rule checks. Rows that a check does not apply to (null where null is allowed) do not
/// count as evaluated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum QualityCheck {
    /// The column has a value (0201).
    Complete {
        /// Column.
        column: String,
    },
    /// No two rows share these columns' values (0304).
    Unique {
        /// Columns that make the key.
        columns: Vec<String>,
    },
    /// A number lies between two bounds, inclusive (0302).
    Range {
        /// Column.
        column: String,
        /// Lower bound.
        min: Option<i64>,
        /// Upper bound.
        max: Option<i64>,
    },
    /// The value occurs in a published dataset's column (0105): a code table, or a parent table.
    References {
        /// Column here.
        column: String,
        /// Dataset there, of the same node.
        dataset: crate::DatasetId,
        /// Column there.
        referenced: String,
    },
    /// Two columns of a row stand in order (0402, 0503).
    Order {
        /// Column that may not be greater.
        lesser: String,
        /// Column that may not be less.
        greater: String,
    },
    /// A sum over columns of a row holds (0402).
    Sum {
        /// Addends.
        parts: Vec<String>,
        /// What they add up to.
        total: String,
    },
    /// The version has at least so many rows (0202).
    RowCount {
        /// Fewest rows.
        min: u64,
    },
}

impl QualityCheck {
    /// The indicator of GB/T 36344-2018 that this check feeds.
    #[must_use]
    pub fn indicator(&self) -> &'static str {
        match self {
            Self::Complete { .. } => "0201",
            Self::Unique { .. } => "0304",
            Self::Range { .. } => "0302",
            Self::References { .. } => "0105",
            Self::Order { .. } => "0503",
            Self::Sum { .. } => "0402",
            Self::RowCount { .. } => "0202",
        }
    }
}

/// One rule of a dataset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QualityRule {
    /// Its identifier within the dataset.
    pub id: RuleId,
    /// What it is for.
    pub title: LocalText,
    /// What it checks.
    pub check: QualityCheck,
    /// Share of evaluated rows that must pass.
    pub pass_line: Ppm,
    /// What missing the line means.
    pub severity: Severity,
}

/// When a version may be published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QualityGate {
    /// Largest share of rows that may be quarantined.
    pub quarantined_max: Ppm,
    /// Least mean of the rules' scores.
    pub score_min: Ppm,
}

/// What one rule said of one version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleVerdict {
    /// The rule.
    pub rule: RuleId,
    /// Its indicator (GB/T 36344-2018).
    pub indicator: String,
    /// Rows (or keys) that it applied to.
    pub evaluated: u64,
    /// Those that failed.
    pub failed: u64,
    /// Share that passed.
    pub score: Ppm,
    /// Whether the pass line was reached.
    pub passed: bool,
}

/// What all rules said of one version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QualityVerdict {
    /// Each rule, in the order of the dataset's list.
    pub rules: Vec<RuleVerdict>,
    /// Mean of the scores; a dataset without rules is not assessable, which is not 100 %.
    pub score: Option<Ppm>,
    /// Share of rows that were quarantined.
    pub quarantined: Ppm,
    /// Whether the gate let the version pass.
    pub passed: bool,
}

impl QualityVerdict {
    /// Judges: the mean of the scores, every blocking rule and the share of quarantined rows.
    #[must_use]
    pub fn judge(
        gate: &QualityGate,
        rules: &[QualityRule],
        verdicts: Vec<RuleVerdict>,
        published_rows: u64,
        quarantined_rows: u64,
    ) -> Self {
        let score = u32::try_from(verdicts.len())
            .ok()
            .filter(|count| *count > 0)
            .map(|count| {
                let sum: u64 = verdicts
                    .iter()
                    .map(|verdict| u64::from(verdict.score.0))
                    .sum();
                Ppm(u32::try_from(sum / u64::from(count)).unwrap_or(1_000_000))
            });
        let all_rows = published_rows.saturating_add(quarantined_rows);
        let quarantined = if all_rows == 0 {
            Ppm(0)
        } else {
            Ppm::of(quarantined_rows, all_rows)
        };
        let blocked = rules
            .iter()
            .zip(&verdicts)
            .any(|(rule, verdict)| rule.severity == Severity::Block && !verdict.passed);
        let passed = !blocked
            && quarantined <= gate.quarantined_max
            && score.is_none_or(|score| score >= gate.score_min);
        Self {
            rules: verdicts,
            score,
            quarantined,
            passed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_exact_and_reads_in_percent() {
        for (part, whole, text) in [
            (1, 1, "100 %"),
            (0, 0, "100 %"),
            (0, 7, "0 %"),
            (1, 3, "33.3333 %"),
            (1_999, 2_000, "99.95 %"),
            (9, 4, "100 %"),
        ] {
            assert_eq!(Ppm::of(part, whole).to_string(), text);
        }
    }
}
