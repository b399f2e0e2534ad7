//! The statutory request for shared data (Decree 809, article 21; `domain.md` 1.4).
//!
//! It does not know working days: `due_at` stays empty until the rule pack of the provider's
//! jurisdiction, which holds the deadlines, is part of the state. It does not yet ask for a second
//! person's approval for G4 and important data either.

use std::collections::BTreeSet;
use std::sync::Arc;

use schemas::dataset::{Dataset, ShareAttribute};
use schemas::participant::Role;
use schemas::request::{AccessRequest, RequestDecision, RequestState};
use schemas::{PartyOnly, Period, RequestId};

use super::author::Acting;
use super::limits::{CODE_CHARS_MAX, TEXT_CHARS_MAX};
use super::record::Record;
use super::refusal::{Refusal, check_revision};
use super::store::State;
use super::{Change, dataset, grant, limits};

/// Asks for shared data, or asks again after a supplement. By a data consumer, who is the
/// requester. The clock starts at leader time, whatever the record says.
pub(crate) fn submit(
    state: &State,
    acting: &Acting<'_>,
    it: &AccessRequest,
) -> Result<Change, Refusal> {
    let person = acting.person_of(&it.consumer, &[Role::DataConsumer])?;
    if it.requester != person.id {
        return Err(Refusal::not_allowed(format!(
            "{} signs a request of {}; everybody asks for herself",
            person.id, it.requester
        )));
    }
    if it.state != RequestState::Submitted || it.due_at.is_some() || it.answer.is_some() {
        return Err(Refusal::invalid(
            "a request is sent as SUBMITTED, without due_at and answer; the catalog sets those",
        ));
    }
    let revision = check_before(state, it)?;
    let dataset = dataset::find(state, &it.dataset)?;
    check_dataset(dataset, it)?;
    check_texts(it)?;
    check_columns(dataset, it.columns.as_deref())?;
    limits::check_rows(&it.rows, dataset)?;
    let now = state.leader_time();
    check_period(&it.period)?;
    if it.period.until <= now {
        return Err(Refusal::invalid(format!(
            "the period ends at {}, leader time is {now}; ask for a period to come",
            it.period.until
        )));
    }
    let record = AccessRequest {
        submitted_at: now,
        revision: revision + 1,
        ..it.clone()
    };
    Ok(Change::new(
        revision + 1,
        vec![Record::Request(Arc::new(record))],
    ))
}

/// The revision that a request replaces: none, or one that was sent back.
fn check_before(state: &State, it: &AccessRequest) -> Result<u64, Refusal> {
    let Some(before) = state.requests.get(&it.id) else {
        check_revision(it.id.as_str(), 0, it.revision)?;
        return Ok(0);
    };
    if before.state != RequestState::Returned {
        return Err(Refusal::conflict(format!(
            "request {} exists and is {}; choose a new identifier",
            it.id, before.state
        )));
    }
    if before.consumer != it.consumer || before.dataset != it.dataset {
        return Err(Refusal::conflict(format!(
            "request {} is {}'s for {}; a supplement changes neither",
            it.id, before.consumer, before.dataset
        )));
    }
    check_revision(it.id.as_str(), before.revision, it.revision)?;
    Ok(before.revision)
}

fn check_dataset(dataset: &Dataset, it: &AccessRequest) -> Result<(), Refusal> {
    if dataset.provider == it.consumer {
        return Err(Refusal::invalid(format!(
            "{} provides {} itself; it needs no request",
            it.consumer, dataset.id
        )));
    }
    if !dataset.is_served() {
        return Err(Refusal::wrong_state(format!(
            "{} is {}; only a published dataset can be asked for",
            dataset.id, dataset.state
        )));
    }
    if dataset.share == ShareAttribute::NotShared {
        return Err(Refusal::not_allowed(format!(
            "{} is NOT_SHARED; its share_basis says under which law",
            dataset.id
        )));
    }
    Ok(())
}

fn check_texts(it: &AccessRequest) -> Result<(), Refusal> {
    limits::check_text("purpose.code", &it.purpose.code, CODE_CHARS_MAX)?;
    limits::check_text("purpose.text", &it.purpose.text, TEXT_CHARS_MAX)?;
    match &it.texts {
        PartyOnly::Clear(texts) => {
            limits::check_text("texts.legal_basis", &texts.legal_basis, TEXT_CHARS_MAX)?;
            limits::check_text("texts.scenario", &texts.scenario, TEXT_CHARS_MAX)
        }
        PartyOnly::Sealed { envelope, .. } => limits::check_envelope("texts", envelope),
    }
}

