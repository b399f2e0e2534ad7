//! Versions of datasets: numbered without gaps, signed by the provider, never changed.
//!
//! It does not check signature bytes; it checks that the keys which signed are the provider's and
//! the steward's at this log index.

use std::sync::Arc;

use schemas::Signed;
use schemas::dataset::{Dataset, DatasetState, DatasetVersion};
use schemas::participant::Role;

use super::author::Acting;
use super::clock::AUTHOR_SKEW_MAX_MS;
use super::dataset::find;
use super::record::Record;
use super::refusal::Refusal;
use super::store::State;
use super::{Change, limits};

/// Records a version that passed the gate. By the owner node.
pub(crate) fn publish(
    state: &State,
    acting: &Acting<'_>,
    version: &Signed<DatasetVersion>,
) -> Result<Change, Refusal> {
    let it = &version.body;
    let dataset = find(state, &it.dataset)?;
    let node = acting.node_of(&dataset.provider)?;
    if node.id != dataset.owner {
        return Err(Refusal::not_allowed(format!(
            "node {} owns the tables of {}; versions come from there",
            dataset.owner, dataset.id
        )));
    }
    match dataset.state {
        DatasetState::Approved | DatasetState::Published | DatasetState::Revising => {}
        DatasetState::Draft
        | DatasetState::DepartmentApproved
        | DatasetState::Submitted
        | DatasetState::Returned
        | DatasetState::Suspended
        | DatasetState::Retired => {
            return Err(Refusal::wrong_state(format!(
                "{} is {}; versions are recorded while it is APPROVED, PUBLISHED or REVISING",
                dataset.id, dataset.state
            )));
        }
    }
    let provider = state.participants.get(&dataset.provider);
    if provider.is_none_or(|provider| provider.signing.key_id() != version.key) {
        return Err(Refusal::signature(format!(
            "the version is not signed with the key of {}; sign it with the provider's key",
            dataset.provider
        )));
    }
    check_body(dataset, it)?;
    check_number_and_intent(state, dataset, it)?;
    Ok(Change::new(
        it.number,
        vec![Record::Version(Arc::new(version.clone()))],
    ))
}

fn check_body(dataset: &Dataset, it: &DatasetVersion) -> Result<(), Refusal> {
    if it.standard != dataset.standard {
        return Err(Refusal::invalid(format!(
            "{} follows edition {} of {}; check the rows against that one",
            dataset.id, dataset.standard.edition, dataset.standard.standard
        )));
    }
    limits::check_count("verdict.rules", it.verdict.rules.len(), Dataset::RULES_MAX)?;
    for rule in &it.verdict.rules {
        limits::check_length("verdict.indicator", &rule.indicator, limits::CODE_CHARS_MAX)?;
    }
    if !it.verdict.passed {
        return Err(Refusal::invalid(
            "the quality gate did not pass this version; the last good one keeps serving",
        ));
    }
    Ok(())
}

/// The intent is a steward's of the provider, for this dataset, and newer than the last one: an
/// old intent cannot bring an old file back under her name.
fn check_number_and_intent(
    state: &State,
    dataset: &Dataset,
    it: &DatasetVersion,
) -> Result<(), Refusal> {
    let versions = state.versions.get(&dataset.id);
    let last = versions
        .and_then(|versions| versions.get_max())
        .map(|(_, last)| last);
    let wanted = last.map_or(0, |last| last.body.number) + 1;
    if it.number != wanted {
        return Err(Refusal::conflict(format!(
            "the next version of {} is {wanted}, not {}; number it anew and sign again",
            dataset.id, it.number
        )));
    }
    if versions.is_some_and(|versions| versions.len() >= limits::VERSIONS_PER_DATASET_MAX) {
        return Err(Refusal::invalid(format!(
            "{} has {} versions, which is the limit; go on in a new dataset",
            dataset.id,
            limits::VERSIONS_PER_DATASET_MAX
        )));
    }
    let intent = &it.intent.body;
    if intent.dataset != dataset.id || intent.participant != dataset.provider {
        return Err(Refusal::invalid(format!(
            "the intent is for {} of {}; sign one for {} of {}",
            intent.dataset, intent.participant, dataset.id, dataset.provider
        )));
    }
    let now = state.leader_time();
    let steward = state.persons.get(&intent.person).filter(|person| {
        person.key_id() == it.intent.key && person.participant == dataset.provider
    });
    let steward = steward.ok_or_else(|| {
        Refusal::signature(format!(
            "the intent is not signed with {}'s key at this index; sign it again",
            intent.person
        ))
    })?;
    let is_valid = steward.not_before <= now && now < steward.not_after;
    if !is_valid || !steward.roles.contains(&Role::DataSteward) {
        return Err(Refusal::not_allowed(format!(
            "{} is not a data steward of {} now; a steward signs the intent",
            steward.id, dataset.provider
        )));
    }
    if intent.at.millis_since(now) > AUTHOR_SKEW_MAX_MS {
        return Err(Refusal::clock_skew(format!(
            "the intent says {}, leader time is {now}; set the clock right and sign again",
            intent.at
        )));
    }
    if last.is_some_and(|last| intent.at <= last.body.intent.body.at) {
        return Err(Refusal::conflict(format!(
            "version {} rests on an intent of the same time or later; sign a new intent",
            wanted - 1
        )));
    }
    Ok(())
}
