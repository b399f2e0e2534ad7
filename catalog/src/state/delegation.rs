//! Who decides in whose place while she is away.
//!
//! It does not give roles: the one who stands in has a deciding role of her own, and two approvals
//! are still two persons'.

use std::sync::Arc;

use schemas::delegation::Delegation;
use schemas::participant::{Person, Role};
use schemas::{ParticipantId, PersonId};

use super::author::Acting;
use super::limits::TEXT_CHARS_MAX;
use super::record::Record;
use super::refusal::{Refusal, check_revision};
use super::request::check_period;
use super::store::State;
use super::{Change, limits};

/// Roles that decide on requests.
const DECIDING: &[Role] = &[Role::DataSteward, Role::SecurityOfficer];

/// A day in milliseconds.
const DAY_MS: i64 = 86_400_000;

/// Lets somebody decide in one's place. By the person who will be away.
pub(crate) fn set(state: &State, acting: &Acting<'_>, it: &Delegation) -> Result<Change, Refusal> {
    let person = acting.person_of(&it.participant, DECIDING)?;
    if person.id != it.from {
        return Err(Refusal::not_allowed(format!(
            "{} signs a delegation of {}; everybody delegates her own decisions",
            person.id, it.from
        )));
    }
    let before = state.delegations.get(&it.from);
    let revision = before.map_or(0, |before| before.revision);
    check_revision(it.from.as_str(), revision, it.revision)?;
    if it.ended_because.is_some() {
        return Err(Refusal::invalid(
            "a new delegation is not ended; leave ended_because out",
        ));
    }
    limits::check_text("because", &it.because, TEXT_CHARS_MAX)?;
    check_period(&it.period)?;
    let now = state.leader_time();
    let lasts = it.period.until.millis_since(it.period.from);
    if lasts > Delegation::DAYS_MAX * DAY_MS || it.period.until <= now {
        return Err(Refusal::invalid(format!(
            "a delegation ends in the future and lasts {} days at most; have roles bound for a \
             longer absence",
            Delegation::DAYS_MAX
        )));
    }
    let stands_in = state.persons.get(&it.to).filter(|to| {
        let decides = DECIDING.iter().any(|role| to.roles.contains(role));
        decides && to.participant == it.participant && to.id != it.from
    });
    if stands_in.is_none() {
        return Err(Refusal::invalid(format!(
            "{} must be another data steward or security officer of {}",
            it.to, it.participant
        )));
    }
    let record = Delegation {
        revision: revision + 1,
        ..it.clone()
    };
    Ok(Change::new(
        revision + 1,
        vec![Record::Delegation(Arc::new(record))],
    ))
}

/// Ends a delegation before its time. By the person who was away, or a security officer of her
/// participant.
pub(crate) fn end(
    state: &State,
    acting: &Acting<'_>,
    from: &PersonId,
    revision: u64,
    because: &str,
) -> Result<Change, Refusal> {
    let before = state.delegations.get(from).ok_or_else(|| {
        Refusal::not_found(format!("{from} has delegated nothing; check the name"))
    })?;
    let person = acting.person_of(&before.participant, DECIDING)?;
    if person.id != *from && !person.roles.contains(&Role::SecurityOfficer) {
        return Err(Refusal::not_allowed(format!(
            "{from} or a security officer of {} ends this delegation",
            before.participant
        )));
    }
    check_revision(from.as_str(), before.revision, revision)?;
    limits::check_text("because", because, TEXT_CHARS_MAX)?;
    if before.ended_because.is_some() {
        return Err(Refusal::wrong_state(format!(
            "the delegation of {from} was ended already"
        )));
    }
    let record = Delegation {
        ended_because: Some(because.to_owned()),
        revision: before.revision + 1,
        ..(**before).clone()
    };
    Ok(Change::new(
        record.revision,
        vec![Record::Delegation(Arc::new(record))],
    ))
}

/// Who decides, and in whose place: in her own where her role allows it, otherwise in that of a
/// person with one of `roles` who is away and named her.
pub(crate) fn decider<'a>(
    state: &'a State,
    acting: &Acting<'a>,
    participant: &ParticipantId,
    roles: &[Role],
) -> Result<(&'a Person, Option<&'a Person>), Refusal> {
    let own = acting.person_of(participant, roles);
    let Ok(person) = acting.person_of(participant, DECIDING) else {
        return own.map(|person| (person, None));
    };
    match own {
        Ok(person) => Ok((person, None)),
        Err(refusal) => {
            let away = away(state, person, roles);
            away.map(|it| (person, Some(it))).ok_or(refusal)
        }
    }
}

/// A person with one of `roles` in whose place `person` decides now.
fn away<'a>(state: &'a State, person: &Person, roles: &[Role]) -> Option<&'a Person> {
    let now = state.leader_time();
    let named = state.delegated_to.get(&person.id)?;
    named.iter().find_map(|from| {
        let held = state.delegations.get(from)?;
        let runs =
            held.ended_because.is_none() && held.period.from <= now && now < held.period.until;
        let away = state.persons.get(from)?;
        let may = away.not_before <= now
            && now < away.not_after
            && away.participant == person.participant
            && roles.iter().any(|role| away.roles.contains(role));
        (runs && may).then_some(&**away)
    })
}
