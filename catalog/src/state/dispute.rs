//! The dispute of a refusal, in three tiers (`domain.md` 1.4).
//!
//! It does not count working days: the rule packs of the provider's seat do. It knows no common
//! superior: the authority records its decision, and where the authority is itself a party, the
//! party that it binds does by giving in.
//!
//! ```text
//!   REFUSED -> NEGOTIATING -> COORDINATING -> ESCALATED
//!                   |               |             |
//!                   +---------------+-------------+--> DECIDED    the refusal stands
//!                                                 +--> SUBMITTED  answered anew, not refused
//! ```

use std::sync::Arc;

use schemas::dataset::Dataset;
use schemas::dispute::{Dispute, DisputeMove, DisputeStep};
use schemas::participant::{Person, Role};
use schemas::request::{AccessRequest, RequestState};
use schemas::rule_pack::ClockKind;
use schemas::{RequestId, Timestamp};

use super::author::Acting;
use super::limits::TEXT_CHARS_MAX;
use super::participant::authority;
use super::record::Record;
use super::refusal::{Refusal, check_revision};
use super::request::{find, moved_record, reply_clock, settled};
use super::store::State;
use super::{Change, dataset, limits, rule_pack};

/// On which side of a dispute somebody stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Consumer,
    Provider,
    Authority,
}

/// Takes a step in a dispute. By a data consumer of the consumer, a data steward of the provider,
/// or a data steward of the authority, as the step and the tier have it.
pub(crate) fn step(
    state: &State,
    acting: &Acting<'_>,
    id: &RequestId,
    revision: u64,
    step: DisputeMove,
    because: &str,
) -> Result<Change, Refusal> {
    let request = find(state, id)?;
    let dataset = dataset::find(state, &request.dataset)?;
    let (person, side) = stands(state, acting, request, dataset)?;
    check_revision(id.as_str(), request.revision, revision)?;
    limits::check_text("because", because, TEXT_CHARS_MAX)?;
    let held = state.disputes.get(id);
    if step == DisputeMove::Open && held.is_some() {
        return Err(Refusal::wrong_state(format!(
            "request {id} was disputed already; a decision is final"
        )));
    }
    let to = target(state, request, dataset, side, step)?;
    let mut steps = held.map_or_else(Vec::new, |it| it.steps.clone());
    steps.push(DisputeStep {
        step,
        by: person.id.clone(),
        participant: person.participant.clone(),
        at: state.leader_time(),
        because: because.to_owned(),
    });
    let mut records: Vec<Record> = settled(state, request).into_iter().collect();
    records.push(Record::Dispute(Arc::new(Dispute {
        request: id.clone(),
        steps,
    })));
    let answered_anew = to == RequestState::Submitted;
    records.push(Record::Request(Arc::new(AccessRequest {
        due_at: clock(dataset, to).and_then(|it| rule_pack::due(state, &dataset.provider, it)),
        submitted_at: restarted(request.submitted_at, answered_anew, state),
        ..moved_record(request, to, request.answer.clone())
    })));
    Ok(Change::new(request.revision + 1, records))
}

fn restarted(before: Timestamp, anew: bool, state: &State) -> Timestamp {
    if anew { state.leader_time() } else { before }
}

/// The clock of a tier, and of the answer that is due after it.
fn clock(dataset: &Dataset, to: RequestState) -> Option<ClockKind> {
    match to {
        RequestState::Negotiating => Some(ClockKind::Negotiation),
        RequestState::Coordinating => Some(ClockKind::Coordination),
        RequestState::Escalated => Some(ClockKind::Escalation),
        RequestState::Submitted => Some(reply_clock(dataset)),
        RequestState::Draft
        | RequestState::Returned
        | RequestState::Agreed
        | RequestState::Refused
        | RequestState::Provisioning
        | RequestState::Active
        | RequestState::Suspended
        | RequestState::Expired
        | RequestState::Revoked
        | RequestState::Closed
        | RequestState::Decided => None,
    }
}

/// Who acts, and on which side. Where the authority is a party itself, its people stand on that
/// side alone.
fn stands<'a>(
    state: &State,
    acting: &Acting<'a>,
    request: &AccessRequest,
    dataset: &Dataset,
) -> Result<(&'a Person, Side), Refusal> {
    let person = acting.person_with(&[Role::DataConsumer, Role::DataSteward])?;
    let side = if person.participant == request.consumer {
        acting.person_with(&[Role::DataConsumer])?;
        Side::Consumer
    } else if person.participant == dataset.provider {
        acting.person_with(&[Role::DataSteward])?;
        Side::Provider
    } else {
        acting.person_of(authority(state)?, &[Role::DataSteward])?;
        Side::Authority
    };
    Ok((person, side))
}

/// Where a step leads from the tier on which the request is, for one side.
fn target(
    state: &State,
    request: &AccessRequest,
    dataset: &Dataset,
    side: Side,
    step: DisputeMove,
) -> Result<RequestState, Refusal> {
    use RequestState as S;
    let next = match (step, request.state) {
        (DisputeMove::Open, S::Refused) => Some(S::Negotiating),
        (DisputeMove::Coordinate, S::Negotiating) => Some(S::Coordinating),
        (DisputeMove::Escalate, S::Coordinating) => Some(S::Escalated),
        (DisputeMove::Uphold, S::Negotiating | S::Coordinating | S::Escalated) => Some(S::Decided),
        (DisputeMove::Share, S::Negotiating | S::Coordinating | S::Escalated) => Some(S::Submitted),
        _ => None,
    };
    let next = next.ok_or_else(|| {
        Refusal::wrong_state(format!(
            "request {} is {}; {step} is no step from there",
            request.id, request.state
        ))
    })?;
    let authority = authority(state)?;
    let is_party = *authority == request.consumer || *authority == dataset.provider;
    let may = match (step, side) {
        (DisputeMove::Open, it) => it == Side::Consumer,
        // An authority that is a party does not coordinate its own case.
        (DisputeMove::Coordinate, it) => it != Side::Authority,
        (DisputeMove::Escalate, _) => true,
        (DisputeMove::Uphold, Side::Consumer) | (DisputeMove::Share, Side::Provider) => true,
        (DisputeMove::Uphold, Side::Provider) | (DisputeMove::Share, Side::Consumer) => false,
        (DisputeMove::Uphold | DisputeMove::Share, Side::Authority) => {
            request.state != S::Negotiating && !is_party
        }
    };
    if may {
        return Ok(next);
    }
    Err(Refusal::not_allowed(format!(
        "{step} from {} is not for this side to take; the consumer opens and may give in, the \
         provider may share, the authority decides once it was asked and is no party",
        request.state
    )))
}