fn check_columns(dataset: &Dataset, columns: Option<&[String]>) -> Result<(), Refusal> {
    let Some(columns) = columns else {
        return Ok(());
    };
    if columns.is_empty() {
        return Err(Refusal::invalid(
            "columns is empty; leave it out to ask for all",
        ));
    }
    limits::check_count("columns", columns.len(), Dataset::COLUMNS_MAX)?;
    let known: BTreeSet<&str> = dataset.columns.iter().map(|it| it.name.as_str()).collect();
    let asked: BTreeSet<&str> = columns.iter().map(String::as_str).collect();
    if asked.len() != columns.len() || !asked.is_subset(&known) {
        return Err(Refusal::invalid(format!(
            "columns must be columns of {}, each once; read its card",
            dataset.id
        )));
    }
    Ok(())
}

pub(crate) fn check_period(period: &Period) -> Result<(), Refusal> {
    if period.from < period.until {
        return Ok(());
    }
    Err(Refusal::invalid(format!(
        "the period from {} until {} is empty; let it end after it begins",
        period.from, period.until
    )))
}

/// Answers a request. By a data steward of the provider, who is not the requester.
pub(crate) fn decide(
    state: &State,
    acting: &Acting<'_>,
    id: &RequestId,
    revision: u64,
    decision: &RequestDecision,
) -> Result<Change, Refusal> {
    let request = find(state, id)?;
    let dataset = dataset::find(state, &request.dataset)?;
    let person = acting.person_of(&dataset.provider, &[Role::DataSteward])?;
    if person.id == request.requester {
        return Err(Refusal::not_allowed(format!(
            "{} asked; somebody else answers (separation of duties)",
            person.id
        )));
    }
    check_revision(id.as_str(), request.revision, revision)?;
    if request.state != RequestState::Submitted {
        return Err(Refusal::wrong_state(format!(
            "request {id} is {}; only a submitted one is answered",
            request.state
        )));
    }
    let (to, answer, mut records) = match decision {
        RequestDecision::Agree { contract, grant } => {
            let records = grant::agree(state, dataset, request, contract, grant)?;
            (RequestState::Agreed, None, records)
        }
        RequestDecision::Refuse { reasons } => {
            limits::check_text("reasons", reasons, TEXT_CHARS_MAX)?;
            (RequestState::Refused, Some(reasons.clone()), Vec::new())
        }
        RequestDecision::Return { missing } => {
            limits::check_text("missing", missing, TEXT_CHARS_MAX)?;
            (RequestState::Returned, Some(missing.clone()), Vec::new())
        }
    };
    records.push(moved(request, to, answer));
    Ok(Change::new(request.revision + 1, records))
}

/// Takes a request back before it is agreed to. By a data consumer of the consumer.
pub(crate) fn withdraw(
    state: &State,
    acting: &Acting<'_>,
    id: &RequestId,
    revision: u64,
) -> Result<Change, Refusal> {
    let request = find(state, id)?;
    acting.person_of(&request.consumer, &[Role::DataConsumer])?;
    check_revision(id.as_str(), request.revision, revision)?;
    if !matches!(
        request.state,
        RequestState::Submitted | RequestState::Returned
    ) {
        return Err(Refusal::wrong_state(format!(
            "request {id} is {}; only one that waits for its answer is withdrawn",
            request.state
        )));
    }
    let record = moved(request, RequestState::Closed, request.answer.clone());
    Ok(Change::new(request.revision + 1, vec![record]))
}

/// `request` in another state.
pub(crate) fn moved(request: &AccessRequest, to: RequestState, answer: Option<String>) -> Record {
    Record::Request(Arc::new(AccessRequest {
        state: to,
        answer,
        revision: request.revision + 1,
        ..request.clone()
    }))
}

fn find<'a>(state: &'a State, id: &RequestId) -> Result<&'a AccessRequest, Refusal> {
    state
        .requests
        .get(id)
        .map(AsRef::as_ref)
        .ok_or_else(|| Refusal::not_found(format!("there is no request {id}; check the name")))
}
