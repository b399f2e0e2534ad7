//! Contracts and grants: made when a request is agreed to, ended by the provider or by time.
//!
//! It does not decide accesses. It keeps that no grant gives more than was asked for and none
//! outlives its contract.

use std::sync::Arc;

use schemas::dataset::Dataset;
use schemas::decision::Mask;
use schemas::participant::Role;
use schemas::request::{AccessRequest, Contract, Grant, GrantState, RequestState};
use schemas::{GrantId, PartyOnly, Period};

use super::author::Acting;
use super::limits::TEXT_CHARS_MAX;
use super::record::Record;
use super::refusal::Refusal;
use super::request::{check_period, is_in_use, moved, settled};
use super::store::State;
use super::{Change, limits, transfer};

/// The contract and the grant of an agreement, when both fit the request.
pub(crate) fn agree(
    state: &State,
    dataset: &Dataset,
    request: &AccessRequest,
    contract: &Contract,
    grant: &Grant,
) -> Result<Vec<Record>, Refusal> {
    if !dataset.is_served() {
        return Err(Refusal::wrong_state(format!(
            "{} is {}; publish it before you agree to share it",
            dataset.id, dataset.state
        )));
    }
    if state.contracts.contains_key(&contract.id) || state.grants.contains_key(&grant.id) {
        return Err(Refusal::conflict(format!(
            "contract {} or grant {} exists; choose new identifiers",
            contract.id, grant.id
        )));
    }
    check_contract(dataset, request, contract)?;
    check_grant(state, dataset, request, contract, grant)?;
    check_columns(dataset, request, grant)?;
    Ok(vec![
        Record::Contract(Arc::new(contract.clone())),
        Record::Grant(Arc::new(Grant {
            revision: 1,
            ..grant.clone()
        })),
    ])
}

fn check_contract(
    dataset: &Dataset,
    request: &AccessRequest,
    contract: &Contract,
) -> Result<(), Refusal> {
    let fits = contract.request == request.id
        && contract.dataset == dataset.id
        && contract.provider == dataset.provider
        && contract.consumer == request.consumer;
    if !fits {
        return Err(Refusal::invalid(format!(
            "contract {} must name request {}, dataset {}, provider {} and consumer {}",
            contract.id, request.id, dataset.id, dataset.provider, request.consumer
        )));
    }
    check_period(&contract.period)?;
    check_within(
        "the contract",
        &contract.period,
        "the request",
        &request.period,
    )?;
    match &contract.terms {
        PartyOnly::Clear(terms) => limits::check_length("terms.text", &terms.text, TEXT_CHARS_MAX),
        PartyOnly::Sealed { envelope, .. } => limits::check_envelope("terms", envelope),
    }
}

fn check_grant(
    state: &State,
    dataset: &Dataset,
    request: &AccessRequest,
    contract: &Contract,
    grant: &Grant,
) -> Result<(), Refusal> {
    let fits = grant.contract == contract.id
        && grant.dataset == dataset.id
        && grant.provider == dataset.provider
        && grant.consumer == request.consumer;
    if !fits {
        return Err(Refusal::invalid(format!(
            "grant {} must name contract {}, dataset {}, provider {} and consumer {}",
            grant.id, contract.id, dataset.id, dataset.provider, request.consumer
        )));
    }
    if grant.state != GrantState::Active || grant.ended_because.is_some() || grant.revision != 0 {
        return Err(Refusal::invalid(
            "a new grant is ACTIVE, at revision 0 and not ended; the catalog counts from there",
        ));
    }
    if grant.purpose != request.purpose || grant.destination != request.destination {
        return Err(Refusal::invalid(
            "purpose and destination are the request's (Decree 809, article 25); \
             return the request to have them changed",
        ));
    }
    check_period(&grant.period)?;
    check_within("the grant", &grant.period, "its contract", &contract.period)?;
    let now = state.leader_time();
    if grant.period.until <= now {
        return Err(Refusal::invalid(format!(
            "the grant would have ended at {}, leader time is {now}",
            grant.period.until
        )));
    }
    if let Some(subject) = &grant.subject {
        let person = state.persons.get(subject);
        if person.is_none_or(|person| person.participant != request.consumer) {
            return Err(Refusal::invalid(format!(
                "{subject} does not act for {}; name one of its persons or nobody",
                request.consumer
            )));
        }
    }
    limits::check_rows(&grant.rows, dataset)
}

