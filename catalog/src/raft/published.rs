//! What readers on this node see: the newest view, and how sure the node is that it is new.
//!
//! It does not wait for anybody: readers take what is there.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use schemas::Timestamp;
use tokio::sync::watch;

use crate::View;
use crate::raft::accord::STATES_KEPT;
use crate::raft::clock::{elapsed_ms, steady};
use crate::raft::currency::{Currency, Proof, Rank, Stamp};
use crate::raft::types::{LogId, StoredMembership, Vote};
use crate::state::State;

/// The newest applied state.
pub(crate) struct Published {
    newest: ArcSwap<Moment>,
    /// The last states that were shown, for comparing with other members.
    kept: Mutex<VecDeque<State>>,
    applied: watch::Sender<u64>,
    /// When this life of the node began, as far as readers are concerned.
    began: Instant,
    currency: Mutex<Currency>,
    /// What other members' clocks showed, by Raft number.
    skews: Mutex<BTreeMap<u64, Skew>>,
}

/// A view with what belongs to the same moment.
#[derive(Debug)]
pub(crate) struct Moment {
    pub(crate) view: Arc<View>,
    /// Which keys the state has; see `verify::changes_keys`.
    pub(crate) keys_epoch: u64,
}

#[derive(Clone, Copy, Debug)]
struct Skew {
    millis: i64,
    measured: Instant,
    /// What the other clock showed then.
    theirs: Timestamp,
}

impl Skew {
    /// What the other clock shows now, by the steady clock of this node.
    fn theirs_now(&self) -> Timestamp {
        let since = i64::try_from(elapsed_ms(self.measured)).unwrap_or(i64::MAX);
        self.theirs.plus_millis(since)
    }
}

impl Published {
    pub(crate) fn new(state: State) -> Self {
        let (applied, _) = watch::channel(state.applied());
        let kept = Mutex::new(VecDeque::from([state.clone()]));
        let view = Arc::new(View::new(state));
        let newest = ArcSwap::from_pointee(Moment {
            view,
            keys_epoch: 0,
        });
        Self {
            newest,
            kept,
            applied,
            began: steady(),
            currency: Mutex::default(),
            skews: Mutex::default(),
        }
    }

    /// Shows a newer state to readers.
    pub(crate) fn show(&self, state: State, keys_epoch: u64) {
        let index = state.applied();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= STATES_KEPT {
            kept.pop_front();
        }
        kept.push_back(state.clone());
        drop(kept);
        let view = Arc::new(View::new(state));
        self.newest.store(Arc::new(Moment { view, keys_epoch }));
        self.applied.send_replace(index);
    }

