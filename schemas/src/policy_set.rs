//! A versioned bundle of policy text, in force from a log index.
//!
//! It does not interpret the text: `policies` does.

use serde::{Deserialize, Serialize};

/// The text of a policy set: what a lawyer and a security officer read, review and sign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicySet {
    /// Its number, counted from 1 without gaps; 0 is the set that ships with the program.
    pub number: u64,
    /// casbin model.
    pub model: String,
    /// casbin policy lines: which role may do what.
    pub roles: String,
    /// TOML: sealing, masks and thresholds by grade, staleness limits, export rules.
    pub rules: String,
    /// What changed and why.
    pub note: String,
}
