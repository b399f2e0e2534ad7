//! Export instruments and the evidence that export rules ask for: registered by the sender's
//! security officer, suspended or ended by her or the authority's.
//!
//! It does not decide exports, and it does not read the document: a person signs what it says.

use std::collections::BTreeSet;
use std::sync::Arc;

use schemas::InstrumentId;
use schemas::calendar::Day;
use schemas::export::{Envelope, Instrument, InstrumentKind, InstrumentState};
use schemas::participant::{ParticipantKind, Role};
use schemas::rule_pack::{ExportRules, MAINLAND, RulePackKind};

use super::author::Acting;
use super::limits::{CODE_CHARS_MAX, TEXT_CHARS_MAX};
use super::participant::authority;
use super::record::Record;
use super::refusal::{Refusal, check_revision};
use super::store::State;
use super::{Change, dataset, limits, rule_pack};

/// Registers an instrument or corrects one. By a security officer of the processor.
pub(crate) fn register(
    state: &State,
    acting: &Acting<'_>,
    it: &Instrument,
) -> Result<Change, Refusal> {
    acting.person_of(&it.processor, &[Role::SecurityOfficer])?;
    let before = state.instruments.get(&it.id);
    check_revision(
        it.id.as_str(),
        before.map_or(0, |before| before.revision),
        it.revision,
    )?;
    match before {
        Some(before) => check_corrected(before, it)?,
        None if it.state != InstrumentState::Valid || it.state_because.is_some() => {
            return Err(Refusal::wrong_state(
                "a new instrument is VALID and has no state_because; suspend it afterwards",
            ));
        }
        None => {}
    }
    limits::check_text("reference", &it.reference, TEXT_CHARS_MAX)?;
    limits::check_text("issued_by", &it.issued_by, TEXT_CHARS_MAX)?;
    check_days(it)?;
    check_envelope(state, it)?;
    check_kind(state, it)?;
    let record = Instrument {
        revision: it.revision + 1,
        ..it.clone()
    };
    Ok(Change::new(
        record.revision,
        vec![Record::Instrument(Arc::new(record))],
    ))
}

/// What a correction may not touch.
fn check_corrected(before: &Instrument, it: &Instrument) -> Result<(), Refusal> {
    if before.state == InstrumentState::Ended {
        return Err(Refusal::wrong_state(format!(
            "{} was ended; register the new document under another identifier",
            it.id
        )));
    }
    let same = before.kind == it.kind
        && before.processor == it.processor
        && before.state == it.state
        && before.state_because == it.state_because;
    if same {
        return Ok(());
    }
    Err(Refusal::conflict(format!(
        "{} keeps its kind, processor and state; send them unchanged, or move it",
        it.id
    )))
}

fn check_days(it: &Instrument) -> Result<(), Refusal> {
    if it.until < it.from {
        return Err(Refusal::invalid(format!(
            "it ends on {} before it begins on {}; correct the days",
            it.until, it.from
        )));
    }
    if it.filed_on.is_some_and(|filed| filed < it.from) {
        return Err(Refusal::invalid(format!(
            "it was filed before it took effect on {}; correct the days",
            it.from
        )));
    }
    Ok(())
}

fn check_envelope(state: &State, it: &Instrument) -> Result<(), Refusal> {
    let envelope = &it.envelope;
    for (field, found, most) in [
        (
            "envelope.recipients",
            envelope.recipients.len(),
            Envelope::RECIPIENTS_MAX,
        ),
        (
            "envelope.destinations",
            envelope.destinations.len(),
            Envelope::RECIPIENTS_MAX,
        ),
        (
            "envelope.purposes",
            envelope.purposes.len(),
            Envelope::PURPOSES_MAX,
        ),
        ("envelope.data", envelope.data.len(), Envelope::DATASETS_MAX),
        ("envelope.methods", envelope.methods.len(), 2),
    ] {
        limits::check_count(field, found, most)?;
        if found == 0 {
            return Err(Refusal::invalid(format!(
                "{field} is empty, so that nothing could leave under it; name them"
            )));
        }
    }
    if let Some(unknown) = envelope
        .recipients
        .iter()
        .find(|id| !state.participants.contains_key(*id))
    {
        return Err(Refusal::not_found(format!(
            "there is no participant {unknown}; register the recipient first"
        )));
    }
    if envelope.destinations.iter().any(|it| it.is_mainland()) {
        return Err(Refusal::invalid(
            "the mainland is no destination of an export; leave it out",
        ));
    }
    for code in &envelope.purposes {
        limits::check_text("envelope.purposes", code, CODE_CHARS_MAX)?;
    }
    check_data(state, it)
}

/// Datasets of the processor, each once, with columns that they have.
fn check_data(state: &State, it: &Instrument) -> Result<(), Refusal> {
    let mut named = BTreeSet::new();
    for data in &it.envelope.data {
        let card = dataset::find(state, &data.dataset)?;
        if card.provider != it.processor {
            return Err(Refusal::invalid(format!(
                "{} is provided by {}, not by {}; an instrument covers one's own data",
                card.id, card.provider, it.processor
            )));
        }
        let known: BTreeSet<&str> = card.columns.iter().map(|it| it.name.as_str()).collect();
        let fits = data.columns.iter().all(|it| known.contains(it.as_str()));
        if data.columns.is_empty() || !fits || !named.insert(&data.dataset) {
            return Err(Refusal::invalid(format!(
                "envelope.data names columns of {}, each dataset once; read its card",
                card.id
            )));
        }
    }
    Ok(())
}