/// Columns in the dataset's order, of those that were asked for; masks for these columns only.
fn check_columns(dataset: &Dataset, request: &AccessRequest, grant: &Grant) -> Result<(), Refusal> {
    if grant.columns.is_empty() {
        return Err(Refusal::invalid(
            "the grant has no columns; list those that may leave",
        ));
    }
    // One pass over the dataset's columns finds order, doubles and strangers at once.
    let mut known = dataset.columns.iter();
    let ordered = grant
        .columns
        .iter()
        .all(|column| known.any(|it| it.name == *column));
    if !ordered {
        return Err(Refusal::invalid(format!(
            "the grant's columns must be columns of {}, each once, in its order",
            dataset.id
        )));
    }
    if let Some(asked) = &request.columns
        && !grant.columns.iter().all(|column| asked.contains(column))
    {
        return Err(Refusal::invalid(format!(
            "the grant has a column that request {} does not ask for; leave it out",
            request.id
        )));
    }
    for (column, mask) in &grant.masks {
        if !grant.columns.contains(column) {
            return Err(Refusal::invalid(
                "a mask is for a column that the grant does not have; leave it out",
            ));
        }
        if matches!(mask, Mask::Generalise { step: 0 }) {
            return Err(Refusal::invalid(
                "a mask rounds to multiples of 0; give a step from 1",
            ));
        }
    }
    Ok(())
}

fn check_within(
    inner: &str,
    inner_period: &Period,
    outer: &str,
    outer_period: &Period,
) -> Result<(), Refusal> {
    if outer_period.from <= inner_period.from && inner_period.until <= outer_period.until {
        return Ok(());
    }
    Err(Refusal::invalid(format!(
        "{inner} (from {} until {}) must lie within {outer} (from {} until {})",
        inner_period.from, inner_period.until, outer_period.from, outer_period.until
    )))
}

/// Ends a grant and what runs under it. By a data steward or security officer of the provider,
/// who needs no revision: a provider can always stop.
pub(crate) fn revoke(
    state: &State,
    acting: &Acting<'_>,
    id: &GrantId,
    because: &str,
) -> Result<Change, Refusal> {
    let grant = find(state, id)?;
    acting.person_of(&grant.provider, &[Role::DataSteward, Role::SecurityOfficer])?;
    limits::check_text("because", because, TEXT_CHARS_MAX)?;
    if grant.state != GrantState::Active {
        return Err(Refusal::wrong_state(format!(
            "grant {id} is {} already",
            grant.state
        )));
    }
    Ok(Change::new(
        grant.revision + 1,
        ended(state, grant, because),
    ))
}

/// The revocation of a grant in force, and the end of what runs under it.
pub(crate) fn ended(state: &State, grant: &Grant, because: &str) -> Vec<Record> {
    let mut records = vec![Record::Grant(Arc::new(Grant {
        state: GrantState::Revoked,
        ended_because: Some(because.to_owned()),
        revision: grant.revision + 1,
        ..grant.clone()
    }))];
    if let Some(request) = request_of(state, grant)
        && is_in_use(request.state)
    {
        records.extend(settled(state, request));
        records.push(moved(
            request,
            RequestState::Revoked,
            request.answer.clone(),
        ));
    }
    for open in state.open_transfers.get(&grant.id).into_iter().flatten() {
        if let Some(it) = state.transfers.get(open) {
            let why = format!("grant {} was revoked", grant.id);
            records.push(transfer::terminated(it, &why));
        }
    }
    records
}

/// The request that a grant answers.
pub(crate) fn request_of<'a>(state: &'a State, grant: &Grant) -> Option<&'a AccessRequest> {
    let contract = state.contracts.get(&grant.contract)?;
    state.requests.get(&contract.request).map(AsRef::as_ref)
}

/// The grant of that identifier.
pub(crate) fn find<'a>(state: &'a State, id: &GrantId) -> Result<&'a Grant, Refusal> {
    state
        .grants
        .get(id)
        .map(AsRef::as_ref)
        .ok_or_else(|| Refusal::not_found(format!("there is no grant {id}; check the name")))
}
