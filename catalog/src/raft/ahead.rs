//! A leader's own entries on their way to its disk, while its followers get them already.
//!
//! It does not acknowledge anything: an entry counts as this member's once it is synced here, and
//! until then no follower's answer about it reaches Raft (see `network`). So a commit still means a
//! majority of disks, this one included, and the two syncs of an entry, here and over there,
//! happen at the same time (Ongaro, Consensus, section 10.2.1).

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;
use openraft::metrics::RaftServerMetrics;
use openraft::{BasicNode, EntryPayload};
use tokio::sync::watch;

use crate::Error;
use crate::raft::types::{Entry, LogId, Vote};

/// What this member is to the entries that it appends.
pub(crate) struct Ahead {
    standing: Mutex<Standing>,
    metrics: OnceLock<watch::Receiver<RaftServerMetrics<u64, BasicNode>>>,
    pending: Mutex<Pending>,
    synced: watch::Sender<Synced>,
}

#[derive(Default)]
struct Standing {
    /// The last vote that was saved since the log was opened.
    vote: Option<Vote>,
    /// The last membership entry that was appended since then and not truncated.
    membership: Option<LogId>,
    /// When the log was opened, this member was the only one with a vote.
    was_alone: bool,
}

#[derive(Default)]
struct Pending {
    entries: Vec<(u64, Bytes)>,
    is_writing: bool,
}

/// Up to where this member's disk has the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Synced {
    pub(crate) index: u64,
    /// A sync failed: nothing that was not synced before ever is.
    pub(crate) failure: Option<String>,
}

impl Ahead {
    pub(crate) fn new(index: u64) -> Self {
        let (synced, _) = watch::channel(Synced {
            index,
            failure: None,
        });
        Self {
            standing: Mutex::default(),
            metrics: OnceLock::new(),
            pending: Mutex::default(),
            synced,
        }
    }

    /// From now on it is known who votes.
    pub(crate) fn follow(&self, metrics: watch::Receiver<RaftServerMetrics<u64, BasicNode>>) {
        // A log belongs to one Raft; a second call would say the same.
        let _first = self.metrics.set(metrics);
    }

    /// Whether this member was the only one with a vote when the log was opened: then nobody has
    /// entries that it lost.
    pub(crate) fn was_alone(&self) -> bool {
        self.standing().was_alone
    }

    pub(crate) fn stood_alone(&self, alone: bool) {
        self.standing().was_alone = alone;
    }

    pub(crate) fn voted(&self, vote: Vote) {
        self.standing().vote = Some(vote);
    }

    /// Entries from there on are gone.
    pub(crate) fn truncated(&self, since: u64) {
        let mut standing = self.standing();
        if standing.membership.is_some_and(|id| id.index >= since) {
            standing.membership = None;
        }
        drop(standing);
        self.synced.send_modify(|synced| {
            synced.index = synced.index.min(since.saturating_sub(1));
        });
    }

    /// Whether these entries may be on their way to others before they are on this disk: they are
    /// this leader's own of the present term, none of them changes who votes, and no majority is
    /// reached without somebody else.
    ///
    /// Called once for all entries that are appended, in their order.
    pub(crate) fn may_wait(&self, entries: &[Entry]) -> bool {
        let mut standing = self.standing();
        let changes = entries
            .iter()
            .rev()
            .find(|entry| matches!(entry.payload, EntryPayload::Membership(_)));
        if let Some(change) = changes {
            standing.membership = Some(change.log_id);
            return false;
        }
        let Some(vote) = standing.vote.filter(Vote::is_committed) else {
            return false;
        };
        let own = |entry: &Entry| entry.log_id.leader_id == *vote.leader_id();
        if !entries.iter().all(own) {
            return false;
        }
        let Some(metrics) = self.metrics.get() else {
            return false;
        };
        let metrics = metrics.borrow();
        let membership = &metrics.membership_config;
        // Raft tells who votes a moment after it knew.
        let told = standing.membership.is_none() || standing.membership == *membership.log_id();
        let leads = vote.leader_id().voted_for() == Some(metrics.id);
        let others = membership
            .membership()
            .get_joint_config()
            .iter()
            .any(|voters| voters.iter().any(|voter| *voter != metrics.id));
        told && leads && others
    }

