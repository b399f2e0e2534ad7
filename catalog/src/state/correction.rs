//! Correction tickets (校核纠错; Decree 809, article 26 \[G\]).
//!
//! It does not look at rows. It keeps the steps, their clock and who was told.
//!
//! ```text
//!   OPEN -> ACCEPTED -> CORRECTED | REJECTED -> FEEDBACK -> CLOSED
//!     +----------------------------------------------------^  taken back
//! ```

use std::collections::BTreeSet;
use std::sync::Arc;

use schemas::correction::{Correction, CorrectionState};
use schemas::dataset::Dataset;
use schemas::participant::Role;
use schemas::request::GrantState;
use schemas::rule_pack::ClockKind;
use schemas::{CorrectionId, GrantId, ParticipantId, Timestamp};

use super::author::Acting;
use super::limits::{CODE_CHARS_MAX, TEXT_CHARS_MAX};
use super::record::Record;
use super::refusal::{Refusal, check_revision};
use super::store::State;
use super::{Change, dataset, limits, rule_pack};

/// Opens a ticket. By a data consumer of a participant that has or had a grant for the dataset.
pub(crate) fn open(state: &State, acting: &Acting<'_>, it: &Correction) -> Result<Change, Refusal> {
    let person = acting.person_of(&it.consumer, &[Role::DataConsumer])?;
    if it.opened_by != person.id {
        return Err(Refusal::not_allowed(format!(
            "{} signs a ticket of {}; everybody asks for herself",
            person.id, it.opened_by
        )));
    }
    if state.corrections.contains_key(&it.id) {
        return Err(Refusal::conflict(format!(
            "correction {} exists; choose a new identifier",
            it.id
        )));
    }
    check_revision(it.id.as_str(), 0, it.revision)?;
    let set = it.state != CorrectionState::Open
        || it.due_at.is_some()
        || it.overdue_at.is_some()
        || it.answer.is_some()
        || it.corrected_in.is_some()
        || !it.notified.is_empty();
    if set {
        return Err(Refusal::invalid(
            "a ticket is sent as OPEN, without clock, answer, version and notices; the catalog \
             sets those",
        ));
    }
    let dataset = dataset::find(state, &it.dataset)?;
    check_subject(state, dataset, it)?;
    let record = Correction {
        opened_at: state.leader_time(),
        due_at: rule_pack::due(state, &dataset.provider, ClockKind::Correction),
        revision: 1,
        ..it.clone()
    };
    Ok(Change::new(1, vec![Record::Correction(Arc::new(record))]))
}

/// What is doubted exists, and whoever doubts it could have received it.
fn check_subject(state: &State, dataset: &Dataset, it: &Correction) -> Result<(), Refusal> {
    let party = (it.dataset.clone(), it.consumer.clone());
    if !state.grants_by_party.contains_key(&party) {
        return Err(Refusal::not_allowed(format!(
            "{} never had a grant for {}; ask its steward instead",
            it.consumer, it.dataset
        )));
    }
    let versions = state.versions.get(&it.dataset);
    if versions.is_none_or(|known| !known.contains_key(&it.version)) {
        return Err(Refusal::not_found(format!(
            "{} has no version {}; name the one that you received",
            it.dataset, it.version
        )));
    }
    if let Some(column) = &it.column
        && dataset.column(column).is_none()
    {
        return Err(Refusal::invalid(format!(
            "column is none of {}; read its card",
            dataset.id
        )));
    }
    limits::check_text("row", &it.row, CODE_CHARS_MAX)?;
    limits::check_text("evidence", &it.evidence, TEXT_CHARS_MAX)
}

/// A step of a ticket.
pub(crate) struct Step<'a> {
    pub(crate) to: CorrectionState,
    /// What is said with it.
    pub(crate) text: &'a str,
    /// The version that has it right.
    pub(crate) corrected_in: Option<u64>,
}

