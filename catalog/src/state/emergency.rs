//! Break-glass: one person grants in an emergency, for a short time; a second one reviews it, or
//! the grant ends (`domain.md` gives no term, so both terms are a rule pack's).
//!
//! It does not let anything leave the mainland, and nothing is granted so where no rule pack sets
//! the terms.

use std::sync::Arc;

use schemas::dataset::{Dataset, Grade};
use schemas::emergency::{EmergencyReview, Review};
use schemas::participant::{Person, Role};
use schemas::request::{AccessRequest, Grant, GrantState, SupervisedClock, Supervision};
use schemas::rule_pack::ClockKind;
use schemas::{RequestId, Timestamp};

use super::author::Acting;
use super::limits::TEXT_CHARS_MAX;
use super::record::Record;
use super::refusal::Refusal;
use super::store::State;
use super::{Change, dataset, delegation, grant, limits, request, rule_pack};

/// The review that an emergency grant waits for.
pub(crate) fn opened(
    state: &State,
    dataset: &Dataset,
    asked: &AccessRequest,
    given: &Grant,
    (person, in_place_of): (&Person, Option<&Person>),
    because: &str,
) -> Result<Record, Refusal> {
    limits::check_text("because", because, TEXT_CHARS_MAX)?;
    if request::goes_abroad(state, asked) || dataset.grade == Grade::Core {
        return Err(Refusal::not_allowed(
            "what leaves the mainland, and core data, has no emergency; two persons agree first",
        ));
    }
    let term = |kind| {
        rule_pack::due(state, &dataset.provider, kind).ok_or_else(|| {
            Refusal::not_allowed(format!(
                "no rule pack sets {kind} for {}; two persons agree",
                dataset.provider
            ))
        })
    };
    let longest = term(ClockKind::EmergencyGrant)?;
    if given.period.until > longest {
        return Err(Refusal::invalid(format!(
            "an emergency grant ends by {longest}; shorten it, or have two persons agree"
        )));
    }
    Ok(Record::EmergencyReview(Arc::new(EmergencyReview {
        request: asked.id.clone(),
        grant: given.id.clone(),
        by: person.id.clone(),
        in_place_of: in_place_of.map(|it| it.id.clone()),
        because: because.to_owned(),
        granted_at: state.leader_time(),
        due_at: term(ClockKind::EmergencyReview)?,
        review: None,
        lapsed_at: None,
    })))
}

/// Reviews an emergency grant. By a second data steward or security officer of the provider; a
/// grant that was not right ends at once. A late review is kept, and brings no grant back.
pub(crate) fn review(
    state: &State,
    acting: &Acting<'_>,
    id: &RequestId,
    upheld: bool,
    because: &str,
) -> Result<Change, Refusal> {
    let held = state.emergencies.get(id).ok_or_else(|| {
        Refusal::not_found(format!("request {id} was not granted in an emergency"))
    })?;
    let asked = request::find(state, id)?;
    let dataset = dataset::find(state, &asked.dataset)?;
    let roles = [Role::DataSteward, Role::SecurityOfficer];
    let (person, in_place_of) = delegation::decider(state, acting, &dataset.provider, &roles)?;
    let first = [
        Some(&held.by),
        held.in_place_of.as_ref(),
        Some(&asked.requester),
    ];
    let same = |it: &Person| first.contains(&Some(&it.id));
    if same(person) || in_place_of.is_some_and(same) {
        return Err(Refusal::not_allowed(format!(
            "{} granted or asked; a second person reviews (separation of duties)",
            person.id
        )));
    }
    limits::check_text("because", because, TEXT_CHARS_MAX)?;
    if held.review.is_some() {
        return Err(Refusal::wrong_state(format!(
            "the emergency grant of request {id} was reviewed already"
        )));
    }
    let now = state.leader_time();
    let mut records = vec![Record::EmergencyReview(Arc::new(EmergencyReview {
        review: Some(Review {
            by: person.id.clone(),
            at: now,
            upheld,
            because: because.to_owned(),
        }),
        ..(**held).clone()
    }))];
    let key = (id.clone(), SupervisedClock::EmergencyReview);
    if let Some(told) = state.supervisions.get(&key) {
        records.push(Record::Supervision(Arc::new(Supervision {
            settled_at: Some(now),
            ..(**told).clone()
        })));
    }
    if !upheld && let Some(given) = active(state, held) {
        records.extend(grant::ended(state, given, because));
    }
    Ok(Change::new(0, records))
}

fn active<'a>(state: &'a State, held: &EmergencyReview) -> Option<&'a Grant> {
    let given = state.grants.get(&held.grant)?;
    (given.state == GrantState::Active).then_some(&**given)
}

/// What the tick writes when nobody reviewed in time: the grant ends, and that is supervised.
pub(crate) fn lapsed(state: &State, held: &EmergencyReview, now: Timestamp) -> Vec<Record> {
    let mut records = vec![
        Record::EmergencyReview(Arc::new(EmergencyReview {
            lapsed_at: Some(now),
            ..held.clone()
        })),
        Record::Supervision(Arc::new(Supervision {
            request: held.request.clone(),
            clock: SupervisedClock::EmergencyReview,
            due_at: held.due_at,
            raised_at: now,
            settled_at: None,
        })),
    ];
    // One that is over at the same tick expires, which ends it as well.
    if let Some(given) = active(state, held)
        && now < given.period.until
    {
        let because = "an emergency grant that nobody reviewed in time";
        records.extend(grant::ended(state, given, because));
    }
    records
}
