//! Participants: registered and changed by the authority.
//!
//! It does not remove one: what a participant signed must stay verifiable.

use std::sync::Arc;

use crypto::PublicKey;
use schemas::participant::{Participant, Role};

use super::author::Acting;
use super::record::Record;
use super::refusal::{Refusal, check_revision};
use super::store::{KeyOwner, State};
use super::{Change, limits};

/// Registers or changes a participant. By a system administrator of the authority.
pub(crate) fn register(
    state: &State,
    acting: &Acting<'_>,
    it: &Participant,
) -> Result<Change, Refusal> {
    acting.person_of(authority(state)?, &[Role::SystemAdministrator])?;
    check(state, it)?;
    let before = state.participants.get(&it.id);
    let revision = before.map_or(0, |before| before.revision);
    check_revision(it.id.as_str(), revision, it.revision)?;
    if let Some(before) = before
        && it.ledger_incarnation < before.ledger_incarnation
    {
        return Err(Refusal::invalid(format!(
            "the ledger of {} is in incarnation {}; an earlier one does not come back",
            it.id, before.ledger_incarnation
        )));
    }
    let record = Participant {
        revision: revision + 1,
        ..it.clone()
    };
    Ok(Change::new(
        revision + 1,
        vec![Record::Participant(Arc::new(record))],
    ))
}

/// The authority; without it there is no federation.
pub(crate) fn authority(state: &State) -> Result<&schemas::ParticipantId, Refusal> {
    state
        .authority()
        .ok_or_else(|| Refusal::not_found("the federation is not founded; found it first"))
}

/// What a participant's record must be, whoever writes it.
pub(crate) fn check(state: &State, it: &Participant) -> Result<(), Refusal> {
    limits::check_local("name", &it.name)?;
    if let Some(uscc) = &it.uscc {
        limits::check_text("uscc", uscc, limits::CODE_CHARS_MAX)?;
    }
    if let Some(seat) = &it.seat {
        limits::check_text("seat", seat, limits::CODE_CHARS_MAX)?;
    }
    if it.signing == it.encryption {
        return Err(Refusal::invalid(
            "signing and encryption are one key; GM/T 0015 has two, make another",
        ));
    }
    if it.ledger_incarnation == 0 {
        return Err(Refusal::invalid("ledger incarnations are counted from 1"));
    }
    check_key(state, &it.signing, &KeyOwner::Participant(it.id.clone()))?;
    check_key(state, &it.encryption, &KeyOwner::Encryption(it.id.clone()))
}

/// A key belongs to one owner and one use only, because it names its owner.
pub(crate) fn check_key(state: &State, key: &PublicKey, owner: &KeyOwner) -> Result<(), Refusal> {
    let id = key.key_id();
    match state.keys.get(&id) {
        Some(other) if other != owner => Err(Refusal::conflict(format!(
            "key {id} is in use for another owner or purpose; make a new key"
        ))),
        Some(_) | None => Ok(()),
    }
}
