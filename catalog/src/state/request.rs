//! The statutory request for shared data (Decree 809, article 21; `domain.md` 1.4), its clocks, and
//! the second person's approval.
//!
//! It does not count working days: the rule packs of the provider's seat do (`rule_pack`), and a
//! tick notices when a clock ran out (`clock`).
//!
//! ```text
//!   SUBMITTED -----------> AGREED ----------------> ACTIVE -> EXPIRED | REVOKED
//!     |  ^  reply clock      |     delivery clock
//!     |  +-- RETURNED        +-> EXPIRED | REVOKED
//!     +----> REFUSED | CLOSED | EXPIRED
//! ```

use std::collections::BTreeSet;
use std::sync::Arc;

use schemas::dataset::{Dataset, Grade, ShareAttribute};
use schemas::participant::{ParticipantKind, Person, Role};
use schemas::request::{
    AccessRequest, Approval, RequestDecision, RequestState, SupervisedClock, Supervision,
};
use schemas::rule_pack::ClockKind;
use schemas::{PartyOnly, Period, RequestId, canonical};

use super::author::Acting;
use super::limits::{CODE_CHARS_MAX, TEXT_CHARS_MAX};
use super::record::Record;
use super::refusal::{Refusal, check_revision};
use super::store::State;
use super::{Change, dataset, delegation, emergency, grant, limits, rule_pack};

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
    let clock = reply_clock(dataset);
    let record = AccessRequest {
        submitted_at: now,
        due_at: rule_pack::due(state, &dataset.provider, clock),
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

/// The clock of the reply: a request is answered faster where there are no conditions to weigh.
pub(crate) fn reply_clock(dataset: &Dataset) -> ClockKind {
    match dataset.share {
        ShareAttribute::Unconditional => ClockKind::ReplyUnconditional,
        ShareAttribute::Conditional | ShareAttribute::NotShared => ClockKind::ReplyConditional,
    }
}

/// Which clock runs in the request's state, if one does.
pub(crate) fn running_clock(request: &AccessRequest) -> Option<SupervisedClock> {
    match request.state {
        RequestState::Submitted => Some(SupervisedClock::Reply),
        RequestState::Agreed | RequestState::Provisioning => Some(SupervisedClock::Delivery),
        RequestState::Negotiating => Some(SupervisedClock::Negotiation),
        RequestState::Coordinating => Some(SupervisedClock::Coordination),
        RequestState::Escalated => Some(SupervisedClock::Escalation),
        RequestState::Draft
        | RequestState::Returned
        | RequestState::Refused
        | RequestState::Active
        | RequestState::Suspended
        | RequestState::Expired
        | RequestState::Revoked
        | RequestState::Closed
        | RequestState::Decided => None,
    }
}

/// Whether an agreed request's data is shared or about to be: it ends with its grant.
pub(crate) fn is_in_use(state: RequestState) -> bool {
    matches!(
        state,
        RequestState::Agreed
            | RequestState::Provisioning
            | RequestState::Active
            | RequestState::Suspended
    )
}

/// Whether two persons of the provider agree to it: very serious harm, important data, and whatever
/// leaves the mainland.
fn needs_two(state: &State, dataset: &Dataset, request: &AccessRequest) -> bool {
    dataset.grade >= Grade::G4 || goes_abroad(state, request)
}

/// Whether what is asked for would leave the mainland.
pub(crate) fn goes_abroad(state: &State, request: &AccessRequest) -> bool {
    let abroad = state
        .participants
        .get(&request.consumer)
        .is_none_or(|it| it.kind == ParticipantKind::Foreign || !it.jurisdiction.is_mainland());
    !request.destination.is_mainland() || abroad
}

/// Answers a request. By a data steward of the provider, who is not the requester; where two must
/// agree, the second person may be a security officer.
pub(crate) fn decide(
    state: &State,
    acting: &Acting<'_>,
    id: &RequestId,
    revision: u64,
    decision: &RequestDecision,
) -> Result<Change, Refusal> {
    let request = find(state, id)?;
    let dataset = dataset::find(state, &request.dataset)?;
    let roles = deciding_roles(state, request, decision);
    let (person, in_place_of) = delegation::decider(state, acting, &dataset.provider, roles)?;
    let asked = |it: &Person| it.id == request.requester;
    if asked(person) || in_place_of.is_some_and(asked) {
        return Err(Refusal::not_allowed(format!(
            "{} asked; somebody else answers (separation of duties)",
            request.requester
        )));
    }
    check_revision(id.as_str(), request.revision, revision)?;
    if request.state != RequestState::Submitted {
        return Err(Refusal::wrong_state(format!(
            "request {id} is {}; only a submitted one is answered",
            request.state
        )));
    }
    let who = (person, in_place_of);
    let (to, answer, mut records) = match decision {
        RequestDecision::Agree { contract, grant } => {
            let mut records = grant::agree(state, dataset, request, contract, grant)?;
            let by_two = needs_two(state, dataset, request);
            if by_two || in_place_of.is_some() {
                let approval = approve(state, request, decision, who)?;
                let complete = !by_two || approval.second.is_some();
                let approval = Record::Approval(Arc::new(approval));
                if !complete {
                    // The request stays as it is until the second person agrees.
                    return Ok(Change::new(request.revision, vec![approval]));
                }
                records.push(approval);
            }
            (RequestState::Agreed, None, records)
        }
        RequestDecision::Emergency {
            contract,
            grant,
            because,
        } => {
            let mut records = grant::agree(state, dataset, request, contract, grant)?;
            let review = emergency::opened(state, dataset, request, grant, who, because)?;
            records.push(review);
            (RequestState::Agreed, None, records)
        }
        RequestDecision::Refuse { reasons } => {
            limits::check_text("reasons", reasons, TEXT_CHARS_MAX)?;
            check_not_ordered(state, request)?;
            (RequestState::Refused, Some(reasons.clone()), Vec::new())
        }
        RequestDecision::Return { missing } => {
            limits::check_text("missing", missing, TEXT_CHARS_MAX)?;
            (RequestState::Returned, Some(missing.clone()), Vec::new())
        }
    };
    // A refused or returned request has no clock.
    let due_at = (to == RequestState::Agreed)
        .then(|| rule_pack::due(state, &dataset.provider, ClockKind::Delivery))
        .flatten();
    records.extend(settled(state, request));
    records.push(Record::Request(Arc::new(AccessRequest {
        due_at,
        ..moved_record(request, to, answer)
    })));
    Ok(Change::new(request.revision + 1, records))
}

/// Who may give an answer: a steward, and where she is the second person or there is no time for a
/// second one, a security officer as well.
fn deciding_roles(
    state: &State,
    request: &AccessRequest,
    decision: &RequestDecision,
) -> &'static [Role] {
    let either = match decision {
        RequestDecision::Agree { .. } => awaited(state, request).is_some(),
        RequestDecision::Emergency { .. } => true,
        RequestDecision::Refuse { .. } | RequestDecision::Return { .. } => false,
    };
    if either {
        &[Role::DataSteward, Role::SecurityOfficer]
    } else {
        &[Role::DataSteward]
    }
}

