//! Hears of everything that members and clients do, and asks each invariant about it.
//!
//! It does not act: the first invariant that does not hold ends the simulation.

use std::sync::{Arc, Mutex, MutexGuard};

use schemas::CommandId;
use schemas::Timestamp;
use schemas::command::{Author, Outcome};
use tokio::sync::Notify;

use super::invariants::acknowledged_not_lost::AcknowledgedNotLost;
use super::invariants::applied_equal_digest::AppliedEqualDigest;
use super::invariants::committed_immutable::CommittedImmutable;
use super::invariants::leader_completeness::{LeaderCompleteness, LogOf};
use super::invariants::leader_time::LeaderTime;
use super::invariants::one_outcome::OneOutcome;
use super::invariants::promises_kept::PromisesKept;
use super::invariants::staleness_is_true::StalenessIsTrue;
use crate::raft::codec::decode_batch;
use crate::raft::types::{Entry, Reply, Vote};
use crate::{Applied, View};
use openraft::EntryPayload;

/// Everything that is known of one simulation.
pub(super) struct Oracle {
    inner: Mutex<Inner>,
    /// An invariant does not hold.
    pub(super) rings: Notify,
    began: tokio::time::Instant,
}

#[derive(Default)]
struct Inner {
    violation: Option<Violation>,
    trace: Vec<String>,
    heard: u64,
    committed: CommittedImmutable,
    digests: AppliedEqualDigest,
    leaders: LeaderCompleteness,
    promises: PromisesKept,
    outcomes: OneOutcome,
    acknowledged: AcknowledgedNotLost,
    time: LeaderTime,
    staleness: StalenessIsTrue,
}

/// Which invariant does not hold, and what was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Violation {
    pub(super) invariant: &'static str,
    pub(super) why: String,
}

impl Oracle {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            inner: Mutex::default(),
            rings: Notify::new(),
            began: tokio::time::Instant::now(),
        })
    }

    pub(super) fn violation(&self) -> Option<Violation> {
        self.inner().violation.clone()
    }

    /// The end of the trace, for whoever looks for the cause.
    pub(super) fn trace(&self) -> Vec<String> {
        self.inner().trace.clone()
    }

    /// True time, which no member's clock need show.
    pub(super) fn now(&self) -> Timestamp {
        super::world::start().plus_millis(i64::try_from(self.millis()).unwrap_or(i64::MAX))
    }

    /// Milliseconds since the simulation began.
    pub(super) fn millis(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Writes a line of the trace.
    pub(super) fn note(&self, line: impl Into<String>) {
        let line = format!("{:>6} ms {}", self.millis(), line.into());
        let mut inner = self.inner();
        inner.heard += 1;
        if inner.trace.len() >= TRACE_LINES_MAX {
            inner.trace.drain(..TRACE_LINES_MAX / 2);
        }
        inner.trace.push(line);
    }

    /// Notes what an invariant says.
    pub(super) fn judge(&self, invariant: &'static str, said: Result<(), String>) {
        let Err(why) = said else { return };
        self.note(format!("VIOLATION {invariant}: {why}"));
        let mut inner = self.inner();
        if inner.violation.is_none() {
            inner.violation = Some(Violation { invariant, why });
        }
        drop(inner);
        self.rings.notify_one();
    }

    /// A member applied an entry and answered.
    pub(super) fn applied(&self, member: u64, entry: &Entry, reply: &Reply) {
        let said = self.inner().committed.applied(member, entry);
        self.judge("committed_immutable", said);
        let EntryPayload::Normal(payload) = &entry.payload else {
            return;
        };
        for (batch, outcomes) in payload.batches.iter().zip(&reply.batches) {
            let Ok(batch) = decode_batch(&batch.bytes) else {
                continue;
            };
            for (encoded, outcome) in batch.proposals.iter().zip(outcomes) {
                let proposal = encoded.proposal();
                if matches!(proposal.author, Author::Node(_)) {
                    continue;
                }
                let (id, index) = (&proposal.id, entry.log_id.index);
                let mut inner = self.inner();
                inner.acknowledged.applied(index, id);
                let said = inner.outcomes.applied(member, index, id, outcome);
                drop(inner);
                self.judge("one_outcome", said);
            }
        }
    }

    /// A member's state after some entries.
    pub(super) fn reached(&self, member: u64, view: &View) {
        let now = self.now();
        let mut inner = self.inner();
        let digests = inner.digests.reached(member, view);
        let time = inner.time.reached(member, view, now);
        drop(inner);
        self.judge("applied_equal_digest", digests);
        self.judge("leader_time", time);
    }

    /// A member's state after a snapshot.
    pub(super) fn installed(&self, member: u64, view: &View) {
        self.note(format!("{member} installs a snapshot at {}", view.index()));
        self.reached(member, view);
    }

    /// A member answered in a way that binds it to `vote`.
    pub(super) fn promised(&self, member: u64, vote: Vote) {
        let said = self.inner().promises.promised(member, vote);
        self.judge("promises_kept", said);
    }

    /// Whether a member has taken part since it last lost its disk.
    pub(super) fn has_promised(&self, member: u64) -> bool {
        self.inner().promises.knows(member)
    }

    /// A member lost everything, and what it promised with it.
    pub(super) fn forgot(&self, member: u64) {
        self.inner().promises.forgot(member);
    }

    /// A member leads, with this log.
    pub(super) fn leads(&self, member: u64, vote: Vote, log: &LogOf) {
        self.note(format!("{member} leads in term {}", vote.leader_id.term));
        let mut inner = self.inner();
        let Inner {
            leaders, committed, ..
        } = &mut *inner;
        let said = leaders.leads(member, vote, log, committed);
        drop(inner);
        self.judge("leader_completeness", said);
    }

    /// A client was told what became of its command.
    pub(super) fn acknowledged(&self, id: &CommandId, applied: &Applied) {
        let millis = self.millis();
        let mut inner = self.inner();
        let said = inner.acknowledged.acknowledged(id, applied.index);
        let outcome = inner.outcomes.told(id, &applied.outcome);
        if matches!(applied.outcome, Outcome::Applied { .. }) {
            inner.staleness.acknowledged(millis, applied.index);
        }
        drop(inner);
        self.judge("acknowledged_not_lost", said);
        self.judge("one_outcome", outcome);
    }

    /// A client read a member's own view, which is said to be so many milliseconds old.
    pub(super) fn read_locally(&self, member: u64, index: u64, staleness_ms: u64) {
        let millis = self.millis();
        let said = self
            .inner()
            .staleness
            .read(member, millis, index, staleness_ms);
        self.judge("staleness_is_true", said);
    }

    /// At the end, when everything is healed: up to where every member must have applied.
    pub(super) fn newest_acknowledged(&self) -> u64 {
        self.inner().acknowledged.newest()
    }

    /// How much was heard: commands that were acknowledged, entries, leaders.
    pub(super) fn counts(&self) -> (u64, u64, u64) {
        let inner = self.inner();
        (
            inner.acknowledged.count(),
            inner.committed.count(),
            inner.leaders.count(),
        )
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }
}

/// More is not read by anybody.
const TRACE_LINES_MAX: usize = 4_000;