    /// The state at exactly that index, if it is one of the last.
    pub(crate) fn kept(&self, index: u64) -> Option<State> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().rfind(|it| it.applied() == index).cloned()
    }

    /// The indexes of the last states.
    pub(crate) fn kept_indexes(&self) -> Vec<u64> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().map(State::applied).collect()
    }

    pub(crate) fn moment(&self) -> Arc<Moment> {
        self.newest.load_full()
    }

    pub(crate) fn view(&self) -> Arc<View> {
        Arc::clone(&self.newest.load().view)
    }

    pub(crate) fn changed(&self) -> watch::Receiver<u64> {
        self.applied.subscribe()
    }

    /// The voters as of the newest applied membership.
    pub(crate) fn set_members(&self, members: &StoredMembership) {
        let voters = members.membership().get_joint_config().clone();
        self.currency().set_voters(voters);
    }

    /// This member leads by `vote`, and an entry is committed or applied.
    pub(crate) fn leads(&self, vote: &Vote, committed: Option<LogId>) {
        let rank = rank(vote);
        let own = committed.filter(|id| (id.leader_id.term, id.leader_id.node_id) == rank);
        self.currency().leads(rank, own.map(|id| id.index));
    }

    /// A follower answered an append that was sent under `vote` at `asked`.
    pub(crate) fn heard_follower(
        &self,
        vote: &Vote,
        raft_number: u64,
        asked: Instant,
        stamp: Option<Stamp>,
    ) {
        let applied = *self.applied.borrow();
        let instants = (asked, steady());
        self.currency()
            .answered(rank(vote), raft_number, instants, stamp, applied);
    }

    /// As leader `me`: the newest proof for a follower that its view is current.
    pub(crate) fn proof(&self, me: u64, raft_number: u64) -> Option<Proof> {
        self.currency().proof(me, raft_number, steady())
    }

    /// Milliseconds in this life, from 1, for a reply to the leader.
    pub(crate) fn millis(&self) -> u64 {
        elapsed_ms(self.began).saturating_add(1)
    }

    /// The leader proved that at `millis` of this life nothing was acknowledged beyond `index`.
    pub(crate) fn heard_leader(&self, millis: u64, index: u64) {
        let applied = *self.applied.borrow();
        let since = Duration::from_millis(millis.saturating_sub(1));
        // Nobody can prove what is still to come.
        if let Some(instant) = self.began.checked_add(since).filter(|it| *it <= steady()) {
            self.currency().heard(index, instant, applied);
        }
    }

    /// A linearizable read proved that the view is current as of `asked`.
    pub(crate) fn proved(&self, asked: Instant) {
        self.currency().knew(asked);
    }

    /// As leader `me`: the view is current as of the last moment at which nobody else can have
    /// led.
    pub(crate) fn led(&self, me: u64) {
        let applied = *self.applied.borrow();
        self.currency().led(me, applied, steady());
    }

    /// Milliseconds since this replica last knew that it was current; the largest number when it
    /// never did.
    pub(crate) fn staleness_ms(&self) -> u64 {
        let applied = *self.applied.borrow();
        let known_at = self.currency().known_at(applied);
        known_at.map_or(u64::MAX, elapsed_ms)
    }

    /// Compares clocks: `theirs` was read by that member and `ours` here at about the same time.
    pub(crate) fn compare_clocks(&self, raft_number: u64, theirs: Timestamp, ours: Timestamp) {
        let skew = Skew {
            millis: ours.millis_since(theirs),
            measured: steady(),
            theirs,
        };
        self.skews().insert(raft_number, skew);
    }

    /// How far this node's clock is ahead of the others', in milliseconds: the value nearest to
    /// zero that at least half of the compared members stay within, so that a single bad clock
    /// elsewhere accuses nobody. None when no member was compared lately.
    pub(crate) fn clock_skew_ms(&self) -> Option<i64> {
        let known = self.skews();
        let mut skews: Vec<i64> = known
            .values()
            .filter(|skew| elapsed_ms(skew.measured) <= SKEW_AGE_MS_MAX)
            .map(|skew| skew.millis)
            .collect();
        skews.sort_unstable_by_key(|skew| skew.unsigned_abs());
        skews.get(skews.len().saturating_sub(1) / 2).copied()
    }

    /// What leader `me` may propose as the time when its own clock shows `own`: that, when a
    /// majority of the voters, itself included, shows it within [`TICK_SKEW_MS_MAX`]; else what a
    /// majority agrees on. None when there is no such majority or it was not heard lately: leader
    /// time never goes back, so a clock that nobody vouches for moves nothing.
    pub(crate) fn time_to_tick(
        &self,
        own: Timestamp,
        me: u64,
        voters: &[u64],
    ) -> Option<Timestamp> {
        let skews = self.skews();
        let offs: Vec<i64> = voters
            .iter()
            .filter_map(|voter| {
                if *voter == me {
                    return Some(0);
                }
                let skew = skews.get(voter)?;
                let lately = elapsed_ms(skew.measured) <= SKEW_AGE_MS_MAX;
                lately.then(|| own.millis_since(skew.theirs_now()))
            })
            .collect();
        let vouched = |off: i64| {
            let near = |it: &&i64| it.abs_diff(off) <= TICK_SKEW_MS_MAX;
            offs.iter().filter(near).count() > voters.len() / 2
        };
        if vouched(0) {
            return Some(own);
        }
        let off = offs.iter().copied().find(|off| vouched(*off))?;
        tracing::warn!(
            off_ms = off,
            "this clock is off the others'; theirs is the time"
        );
        Some(own.plus_millis(off.saturating_neg()))
    }

    fn currency(&self) -> MutexGuard<'_, Currency> {
        self.currency.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn skews(&self) -> MutexGuard<'_, BTreeMap<u64, Skew>> {
        self.skews.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn rank(vote: &Vote) -> Rank {
    (vote.leader_id.term, vote.leader_id.node_id)
}

/// How far a leader's clock may be off the others' and still be the federation's: thirty seconds,
/// beyond which a node does not believe its clock either.
const TICK_SKEW_MS_MAX: u64 = 30_000;

/// A comparison older than this says nothing about the clocks now.
const SKEW_AGE_MS_MAX: u64 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_proposes_the_time_that_a_majority_vouches_for() {
        let own = Timestamp::from_millis(1_790_000_000_000);
        let hour = 3_600_000;
        // How far the others' clocks are ahead of this one, none for one that was not heard, and
        // what is proposed.
        for (others, expected) in [
            (vec![], Some(0)),
            (vec![Some(0), Some(0)], Some(0)),
            (vec![Some(29_000), Some(-29_000)], Some(0)),
            (vec![Some(-hour), Some(-hour)], Some(-hour)),
            (vec![Some(hour), Some(hour)], Some(hour)),
            // One bad clock elsewhere moves nothing, and nor does it stop the time.
            (vec![Some(hour), Some(100)], Some(0)),
            (vec![Some(hour), Some(hour), Some(0), Some(0)], Some(0)),
            (
                vec![Some(hour), Some(hour), Some(hour), Some(0)],
                Some(hour),
            ),
            // Of two that differ, nobody knows which is right; nor of three.
            (vec![Some(hour)], None),
            (vec![Some(hour), Some(-hour)], None),
            (vec![None, Some(0)], Some(0)),
            (vec![None, Some(hour)], None),
            (vec![None, None], None),
        ] {
            let published = Published::new(State::new());
            let voters: Vec<u64> = (1..).take(others.len() + 1).collect();
            for (number, ahead) in voters.iter().skip(1).zip(&others) {
                if let Some(ahead) = ahead {
                    published.compare_clocks(*number, own.plus_millis(*ahead), own);
                }
            }
            let told = published.time_to_tick(own, 1, &voters);
            let near = match (told, expected) {
                (Some(told), Some(off)) => told.millis_since(own.plus_millis(off)).abs() < 5_000,
                (told, expected) => told.is_none() && expected.is_none(),
            };
            assert!(near, "{others:?}: {told:?}");
        }
    }
}