/// What the kind asks for.
fn check_kind(state: &State, it: &Instrument) -> Result<(), Refusal> {
    let envelope = &it.envelope;
    let scaled = envelope.persons_max.is_some_and(|most| most > 0)
        && envelope.retention_days_max.is_some_and(|days| days > 0);
    if it.kind.is_scaled() && !scaled {
        return Err(Refusal::invalid(format!(
            "a {} names persons_max and retention_days_max (NDSR 38); write both",
            it.kind
        )));
    }
    if (it.kind == InstrumentKind::ZoneClassification) != it.classification.is_some() {
        return Err(Refusal::invalid(
            "a ZONE_CLASSIFICATION, and nothing else, has a classification",
        ));
    }
    check_classes(state, it)?;
    let Some(rules) = export_rules(state) else {
        return Ok(());
    };
    if it.kind == InstrumentKind::GbaContract {
        check_bay(state, rules, it)?;
    }
    let longest = rules.instrument(it.kind).and_then(|rule| rule.years_max);
    if let Some(years) = longest
        && it.until >= it.from.plus_years(years)
    {
        return Err(Refusal::invalid(format!(
            "a {} holds {years} years from {}; it cannot end on {}",
            it.kind, it.from, it.until
        )));
    }
    Ok(())
}

/// The classes are those of the list that it names.
fn check_classes(state: &State, it: &Instrument) -> Result<(), Refusal> {
    let Some(classified) = &it.classification else {
        return Ok(());
    };
    let key = (classified.list.clone(), classified.number);
    let list = state
        .rule_packs
        .get(&key)
        .and_then(|held| held.pack.negative_list());
    let list = list.ok_or_else(|| {
        Refusal::not_found(format!(
            "there is no negative list {} number {}; have the authority adopt it",
            classified.list, classified.number
        ))
    })?;
    let known: BTreeSet<&str> = list
        .rows
        .iter()
        .map(|row| row.data_class.as_str())
        .collect();
    if classified
        .classes
        .iter()
        .all(|it| known.contains(it.as_str()))
    {
        return Ok(());
    }
    Err(Refusal::invalid(format!(
        "a class is not in list {} number {}; use the list's own words",
        classified.list, classified.number
    )))
}

/// Both sit in the Greater Bay Area, and one version of the contract is for one side of it.
fn check_bay(state: &State, rules: &ExportRules, it: &Instrument) -> Result<(), Refusal> {
    let envelope = &it.envelope;
    let one = envelope.destinations.len() == 1;
    if !one || !envelope.destinations.is_subset(&rules.gba.destinations) {
        return Err(Refusal::invalid(
            "a Greater Bay Area contract is for Hong Kong or for Macao; name one destination",
        ));
    }
    let seat = |id: &schemas::ParticipantId| state.participants.get(id);
    let city = seat(&it.processor)
        .and_then(|it| it.seat.as_deref())
        .and_then(|it| it.get(..4))
        .map(|it| format!("{it}00"));
    let near = city.is_some_and(|it| rules.gba.cities.contains(&it));
    let there = envelope.recipients.iter().all(|id| {
        seat(id).is_some_and(|it| {
            it.kind == ParticipantKind::Foreign && envelope.destinations.contains(&it.jurisdiction)
        })
    });
    if near && there {
        return Ok(());
    }
    Err(Refusal::invalid(
        "both sides of a Greater Bay Area contract sit in its nine cities and in Hong Kong or \
         Macao; use another instrument",
    ))
}

fn export_rules(state: &State) -> Option<&ExportRules> {
    let day = Day::of(state.leader_time());
    let pack = rule_pack::in_force(state, RulePackKind::ExportRules, MAINLAND, day)?;
    pack.export_rules()
}

/// Suspends, ends or revives an instrument.
pub(crate) fn shift(
    state: &State,
    acting: &Acting<'_>,
    id: &InstrumentId,
    revision: u64,
    to: InstrumentState,
    because: &str,
) -> Result<Change, Refusal> {
    let person = acting.person_with(&[Role::SecurityOfficer])?;
    let before = find(state, id)?;
    let by_authority = person.participant == *authority(state)?;
    let by_processor = person.participant == before.processor && to != InstrumentState::Valid;
    if !by_authority && !by_processor {
        return Err(Refusal::not_allowed(format!(
            "the security officers of {} and of the authority suspend or end {id}, and the \
             authority's revives it",
            before.processor
        )));
    }
    limits::check_text("because", because, TEXT_CHARS_MAX)?;
    check_revision(id.as_str(), before.revision, revision)?;
    if before.state == InstrumentState::Ended || before.state == to {
        return Err(Refusal::wrong_state(format!(
            "{id} is {}; from there it does not become {to}",
            before.state
        )));
    }
    let record = Instrument {
        state: to,
        state_because: Some(because.to_owned()),
        revision: before.revision + 1,
        ..before.clone()
    };
    Ok(Change::new(
        record.revision,
        vec![Record::Instrument(Arc::new(record))],
    ))
}

fn find<'a>(state: &'a State, id: &InstrumentId) -> Result<&'a Instrument, Refusal> {
    state
        .instruments
        .get(id)
        .map(AsRef::as_ref)
        .ok_or_else(|| Refusal::not_found(format!("there is no instrument {id}; check the name")))
}
