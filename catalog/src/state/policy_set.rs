//! Policy sets: numbered without gaps; the newest is in force.
//!
//! It does not read the text: the decision point compiles it before it is proposed.

use std::sync::Arc;

use schemas::participant::Role;
use schemas::policy_set::PolicySet;

use super::author::Acting;
use super::participant::authority;
use super::record::Record;
use super::refusal::Refusal;
use super::store::State;
use super::{Change, limits};

/// Puts a policy set in force. By the authority's security officer.
pub(crate) fn adopt(state: &State, acting: &Acting<'_>, it: &PolicySet) -> Result<Change, Refusal> {
    acting.person_of(authority(state)?, &[Role::SecurityOfficer])?;
    let parts = [
        ("model", &it.model),
        ("roles", &it.roles),
        ("rules", &it.rules),
    ];
    for (field, text) in parts {
        if text.trim().is_empty() {
            return Err(Refusal::invalid(format!(
                "{field} is empty; a policy set is complete, copy what stays"
            )));
        }
    }
    limits::check_text("note", &it.note, limits::TEXT_CHARS_MAX)?;
    let bytes = it.model.len() + it.roles.len() + it.rules.len();
    if bytes > limits::POLICY_BYTES_MAX {
        return Err(Refusal::invalid(format!(
            "the policy set has {bytes} bytes, the limit is {}",
            limits::POLICY_BYTES_MAX
        )));
    }
    let wanted = state.policy_sets.get_max().map_or(0, |(number, _)| *number) + 1;
    if it.number != wanted {
        return Err(Refusal::conflict(format!(
            "the next policy set is number {wanted}, not {}; read the one in force and repeat",
            it.number
        )));
    }
    Ok(Change::new(
        it.number,
        vec![Record::PolicySet(Arc::new(it.clone()))],
    ))
}