/// What a dispute decided is not refused again.
fn check_not_ordered(state: &State, request: &AccessRequest) -> Result<(), Refusal> {
    match state.disputes.get(&request.id) {
        Some(held) if held.orders_sharing() => Err(Refusal::not_allowed(format!(
            "the dispute of request {} ended with sharing; agree to it, or return it for a \
             supplement",
            request.id
        ))),
        Some(_) | None => Ok(()),
    }
}

/// The first person's agreement that waits for a second one; void once the request moved.
fn awaited<'a>(state: &'a State, request: &AccessRequest) -> Option<&'a Approval> {
    let held = state.approvals.get(&request.id)?;
    (held.second.is_none() && held.request_revision == request.revision).then_some(&**held)
}

/// The agreement with this person in it: as the first, or as the second to the same answer. Two
/// persons agree, and neither stands in for the other.
fn approve(
    state: &State,
    request: &AccessRequest,
    decision: &RequestDecision,
    (person, in_place_of): (&Person, Option<&Person>),
) -> Result<Approval, Refusal> {
    let answer = canonical::digest(decision)
        .map_err(|error| Refusal::invalid(format!("the answer: {error}")))?;
    let stood_for = in_place_of.map(|it| it.id.clone());
    let is_first = |first: &Approval| {
        let taken = [Some(&first.first), first.first_for.as_ref()];
        taken.contains(&Some(&person.id))
            || stood_for.is_some() && taken.contains(&stood_for.as_ref())
    };
    match awaited(state, request) {
        // The first person may think again.
        Some(first) if !is_first(first) => {
            if first.answer != answer {
                return Err(Refusal::conflict(format!(
                    "{} agreed to another contract or grant for {}; send the same answer, or \
                     return the request",
                    first.first, request.id
                )));
            }
            Ok(Approval {
                second: Some(person.id.clone()),
                second_for: stood_for,
                ..first.clone()
            })
        }
        Some(first) if first.answer == answer => Err(Refusal::not_allowed(format!(
            "{} agreed already, for herself or in that place; a second person of the provider \
             agrees now",
            first.first
        ))),
        Some(_) | None => Ok(Approval {
            request: request.id.clone(),
            request_revision: request.revision,
            answer,
            first: person.id.clone(),
            first_at: state.leader_time(),
            first_for: stood_for,
            second: None,
            second_for: None,
        }),
    }
}

/// A clock that ran out and whose work is done now.
pub(crate) fn settled(state: &State, request: &AccessRequest) -> Option<Record> {
    let clock = running_clock(request)?;
    let held = state.supervisions.get(&(request.id.clone(), clock))?;
    (held.settled_at.is_none() && request.due_at == Some(held.due_at)).then(|| {
        Record::Supervision(Arc::new(Supervision {
            settled_at: Some(state.leader_time()),
            ..(**held).clone()
        }))
    })
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
    let mut records: Vec<Record> = settled(state, request).into_iter().collect();
    records.push(moved(request, RequestState::Closed, request.answer.clone()));
    Ok(Change::new(request.revision + 1, records))
}

/// `request` in another state, in which no clock runs.
pub(crate) fn moved(request: &AccessRequest, to: RequestState, answer: Option<String>) -> Record {
    Record::Request(Arc::new(moved_record(request, to, answer)))
}

pub(crate) fn moved_record(
    request: &AccessRequest,
    to: RequestState,
    answer: Option<String>,
) -> AccessRequest {
    AccessRequest {
        state: to,
        due_at: None,
        answer,
        revision: request.revision + 1,
        ..request.clone()
    }
}

pub(crate) fn find<'a>(state: &'a State, id: &RequestId) -> Result<&'a AccessRequest, Refusal> {
    state
        .requests
        .get(id)
        .map(AsRef::as_ref)
        .ok_or_else(|| Refusal::not_found(format!("there is no request {id}; check the name")))
}