/// Moves a ticket. By a data steward of the provider; whoever asked closes it.
pub(crate) fn shift(
    state: &State,
    acting: &Acting<'_>,
    id: &CorrectionId,
    revision: u64,
    step: &Step<'_>,
) -> Result<Change, Refusal> {
    let &Step {
        to,
        text,
        corrected_in,
    } = step;
    let before = find(state, id)?;
    let dataset = dataset::find(state, &before.dataset)?;
    if to == CorrectionState::Closed {
        acting.person_of(&before.consumer, &[Role::DataConsumer])?;
    } else {
        acting.person_of(&dataset.provider, &[Role::DataSteward])?;
    }
    check_revision(id.as_str(), before.revision, revision)?;
    limits::check_text("text", text, TEXT_CHARS_MAX)?;
    if !is_step(before.state, to) {
        return Err(Refusal::wrong_state(format!(
            "correction {id} is {}; from there it does not become {to}",
            before.state
        )));
    }
    check_version(state, before, to, corrected_in)?;
    let mut record = Correction {
        state: to,
        revision: before.revision + 1,
        ..before.clone()
    };
    match to {
        CorrectionState::Corrected => {
            record.corrected_in = corrected_in;
            record.notified = consumers(state, before);
        }
        CorrectionState::Feedback | CorrectionState::Closed => record.due_at = None,
        CorrectionState::Open | CorrectionState::Accepted | CorrectionState::Rejected => {}
    }
    // The words of whoever closes it are no answer.
    if to != CorrectionState::Closed {
        record.answer = Some(text.to_owned());
    }
    Ok(Change::new(
        record.revision,
        vec![Record::Correction(Arc::new(record))],
    ))
}

fn is_step(from: CorrectionState, to: CorrectionState) -> bool {
    let next: &[CorrectionState] = match from {
        CorrectionState::Open => &[CorrectionState::Accepted, CorrectionState::Closed],
        CorrectionState::Accepted => &[CorrectionState::Corrected, CorrectionState::Rejected],
        CorrectionState::Corrected | CorrectionState::Rejected => &[CorrectionState::Feedback],
        CorrectionState::Feedback => &[CorrectionState::Closed],
        CorrectionState::Closed => &[],
    };
    next.contains(&to)
}

/// A correction names the later version that has it right, and nothing else names one.
fn check_version(
    state: &State,
    before: &Correction,
    to: CorrectionState,
    corrected_in: Option<u64>,
) -> Result<(), Refusal> {
    let versions = state.versions.get(&before.dataset);
    match (to, corrected_in) {
        (CorrectionState::Corrected, Some(number))
            if number > before.version
                && versions.is_some_and(|known| known.contains_key(&number)) =>
        {
            Ok(())
        }
        (CorrectionState::Corrected, _) => Err(Refusal::invalid(format!(
            "corrected_in names a version of {} after {}; publish it first",
            before.dataset, before.version
        ))),
        (_, None) => Ok(()),
        (_, Some(_)) => Err(Refusal::invalid(
            "corrected_in goes with CORRECTED alone; leave it out",
        )),
    }
}

/// Every consumer whose grant for the dataset is in force.
fn consumers(state: &State, it: &Correction) -> BTreeSet<ParticipantId> {
    let active = |id: &GrantId| {
        let grant = state.grants.get(id);
        grant.is_some_and(|it| it.state == GrantState::Active)
    };
    state
        .grants_of(&it.dataset)
        .filter(|(_, grants)| grants.iter().any(active))
        .map(|(consumer, _)| consumer.clone())
        .take(Correction::NOTIFIED_MAX)
        .collect()
}

/// What the tick writes of a ticket whose clock ran out: the answer is still due.
pub(crate) fn overdue(it: &Correction, now: Timestamp) -> Record {
    Record::Correction(Arc::new(Correction {
        overdue_at: Some(now),
        revision: it.revision + 1,
        ..it.clone()
    }))
}

/// The ticket of that identifier.
pub(crate) fn find<'a>(state: &'a State, id: &CorrectionId) -> Result<&'a Correction, Refusal> {
    state
        .corrections
        .get(id)
        .map(AsRef::as_ref)
        .ok_or_else(|| Refusal::not_found(format!("there is no correction {id}; check the name")))
}