    /// Puts encoded entries behind those that wait. True when nobody writes them yet: the caller
    /// must then see to it that [`Self::take`] is called until it gives nothing.
    pub(crate) fn put(&self, entries: Vec<(u64, Bytes)>) -> bool {
        let mut pending = self.pending();
        pending.entries.extend(entries);
        !std::mem::replace(&mut pending.is_writing, true)
    }

    /// All that waits, for one sync; none when nothing does, and then the writer is done.
    pub(crate) fn take(&self) -> Option<Vec<(u64, Bytes)>> {
        let mut pending = self.pending();
        if pending.entries.is_empty() {
            pending.is_writing = false;
            return None;
        }
        Some(std::mem::take(&mut pending.entries))
    }

    /// Entries up to there are synced. After a failure none are: what is behind a gap is no log.
    pub(crate) fn reached(&self, index: u64) {
        self.synced.send_modify(|synced| {
            if synced.failure.is_none() {
                synced.index = index;
            }
        });
    }

    /// A snapshot stands for the entries up to there.
    pub(crate) fn purged(&self, upto: u64) {
        self.synced
            .send_modify(|synced| synced.index = synced.index.max(upto));
    }

    /// A sync failed.
    pub(crate) fn failed(&self, error: &Error) {
        self.synced
            .send_modify(|synced| synced.failure = Some(error.to_string()));
    }

