//! Persons: which key and which roles each has, for which participant.
//!
//! It does not hold names; a person is an identifier here.

use std::sync::Arc;

use schemas::Visibility;
use schemas::participant::{Person, Role};

use super::author::Acting;
use super::participant::{authority, check_key};
use super::record::Record;
use super::refusal::{Refusal, check_revision};
use super::store::{KeyOwner, State};
use super::{Change, limits};

/// Binds roles and a key to a person. By a system administrator of her participant or of the
/// authority; nobody gives roles to herself.
pub(crate) fn bind(state: &State, acting: &Acting<'_>, it: &Person) -> Result<Change, Refusal> {
    let administrator = acting.person_with(&[Role::SystemAdministrator])?;
    let authority = authority(state)?;
    let before = state.persons.get(&it.id);
    if administrator.participant != it.participant && administrator.participant != *authority {
        return Err(Refusal::not_allowed(format!(
            "{} acts for {}; a system administrator of {} or of {authority} binds this person",
            administrator.id, administrator.participant, it.participant
        )));
    }
    if let Some(before) = before
        && before.participant != it.participant
    {
        return Err(Refusal::conflict(format!(
            "{} acts for {}; a person acts for one participant, choose another identifier",
            it.id, before.participant
        )));
    }
    if administrator.id == it.id && administrator.roles != it.roles {
        return Err(Refusal::not_allowed(
            "nobody changes her own roles; another system administrator binds them",
        ));
    }
    if !state.participants.contains_key(&it.participant) {
        return Err(Refusal::not_found(format!(
            "there is no participant {}; register it first",
            it.participant
        )));
    }
    check_form(state, it)?;
    let revision = before.map_or(0, |before| before.revision);
    check_revision(it.id.as_str(), revision, it.revision)?;
    let record = Person {
        revision: revision + 1,
        ..it.clone()
    };
    Ok(Change::new(
        revision + 1,
        vec![Record::Person(Arc::new(record))],
    ))
}

/// What a person's record must be in itself.
pub(crate) fn check_form(state: &State, it: &Person) -> Result<(), Refusal> {
    it.check_roles()
        .map_err(|error| Refusal::invalid(error.to_string()))?;
    if it.not_before >= it.not_after {
        return Err(Refusal::invalid(format!(
            "not_before of {} must lie before not_after",
            it.id
        )));
    }
    check_visibility(&it.visibility)?;
    check_key(state, &it.signing, &KeyOwner::Person(it.id.clone()))
}

/// A list of readers is short.
pub(crate) fn check_visibility(visibility: &Visibility) -> Result<(), Refusal> {
    match visibility {
        Visibility::Federation => Ok(()),
        Visibility::Parties(parties) => {
            limits::check_count("visibility", parties.len(), limits::PARTIES_MAX)
        }
    }
}
