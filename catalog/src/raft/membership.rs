//! Who votes: members are added, promoted and taken out by whoever leads, and a leader that stops
//! hands over.
//!
//! It does not register nodes, a command does, and it does not decide who may ask. One change is
//! under way at a time; each goes through a majority of the voters before and after it.

use std::collections::BTreeSet;
use std::time::Duration;

use openraft::error::{ClientWriteError, RaftError};
use openraft::{BasicNode, ChangeMembers};

use crate::Error;
use crate::raft::batcher::leader;
use crate::raft::clock::{elapsed, elapsed_ms, steady};
use crate::raft::member::Member;
use crate::raft::peers::{Admission, CallFailure};

/// A change of who takes part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// The node of that Raft number gets a vote.
    Add { raft_number: u64, address: String },
    /// The member of that Raft number has no part any more.
    Remove { raft_number: u64 },
}

/// Why a change was not made here.
#[derive(Debug)]
pub(crate) enum Halt {
    /// Somebody else leads by now; that member is asked next.
    NotLeader,
    /// It cannot be made.
    Failed(Error),
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Member {
    /// Makes a change, here or through the leader. Repeating one that was made does nothing.
    pub(crate) async fn change(&self, change: &Change) -> Result<(), Error> {
        let began = steady();
        loop {
            let timed_out = || Error::TimedOut {
                waited_ms: elapsed_ms(began),
            };
            let left = CHANGE_TIME_MAX.saturating_sub(elapsed(began));
            if left.is_zero() {
                return Err(timed_out());
            }
            match leader(&self.raft) {
                None => {}
                Some((leader, _)) if leader == self.me => {
                    let made = tokio::time::timeout(left, self.change_here(change)).await;
                    match made.map_err(|_| timed_out())? {
                        Ok(()) => return Ok(()),
                        Err(Halt::Failed(error)) => return Err(error),
                        Err(Halt::NotLeader) => {}
                    }
                }
                Some((leader, address)) => {
                    let asked = self.peers.change((leader, &address), change, left).await;
                    match asked {
                        Ok(()) => return Ok(()),
                        Err(CallFailure::Refused(why)) => return Err(Error::Membership { why }),
                        Err(CallFailure::NotLeader | CallFailure::Busy) => {}
                        Err(CallFailure::Unknown(_)) => {}
                    }
                }
            }
            self.pause(left).await;
        }
    }

    /// As the leader: makes a change.
    pub(crate) async fn change_here(&self, change: &Change) -> Result<(), Halt> {
        match change {
            Change::Add {
                raft_number,
                address,
            } => self.add_here(*raft_number, address).await,
            Change::Remove { raft_number } => self.remove_here(*raft_number).await,
        }
    }

    /// Admits the node, has it catch up as a learner, and gives it a vote.
    async fn add_here(&self, raft_number: u64, address: &str) -> Result<(), Halt> {
        let members = self.directory.members();
        if !members.iter().any(|(number, ..)| *number == raft_number) {
            return Err(Error::NotRegistered { raft_number }.into());
        }
        if raft_number == self.me {
            return Ok(());
        }
        let (is_voter, known_address) = self.standing(raft_number);
        let fresh = self
            .peers
            .admit(raft_number, address, Admission::Ask)
            .await?;
        let moved = known_address
            .as_deref()
            .is_some_and(|known| known != address);
        if fresh || moved {
            self.expel(raft_number, is_voter, known_address.is_some())
                .await?;
        } else if is_voter {
            return Ok(());
        }
        self.peers
            .admit(raft_number, address, Admission::Grant)
            .await?;
        let node = BasicNode::new(address);
        self.raft
            .add_learner(raft_number, node, true)
            .await
            .map_err(|error| not_changed(&error))?;
        self.caught_up(raft_number).await?;
        let voters = ChangeMembers::AddVoterIds(BTreeSet::from([raft_number]));
        self.raft
            .change_membership(voters, true)
            .await
            .map_err(|error| not_changed(&error))?;
        Ok(())
    }

    /// Waits until a learner has almost all of the log: a voter that has not would keep its
    /// majority waiting.
    async fn caught_up(&self, raft_number: u64) -> Result<(), Halt> {
        loop {
            let missing = {
                let metrics = self.raft.metrics();
                let metrics = metrics.borrow();
                let replication = metrics.replication.as_ref().ok_or(Halt::NotLeader)?;
                let matching = replication.get(&raft_number).copied().flatten();
                let matching = matching.map_or(0, |id| id.index);
                metrics.last_log_index.unwrap_or(0).saturating_sub(matching)
            };
            if missing <= CAUGHT_UP_ENTRIES {
                return Ok(());
            }
            tokio::time::sleep(CATCH_UP_PAUSE).await;
        }
    }

    /// Takes a member out, this one too: it leads until the others have agreed to that.
    async fn remove_here(&self, raft_number: u64) -> Result<(), Halt> {
        let (is_voter, address) = self.standing(raft_number);
        if address.is_none() {
            return Ok(());
        }
        if is_voter && self.voters() == [raft_number] {
            return Err(Halt::Failed(Error::Membership {
                why: format!("member {raft_number} is the only voter; add another one first"),
            }));
        }
        self.expel(raft_number, is_voter, true).await
    }

    /// The voters, ascending.
    fn voters(&self) -> Vec<u64> {
        let metrics = self.raft.server_metrics();
        let metrics = metrics.borrow();
        metrics.membership_config.membership().voter_ids().collect()
    }

    fn standing(&self, raft_number: u64) -> (bool, Option<String>) {
        let metrics = self.raft.server_metrics();
        let metrics = metrics.borrow();
        let membership = metrics.membership_config.membership();
        (
            membership.voter_ids().any(|voter| voter == raft_number),
            membership
                .get_node(&raft_number)
                .map(|node| node.addr.clone()),
        )
    }

    /// Takes a member out, so that replication to it starts from nothing when it comes back.
    async fn expel(&self, raft_number: u64, is_voter: bool, is_known: bool) -> Result<(), Halt> {
        let one = BTreeSet::from([raft_number]);
        let change = if is_voter {
            ChangeMembers::RemoveVoters(one)
        } else if is_known {
            ChangeMembers::RemoveNodes(one)
        } else {
            return Ok(());
        };
        self.raft
            .change_membership(change, false)
            .await
            .map_err(|error| not_changed(&error))?;
        Ok(())
    }

    /// Before this member stops: if it leads, has the voter that is furthest take over, and waits
    /// for that a little. Without it the others would first have to miss this one.
    pub(crate) async fn hand_over(&self) {
        if !self.leads() {
            return;
        }
        let handed = tokio::time::timeout(HAND_OVER_TIME_MAX, async {
            while self.leads() {
                let Some((successor, address)) = self.successor() else {
                    return;
                };
                if let Err(why) = self.peers.take_over(successor, &address).await {
                    tracing::debug!(%why, successor, "a voter did not take over");
                }
                tokio::time::sleep(HAND_OVER_PAUSE).await;
            }
        });
        if handed.await.is_err() {
            tracing::warn!("no voter has taken over; the others will elect one");
        }
    }

    /// The other voter whose log is furthest.
    fn successor(&self) -> Option<(u64, String)> {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow();
        let membership = metrics.membership_config.membership();
        let replication = metrics.replication.as_ref()?;
        let voters = membership.voter_ids().filter(|voter| *voter != self.me);
        let furthest = voters.max_by_key(|voter| replication.get(voter).copied().flatten())?;
        let node = membership.get_node(&furthest)?;
        Some((furthest, node.addr.clone()))
    }

    /// The leader is about to stop and wants this member to lead.
    pub(crate) async fn take_over(&self, from: u64) -> Result<(), CallFailure> {
        if leader(&self.raft).is_none_or(|(leader, _)| leader != from) {
            return Err(CallFailure::Refused("the caller does not lead".to_owned()));
        }
        let elected = self.raft.trigger().elect().await;
        elected.map_err(|error| CallFailure::Unknown(error.to_string()))
    }
}

fn not_changed(error: &RaftError<u64, ClientWriteError<u64, BasicNode>>) -> Halt {
    match error {
        RaftError::APIError(ClientWriteError::ForwardToLeader(_)) => Halt::NotLeader,
        RaftError::APIError(ClientWriteError::ChangeMembershipError(error)) => {
            Halt::Failed(Error::Membership {
                why: error.to_string(),
            })
        }
        RaftError::Fatal(error) => Halt::Failed(Error::Stopped {
            why: error.to_string(),
        }),
    }
}

/// Catching up includes a snapshot of the whole catalog over a slow line.
const CHANGE_TIME_MAX: Duration = Duration::from_secs(600);

/// A learner that misses no more entries than this is given its vote: less than one append holds.
const CAUGHT_UP_ENTRIES: u64 = 64;

const CATCH_UP_PAUSE: Duration = Duration::from_millis(50);

/// With three voters one try is enough; with more of them, the others' leases must run out first.
const HAND_OVER_TIME_MAX: Duration = Duration::from_millis(1_500);

const HAND_OVER_PAUSE: Duration = Duration::from_millis(50);