    /// What a failed sync said, if one did.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) fn check(&self) -> Result<(), Error> {
        refuse(&self.synced.borrow())
    }

    /// Waits until this member's disk has the log up to `index`.
    ///
    /// # Errors
    /// [`Error::Store`] when it never will.
    pub(crate) async fn until(&self, index: u64) -> Result<(), Error> {
        let mut synced = self.synced.subscribe();
        let there = |synced: &Synced| synced.index >= index || synced.failure.is_some();
        match synced.wait_for(there).await {
            Ok(synced) if synced.index >= index => Ok(()),
            Ok(synced) => refuse(&synced),
            // The sender is this.
            Err(_) => Ok(()),
        }
    }

    /// The first index that may not be on disk yet.
    pub(crate) fn unsynced_from(&self) -> u64 {
        self.synced.borrow().index.saturating_add(1)
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refuse(synced: &Synced) -> Result<(), Error> {
    synced.failure.as_ref().map_or(Ok(()), |why| {
        Err(Error::store("append to the Raft log", why))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::Arc;

    use openraft::entry::RaftEntry as _;
    use openraft::{CommittedLeaderId, Membership, ServerState};

    use super::*;
    use crate::raft::types::StoredMembership;

    const ME: u64 = 1;

    fn id(term: u64, node: u64, index: u64) -> LogId {
        LogId::new(CommittedLeaderId::new(term, node), index)
    }

    fn entry(term: u64, node: u64, index: u64) -> Entry {
        Entry::new_blank(id(term, node, index))
    }

    fn membership(index: u64, configs: &[&[u64]]) -> StoredMembership {
        let configs: Vec<BTreeSet<u64>> = configs
            .iter()
            .map(|voters| voters.iter().copied().collect())
            .collect();
        let nodes: BTreeMap<u64, BasicNode> = configs
            .iter()
            .flatten()
            .map(|voter| (*voter, BasicNode::new("127.0.0.1:1")))
            .collect();
        StoredMembership::new(Some(id(1, ME, index)), Membership::new(configs, nodes))
    }

    /// As leader of term 2, with these voters since entry 3.
    fn leading(configs: &[&[u64]]) -> (Ahead, watch::Sender<RaftServerMetrics<u64, BasicNode>>) {
        let ahead = Ahead::new(9);
        let vote = Vote::new_committed(2, ME);
        let (sender, metrics) = watch::channel(RaftServerMetrics {
            id: ME,
            vote,
            state: ServerState::Leader,
            current_leader: Some(ME),
            membership_config: Arc::new(membership(3, configs)),
        });
        ahead.follow(metrics);
        ahead.voted(vote);
        (ahead, sender)
    }

    #[test]
    fn only_a_leader_that_needs_others_sends_before_its_disk_has_it() {
        for (configs, may) in [
            (&[&[1, 2, 3][..]][..], true),
            (&[&[1, 2]], true),
            (&[&[2, 3, 4]], true),
            (&[&[1]], false),
            // Between two sets of voters both must agree.
            (&[&[1], &[1, 2, 3]], true),
            (&[&[1], &[1]], false),
        ] {
            let (ahead, _metrics) = leading(configs);
            assert_eq!(ahead.may_wait(&[entry(2, ME, 10)]), may, "{configs:?}");
        }
        let (ahead, _metrics) = leading(&[&[1, 2, 3]]);
        // Not its own, or not of this term.
        assert!(!ahead.may_wait(&[entry(2, 2, 10)]));
        assert!(!ahead.may_wait(&[entry(1, ME, 10)]));
        assert!(!ahead.may_wait(&[entry(2, ME, 10), entry(1, ME, 11)]));
        for vote in [
            Vote::new(2, ME),
            Vote::new_committed(3, ME),
            Vote::new_committed(2, 2),
            Vote::new_committed(3, 2),
        ] {
            ahead.voted(vote);
            assert!(!ahead.may_wait(&[entry(2, ME, 10)]), "{vote}");
        }
        // After a start, before an election.
        assert!(!Ahead::new(9).may_wait(&[entry(2, ME, 10)]));
    }

    #[test]
    fn who_votes_must_be_known_up_to_the_last_change() {
        let (ahead, metrics) = leading(&[&[1, 2, 3]]);
        let mut change = entry(2, ME, 10);
        let alone = membership(10, &[&[1]]);
        change.payload = EntryPayload::Membership(alone.membership().clone());
        assert!(!ahead.may_wait(&[change]));
        // Raft still tells of three.
        assert!(!ahead.may_wait(&[entry(2, ME, 11)]));
        let tell = |of: StoredMembership| {
            metrics.send_modify(|metrics| metrics.membership_config = Arc::new(of));
        };
        tell(StoredMembership::new(
            Some(id(2, ME, 10)),
            alone.membership().clone(),
        ));
        assert!(!ahead.may_wait(&[entry(2, ME, 11)]));
        // The change is undone by another leader, and this one leads again.
        tell(membership(3, &[&[1, 2, 3]]));
        ahead.truncated(10);
        assert!(ahead.may_wait(&[entry(2, ME, 10)]));
        ahead.truncated(5);
        assert_eq!(ahead.unsynced_from(), 5);
    }

    #[tokio::test]
    async fn an_index_is_waited_for_until_it_is_there_or_never_will_be() {
        let ahead = Arc::new(Ahead::new(9));
        ahead.until(9).await.unwrap();
        assert!(ahead.put(vec![(10, Bytes::new())]));
        assert!(!ahead.put(vec![(11, Bytes::new())]), "somebody writes");
        let waiting = tokio::spawn({
            let ahead = Arc::clone(&ahead);
            async move { ahead.until(11).await }
        });
        let both: Vec<u64> = ahead.take().unwrap().into_iter().map(|it| it.0).collect();
        assert_eq!(both, [10, 11]);
        ahead.reached(11);
        waiting.await.unwrap().unwrap();
        assert!(ahead.take().is_none());
        assert!(
            ahead.put(vec![(12, Bytes::new())]),
            "nobody writes any more"
        );
        assert!(!ahead.put(vec![(13, Bytes::new())]));
        ahead.failed(&Error::store("test", "no room"));
        // What comes behind a gap is not there either, and nobody writes it.
        ahead.reached(13);
        assert!(!ahead.put(vec![(14, Bytes::new())]));
        assert!(ahead.until(13).await.is_err());
        assert!(ahead.until(12).await.is_err());
        assert!(ahead.check().is_err());
        ahead.until(11).await.unwrap();
    }
}
