//! Rule packs: numbered without gaps within a series; what is in force depends on the day.
//!
//! It does not decide exports: it keeps the packs, says which holds where, and runs the clocks of
//! requests by them.

use std::sync::Arc;

use schemas::calendar::{Calendar, Day};
use schemas::participant::Role;
use schemas::rule_pack::{
    AdoptedRulePack, ClockKind, Holidays, MAINLAND, RulePack, RulePackKind, is_by_place, lineage,
    shipped,
};
use schemas::{ParticipantId, RulePackId, Timestamp};

use super::author::Acting;
use super::participant::authority;
use super::record::Record;
use super::refusal::Refusal;
use super::store::State;
use super::{Change, limits};

/// Puts a rule pack in force, from its first day on. By the authority's security officer.
pub(crate) fn adopt(state: &State, acting: &Acting<'_>, it: &RulePack) -> Result<Change, Refusal> {
    let person = acting.person_of(authority(state)?, &[Role::SecurityOfficer])?;
    it.check()
        .map_err(|error| Refusal::invalid(error.to_string()))?;
    check_series(state, it)?;
    let wanted = newest(state, &it.series).map_or(0, |before| before.pack.number) + 1;
    if it.number != wanted {
        return Err(Refusal::conflict(format!(
            "the next pack of {} is number {wanted}, not {}; read the newest one and repeat",
            it.series, it.number
        )));
    }
    let record = AdoptedRulePack {
        pack: it.clone(),
        by: person.id.clone(),
        at: state.leader_time(),
        withdrawn_because: None,
        revision: 1,
    };
    Ok(Change::new(
        it.number,
        vec![Record::RulePack(Arc::new(record))],
    ))
}

/// A series keeps its kind and its place, and no two series hold in one place.
fn check_series(state: &State, it: &RulePack) -> Result<(), Refusal> {
    let adopted = state.rule_packs.values().map(|held| &held.pack);
    for held in shipped().iter().chain(adopted) {
        let same_use = held.kind() == it.kind() && held.jurisdiction == it.jurisdiction;
        if held.series == it.series && !same_use {
            return Err(Refusal::conflict(format!(
                "series {} holds {} for {}; choose another series",
                held.series,
                held.kind(),
                held.jurisdiction
            )));
        }
        if held.series != it.series && same_use && is_by_place(it.kind()) {
            return Err(Refusal::conflict(format!(
                "{} for {} are series {}; continue that one",
                it.kind(),
                it.jurisdiction,
                held.series
            )));
        }
    }
    Ok(())
}

/// Takes a pack back. By the authority's security officer.
pub(crate) fn withdraw(
    state: &State,
    acting: &Acting<'_>,
    series: &RulePackId,
    number: u64,
    because: &str,
) -> Result<Change, Refusal> {
    acting.person_of(authority(state)?, &[Role::SecurityOfficer])?;
    limits::check_text("because", because, limits::TEXT_CHARS_MAX)?;
    let held = state
        .rule_packs
        .get(&(series.clone(), number))
        .ok_or_else(|| {
            Refusal::not_found(format!(
                "there is no adopted pack {series} number {number}; check series and number"
            ))
        })?;
    if held.withdrawn_because.is_some() {
        return Err(Refusal::wrong_state(format!(
            "pack {series} number {number} was taken back already"
        )));
    }
    let record = AdoptedRulePack {
        withdrawn_because: Some(because.to_owned()),
        revision: held.revision + 1,
        ..(**held).clone()
    };
    Ok(Change::new(
        record.revision,
        vec![Record::RulePack(Arc::new(record))],
    ))
}

fn newest<'a>(state: &'a State, series: &RulePackId) -> Option<&'a AdoptedRulePack> {
    let of_series = (series.clone(), 0)..=(series.clone(), u64::MAX);
    state
        .rule_packs
        .range(of_series)
        .next_back()
        .map(|(_, it)| it.as_ref())
}

/// The pack of a kind that is looked up by place and holds there on that day: the highest number
/// that was not taken back, else the one that ships.
pub(crate) fn in_force<'a>(
    state: &'a State,
    kind: RulePackKind,
    jurisdiction: &str,
    day: Day,
) -> Option<&'a RulePack> {
    let adopted = state
        .rule_packs
        .values()
        .filter(|it| it.withdrawn_because.is_none())
        .map(|it| &it.pack);
    shipped()
        .iter()
        .chain(adopted)
        .filter(|it| it.kind() == kind && it.jurisdiction == jurisdiction)
        .filter(|it| it.effective.holds_on(day))
        .max_by_key(|it| it.number)
}

/// The calendar by which terms that begin on a day are counted. Without a holiday table weekends
/// alone are off.
pub(crate) fn calendar(state: &State, day: Day) -> Calendar {
    in_force(state, RulePackKind::Holidays, MAINLAND, day)
        .and_then(RulePack::holidays)
        .map_or_else(Calendar::default, Holidays::calendar)
}

/// When a clock that starts now runs out for a provider: by the nearest jurisdiction of its seat
/// that sets it. None when none does.
pub(crate) fn due(state: &State, provider: &ParticipantId, clock: ClockKind) -> Option<Timestamp> {
    let now = state.leader_time();
    let day = Day::of(now);
    let days = places(state, provider).iter().find_map(|place| {
        let pack = in_force(state, RulePackKind::Clocks, place, day)?;
        pack.clocks()?.clock(clock).map(|it| it.working_days)
    })?;
    Some(calendar(state, day).due(now, days))
}

/// The pack of a kind in force today at the nearest jurisdiction of a provider's seat that has one.
pub(crate) fn nearest<'a>(
    state: &'a State,
    provider: &ParticipantId,
    kind: RulePackKind,
) -> Option<&'a RulePack> {
    let day = Day::of(state.leader_time());
    let mut places = places(state, provider).into_iter();
    places.find_map(|place| in_force(state, kind, &place, day))
}

/// The jurisdictions whose packs hold at a provider's seat, the nearest first.
fn places(state: &State, provider: &ParticipantId) -> Vec<String> {
    let seat = state
        .participants
        .get(provider)
        .and_then(|it| it.seat.as_deref());
    lineage(seat)
}
