//! Deciding the past again: under another policy, to see what it would change, and under the same
//! one, to see that the ledger tells the truth.
//!
//! It does not read the ledger: whoever does hands its entries over, in order.

use schemas::decision::{Decision, DecisionRequest, Facts};
use schemas::explanation::{Changed, DryRun, Turn};

use crate::pdp::Pdp;

/// One decision of the past, as the ledger holds it.
#[derive(Clone, Copy, Debug)]
pub struct Past<'a> {
    /// Its entry.
    pub entry: u64,
    /// What was asked.
    pub request: &'a DecisionRequest,
    /// What was known.
    pub facts: &'a Facts,
    /// What was said.
    pub decision: &'a Decision,
}

/// What came of deciding an entry again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replay {
    /// The same.
    Agrees,
    /// Something else: the entry was changed, or this program decides otherwise than the one that
    /// wrote it.
    Differs(Box<Decision>),
    /// This is not the policy set or not the rule packs that were in force: compile those.
    OtherPolicy,
}

impl Pdp {
    /// Decides every access of the past under this set and says which would change. What was known
    /// then is taken as it was: counters, views and grants of that time.
    #[must_use]
    pub fn dry_run<'a>(&self, past: impl IntoIterator<Item = Past<'a>>) -> DryRun {
        let mut run = DryRun::default();
        for it in past {
            run.accesses += 1;
            let after = self.decide(it.request, it.facts);
            let Some(turn) = turn(it.decision, &after) else {
                continue;
            };
            run.changes += 1;
            if run.changed.len() < DryRun::CHANGED_MAX {
                run.changed.push(Changed {
                    entry: it.entry,
                    turn,
                    before: it.decision.clone(),
                    after,
                });
            }
        }
        run
    }

    /// Decides one entry again under the policy of its time.
    #[must_use]
    pub fn replay(&self, past: Past<'_>) -> Replay {
        if past.facts.policy != *self.version() || !self.has_packs_of(past.facts) {
            return Replay::OtherPolicy;
        }
        let now = self.decide(past.request, past.facts);
        if now == *past.decision {
            Replay::Agrees
        } else {
            Replay::Differs(Box::new(now))
        }
    }
}

/// How a decision turned; none when it did not.
fn turn(before: &Decision, after: &Decision) -> Option<Turn> {
    if before == after {
        return None;
    }
    let rank = |it: &Decision| match it {
        Decision::Permit(_) => 0,
        Decision::Measure { .. } => 1,
        Decision::Deny(_) => 2,
    };
    Some(match (rank(before), rank(after)) {
        (old, new) if old < new => Turn::Tightened,
        (old, new) if old > new => Turn::Loosened,
        (0, _) => Turn::OtherDuties,
        _ => Turn::OtherReasons,
    })
}
