//! Leader time: moved by `Tick` alone, which also ends what has come to its end.
//!
//! It does not read a clock. Commands do not move leader time, so a federation without ticks
//! stands still instead of letting one member's clock end another's grants.

use std::sync::Arc;

use schemas::Timestamp;
use schemas::request::{AccessRequest, Grant, GrantState, RequestState, Supervision};

use super::author::Acting;
use super::limits::EXPIRIES_PER_TICK_MAX;
use super::record::{Clock, Record};
use super::refusal::Refusal;
use super::request::{is_in_use, running_clock, settled};
use super::store::{Deadline, State};
use super::{Change, correction, emergency, grant};

/// How far an author's clock may be off leader time, in milliseconds: five minutes.
pub const AUTHOR_SKEW_MAX_MS: i64 = 5 * 60 * 1_000;

/// Refuses a command that was written long ago or in the future.
pub(crate) fn check_author_time(leader: Timestamp, author: Timestamp) -> Result<(), Refusal> {
    let off = author.millis_since(leader);
    if off.unsigned_abs() <= AUTHOR_SKEW_MAX_MS.unsigned_abs() {
        return Ok(());
    }
    Err(Refusal::clock_skew(format!(
        "the command says {author}, leader time is {leader}; set the clock right and sign again"
    )))
}

/// Moves leader time, ends grants and requests whose period is over, and notices clocks that ran
/// out. By a node that votes;
/// which of them leads is Raft's to know and not part of the state. A tick is not held to the
/// five minutes, or a federation that was off for an hour could never go on.
pub(crate) fn tick(state: &State, acting: &Acting<'_>, now: Timestamp) -> Result<Change, Refusal> {
    let node = acting.node()?;
    if node.raft_number == 0 {
        return Err(Refusal::not_allowed(format!(
            "node {} has no vote; the leader ticks",
            node.id
        )));
    }
    let leader_time = state.leader_time();
    if now < leader_time {
        return Err(Refusal::conflict(format!(
            "leader time is {leader_time} already; it does not go back to {now}"
        )));
    }
    let mut records = Vec::new();
    if now > leader_time {
        records.push(Record::Clock(Arc::new(Clock { leader_time: now })));
    }
    let due = state
        .deadlines
        .iter()
        .take_while(|(at, _)| *at <= now)
        .take(EXPIRIES_PER_TICK_MAX);
    for (_, deadline) in due {
        match deadline {
            Deadline::Grant(id) => {
                if let Some(it) = state.grants.get(id) {
                    expire_grant(state, it, &mut records);
                }
            }
            Deadline::Request(id) => {
                if let Some(it) = state.requests.get(id) {
                    records.extend(settled(state, it));
                    records.push(expire_request(it));
                }
            }
            Deadline::Overdue(id) => {
                records.extend(state.requests.get(id).and_then(|it| overdue(it, now)));
            }
            Deadline::Correction(id) => {
                let late = state.corrections.get(id);
                records.extend(late.map(|it| correction::overdue(it, now)));
            }
            Deadline::Review(id) => {
                if let Some(it) = state.emergencies.get(id) {
                    records.extend(emergency::lapsed(state, it, now));
                }
            }
        }
    }
    Ok(Change::new(0, records))
}

/// A running transfer may still complete: its receipts are evidence of what left in time, and no
/// new range is served after the end.
fn expire_grant(state: &State, it: &Grant, records: &mut Vec<Record>) {
    records.push(Record::Grant(Arc::new(Grant {
        state: GrantState::Expired,
        revision: it.revision + 1,
        ..it.clone()
    })));
    if let Some(request) = grant::request_of(state, it)
        && is_in_use(request.state)
    {
        records.extend(settled(state, request));
        records.push(expire_request(request));
    }
}

/// What is late is supervised (督办). The request itself does not move: an answer is still due.
fn overdue(it: &AccessRequest, now: Timestamp) -> Option<Record> {
    Some(Record::Supervision(Arc::new(Supervision {
        request: it.id.clone(),
        clock: running_clock(it)?,
        due_at: it.due_at?,
        raised_at: now,
        settled_at: None,
    })))
}

fn expire_request(it: &AccessRequest) -> Record {
    Record::Request(Arc::new(AccessRequest {
        state: RequestState::Expired,
        due_at: None,
        revision: it.revision + 1,
        ..it.clone()
    }))
}
